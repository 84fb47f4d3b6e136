"""Scenarios: what each does, how one is chosen, and which wins."""

from __future__ import annotations

import json
from contextlib import suppress
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from klingkit.client import parse_callback
from klingkit.contract import load_contract
from klingkit.contract.choice import CONTRACTS
from klingkit.contract.judge.task_callbacks import judge_callbacks
from klingkit.contract.judge.task_history import judge_history
from klingkit.contract.targets.callback_receiver import Received
from klingkit.mock_server.auth import account_name
from klingkit.mock_server.clock import parse_duration
from klingkit.mock_server.control.asking import ControlError
from klingkit.mock_server.control.client import Control
from klingkit.mock_server.scenario_choice import parse_scenario
from klingkit.mock_server.scenarios import scenario_table
from tests.conftest import PATH, Api, Clock, body, data_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from werkzeug.test import TestResponse


CALLED_BACK = "http://127.0.0.1:9/"
TABLE = scenario_table(load_contract())


def create(api: Api, prefer: str = "", prompt: str = "", key: str = "key") -> TestResponse:
    headers = {"Prefer": prefer} if prefer else {}
    return api.send("POST", PATH, key=key, json=body(prompt=prompt), headers=headers)


def create_with(api: Api, scenario: str, **fields: Any) -> dict[str, Any]:
    return data_of(api.send("POST", PATH, json=body(**fields), headers={"Prefer": f'scenario="{scenario}"'}))


def statuses(api: Api, clock: Clock, task_id: str) -> list[str]:
    """Each status that a query shows within 100 s, once."""
    seen: list[str] = []
    for pause in [20] * 50 + [1000] * 100:
        status = data_of(api.query(task_id))["task_status"]
        if status not in seen:
            seen.append(status)
        clock.move_to(clock.now() + pause)
    return seen


def test_every_code_and_gateway_error_has_its_scenario() -> None:
    codes = {error.code for error in load_contract().errors.values() if error.envelope == "kling"} - {0}
    assert len(codes) == 21
    assert {f"error-{code}" for code in codes} <= TABLE.keys()
    assert {f"gateway-{http}" for http in (401, 403, 429, 500, 503)} <= TABLE.keys()


@pytest.mark.parametrize("name", [name for name in TABLE if name.startswith("error-")])
def test_an_error_scenario_answers_its_code_and_makes_nothing(api: Api, name: str) -> None:
    response = create(api, f"scenario={name}")
    error = load_contract().errors[name.removeprefix("error-")]

    answer = json.loads(response.data)
    assert (response.status_code, answer["code"], answer["message"]) == (error.http, error.code, error.message)
    assert "data" not in answer
    assert response.headers["Klingkit-Scenario"] == f"{name}; source=prefer"
    assert api.simulator.store.tasks() == []


@pytest.mark.parametrize("http", [401, 403, 429, 500, 503])
def test_a_gateway_scenario_answers_in_its_envelope(api: Api, http: int) -> None:
    response = create(api, f"scenario=gateway-{http}")

    assert response.status_code == http
    assert json.loads(response.data)["error"]["type"] == "comet_api_error"


def test_a_scenario_with_an_answer_of_its_own_skips_the_rules(api: Api) -> None:
    headers = {"Prefer": "scenario=error-1303", "Content-Type": "application/json"}
    for data in (b"not json", b'{"n": 0}'):
        assert api.send("POST", PATH, data=data, headers=headers).status_code == 429


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("fail-moderation", "Failure to pass the risk control system"),
        ("fail-pixels", "Image pixel is invalid"),
        ("fail-fetch", "Something went wrong when we tried to get the contents of the file."),
    ],
)
def test_a_task_fails_as_wished(api: Api, clock: Clock, name: str, message: str) -> None:
    task_id = create_with(api, name)["task_id"]

    assert statuses(api, clock, task_id) == ["submitted", "processing", "failed"]
    assert data_of(api.query(task_id))["task_status_msg"] == message
    assert "evidence=recorded" in api.query(task_id).headers["Klingkit-Rule"]


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("stuck-submitted", ["submitted"]),
        ("stuck-processing", ["submitted", "processing"]),
        ("path:submitted>succeed", ["submitted", "succeed"]),
        ("path:submitted>failed", ["submitted", "failed"]),
        ("path:submitted>processing>failed", ["submitted", "processing", "failed"]),
    ],
)
def test_a_task_takes_any_path(api: Api, clock: Clock, name: str, path: list[str]) -> None:
    assert statuses(api, clock, create_with(api, name)["task_id"]) == path


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("", "parallel task over resource pack limit"),
        (":Image is too dark, m\u00f6glicherweise @ night", "Image is too dark, m\u00f6glicherweise @ night"),
        (":  two\u2028lines\n\x1b[31m ", "two lines [31m"),
        (":to me@example.com@1", "to me@example.com"),
        (":" + "x" * 190, "x" * 150),
    ],
)
def test_a_task_fails_with_any_reason(api: Api, clock: Clock, argument: str, message: str) -> None:
    control = Control.of(api.simulator, key="key")
    control.scenario("fail" + argument)
    task_id = data_of(api.create())["task_id"]

    assert statuses(api, clock, task_id) == ["submitted", "processing", "failed"]
    answer = api.query(task_id)
    assert data_of(answer)["task_status_msg"] == message
    assert "Klingkit-Rule" not in answer.headers
    assert Decimal(control.account()["spent"]) == 0


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_a_header_may_have_any_text(api: Api, clock: Clock, encoding: str) -> None:
    prefer = 'scenario="fail:zu dunkel \u00fcber \u00e4"'.encode(encoding).decode("latin-1")
    task_id = data_of(create(api, prefer))["task_id"]
    clock.move_to(clock.now() + 60_000)
    answer = api.query(task_id)
    assert data_of(answer)["task_status_msg"] == "zu dunkel \u00fcber \u00e4"
    assert answer.headers["Klingkit-Scenario"].isascii()


@pytest.mark.parametrize(
    ("scenario", "http", "says"),
    [
        ("error-1201:model is not supported", 400, '"code":1201,"message":"model is not supported"'),
        ("gateway-429:slow down", 429, '"message":"slow down (request id: '),
        ("gateway", 524, "upstream error"),
        ("gateway:502", 502, "upstream error"),
        ("html", 503, "<h1>503 Service Unavailable</h1>"),
        ("html:524", 524, "<h1>524</h1>"),
        ("code-under-200:1303", 200, '"code":1303'),
        ("redirect:307", 307, "<h1>307 Temporary Redirect</h1>"),
        ("retry-after:1500ms", 429, '"code":1302'),
    ],
)
def test_the_answer_of_a_scenario_can_be_chosen(api: Api, scenario: str, http: int, says: str) -> None:
    headers = {"Prefer": f'scenario="{scenario}"'}
    answer = api.send_unchecked("POST", PATH, json=body(), headers=headers)

    assert answer.status_code == http
    assert says in answer.text
    assert answer.headers.get("Retry-After") == ("2" if "retry" in scenario else None)
    assert api.simulator.store.tasks() == []


@pytest.mark.parametrize(
    ("name", "image"),
    [
        ("no-url", {"index": 0, "url": ""}),
        ("no-url:empty", {"index": 0, "url": ""}),
        ("no-url:null", {"index": 0, "url": None}),
        ("no-url:missing", {"index": 0}),
    ],
)
def test_a_success_without_a_url(make_api: Callable[..., Api], name: str, image: dict[str, Any]) -> None:
    api = make_api(instant=True)
    task_id = create_with(api, name)["task_id"]
    data = data_of(api.send_unchecked("GET", f"{PATH}/{task_id}"))
    assert data["task_result"]["images"] == [image]
    assert parse_callback(json.dumps(data), {}).image_urls == ()


def test_fewer_pictures_and_urls_that_expire_later(api: Api, clock: Clock) -> None:
    none, one, later = (
        create_with(api, name, n=3)["task_id"] for name in ("fewer-pictures", "fewer-pictures:1", "expired-url:1h")
    )
    clock.move_to(clock.now() + 60_000)
    images = [
        data_of(api.send_unchecked("GET", f"{PATH}/{task_id}"))["task_result"]["images"]
        for task_id in (none, one, later)
    ]

    assert [len(found) for found in images] == [0, 1, 3]
    path = images[2][0]["url"].removeprefix("https://api.cometapi.com")
    assert api.send("GET", path, key=None).status_code == 200
    clock.move_to(clock.now() + 3_600_000)
    assert api.send("GET", path, key=None).status_code == 403


SUCCESSES: dict[str, Callable[[dict[str, Any]], bool]] = {
    "shape-units": lambda data: data["final_unit_deduction"] == "8",
    "shape-units:0.5": lambda data: data["final_unit_deduction"] == "0.5",
    "shape-no-message": lambda data: "task_status_msg" not in data,
    "shape-no-index": lambda data: [[*image] for image in data["task_result"]["images"]] == [["url"]] * 2,
    "shape-watermark": lambda data: "/_mock/watermarked/" in data["task_result"]["images"][1]["watermark_url"],
    "shape-page": lambda data: "task_status_msg" not in data and data["final_unit_deduction"] == "8",
    "shape-callback": lambda data: (
        data["task_result"]["videos"] == data["task_result"]["audios"] == []
        and list(data)
        == ["task_id", "task_status", "task_info", "task_result", "task_status_msg", "created_at", "updated_at"]
    ),
}


@pytest.mark.parametrize("name", SUCCESSES)
def test_shapes_of_a_success_are_in_the_contract_and_our_client_reads_each(
    make_api: Callable[..., Api], name: str
) -> None:
    """In the answer of a query, which the referee has checked, and in the callback."""
    bodies: list[bytes] = []

    def receive(_: str, body: bytes, __: dict[str, str], **___: Any) -> int:
        bodies.append(body)
        return 204

    api = make_api(send=receive)
    created = create_with(api, name, n=2, callback_url=CALLED_BACK)
    assert created.keys() == {"task_id", "task_status", "task_info", "created_at", "updated_at"}
    unfinished = data_of(api.query(created["task_id"]))
    assert unfinished.keys() == {"task_id", "task_info", "created_at", "updated_at", "task_result", "task_status"}
    Control.of(api.simulator).advance("1m")
    queried, called_back = data_of(api.query(created["task_id"])), json.loads(bodies[-1])

    for data in (queried, called_back):
        assert SUCCESSES[name](data)
        task = parse_callback(json.dumps(data), {})
        assert (task.succeeded, task.message, len(task.image_urls)) == (True, "", 2)
    assert api.simulator.contract.callback_validator.is_valid(called_back)
    history = [created, unfinished, queried]
    received = [Received("application/json; charset=utf-8", body, CALLED_BACK) for body in bodies]
    assert list(judge_history(api.simulator.contract, {"n": 2}, history, None)) == []
    assert list(judge_callbacks(api.simulator.contract, CALLED_BACK, history, received)) == []


def test_slow_and_instant_change_the_durations(api: Api, clock: Clock) -> None:
    slow, instant = create_with(api, "slow:100")["task_id"], create_with(api, "instant")["task_id"]
    assert data_of(api.query(instant))["task_status"] == "succeed"
    clock.move_to(clock.now() + 100_000)
    assert data_of(api.query(slow))["task_status"] == "processing"


def test_late_visible_is_not_found_on_the_first_query(api: Api) -> None:
    task_id = create_with(api, "late-visible")["task_id"]
    responses = [api.query(task_id) for _ in range(3)]
    assert [response.status_code for response in responses] == [400, 200, 200]
    assert {response.headers["Klingkit-Scenario"] for response in responses} == {"late-visible; source=task"}


def test_results_without_url_and_with_an_expired_one(api: Api, clock: Clock) -> None:
    no_url, expired = (create_with(api, name, n=2)["task_id"] for name in ("no-url", "expired-url"))
    clock.move_to(clock.now() + 60_000)

    assert data_of(api.query(no_url))["task_result"]["images"] == [{"index": 0, "url": ""}, {"index": 1, "url": ""}]
    url = data_of(api.query(expired))["task_result"]["images"][0]["url"]
    assert api.send("GET", url.removeprefix("https://api.cometapi.com"), key=None).status_code == 403


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("string-code", lambda answer, data: answer == {**answer, "code": "0", "data": data}),
        ("shape-no-code", lambda answer, data: "code" not in answer and answer["data"] == data),
        ("shape-flat", lambda answer, data: "data" not in answer and data.items() <= answer.items()),
        ("shape-nested", lambda answer, data: answer["data"] == {"data": data}),
    ],
)
def test_other_shapes_stay_with_the_task(
    api: Api, name: str, shape: Callable[[dict[str, Any], dict[str, Any]], bool]
) -> None:
    client = api.simulator.contract  # answers of another shape are no answers of the contract: not checked against it
    api.simulator.store.configure(None, {"scenario": parse_scenario(name, client)}, 0)
    raw = api.send_unchecked("POST", PATH, json=body())
    task = api.simulator.store.tasks()[0]
    again = api.send_unchecked("GET", f"{PATH}/{task.task_id}")

    for response in (raw, again):
        answer = json.loads(response.data)
        data = find_task(answer)
        assert data["task_id"] == task.task_id
        assert shape(answer, data)
    assert again.headers["Klingkit-Scenario"] == f"{name}; source=task"


def find_task(answer: dict[str, Any]) -> dict[str, Any]:
    """The task, wherever it lies."""
    if "task_id" in answer:
        return {name: value for name, value in answer.items() if name not in {"code", "message", "request_id"}}
    return find_task(answer["data"])


def test_an_error_under_200(api: Api) -> None:
    response = api.send_unchecked("POST", PATH, json=body(), headers={"Prefer": "scenario=code-under-200"})
    assert (response.status_code, json.loads(response.data)["code"]) == (200, 5000)


@pytest.mark.parametrize(("name", "http"), [("html-200", 200), ("html-502", 502), ("html-504", 504)])
def test_pages_instead_of_json(api: Api, name: str, http: int) -> None:
    task_id = data_of(create(api))["task_id"]
    for response in (
        create(api, f"scenario={name}"),
        api.send("GET", f"{PATH}/{task_id}", headers={"Prefer": f"scenario={name}"}),
    ):
        assert (response.status_code, response.mimetype) == (http, "text/html")


def test_a_redirect(api: Api) -> None:
    response = create(api, "scenario=redirect-301")
    assert (response.status_code, response.headers["Location"]) == (301, "/")


# Which one applies


def test_the_first_choice_wins(api: Api) -> None:
    """Header, queue of the account, marker, default of the account, default of the server: one after the other goes."""
    server, account = Control.of(api.simulator), Control.of(api.simulator, key="key")
    server.configure(scenario="error-1000")
    account.configure(scenario="error-1001")
    account.scenario("error-1003")
    applied = [
        create(api, "scenario=error-1004", "[[error-1002]]"),
        create(api, prompt="[[error-1002]]"),
        create(api, prompt="[[error-1002]]"),
        create(api),
        create(api, key="another"),
    ]

    names = [response.headers["Klingkit-Scenario"] for response in applied]
    assert names == [
        "error-1004; source=prefer",
        "error-1003; source=queue",
        "error-1002; source=prompt",
        "error-1001; source=account",
        "error-1000; source=server",
    ]
    assert [json.loads(response.data)["code"] for response in applied] == [1004, 1003, 1002, 1001, 1000]


def test_a_queued_scenario_is_used_up_by_creates_of_its_account(api: Api) -> None:
    Control.of(api.simulator, key="key").scenario("error-1303", times=2)

    assert create(api, key="another").status_code == 200
    assert [create(api).status_code for _ in range(3)] == [429, 429, 200]


def test_a_queue_without_a_key_is_for_everybody(api: Api) -> None:
    Control.of(api.simulator).scenario("error-1303", times=2)
    assert [create(api, key=key).status_code for key in ("a", "b", "c")] == [429, 429, 200]


def test_a_query_uses_up_only_what_was_queued_for_queries(api: Api) -> None:
    control = Control.of(api.simulator, key="key")
    task_id = data_of(create(api))["task_id"]
    control.scenario("error-5000")
    control.scenario("error-5001", operation="get_task")

    assert [api.query(task_id).status_code for _ in range(2)] == [503, 200]
    assert create(api).status_code == 500


def test_a_refused_create_does_not_use_it_up(api: Api) -> None:
    control = Control.of(api.simulator, key="key")
    control.scenario("fail-moderation")
    assert "Klingkit-Scenario" not in api.create(body(n=0)).headers
    assert "Klingkit-Scenario" not in api.send("POST", PATH, data=b"{", content_type="application/json").headers
    queued = {"account": account_name("key"), "operation": "create_task", "scenario": "fail-moderation", "times": 1}
    assert control.scenarios()["queued"] == [queued]
    assert create(api).headers["Klingkit-Scenario"] == "fail-moderation; source=queue"
    assert control.scenarios()["queued"] == []


def test_the_marker_may_stand_anywhere_and_unknown_brackets_are_text(api: Api) -> None:
    assert create(api, prompt="two [[friends]] [[error-1301]] in Paris").status_code == 400
    for prompt in ("[[friends]]", "[[]]", "[[ ]]", "[[error-1]]", "[[slow:x]]", "[error-1301]", "]][["):
        response = create(api, prompt=prompt)
        assert response.status_code == 200
        assert "Klingkit-Scenario" not in response.headers


@pytest.mark.parametrize(
    ("prefer", "says"),
    [
        ("scenario=html:204", "is not a whole number of 200, 201"),
        ("scenario=html:0x1f7", "is not a whole number"),
        ("scenario=redirect:304", "is not a whole number of 301, 302, 303, 307, 308"),
        ("scenario=gateway:200", "is not a whole number from 400 to 599"),
        ("scenario=late-visible:0", "is not a whole number from 1 to 1000"),
        ("scenario=fewer-pictures:9", "is not a whole number from 0 to 8"),
        ("scenario=code-under-200:99", "unknown code '99'"),
        ("scenario=no-url:nul", "did you mean null?"),
        ("scenario=shape-units:many", "is not a number of units"),
        ("scenario=error-13", "did you mean error-1304? The nearest of "),
        ("scenario=instant:5", "takes no argument"),
        ('scenario="slow:often"', "is not a factor"),
        ('scenario="delay:soon"', "is not a duration"),
        ('scenario="delay:601s"', "is held up for 10m at most"),
        ('scenario="delay:lognormal:1h"', "is held up for 10m at most"),
        ('scenario="drip:100d"', "is held up for 10m at most"),
        ('scenario="path:succeed>submitted"', "is no path"),
        ('scenario="reset@2"', "is not a probability"),
        ("progression=sometimes", "did you mean time? The valid ones: time, polls, manual"),
    ],
)
def test_an_unknown_preference_is_refused_and_names_the_valid_ones(api: Api, prefer: str, says: str) -> None:
    response = create(api, prefer)

    assert response.status_code == 400
    assert says in json.loads(response.data)["error"]["message"]
    assert api.simulator.store.tasks() == []


def test_of_two_preferences_the_first_counts(api: Api) -> None:
    assert create(api, "scenario=error-1303, scenario=error-5000").status_code == 429
    assert create(api, "scenario=").status_code == 400


def test_what_shapes_a_task_is_refused_for_queries(api: Api) -> None:
    task_id = data_of(create(api))["task_id"]
    refused = api.send("GET", f"{PATH}/{task_id}", headers={"Prefer": "scenario=slow"})
    assert refused.status_code == 400
    assert "does nothing to get_task" in json.loads(refused.data)["error"]["message"]


def test_other_preferences_are_ignored(api: Api) -> None:
    assert create(api, "respond-async, wait=10, handling=lenient").status_code == 200


def test_a_probability_follows_from_the_seed(make_api: Callable[..., Api]) -> None:
    def refused(seed: int) -> list[int]:
        api = make_api(seed=seed)
        return [create(api, 'scenario="error-1303@0.3"').status_code for _ in range(200)]

    once = refused(1)
    assert once == refused(1) != refused(2)
    assert 30 < once.count(429) < 90


def test_probability_zero_and_one(api: Api) -> None:
    assert create(api, "scenario=error-1303@0").status_code == 200
    assert create(api, "scenario=error-1303@1").status_code == 429


@given(st.text(max_size=40) | st.builds("{}:{}".format, st.sampled_from(sorted(TABLE)), st.text(max_size=40)))
def test_any_text_is_a_scenario_or_one_clear_error(text: str) -> None:
    """Its normal form is read again as the same."""
    with suppress(ValueError):
        normal = parse_scenario(text, load_contract()).text
        assert parse_scenario(normal, load_contract()).text == normal


@given(st.text(max_size=40) | st.from_regex(r"\d{1,20}(\.\d*)?(ms|s|m|h|d|)", fullmatch=True))
def test_any_text_is_a_duration_or_one_clear_error(text: str) -> None:
    with suppress(ValueError):
        assert 0 <= parse_duration(text) <= 100 * 366 * 86_400_000


def test_the_control_api_names_the_valid_ones_too(api: Api) -> None:
    control = Control.of(api.simulator)
    for call in (
        lambda: control.scenario("error-13"),
        lambda: control.configure(scenario="error-13"),
    ):
        with pytest.raises(ControlError, match="did you mean error-1304"):
            call()
    with pytest.raises(ControlError, match="create_task, get_task"):
        control.scenario("error-1303", operation="list")
    assert control.account()["scenario"] is None


# What is queued


@pytest.mark.everywhere
def test_what_was_queued_by_mistake_is_taken_out(api: Api) -> None:
    one, server = Control.of(api.simulator, key="key"), Control.of(api.simulator)
    for scenario, operation in (("error-1303", "create_task"), ("slow:2", "create_task"), ("error-5000", "get_task")):
        one.scenario(scenario, times=2, operation=operation)
    server.scenario("error-1303")
    shown = [(each["account"], each["operation"], each["scenario"]) for each in server.scenarios()["queued"]]
    mine = account_name("key")
    assert shown == [
        (None, "create_task", "error-1303"),
        (mine, "create_task", "error-1303"),
        (mine, "create_task", "slow:2"),
        (mine, "get_task", "error-5000"),
    ]

    one.unqueue(scenario="error-1303")

    assert [each["scenario"] for each in one.scenarios()["queued"]] == ["slow:2", "error-5000"]
    assert "Klingkit-Scenario" in create(api).headers
    assert one.unqueue(operation="get_task") == [
        {"account": mine, "operation": "create_task", "scenario": "slow:2", "times": 1}
    ]
    assert one.unqueue() == []
    assert [each["account"] for each in server.scenarios()["queued"]] == [None]
    with pytest.raises(ControlError, match="nothing is queued for this account"):
        one.unqueue()
    assert server.unqueue() == []
    assert "Klingkit-Scenario" not in create(api).headers


@pytest.mark.parametrize("name", [*CONTRACTS, "all"])
def test_each_row_has_an_example_and_says_where_it_does_something(make_api: Callable[..., Api], name: str) -> None:
    control = Control.of(make_api(contract=name).simulator)
    for row in control.scenarios()["scenarios"]:
        assert "create_task" in row["operations"]
        assert bool(row["argument"]) == (":" in row["example"])
        for operation in row["operations"]:
            control.scenario(row["example"], operation=operation)
    assert {each["operation"] for each in control.scenarios()["queued"]} >= {"create_task", "get_task"}


def test_what_several_contracts_have_does_something_to_the_operations_of_each(make_api: Callable[..., Api]) -> None:
    control = Control.of(make_api(contract="all").simulator)
    rows = {row["name"]: row["operations"] for row in control.scenarios()["scenarios"]}
    assert set(rows["error-1303"]) == {"create_task", "get_task", "list_tasks"}
    assert rows["slow"] == ["create_task"]
