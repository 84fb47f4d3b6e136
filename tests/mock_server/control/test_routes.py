"""The control API: against its own document, over both doors, and closed to strangers."""

from __future__ import annotations

import inspect
import json
import socket
import threading
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from wsgiref import simple_server

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

from klingkit.contract import load_contract
from klingkit.mock_server.auth import account_name
from klingkit.mock_server.control.asking import ControlError
from klingkit.mock_server.control.client import Control
from klingkit.mock_server.control.document import control_document, control_operations, described
from klingkit.mock_server.control.operations import RESOURCES
from klingkit.mock_server.settings import Settings
from klingkit.mock_server.simulator import Simulator
from tests.conftest import PATH, Api, Clock, Running, b64, body, data_of, png, serving, subjects
from tests.mock_server.test_callbacks import HOOK, Receiver

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from openapi_core import OpenAPI
    from werkzeug.test import TestResponse


def call(api: Api, method: str, path: str, body: Any = None, **headers: str) -> TestResponse:
    data = None if body is None else json.dumps(body)
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return api.send(method, path, key=None, data=data, headers={"Host": "localhost", **sent})


def test_the_document_is_valid_and_names_just_what_there_is() -> None:
    validate(control_document())
    carried_out = [
        name
        for file in RESOURCES
        for name, function in inspect.getmembers(file, inspect.isfunction)
        if function.__module__ == file.__name__ and not name.startswith("_")
    ]
    assert sorted(control_operations()) == sorted(carried_out)


def judge(operation_id: str, http: int, answer: Any) -> None:
    """Check an answer against the document."""
    document = described((load_contract(),))
    method, path, _ = control_operations()[operation_id]
    response = document["paths"][path][method.lower()]["responses"][str(http)]
    while "$ref" in response:
        response = document["components"]["responses"][response["$ref"].rpartition("/")[2]]
    schema = response["content"]["application/json"]["schema"]
    Draft202012Validator({**schema, "components": document["components"]}).validate(answer)


def test_every_operation_answers_as_the_document_says(make_api: Callable[..., Api], clock: Clock) -> None:
    api = make_api(send=Receiver(500))
    pictures = subjects(b64(png()), b64(png()))
    request = body(callback_url=HOOK, scene_image="x", prompt="[[slow:2]]", subject_image_list=pictures)
    task_id = data_of(api.create(request))["task_id"]
    api.create(body(n=0))
    api.query(task_id)
    call(api, "POST", "/_mock/clock/advance", {"by": "2m"})
    delivery_id = call(api, "GET", "/_mock/deliveries").json[0]["id"]  # type: ignore[index]
    arguments = {"task_id": task_id, "delivery_id": delivery_id, "assumption_id": "prompt-length", "number": 0}
    bodies: dict[str, Any] = {
        "set_account": {"balance": "5", "concurrency": 3},
        "queue_scenario": {"scenario": "error-1303", "times": 2},
        "advance_clock": {"to": "idle"},
        "wait_for_request": {"operation": "get_task"},
        "set_assumption": {"alternative": "bytes"},
        "set_seed": {"seed": 1},
    }
    for operation_id, (method, path, _) in sorted(control_operations().items(), key=lambda item: item[0] == "reset"):
        response = call(api, method, path.format(**arguments), bodies.get(operation_id))
        assert response.status_code == 200, (operation_id, response.text)
        if response.mimetype == "application/json":
            judge(operation_id, 200, response.json)


@pytest.mark.parametrize(
    ("method", "path", "wrong", "http", "says"),
    [
        ("GET", "/_mock/tasks/1", None, 404, "there is no task '1'"),
        ("POST", "/_mock/tasks/1/move", None, 404, "there is no task"),
        ("POST", "/_mock/deliveries/x/resend", None, 404, "there is no delivery"),
        ("POST", "/_mock/scenarios", {"scenario": "resett"}, 400, "did you mean reset?"),
        ("POST", "/_mock/scenarios", {"scenario": "reset", "times": 0}, 400, "times"),
        ("POST", "/_mock/scenarios", {"name": "reset"}, 400, "the fields are scenario, times, operation"),
        ("POST", "/_mock/clock/advance", {"by": "-5s"}, 400, "is not a duration"),
        ("POST", "/_mock/clock/advance", {}, 400, "the fields are by, to"),
        ("POST", "/_mock/clock/advance", [], 400, "the body"),
        ("PUT", "/_mock/seed", {"seed": "x"}, 400, "seed"),
        ("GET", "/_mock/journal?operation=create", None, 400, "unknown operation 'create'"),
        ("POST", "/_mock/journal/wait", {"rule": "n.max"}, 400, "unknown rule 'n.max'"),
        ("DELETE", "/_mock/scenarios", None, 404, "nothing is queued for all accounts"),
        ("DELETE", "/_mock/scenarios?scenario=slow", None, 404, "nothing 'slow' is queued"),
        ("PUT", "/_mock/assumptions/prompt-lenght", {"alternative": "bytes"}, 404, "did you mean prompt-length?"),
        ("PUT", "/_mock/assumptions/prompt-length", {"alternative": "words"}, 400, "there are characters, bytes"),
        ("PUT", "/_mock/assumptions/prompt-length", {"alternative": ""}, 400, "no alternative ''"),
        ("PUT", "/_mock/assumptions/prompt-length", {"take": "bytes"}, 400, "the fields are alternative"),
        ("GET", "/_mock/evidence?kind=rules", None, 400, "did you mean rule?"),
        ("GET", "/_mock/evidence?grade=sure", None, 400, "documented, recorded, inferred, unknown"),
        ("POST", "/_mock/scenarios", {"scenario": "slow", "operation": "get_task"}, 400, "it does nothing to get_task"),
        ("PATCH", "/_mock/account", {"query_scenario": "late-visible"}, 400, "shapes the task"),
        ("PATCH", "/_mock/account", {"window": "0s"}, 400, "limits nothing"),
        ("PATCH", "/_mock/account", {"balance": 1e-9}, 400, "more than six decimals"),
        ("GET", "/_mock/journal?status=x", None, 400, "is not a whole number"),
        ("GET", "/_mock/journal?colour=red", None, 400, "the valid ones: account, operation, task_id"),
        ("POST", "/_mock/journal/wait", {"timeout": "0s"}, 404, "no such request came"),
        ("POST", "/_mock/journal/wait", {"timeout": "1h"}, 400, "longer than 60s"),
    ],
)
def test_a_wrong_request_is_one_clear_error(
    api: Api, *, method: str, path: str, wrong: Any, http: int, says: str
) -> None:
    response = call(api, method, path, wrong)

    assert response.status_code == http
    assert says in response.json["error"]  # type: ignore[index]
    assert response.text.count("\n") == 0


@given(wrong=st.text() | st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.sampled_from(["by", "to", "scenario", "times", "seed", "balance"]), x)))  # fmt: skip
def test_no_body_makes_it_crash(referee: OpenAPI, wrong: Any) -> None:
    api = Api(Simulator(Settings()), referee)
    for path, method in (("/_mock/account", "PATCH"), ("/_mock/scenarios", "POST"), ("/_mock/clock/advance", "POST")):
        assert call(api, method, path, wrong).status_code in {200, 400}
    assert call(api, "PUT", "/_mock/seed").status_code == 400


def test_what_is_no_json_or_no_path_is_named(api: Api) -> None:
    response = api.send("POST", "/_mock/scenarios", key=None, data=b"{", headers={"Host": "localhost"})
    assert (response.status_code, response.json) == (400, {"error": "the body is not JSON"})
    missing, wrong = call(api, "GET", "/_mock/nothing"), call(api, "DELETE", "/_mock/clock")
    says = {"error": "there is no such path; GET /_mock/openapi.json lists them"}
    assert (missing.status_code, missing.json) == (404, says)
    assert wrong.status_code == 405
    assert "GET" in wrong.json["error"]  # type: ignore[index]


# Who may


@pytest.mark.parametrize("host", ["localhost", "localhost:8000", "127.0.0.1:9", "127.3.2.1", "[::1]:8000", "192.0.2.7"])
def test_it_answers_as_loopback_as_its_address_and_as_what_is_allowed(make_api: Callable[..., Api], host: str) -> None:
    api = make_api(bound_host="192.0.2.7")
    assert call(api, "GET", "/_mock/clock", Host=host).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "10.0.0.1"])
def test_it_answers_under_no_other_name(make_api: Callable[..., Api], host: str) -> None:
    """A page can point its own name at this machine."""
    refused = call(make_api(), "POST", "/_mock/reset", Host=host)
    assert refused.status_code == 403
    assert f"--allow-host {host}" in refused.json["error"]  # type: ignore[index]
    assert call(make_api(allow_host=frozenset({host})), "POST", "/_mock/reset", Host=host).status_code == 200
    assert call(make_api(public_url=f"https://{host}"), "POST", "/_mock/reset", Host=host).status_code == 200


def test_a_page_of_another_origin_is_refused(api: Api) -> None:
    for origin in ("https://evil.example", "http://localhost:3000", "null", ""):
        assert call(api, "POST", "/_mock/reset", Host="localhost:8000", Origin=origin).status_code == 403
    same = call(api, "POST", "/_mock/reset", Host="localhost:8000", Origin="http://localhost:8000")
    assert same.status_code == 200


def test_a_token_is_asked_for(make_api: Callable[..., Api]) -> None:
    api = make_api(control_token="t0ken")
    assert call(api, "GET", "/_mock/clock").status_code == 403
    assert call(api, "GET", "/_mock/clock", Klingkit_Token="t0keN").status_code == 403
    assert call(api, "GET", "/_mock/clock", Klingkit_Token="t0ken").status_code == 200
    assert call(api, "GET", "/_mock/health").status_code == 200
    assert "t0ken" not in repr(api.simulator.settings)


def test_without_control_only_health_and_pictures_stay(make_api: Callable[..., Api]) -> None:
    api = make_api(control=False, instant=True)
    url = data_of(api.query(data_of(api.create())["task_id"]))["task_result"]["images"][0]["url"]
    assert api.send("GET", url.removeprefix("https://api.cometapi.com"), key=None).status_code == 200
    assert call(api, "GET", "/_mock/health").status_code == 200
    for method, path in (("GET", "/_mock/clock"), ("POST", "/_mock/reset"), ("GET", "/_mock/openapi.json")):
        assert call(api, method, path).status_code == 404


def test_a_malformed_key_is_named(api: Api) -> None:
    response = call(api, "GET", "/_mock/account", Authorization="Basic abc")
    assert response.status_code == 400
    assert "leave it out to act on the server" in response.json["error"]  # type: ignore[index]


# On whom it acts


@pytest.mark.everywhere
def test_the_name_of_an_account_does_as_its_key(api: Api) -> None:
    task_id = data_of(api.create(key="mine"))["task_id"]
    mine, other = account_name("mine"), account_name("other")
    call(api, "PATCH", f"/_mock/account?account={mine}", {"concurrency": 1})
    call(api, "POST", f"/_mock/clock/freeze?account={mine}")

    assert [task["task_id"] for task in call(api, "GET", f"/_mock/tasks?account={mine}").json or ()] == [task_id]
    assert Control.of(api.simulator, key="mine").account() == Control.of(api.simulator, account=mine).account()
    assert Control.of(api.simulator, account=mine).account()["concurrency"] == 1
    assert Control.of(api.simulator, account=mine).clock()["own"]
    assert Control.of(api.simulator).account()["concurrency"] is None
    assert call(api, "GET", f"/_mock/tasks/{task_id}?account={other}").status_code == 404
    assert call(api, "POST", f"/_mock/reset?account={mine}").status_code == 200
    assert Control.of(api.simulator).tasks() == []


def test_an_account_that_nobody_has_used_has_nothing(api: Api) -> None:
    data_of(api.create(key="mine"))
    nobody = Control.of(api.simulator, account="acct-000000000000")

    assert nobody.tasks() == nobody.journal() == nobody.deliveries() == []
    assert (nobody.account()["spent"], nobody.account()["slots_held"]) == ("0", 0)


@pytest.mark.parametrize("name", ["", "me", "acct-2C70E12B7A06", "acct-2c70e12b7a0", "sk-key", "acct-2c70e12b7a06%0A"])
def test_what_is_no_name_of_an_account_acts_on_nobody(api: Api, name: str) -> None:
    """Not on the server either: a script whose variable is empty does not reset all."""
    data_of(api.create())
    refused = call(api, "POST", f"/_mock/reset?account={name}")

    assert (refused.status_code, "/_mock/accounts lists them" in refused.text) == (400, True)
    assert refused.text.count("\n") == 0
    assert len(Control.of(api.simulator).tasks()) == 1


def test_a_key_and_a_name_are_one_too_many(api: Api) -> None:
    mine = account_name("mine")
    refused = call(api, "GET", f"/_mock/tasks?account={mine}", Authorization="Bearer mine")

    assert (refused.status_code, "send one of them" in refused.text) == (400, True)
    with pytest.raises(ControlError, match="one of them"):
        Control.of(api.simulator, key="mine", account=mine)
    with pytest.raises(ControlError, match="no name of an account"):
        Control.over_http("http://127.0.0.1:1", account="mine")


def test_a_name_goes_over_http(server: Running) -> None:
    by_key = Control.over_http(server.url, key="named")
    by_name = Control.over_http(server.url, account=account_name("named"))
    by_name.configure(concurrency=7)

    assert by_key.account()["concurrency"] == 7
    assert by_name.health()["status"] == "ok"


# What it does


def test_a_key_sees_only_its_account(api: Api) -> None:
    task_id = data_of(api.create(key="mine"))["task_id"]
    mine, other, server = (Control.of(api.simulator, key=key) for key in ("mine", "other", None))

    assert [task["task_id"] for task in mine.tasks()] == [task_id] == [task["task_id"] for task in server.tasks()]
    assert other.tasks() == other.journal() == other.deliveries() == []
    with pytest.raises(ControlError, match="of that account"):
        other.task(task_id)
    assert len(mine.journal()) == len(server.journal()) == 1


def test_a_timeline_shows_planned_and_happened_polls_and_callbacks(make_api: Callable[..., Api], clock: Clock) -> None:
    api = make_api(send=Receiver(500))
    control = Control.of(api.simulator)
    task_id = data_of(api.create(body(callback_url=HOOK)))["task_id"]
    api.query(task_id)
    events = control.advance("1m")
    timeline = control.task(task_id)["timeline"]

    assert [step["status"] for step in timeline["planned"]] == ["submitted", "processing", "succeed"]
    assert timeline["planned"] == timeline["happened"]
    assert timeline["polls"] == [{"at": timeline["happened"][0]["at"], "request": 2}]
    assert [len(callback["attempts"]) for callback in timeline["callbacks"]] == [2, 1, 1]
    assert {callback["outcome"] for callback in timeline["callbacks"]} == {"delivered"}
    assert sum(event["event"] == "attempt" for event in events) == 4


def test_the_server_knows_every_account(api: Api) -> None:
    data_of(api.create(body(n=2), key="one"))
    Control.of(api.simulator, key="two").configure(balance="5")
    accounts = Control.of(api.simulator).accounts()
    assert sorted((account["spent"], account["balance"]) for account in accounts) == [("0", "5"), ("0.0266", None)]
    assert len(Control.of(api.simulator, key="two").accounts()) == 1


def test_a_key_that_the_server_does_not_take_has_no_account(make_api: Callable[..., Api]) -> None:
    api = make_api(keys=frozenset({"sk-one"}))
    assert call(api, "GET", "/_mock/account", Authorization="Bearer sk-one").status_code == 200
    refused = call(api, "GET", "/_mock/advice", Authorization="Bearer sk-tow")
    assert (refused.status_code, "--key allows" in refused.text) == (400, True)


def test_reset_forgets_everything(make_api: Callable[..., Api]) -> None:
    api = make_api(send=Receiver(), seed=3)
    control = Control.of(api.simulator)
    first = json.loads(api.create(body(external_task_id="a", callback_url=HOOK)).data)
    control.configure(balance="0")
    control.scenario("reset")
    control.seed(99)
    control.advance("1d")
    control.reset()

    assert control.tasks() == control.journal() == control.deliveries() == control.scenarios()["queued"] == []
    assert control.account()["balance"] is None
    assert json.loads(api.create(body(external_task_id="a", callback_url=HOOK)).data) == first


def test_reset_of_one_account_leaves_the_others(api: Api) -> None:
    one, two = (Control.of(api.simulator, key=key) for key in ("one", "two"))
    for key, control in (("one", one), ("two", two)):
        data_of(api.create(body(external_task_id="a"), key=key))
        control.configure(balance="5")
        control.scenario("error-1303")
    one.reset()

    assert one.tasks() == one.journal() == one.scenarios()["queued"] == []
    assert one.account()["balance"] is None
    assert len(two.tasks()) == len(two.journal()) == len(two.scenarios()["queued"]) == 1
    assert api.create(body(external_task_id="a"), key="one").status_code == 200


# The journal


def test_the_journal_explains_a_refusal(api: Api) -> None:
    api.create(body(n=10))
    (entry,) = Control.of(api.simulator).journal()

    assert (entry["method"], entry["path"], entry["operation"], entry["status"]) == ("POST", PATH, "create_task", 400)
    assert entry["rule"].startswith('n.maximum; spec="#/components/schemas/CreateRequest/properties/n/maximum"')
    assert entry["request"]["n"] == 10
    assert entry["answer"]["code"] == 1201


def test_the_journal_masks_keys_and_elides_pictures(api: Api) -> None:
    picture = b64(png(400, 400) + bytes(20_000))
    headers = {"Cookie": "secret", "X-Api-Key": "secret", "Klingkit-Token": "secret", "User-Agent": "me"}
    headers |= {"X-Auth-Token": "secret", "X-Other": "Bearer secret"}
    hook = "http://me:secret@127.0.0.1/hook?token=secret"
    request = body(subject_image_list=subjects(picture, picture), callback_url=hook)
    api.send("POST", PATH, key="sk-secret", json=request, headers=headers)
    (entry,) = Control.of(api.simulator).journal()

    text = json.dumps([entry, Control.of(api.simulator).tasks()])
    assert "secret" not in text
    assert "http://127.0.0.1/hook" in text
    assert picture[:300] not in text
    assert entry["headers"]["user-agent"] == "me"
    shown = entry["request"]["subject_image_list"][0]["subject_image"]
    assert shown.startswith(f"({len(picture)} characters, sha256 ")
    assert len(text) < 4000


def test_the_journal_is_bounded_and_says_so(make_api: Callable[..., Api]) -> None:
    api = make_api(max_journal=3)
    for _ in range(5):
        api.create()
    answer = call(api, "GET", "/_mock/journal").json
    assert answer
    assert answer["dropped"] == 2
    assert [entry["number"] for entry in answer["entries"]] == [3, 4, 5]


def test_the_journal_can_be_filtered(api: Api) -> None:
    control = Control.of(api.simulator)
    task_id = data_of(api.create())["task_id"]
    api.create(body(n=0))
    api.query(task_id)
    api.query("1")

    assert [entry["number"] for entry in control.journal(operation="create_task")] == [1, 2]
    assert [entry["number"] for entry in control.journal(task_id=task_id)] == [1, 3]
    assert [entry["number"] for entry in control.journal(status=400)] == [2, 4]
    assert [entry["number"] for entry in control.journal(rule="n.minimum")] == [2]
    assert [entry["number"] for entry in control.journal(after=3)] == [4]


def test_a_request_can_be_waited_for(api: Api) -> None:
    control = Control.of(api.simulator)
    found: list[Any] = []
    waiter = threading.Thread(
        target=lambda: found.append(control.wait_for_request(operation="get_task", timeout="20s"))
    )
    waiter.start()
    task_id = data_of(api.create())["task_id"]
    api.query(task_id)
    waiter.join()
    assert found[0]["task_id"] == task_id
    with pytest.raises(ControlError, match="no such request"):
        control.wait_for_request(status=599, timeout="10ms")


def test_a_journal_entry_names_scenario_and_callbacks(make_api: Callable[..., Api]) -> None:
    api = make_api(send=Receiver())
    api.create(body(prompt="[[slow]]", callback_url=HOOK))
    control = Control.of(api.simulator)
    (entry,) = control.journal()
    assert entry["scenario"] == "slow; source=prompt"
    assert entry["callbacks"] == [delivery["id"] for delivery in control.deliveries()]


# The other door


def test_the_client_over_http_is_the_same_object(server: Running) -> None:
    control = Control.over_http(server.url, key="control-test")
    control.configure(balance="0.0266")
    assert control.account()["balance"] == "0.0266"
    assert control.scenario("error-1303", times=3) == [
        {
            "account": account_name("control-test"),
            "operation": "create_task",
            "scenario": "error-1303",
            "times": 3,
        }
    ]
    with pytest.raises(ControlError, match="did you mean error-1303"):
        control.scenario("error-13003")
    with pytest.raises(ControlError, match="there is no task 'nothing'"):
        control.task("nothing")
    assert control.journal(operation="get_task") == control.tasks() == control.advice() == []
    assert control.health()["status"] == "ok"
    assert not control.clock()["frozen"]
    control.reset()
    assert control.account()["balance"] is None


@pytest.mark.parametrize("task_id", ["", "../account", "a/b?c", "é"])
def test_odd_ids_over_http_are_unknown_tasks(server: Running, task_id: str) -> None:
    with pytest.raises(ControlError):
        Control.over_http(server.url).task(task_id)


def test_odd_keys_and_values_over_http(server: Running) -> None:
    with pytest.raises(ControlError, match="ASCII"):
        Control.over_http(server.url, key="ключ")
    with pytest.raises(ControlError, match="http://"):
        Control.over_http("localhost:8000")
    control = Control.over_http(server.url, key="odd")
    assert control.configure(balance=Decimal("1.5"))["balance"] == "1.5"


def test_nobody_there_is_one_clear_error() -> None:
    with pytest.raises(ConnectionError, match="nothing there answers as klingkit does"):
        Control.over_http("http://127.0.0.1:1").health()


def test_an_answer_without_an_end_is_read_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("klingkit.mock_server.control.client.LARGEST", 1000)
    sent = []

    def endless(_: object, start_response: Callable[..., object]) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Type", "application/json")])
        for _ in range(1000):
            sent.append(1)
            yield b"1" * 100_000

    with simple_server.make_server("127.0.0.1", 0, endless) as server:
        threading.Thread(target=server.handle_request).start()
        with pytest.raises(ConnectionError, match="nothing there answers as klingkit does"):
            Control.over_http(f"http://127.0.0.1:{server.server_port}").health()
    assert len(sent) < 1000


def test_a_server_that_stops_ends_what_waits() -> None:
    """Nobody waits a minute for a request that will not come; `stop` gives the process 20 s."""
    wanted = json.dumps({"timeout": "60s", "status": 599})
    with serving() as running, socket.create_connection((running.host, running.port)) as connection:
        head = f"POST /_mock/journal/wait HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(wanted)}\r\n\r\n"
        connection.sendall((head + wanted).encode())
        Control.over_http(running.url).health()  # came later, so that the wait has begun

        assert "GET /_mock/health" in running.stop()
