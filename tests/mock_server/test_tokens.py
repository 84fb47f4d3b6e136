"""Who asks on the vendor's own path: a key, or a signed token of whatever shape."""

from __future__ import annotations

import base64
import itertools
import json
import time
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from klingkit.contract import load_contract
from klingkit.mock_server.app import create_app
from klingkit.mock_server.clock import START, ClockState
from klingkit.mock_server.control.client import Control
from klingkit.mock_server.settings import Settings
from klingkit.mock_server.simulator import Simulator
from klingkit.mock_server.tokens import LONGEST, REMEMBERED, _read, read_token
from tests.conftest import PATH, body, data_of

KLING = "/v1/images/multi-image2image"
SECRET = "a-secret-key-of-thirty-two-signs"
PAIRS = (("access-one", SECRET), ("access-two", "short"))


class Service:
    def __init__(self, **settings: Any) -> None:
        self.simulator = Simulator(Settings(contract="all", **settings), clock=ClockState(START))
        self._client = create_app(self.simulator).test_client()

    def ask(self, token: str | None, path: str = KLING, scheme: str = "Bearer ") -> tuple[int, int, str]:
        """Return status, code and text."""
        headers = {} if token is None else {"Authorization": scheme + token}
        answer = self._client.get(path, headers=headers)
        found = json.loads(answer.data)
        return answer.status_code, found["code"], found["message"]

    def create(self, token: str) -> str:
        made = self._client.post(KLING, json=body(), headers={"Authorization": f"Bearer {token}"})
        return str(data_of(made)["task_id"])


CLOSED = Service(access_keys=PAIRS)
OPEN = Service()
ACCEPTED = (200, 0, "SUCCEED")


def b64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def signed(secret: str = SECRET, algorithm: str = "HS256", **claims: Any) -> str:
    """A token that is right but for some claims; one of Ellipsis is left out."""
    now = int(time.time())
    full = {"iss": "access-one", "exp": now + 1800, "nbf": now - 5, **claims}
    payload = {name: value for name, value in full.items() if value is not ...}
    return by_hand({"alg": algorithm, "typ": "JWT"}, json.dumps(payload), secret)


def by_hand(header: Any, payload: str, secret: str = SECRET) -> str:
    """Sign anything at all, whatever a library would say of it."""
    start = f"{b64url(json.dumps(header).encode())}.{b64url(payload.encode('utf-8', 'surrogatepass'))}"
    signature = jwt.PyJWS().get_algorithm_by_name("HS256").sign(start.encode(), secret.encode())
    return f"{start}.{b64url(signature)}"


def test_a_signed_token_is_accepted_and_its_access_key_is_the_account() -> None:
    """So that a renewed token is the same account, and no other access key sees what it has."""
    service = Service(access_keys=PAIRS)
    task_id = service.create(jwt.encode({"iss": "access-one", "exp": int(time.time()) + 60}, SECRET, "HS256"))

    assert service.ask(signed(nbf=...), f"{KLING}/{task_id}") == ACCEPTED
    assert service.ask(signed("short", iss="access-two"), f"{KLING}/{task_id}")[:2] == (400, 1201)
    assert [task["task_id"] for task in Control.of(service.simulator, key="access-one").tasks()] == [task_id]
    shown = service._client.get("/_mock/tasks", headers={"Authorization": f"Bearer {signed()}"})
    assert [task["task_id"] for task in json.loads(shown.data)] == [task_id]


@pytest.mark.parametrize(
    ("token", "code", "text"),
    [
        (None, 1001, "Authorization is empty"),
        ("", 1002, "The token was expected to have 3 parts, but got 0"),
        ("sk-no-dots", 1002, "The token was expected to have 3 parts, but got 0"),
        ("one.dot", 1002, "The token was expected to have 3 parts, but got 2"),
        ("a.b.c.d", 1002, "The token was expected to have 3 parts, but got > 3"),
        ("a.b.c", 1002, "Authorization is invalid"),
        (signed(iss="nobody"), 1002, "access key not found"),
        (signed(iss=...), 1002, "access key not found"),
        (signed("another secret"), 1000, "authentication failed"),
        (signed("short"), 1000, "authentication failed"),
        (signed(algorithm="none"), 1000, "authentication failed"),
        (signed(algorithm="HS512"), 1000, "authentication failed"),
        (signed(nbf=7_258_118_400), 1003, "The Token can't be used before 2200-01-01T00:00:00Z."),
        (signed(exp=1_767_225_600), 1004, "The Token has expired on 2026-01-01T00:00:00Z."),
        (signed(exp=0.5), 1004, "The Token has expired on 1970-01-01T00:00:00Z."),
        (signed(exp=-(10**400)), 1004, "The Token has expired on 0001-01-01T00:00:00Z."),
        (signed(nbf=10**400), 1003, "The Token can't be used before 9999-12-31T23:59:59Z."),
        (signed(exp="tomorrow"), 1002, "Authorization is invalid"),
        (signed(exp=True), 1002, "Authorization is invalid"),
        (signed(iss=["access-one"]), 1002, "Authorization is invalid"),
        (by_hand({"alg": "HS256"}, '{"iss": "access-one", "exp": NaN}'), 1002, "Authorization is invalid"),
        (by_hand({"alg": "HS256"}, '{"iss": "access-one", "exp": -1e400}'), 1004, "The Token has expired on 0001-01-01T00:00:00Z."),
        (by_hand({"alg": "HS256"}, '["access-one"]'), 1002, "Authorization is invalid"),
        (by_hand({"alg": "HS256"}, "[" * 5000), 1002, "Authorization is invalid"),
        (by_hand({"alg": "HS256"}, '{"exp": ' + "9" * 5000 + "}"), 1002, "Authorization is invalid"),
        (by_hand({"alg": "HS256"}, json.dumps({"iss": "x" * LONGEST})), 1002, "Authorization is invalid"),
        (by_hand(["HS256"], "{}"), 1002, "Authorization is invalid"),
    ],
    ids=itertools.count(),  # the processes of one run have to name each test alike, whenever they made its token
)  # fmt: skip
def test_each_fault_of_a_token_has_its_own_answer(token: str | None, code: int, text: str) -> None:
    assert CLOSED.ask(token) == (401, code, text)


@pytest.mark.parametrize("scheme", ["Basic ", "", "Bearer  x ", "Token "])
def test_what_is_no_bearer_is_no_token(scheme: str) -> None:
    assert CLOSED.ask(signed(), scheme=scheme)[:2] == (401, 1002)


def test_an_end_far_away_is_no_end() -> None:
    assert CLOSED.ask(signed(exp=...)) == CLOSED.ask(signed(exp=10**400)) == ACCEPTED
    assert CLOSED.ask(by_hand({"alg": "HS256"}, '{"iss": "access-one", "exp": 1e400}')) == ACCEPTED


def test_without_keys_of_its_own_it_takes_all_that_is_well_formed() -> None:
    assert OPEN.ask("sk-any") == OPEN.ask(signed("another", iss="anybody", exp=1)) == ACCEPTED
    assert OPEN.ask(signed(algorithm="none"))[:2] == (401, 1000)
    assert OPEN.ask(signed(iss=...))[:2] == (401, 1002)
    assert OPEN.ask("a.b.c")[:2] == OPEN.ask("a.b")[:2] == (401, 1002)


def test_keys_and_pairs_can_both_be_given() -> None:
    both = Service(keys=frozenset({"sk-one", "sk.with.dots"}), access_keys=PAIRS)
    only_keys = Service(keys=frozenset({"sk-one"}))

    assert both.ask("sk-one") == both.ask("sk.with.dots") == both.ask(signed()) == ACCEPTED
    assert both.ask("sk-two")[1] == only_keys.ask("sk-two")[1] == 1002
    assert only_keys.ask(signed()) == (401, 1002, "access key not found")


def test_the_times_of_a_token_are_real_whatever_the_clock_shows() -> None:
    """The simulator's stands in January 2026, and then far ahead."""
    service = Service(access_keys=PAIRS)
    assert service.ask(signed()) == ACCEPTED
    service.simulator.clocks.move_to(START + 100 * 365 * 86_400_000)
    assert service.ask(signed()) == ACCEPTED


def test_an_account_that_is_disabled_has_no_access_key() -> None:
    service = Service(access_keys=PAIRS)
    Control.of(service.simulator, key="access-one").configure(disabled=True)

    assert service.ask(signed()) == (401, 1002, "access key not found")
    assert service.ask(signed("short", iss="access-two")) == ACCEPTED


def test_no_secret_is_shown() -> None:
    service = Service(access_keys=PAIRS)
    service.create(token := signed())

    shown = json.dumps(Control.of(service.simulator).journal()) + repr(service.simulator.settings)
    assert not any(secret in shown for secret in (SECRET, token, token.rpartition(".")[2]))


ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([10**400, -(10**400), 1e308, 5e-324]),
    st.floats(),
    st.text(max_size=5),
    st.lists(st.none(), max_size=1),
    st.just({}),
)
CLAIMS = st.dictionaries(st.sampled_from(["iss", "exp", "nbf", "iat", "aud", "sub", "jti", "x"]), ODD, max_size=5)
HEADERS = st.dictionaries(
    st.sampled_from(["alg", "typ", "kid", "crit", "b64"]), ODD | st.sampled_from(["HS256", "none", "RS256"]), max_size=4
)
WHOLE = st.builds(by_hand, HEADERS, CLAIMS.map(json.dumps))
PARTS = st.lists(
    st.text(st.characters(max_codepoint=255, exclude_characters="\r\n"), max_size=30)
    | st.binary(max_size=30).map(b64url)
    | st.recursive(ODD, st.lists, max_leaves=5).map(lambda value: b64url(json.dumps(value).encode())),
    min_size=1,
    max_size=4,
)


@given(token=WHOLE | PARTS.map(".".join), is_open=st.booleans())
def test_a_token_of_any_shape_is_accepted_or_has_its_own_401(token: str, is_open: bool) -> None:
    status, code, _ = (OPEN if is_open else CLOSED).ask(token)

    assert (status, code) == (200, 0) if status == 200 else (status == 401 and 1000 <= code <= 1004)


def test_what_is_remembered_of_tokens_is_bounded() -> None:
    for number in range(REMEMBERED + 20):
        read_token(signed(x=number))
    CLOSED.ask("x.y." + "z" * 3 * LONGEST)

    assert _read.cache_info().currsize == REMEMBERED


def test_of_an_algorithm_that_is_no_text_nothing_is_remembered() -> None:
    """As parsed JSON it would take some twenty times the bytes of the token."""
    odd = by_hand({"alg": [[]] * 1000}, json.dumps({"iss": "access-one"}))

    token = read_token(odd)
    assert token is not None
    assert token.algorithm == ""
    assert CLOSED.ask(odd)[:2] == (401, 1000)


def test_a_token_is_a_key_like_any_other_to_cometapi() -> None:
    assert OPEN.ask(signed(), f"{PATH}/1")[0] == 400
    assert OPEN._client.get(f"{PATH}/1", headers={"Authorization": "Bearer"}).status_code == 401


@pytest.mark.parametrize("pairs", [(), PAIRS])
def test_a_token_that_never_ends_is_taken_and_advice_says_so(pairs: tuple[tuple[str, str], ...]) -> None:
    """What the service does with it is not known: an open question."""
    service = Service(access_keys=pairs)

    assert service.ask(signed(exp=...)) == ACCEPTED
    assert service.ask(signed()) == ACCEPTED
    (found,) = Control.of(service.simulator).advice()
    assert (found["kind"], found["request"]) == ("token-without-exp", 1)
    assert "no exp" in found["text"]
    assert (
        next(each for each in load_contract("kling").assumptions if each.id == "token-without-exp").default == "taken"
    )
