"""What somebody finds who looks: the ways in, the documents, and what health and journal say."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

from klingkit.contract.choice import CONTRACTS
from klingkit.mock_server.advice import REMEDIES
from klingkit.mock_server.control.client import Control
from klingkit.mock_server.control.document import control_document, described
from klingkit.mock_server.progressions import PROGRESSIONS
from klingkit.mock_server.scenarios import scenario_table
from klingkit.mock_server.serving.banner import banner
from klingkit.mock_server.settings import Settings
from klingkit.mock_server.simulator import Simulator
from tests.conftest import PATH, Api, body, data_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from openapi_core import OpenAPI
    from werkzeug.test import TestResponse

    from klingkit.contract import Contract

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


def look(api: Api, path: str, accept: str = "*/*") -> TestResponse:
    return api.send("GET", path, key=None, headers={"Accept": accept, "Host": "localhost"})


class Links(HTMLParser):
    """The links of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.found += [value for name, value in attrs if name == "href" and value]


def test_a_browser_is_led_from_the_root_to_everything(api: Api) -> None:
    """Each link of the page leads somewhere."""
    root = look(api, "/", BROWSER)
    assert (root.status_code, root.headers["Location"]) == (302, "/_mock/")
    for path in ("/_mock/", "/_mock"):
        page = look(api, path, BROWSER)
        assert (page.status_code, page.mimetype) == (200, "text/html")
        assert "/_mock/page/api" in Links(page.text).found
    links = [link for link in Links(look(api, "/_mock/page/api", BROWSER).text).found if link.startswith("/")]
    assert {"/_mock/openapi.json", "/_mock/api.json", "/_mock/health", "/_mock/tasks", "/_mock/journal"} <= {*links}
    assert [look(api, link, BROWSER).status_code for link in links] == [200] * len(links)
    assert Control.of(api.simulator).journal() == []


@pytest.mark.parametrize("accept", ["*/*", "application/json", ""])
def test_a_client_of_the_api_finds_a_wrong_path_at_the_root(api: Api, accept: str) -> None:
    answer = look(api, "/", accept)
    assert (answer.status_code, answer.mimetype) == (404, "text/html")
    assert [entry["status"] for entry in Control.of(api.simulator).journal()] == [404]


@pytest.mark.parametrize("path", ["/_mock", "/_mock/"])
def test_the_index_is_json_for_whoever_asks_for_nothing_else(api: Api, path: str) -> None:
    answer = look(api, path)
    assert answer.mimetype == "application/json"
    assert {"method": "POST", "path": "/_mock/reset"}.items() <= json.loads(answer.text)["operations"][-1].items()


def test_without_a_control_api_the_index_has_what_is_left(make_api: Callable[..., Api]) -> None:
    api = make_api(control=False)
    assert [operation["path"] for operation in json.loads(look(api, "/_mock").text)["operations"]] == [
        "/_mock/",
        "/_mock/health",
    ]
    assert look(api, "/_mock/", BROWSER).mimetype == "application/json"
    for path in ("/_mock/api.json", "/_mock/openapi.json", "/_mock/page/api", "/_mock/page/tasks"):
        assert look(api, path, BROWSER).status_code == 404


def test_the_document_of_the_api_is_served(api: Api, contract: Contract) -> None:
    document = look(api, "/_mock/api.json").json
    assert document == contract.document
    validate(document)


def names_in(value: Any) -> Iterator[str]:
    """Each table whose names stand in the written document."""
    if isinstance(value, dict):
        yield from [value["x-names"]] if "x-names" in value else []
        value = list(value.values())
    for item in value if isinstance(value, list) else ():
        yield from names_in(item)


def test_the_served_document_lists_the_names_of_the_tables(api: Api, contract: Contract) -> None:
    """None of which is written into it a second time."""
    document: Any = look(api, "/_mock/openapi.json").json
    validate(document)
    schemas = document["components"]["schemas"]

    assert "x-names" not in json.dumps(document)
    assert set(names_in(control_document())) >= {"scenarios", "operations", "progressions", "retry_schedules", "faults"}
    assert schemas["Progression"]["enum"] == list(PROGRESSIONS)
    assert schemas["RetrySchedule"]["enum"] == list(contract.callbacks.retry_after_ms)
    assert schemas["OperationName"]["enum"] == list(contract.operations)
    assert schemas["ScenarioName"]["enum"] == list(scenario_table(contract))
    assert schemas["ContractName"]["enum"] == list(CONTRACTS)
    assert schemas["RuleName"]["enum"] == list(contract.rules)
    questions = {name: schema["enum"] for name, schema in schemas["Assume"]["properties"].items()}
    assert questions == {each.id: list(each.alternatives) for each in contract.assumptions}
    assert schemas["Queue"]["properties"]["scenario"]["anyOf"][0]["enum"] == list(scenario_table(contract))
    assert schemas["Advice"]["properties"]["kind"]["enum"] == list(REMEDIES)


@pytest.mark.parametrize(
    ("scenario", "valid"),
    [("reset", True), ("slow:20", True), ("fail:any text@0.5", True), (None, True), ("resett", False), ("", False)],
)
def test_the_served_document_takes_what_the_operation_takes(
    api: Api,
    contract: Contract,
    scenario: str | None,
    valid: bool,
) -> None:
    document = described((contract,))
    settings = {**document["components"]["schemas"]["Settings"], "components": document["components"]}
    answer = api.send("PATCH", "/_mock/account", json={"scenario": scenario}, headers={"Host": "localhost"})

    assert Draft202012Validator(settings).is_valid({"scenario": scenario}) == valid
    assert (answer.status_code == 200) == valid


@pytest.mark.parametrize("control", [True, False])
def test_the_banner_says_where_to_look(contract: Contract, control: bool) -> None:
    assert "http://127.0.0.1:8000/_mock/" in banner([contract], Settings(control=control), "127.0.0.1", 8000)


def test_health_says_when_the_clock_was_touched(referee: OpenAPI) -> None:
    api = Api(Simulator(Settings()), referee)
    control = Control.of(api.simulator)

    def clock() -> tuple[bool, int]:
        state = control.health()["clock"]
        assert re.fullmatch(r"20\d\d-.*Z", state["time"])
        return state["frozen"], state["moved_ms"]

    assert clock() == (False, 0)
    control.freeze()
    assert clock()[0]
    control.advance("1h")
    frozen, moved = clock()
    assert frozen
    assert 3_000_000 < moved <= 3_600_000
    control.resume()
    frozen, moved = clock()
    assert not frozen
    assert 3_000_000 < moved <= 3_600_000
    control.reset()
    assert clock() == (False, 0)


@pytest.mark.parametrize(
    ("scenario", "fault"),
    [
        ("reset", "reset"),
        ("reset-within", "reset-within"),
        ("cut", "cut"),
        ("drip:10ms", "drip"),
        ("delay:lognormal:10ms", "delay"),
        ("slow", ""),
    ],
)
def test_the_journal_says_what_was_done_to_a_connection(api: Api, scenario: str, fault: str) -> None:
    control = Control.of(api.simulator)
    control.scenario(scenario)
    task_id = data_of(api.create(body(prompt="x")))["task_id"]
    api.query(task_id)
    assert [entry["fault"] for entry in control.journal()] == [fault, ""]
    assert control.journal()[0]["path"] == PATH
