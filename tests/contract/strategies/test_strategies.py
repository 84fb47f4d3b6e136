"""The strategies draw what the contract says, shrink to the point, and the state machine tells right from wrong."""

from __future__ import annotations

import copy
import json
from collections import Counter
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import Phase, find, given, settings
from hypothesis.errors import NoSuchExample
from hypothesis.stateful import run_state_machine_as_test

from klingkit.contract import Contract, load_contract
from klingkit.contract.evidence import INFERRED
from klingkit.contract.pictures import decode_base64, measure
from klingkit.contract.strategies import InvalidRequest, draw, invalid_requests, pictures, state_machine, valid_requests
from klingkit.mock_server.account_settings import AccountSettings
from klingkit.mock_server.serving.in_process import SimulatorTarget, in_process_target

if TYPE_CHECKING:
    from collections.abc import Callable

    from hypothesis.strategies import SearchStrategy

    from klingkit.contract.targets.target import Reply, Request

CONTRACT = load_contract()
NOT_DRAWN = {"maxBytes", "unique"}
RULES = [rule.id for (_, keyword), rule in CONTRACT.request.rules.items() if rule.error and keyword not in NOT_DRAWN]
QUICK = settings(max_examples=200, database=None)
FEW = 50
"""Tasks that a simulator keeps: more than one run of a state machine makes, and few to look at when time goes by."""
URL = "http://example.com/"
TWO = [{"subject_image": URL}] * 2


def changed() -> Contract:
    """A contract in which every limit is another one, with a field and constraints that ours has not."""
    document = copy.deepcopy(CONTRACT.document)
    fields = document["components"]["schemas"]["CreateRequest"]["properties"]
    fields["subject_image_list"] |= {"minItems": 1, "maxItems": 2}
    fields["model_name"] |= {"enum": ["kling-v2", "kling-v2-1"]}
    fields["prompt"] |= {"minLength": 3, "maxLength": 5}
    fields["n"] |= {"minimum": 3, "maximum": 4, "default": 3}
    fields["callback_url"] |= {"maxLength": 3}
    fields["external_task_id"] |= {"maxLength": 12}
    fields["tag"] = {"type": "string", "pattern": "^[a-f]{2,6}$", "maxLength": 4}
    fields["watermark_info"] = {
        "type": "object",
        "required": ["enabled"],
        "properties": {"enabled": {"type": "boolean"}},
    }
    document["x-rule-defaults"]["minLength"] = document["x-rule-defaults"]["maxLength"]
    document["x-image"] |= {"schemes": ["https"], "minPixels": 64, "maxRatio": 1.5}
    return Contract(document)


CHANGED = changed()


def broken(contract: Contract, body: dict[str, Any]) -> list[str]:
    """The rules that a body breaks, now or later; what is in no enum because of its type counts once."""
    violations, given = contract.request.judge(body)
    ids = [violation.rule.id for violation in violations]
    enums = {rule.replace(".type", ".enum") for rule in ids if rule.endswith(".type")}
    later = [rule.id for picture in given if (rule := contract.request.async_violation(picture))]
    unfetchable = [picture.url for picture in given if picture.url and ".invalid" in picture.url]
    return [rule for rule in ids if rule not in enums] + later + unfetchable


def assert_valid(contract: Contract, body: dict[str, Any]) -> None:
    assert broken(contract, body) == []
    assert ":" not in body.get("callback_url", "")
    json.dumps(body, allow_nan=False, ensure_ascii=False).encode()


def assert_breaks_its_rule(contract: Contract, drawn: InvalidRequest) -> None:
    assert broken(contract, drawn.body) == [drawn.rule.id]
    n = drawn.body.get("n", 0)
    assert not isinstance(n, int) or n < contract.request.nodes["n",]["maximum"] + 20
    json.dumps(drawn.body, allow_nan=False, ensure_ascii=False).encode()


@QUICK
@given(valid_requests())
def test_valid_requests_break_no_rule(body: dict[str, Any]) -> None:
    assert_valid(CONTRACT, body)


@QUICK
@given(invalid_requests())
def test_invalid_requests_break_just_their_rule(drawn: InvalidRequest) -> None:
    assert_breaks_its_rule(CONTRACT, drawn)


@QUICK
@given(valid_requests(CHANGED))
def test_changed_limits_move_the_valid_requests(body: dict[str, Any]) -> None:
    assert_valid(CHANGED, body)


@QUICK
@given(invalid_requests(CHANGED))
def test_changed_limits_move_the_invalid_requests(drawn: InvalidRequest) -> None:
    assert_breaks_its_rule(CHANGED, drawn)


def reaches(strategy: SearchStrategy[Any], condition: Callable[[Any], bool]) -> bool:
    try:
        find(strategy, condition, settings=settings(max_examples=3000, database=None, phases=[Phase.generate]))
    except NoSuchExample:
        return False
    return True


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_is_reached(rule: str) -> None:
    assert reaches(invalid_requests(rule=rule), lambda drawn: drawn.rule.id == rule)


def test_every_rule_is_reached_among_all() -> None:
    missing = set(RULES)

    def is_last(drawn: InvalidRequest) -> bool:
        missing.discard(drawn.rule.id)
        return not missing

    assert reaches(invalid_requests(), is_last), sorted(missing)


@pytest.mark.parametrize(
    ("contract", "reached"),
    [
        (CONTRACT, {"n": 9, "subject_image_list": 4, "prompt": 2500}),
        (CHANGED, {"n": 4, "subject_image_list": 2, "prompt": 5, "tag": 4}),
    ],
    ids=["ours", "changed"],
)
def test_limits_are_reached_exactly(contract: Contract, reached: dict[str, int]) -> None:
    for name, limit in reached.items():

        def at_limit(body: dict[str, Any], name: str = name, limit: int = limit) -> bool:
            value = body.get(name)
            return value is not None and limit == (value if isinstance(value, int) else len(value))

        assert reaches(valid_requests(contract), at_limit), name
    assert reaches(valid_requests(contract), lambda body: any(name.startswith("x_") for name in body))
    assert reaches(valid_requests(contract), lambda body: bool(body.get("external_task_id")))


def test_external_ids_never_repeat() -> None:
    """Not even when the same choices are drawn again, as for a replay."""
    seen: set[str] = set()

    @settings(max_examples=200, database=None)
    @given(valid_requests())
    def draw(body: dict[str, Any]) -> None:
        external_id = body.get("external_task_id")
        if external_id:
            assert external_id not in seen
            seen.add(external_id)

    draw()
    draw()
    assert seen


@pytest.mark.parametrize(
    ("contract", "extremes"),
    [
        (CONTRACT, {(300, 300), (300, 750), (750, 300)}),
        (CHANGED, {(64, 64), (64, 96), (96, 64)}),
    ],
    ids=["ours", "changed"],
)
def test_pictures_are_valid_up_to_the_limits(contract: Contract, extremes: set[tuple[int, int]]) -> None:
    limits = contract.request.limits
    urls, sizes, formats = set(), set(), set()

    @QUICK
    @given(pictures(contract))
    def draw(picture: str) -> None:
        if limits.is_url(picture):
            urls.add(picture)
            return
        data = decode_base64(picture)
        assert data
        assert limits.pixels_valid(data)
        sizes.add(measure(data))
        formats.add("PNG" if measure(data, ("PNG",)) else "JPEG")

    draw()
    assert sizes >= extremes
    assert formats == set(limits.formats)
    assert {url.partition("://")[0] for url in urls} == {scheme.removesuffix("://") for scheme in limits.schemes}


def test_the_largest_request_is_short_enough_to_be_shown() -> None:
    """Hypothesis warns of a larger one when it shows what failed, and pytest can make an error of that."""
    limits = CONTRACT.request.nodes["subject_image_list",]["maxItems"], CONTRACT.request.nodes["prompt",]["maxLength"]
    longest = max(map(len, draw(pictures(), 1, 500)))

    too_many = invalid_requests(rule="subject_image_list.maxItems")
    most = max(len(drawn.body["subject_image_list"]) for drawn in draw(too_many, 1, 200))
    assert most > limits[0]
    assert longest * (most + 2) + limits[1] + 1000 < 30_000


SMALLEST: dict[str, dict[str, Any]] = {
    "subject_image_list.required": {},
    "subject_image_list.minItems": {"subject_image_list": []},
    "subject_image_list.maxItems": {"subject_image_list": [{"subject_image": URL}] * 5},
    "subject_image_list.items.type": {"subject_image_list": [False, {"subject_image": URL}]},
    "subject_image_list.items.subject_image.required": {"subject_image_list": [{}, {"subject_image": URL}]},
    "subject_image_list.items.subject_image.pattern": {
        "subject_image_list": [{"subject_image": ""}, {"subject_image": URL}]
    },
    "model_name.enum": {"subject_image_list": TWO, "model_name": ""},
    "prompt.maxLength": {"subject_image_list": TWO, "prompt": "x" * 2501},
    "style_image.base64": {"subject_image_list": TWO, "style_image": ""},
    "n.minimum": {"subject_image_list": TWO, "n": 0},
    "n.maximum": {"subject_image_list": TWO, "n": 10},
    "n.type": {"subject_image_list": TWO, "n": False},
}


def smallest(strategy: SearchStrategy[Any], condition: Callable[[Any], Any]) -> Any:
    """The smallest example that Hypothesis finds, the same in each run."""
    quick = settings(database=None, max_examples=2000, phases=[Phase.generate, Phase.shrink])
    return find(strategy, condition, settings=quick, random=Random(1))


@pytest.mark.parametrize("rule", SMALLEST)
def test_invalid_requests_shrink_to_the_point(rule: str) -> None:
    assert smallest(invalid_requests(rule=rule), lambda _: True).body == SMALLEST[rule]


def test_a_failing_property_shrinks_to_the_point() -> None:
    """A service that charges for too many pictures, one that counts bytes, and one that cannot read a long picture."""
    many = smallest(valid_requests(), lambda body: body.get("n", 1) >= 3)
    one_of_all = smallest(invalid_requests(), lambda drawn: drawn.body.get("n", 1) == 10)
    bytes_counted = smallest(
        valid_requests(), lambda body: len(body.get("prompt", "").encode()) > len(body.get("prompt", ""))
    )
    picture = smallest(pictures(), lambda text: (measure(decode_base64(text) or b"") or (0, 0))[0] == 750)

    assert many == {"subject_image_list": TWO, "n": 3}
    assert (one_of_all.rule.id, one_of_all.body) == ("n.maximum", SMALLEST["n.maximum"])
    assert bytes_counted["subject_image_list"] == TWO
    assert bytes_counted.keys() == {"subject_image_list", "prompt"}
    assert len(bytes_counted["prompt"]) == 1
    assert measure(decode_base64(picture) or b"") == (750, 300)


@pytest.mark.parametrize(
    ("rule", "nearest"),
    [
        ("prompt.maxlength", "prompt.maxLength"),
        ("scence_image.maxBytes", "scence_image.base64"),
        ("external_task_id.unique", "external_task_id.type"),
        ("path.known", ""),
    ],
)
def test_an_unknown_rule_is_refused_with_the_nearest(rule: str, nearest: str) -> None:
    with pytest.raises(ValueError, match=f"{rule}.*{nearest}"):
        invalid_requests(rule=rule)


class Altered(SimulatorTarget):
    """A simulator whose replies are changed by a function of request and reply."""

    def __init__(self, alter: Callable[[Request, Reply], Reply]) -> None:
        by_polls = AccountSettings(progression="polls")  # the same steps end a task in each run
        super().__init__(in_process_target(max_tasks=FEW, account=by_polls).simulator)
        self._alter = alter

    def send(self, request: Request, key: str | None = None) -> Reply:
        return self._alter(request, super().send(request, key))


def replacing(old: bytes, new: bytes) -> Altered:
    return Altered(lambda _, reply: replace(reply, content=reply.content.replace(old, new)))


def changing(change: Callable[[dict[str, Any]], None]) -> Altered:
    """Change `data` of each answer to a query."""

    def alter(request: Request, reply: Reply) -> Reply:
        if request.method != "GET":
            return reply
        answer = json.loads(reply.content)
        change(answer["data"])
        return replace(reply, content=json.dumps(answer).encode())

    return Altered(alter)


def going_back() -> Altered:
    ended: set[str] = set()

    def change(data: dict[str, Any]) -> None:
        if data["task_id"] in ended:
            data["task_status"] = "processing"
        if data["task_status"] == "succeed":
            ended.add(data["task_id"])

    return changing(change)


def changing_what_has_ended() -> Altered:
    def change(data: dict[str, Any]) -> None:
        if data["task_status"] == "succeed":
            polls[data["task_id"]] += 1
            data["updated_at"] += polls[data["task_id"]]

    polls: Counter[str] = Counter()
    return changing(change)


def keeping_the_ids_of_the_refused() -> Altered:
    refused: dict[str, Reply] = {}

    def alter(request: Request, reply: Reply) -> Reply:
        external_id = (request.body or {}).get("external_task_id")
        if not external_id or not isinstance(external_id, str):
            return reply
        if reply.http == 400:
            refused[external_id] = reply
        return refused.get(external_id, reply)

    return Altered(alter)


def with_field(name: str, **keywords: Any) -> SimulatorTarget:
    """A simulator with another limit."""
    document = copy.deepcopy(CONTRACT.document)
    document["components"]["schemas"]["CreateRequest"]["properties"][name] |= keywords
    return in_process_target(Contract(document), max_tasks=FEW)


WRONG: list[tuple[Callable[[], SimulatorTarget], str]] = [
    (lambda: replacing(b'"succeed"', b'"succeeded"'), "task.status: .* got 'succeeded'"),
    (lambda: replacing(b'"submitted"', b'"pending"'), "task.status: .* got 'pending'"),
    (lambda: replacing(b'"code":1201', b'"code":1200'), r"expected 1201, got 1200"),
    (lambda: replacing(b'"index":1', b'"index":2'), r"task.result: expected index 0 to \d, got \[0, 2"),
    (lambda: changing(lambda data: data.update(updated_at=1)), "task.times: expected updated_at .* got 1\n"),
    (lambda: changing(lambda data: data.update(created_at=1)), "task.times: expected one created_at, got 1, "),
    (lambda: changing(lambda data: data.update(task_result={})), "task.result"),
    (lambda: changing(lambda data: data.update(task_info={})), "task.external_id"),
    (lambda: changing(lambda data: data.update(task_id=int(data["task_id"]))), "answer.schema: .*data.task_id"),
    (going_back, "task.status: expected no way from succeed to processing"),
    (changing_what_has_ended, r"task.times: expected an ended task as it was, updated_at \d+, got updated_at \d+"),
    (keeping_the_ids_of_the_refused, r"refusal.nothing: expected accepted, got 400/1201"),
    (lambda: with_field("subject_image_list", maxItems=5), r"subject_image_list.maxItems: expected"),
    (lambda: with_field("prompt", maxLength=2501), r"prompt.maxLength: expected"),
    (lambda: with_field("n", minimum=0), r"n.minimum: expected"),
    (lambda: with_field("n", maximum=8), "expected .*n: must be less than or equal to 8"),
]
MACHINE = settings(max_examples=300, stateful_step_count=15, database=None, report_multiple_bugs=False)


def test_the_state_machine_passes_on_the_simulator() -> None:
    machine = state_machine(in_process_target(max_tasks=FEW))

    run_state_machine_as_test(machine, settings=settings(MACHINE, max_examples=50))


@pytest.mark.parametrize(("make", "message"), WRONG, ids=[message.partition(":")[0] for _, message in WRONG])
def test_the_state_machine_fails_on_a_wrong_service(make: Callable[[], SimulatorTarget], message: str) -> None:
    """The same steps in each run, so that what is found does not depend on luck."""
    machine = state_machine(make(), fail_on=INFERRED)

    with pytest.raises(AssertionError, match=message):
        run_state_machine_as_test(machine, settings=settings(MACHINE, derandomize=True, phases=[Phase.generate]))
