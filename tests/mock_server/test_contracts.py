"""Several contracts in one simulator: which answers, what each sends, and that none knows of the other."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import cache
from io import BytesIO
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from openapi_core import OpenAPI
from openapi_core.contrib.werkzeug import WerkzeugOpenAPIRequest, WerkzeugOpenAPIResponse
from PIL import Image, ImageChops
from werkzeug.test import EnvironBuilder

from klingkit.contract import load_contract
from klingkit.contract.recordings.files import BrokenRecordingError, save
from klingkit.contract.recordings.recording import RecordedAnswer, Recording
from klingkit.mock_server.account_settings import AccountSettings
from klingkit.mock_server.app import create_app
from klingkit.mock_server.clock import START, ClockState
from klingkit.mock_server.contracts import MAX_COMPILED, Contracts
from klingkit.mock_server.control.asking import ControlError
from klingkit.mock_server.control.client import Control
from klingkit.mock_server.settings import Settings
from klingkit.mock_server.simulator import Simulator
from klingkit.mock_server.store import MemoryStore
from tests.conftest import PATH, URL, b64, body, data_of, png, subjects

if TYPE_CHECKING:
    from pathlib import Path

    from werkzeug.test import TestResponse

KLING = "/v1/images/multi-image2image"
HOOK = "http://127.0.0.1:9/hook"


@cache
def referee(choice: str) -> OpenAPI:
    return OpenAPI.from_dict(load_contract(choice).document)


class Service:
    """Sends requests to a simulator; what an operation of `kling` answers is judged by openapi-core."""

    def __init__(self, send: Any = None, **settings: Any) -> None:
        self.simulator = Simulator(Settings(**settings), clock=ClockState(START), send=send)
        self._client = create_app(self.simulator).test_client()

    def __call__(self, method: str, path: str, *, key: str = "key", **request: Any) -> TestResponse:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        base = request.pop("base_url", load_contract("kling").server_url)
        response = self._client.open(path, method=method, base_url=base, headers=headers, **request)
        if path.startswith(KLING) and method in {"GET", "POST"}:
            asked = EnvironBuilder(path, base, method=method).get_request()
            referee("kling").validate_response(WerkzeugOpenAPIRequest(asked), WerkzeugOpenAPIResponse(response))
        return response

    def control(self, key: str | None = "key") -> Control:
        return Control.of(self.simulator, key=key)

    def page(self, query: str = "") -> list[dict[str, Any]]:
        """Return a page of the list."""
        page: Any = data_of(self("GET", KLING + query))
        assert isinstance(page, list)
        return page

    def create(self, **fields: Any) -> dict[str, Any]:
        """Make a task on the vendor's path."""
        return data_of(self("POST", KLING, json=body(**fields)))


@pytest.fixture
def service() -> Service:
    return Service(contract="all")


def test_one_server_answers_each_path_by_its_contract(service: Service) -> None:
    """CometAPI names its own request id in a header, and the vendor does not."""
    comet, vendor = service("POST", PATH, json=body(n=0)), service("POST", KLING, json=body(n=0))

    assert comet.json.keys() == vendor.json.keys() == {"code", "message", "request_id"}  # type: ignore[union-attr]
    assert ("x-cometapi-request-id" in comet.headers, "x-cometapi-request-id" in vendor.headers) == (True, False)
    assert [entry["contract"] for entry in service.control().journal()] == ["cometapi", "kling"]
    assert [service("POST", path, json=body(subject_image_list=subjects(URL))).status_code for path in (PATH, KLING)] == [400, 200]  # fmt: skip


def test_a_server_of_one_contract_has_no_other_path() -> None:
    assert Service()("GET", "/v1/images/nothing").mimetype == "text/html"
    assert Service(contract="kling")("POST", PATH, json=body()).status_code == 404


def test_an_unknown_contract_is_one_line_that_names_the_valid_ones() -> None:
    with pytest.raises(ValueError, match="unknown contract 'klng'; did you mean kling") as caught:
        Simulator(Settings(contract="klng"))
    assert str(caught.value).endswith("cometapi, cometapi-2026, kling, all")


def test_an_account_says_which_of_the_contracts_with_the_same_path_is_its_own(service: Service) -> None:
    one = body(subject_image_list=subjects(URL), scene_image=URL)
    control = service.control("new")
    assert control.configure(contract="cometapi-2026")["contract"] == "cometapi-2026"

    answers = {key: service("POST", PATH, key=key, json=one) for key in ("new", "old")}
    assert {key: answer.status_code for key, answer in answers.items()} == {"new": 200, "old": 400}
    assert "'scene_image' is ignored" in answers["old"].headers["Klingkit-Warning"]
    assert "Klingkit-Warning" not in answers["new"].headers
    assert service("POST", KLING, key="new", json=one).status_code == 200
    assert control.configure(contract=None)["contract"] == "cometapi"


@pytest.mark.parametrize("served", ["cometapi", "all"])
def test_what_an_account_sets_wins_over_what_is_set_for_everybody(served: str) -> None:
    service = Service(contract=served)
    everybody, own = Control.of(service.simulator), service.control()
    one, plain = body(subject_image_list=subjects(URL)), {"prompt": "a"}

    def accepted(request: dict[str, Any]) -> list[bool]:
        return [service("POST", PATH, key=key, json=request).status_code == 200 for key in ("key", "other")]

    everybody.configure(assume={"unknown-task": "kling"})
    own.configure(contract="cometapi-2026", assume={"unknown-task": "task-envelope"})
    assert accepted(one) == [True, False]
    assert [json.loads(service("GET", f"{PATH}/1", key=key).data)["code"] for key in ("key", "other")] == [
        "task_not_exist",
        1201,
    ]
    everybody.configure(contract="cometapi-2026", plain_generation=True)
    own.configure(contract="cometapi", plain_generation=False)
    assert accepted(one) == [False, True]
    assert accepted(plain) == [False, True]


@pytest.mark.parametrize(("path", "assumed"), [(PATH, "kling"), (KLING, "code-1100")])
def test_an_account_is_answered_as_it_assumes_where_its_key_or_method_is_refused(path: str, assumed: str) -> None:
    service = Service(contract="kling" if path == KLING else "cometapi")
    service.control().configure(assume={"disabled-key": assumed, "wrong-method": "wrong-path"})
    answers = [service("DELETE", path, key=key) for key in ("key", "other")]
    assert [b"1202" in answer.data for answer in answers] == [False, True]

    service.control().configure(disabled=True)
    service.control("other").configure(disabled=True)
    assert [service("GET", f"{path}/1", key=key).status_code for key in ("key", "other")] == [429, 401]


@pytest.mark.parametrize("served", ["cometapi", "kling", "all"])
def test_an_account_cannot_choose_what_is_not_served(served: str) -> None:
    control = Service(contract=served).control()
    other = "cometapi" if served == "kling" else "kling"

    for wrong in (other, "nothing"):
        with pytest.raises(ControlError, match=rf"unknown contract of an account '{wrong}'"):
            control.configure(contract=wrong)
    with pytest.raises(ControlError, match="contract: 5 is no name of a contract; give one of cometapi, "):
        control.configure(contract=5)
    with pytest.raises(ControlError, match=r"^balance: 'x' is no amount, such as 0\.50$"):
        control.configure(balance="x")


@pytest.mark.parametrize(
    ("served", "settings", "said"),
    [
        ("cometapi", {"assume": {"missing-key": "kling"}}, "missing-key is about requests that name no account"),
        ("all", {"assume": {"bare-key": "accepted"}}, "bare-key is about requests that name no account"),
        ("kling", {"plain_generation": True}, "kling has no plain generation"),
        ("all", {"plain_generation": True, "assume": {"no-subjects": "refused"}}, "contradict each other"),
    ],
)
def test_what_can_have_no_effect_for_an_account_is_refused_and_changes_nothing(
    served: str, settings: dict[str, Any], said: str
) -> None:
    control = Service(contract=served).control()
    before = control.account()

    with pytest.raises(ControlError, match=said):
        control.configure(**settings)
    assert control.account() == before


def test_what_is_about_requests_without_an_account_is_set_for_everybody(service: Service) -> None:
    service.control(None).configure(assume={"missing-key": "kling"})

    assert "1001" in service("GET", f"{PATH}/1", key="").get_data(as_text=True)


def test_an_account_of_its_own_mind_has_no_plain_pictures_where_everybody_has(service: Service) -> None:
    service.control("key").configure(assume={"no-subjects": "refused"})
    service.control(None).configure(plain_generation=True)

    made = [service("POST", PATH, key=key, json={"prompt": "a tree"}).status_code for key in ("key", "other")]
    assert made == [400, 200]


def test_a_task_keeps_the_contract_by_which_it_was_made(service: Service) -> None:
    control = service.control()
    control.configure(plain_generation=True)
    task_id = data_of(service("POST", PATH, json={"prompt": "a lighthouse"}))["task_id"]
    control.configure(contract="cometapi-2026", plain_generation=False)
    control.advance("1m")

    assert data_of(service("GET", f"{PATH}/{task_id}"))["task_status"] == "succeed"
    assert control.task(task_id)["contract"] == "cometapi+plain-generation"


def test_tasks_and_external_ids_of_the_other_path_do_not_exist(service: Service) -> None:
    comet = data_of(service("POST", PATH, json=body(external_task_id="order-1")))["task_id"]
    vendor = service.create(external_task_id="order-1")["task_id"]

    assert service("GET", f"{KLING}/{comet}").status_code == 400
    assert service("GET", f"{PATH}/{vendor}").json["code"] == "task_not_exist"  # type: ignore[index]
    assert data_of(service("GET", f"{KLING}/order-1"))["task_id"] == vendor
    assert len(service.page()) == 1


def test_compiled_contracts_are_bounded(service: Service) -> None:
    contracts = service.simulator.contracts
    for number in range(3 * MAX_COMPILED):
        settings = AccountSettings(contract=("cometapi", "cometapi-2026")[number % 2], plain_generation=number % 3 == 0)
        contracts.of(contracts.served[0], settings)

    assert contracts.by_text.cache_info().currsize <= MAX_COMPILED
    assert contracts.of(contracts.served[1], AccountSettings(plain_generation=True)) is contracts.served[1]
    assert Contracts("all").served[0] is load_contract()


# The vendor's path


def test_a_task_is_found_by_either_id(service: Service) -> None:
    made = service.create(external_task_id="order-1")

    for name in (made["task_id"], "order-1"):
        assert data_of(service("GET", f"{KLING}/{name}"))["task_id"] == made["task_id"]
    for key, name in (("other", "order-1"), ("other", made["task_id"]), ("key", "order-2")):
        refused = service("GET", f"{KLING}/{name}", key=key)
        assert (refused.status_code, refused.json["code"]) == (400, 1201)  # type: ignore[index]
        assert refused.json["message"] == f"Task not found by id/external id: {name}"  # type: ignore[index]


def test_an_id_wins_over_an_external_id_of_the_same_text(service: Service) -> None:
    first = service.create()["task_id"]
    service.create(external_task_id=first)

    assert data_of(service("GET", f"{KLING}/{first}"))["task_id"] == first


def test_the_list_has_the_newest_first_in_pages(service: Service) -> None:
    ids = [service.create(prompt=str(number))["task_id"] for number in range(35)]
    service("POST", KLING, key="other", json=body())

    def page(query: str = "") -> list[str]:
        return [task["task_id"] for task in service.page(query)]

    assert page() == ids[:4:-1]
    assert page("?pageNum=2") == ids[4::-1]
    assert page("?pageNum=2&pageSize=10") == ids[24:14:-1]
    assert page("?pageSize=500&unknown=1") == ids[::-1]
    assert page("?pageNum=3") == page("?pageNum=1000&pageSize=500") == []


@pytest.mark.parametrize(
    "query",
    [
        "pageNum=0",
        "pageNum=1001",
        "pageSize=0",
        "pageSize=501",
        "pageSize=x",
        "pageNum=1.0",
        "pageNum=",
        f"pageNum={'9' * 5000}",
    ],
)
def test_a_page_that_there_cannot_be_is_refused(service: Service, query: str) -> None:
    refused = service("GET", f"{KLING}?{query}")

    assert (refused.status_code, refused.json["code"]) == (400, 1201)  # type: ignore[index]
    assert refused.headers["Klingkit-Rule"].startswith(query.partition("=")[0])


def test_mistakes_in_asking_for_pages_are_named(service: Service) -> None:
    """Another page is another request: it is no repetition of what was refused."""
    hint = service("GET", f"{KLING}?pageNo=2").headers["Klingkit-Warning"]
    assert hint == "unknown field 'pageNo' is ignored, did you mean 'pageNum'?"
    for query in ("pageNum=0", "pageNum=1001"):
        service("GET", f"{KLING}?{query}")
    assert [found["kind"] for found in service.control().advice()] == ["unknown-field"]
    service("GET", f"{KLING}?pageNum=1001")
    assert "repeats-refusal" in {found["kind"] for found in service.control().advice()}


def test_the_list_leaves_out_what_was_dropped_and_moves_nothing() -> None:
    service = Service(contract="kling", max_tasks=3, account=AccountSettings(progression="polls"))
    ids = [service.create()["task_id"] for _ in range(5)]

    for _ in range(2):
        shown = service.page()
        assert [(task["task_id"], task["task_status"]) for task in shown] == [
            (name, "submitted") for name in ids[:1:-1]
        ]
    assert data_of(service("GET", f"{KLING}/{ids[-1]}"))["task_status"] == "submitted"
    service.control(None).reset()
    assert service.page() == []


def test_a_page_costs_what_it_shows_however_many_tasks_there_are(service: Service) -> None:
    """Counted in records that are looked at, since time says little on a busy machine."""
    for number in range(200):
        service.simulator.create("many", body(prompt=str(number)), "http://h", contract=load_contract("kling"))
    looked_at = 0

    class Counting(list[Any]):
        def __getitem__(self, place: Any) -> Any:
            nonlocal looked_at
            looked_at += 1
            return super().__getitem__(place)

    assert isinstance(service.simulator.store, MemoryStore)
    line = service.simulator.store._tasks._lines["many"][KLING]
    line._places = Counting(line._places)
    assert len(service.simulator.store.page("many", KLING, 100, 7)) == 7
    assert looked_at == 7


def test_results_can_have_a_watermark(service: Service) -> None:
    """A second picture, which really has one; the first stays as it is without."""
    with_mark, without = (
        service.create(prompt="a", n=2, watermark_info={"enabled": wanted}) for wanted in (True, False)
    )
    service.control().advance("1m")
    marked, plain = (data_of(service("GET", f"{KLING}/{task['task_id']}")) for task in (with_mark, without))
    assert (marked["watermark_info"], plain["watermark_info"]) == ({"enabled": True}, {"enabled": False})
    assert all("watermark_url" not in image for image in plain["task_result"]["images"])
    image = marked["task_result"]["images"][1]
    pictures = [service("GET", urlsplit(image[name]).path, key="").data for name in ("url", "watermark_url")]
    clean, stamped = (Image.open(BytesIO(data)).convert("RGB") for data in pictures)

    assert clean.size == stamped.size
    box = ImageChops.difference(clean, stamped).getbbox()
    assert box
    assert (box[2] - box[0], box[3] - box[1]) > (clean.width * 0.8, clean.height * 0.8)
    for nothing in (f"/_mock/watermarked/{with_mark['task_id']}/2.png", "/_mock/watermarked/1/x.png"):
        assert service("GET", nothing).status_code == 404


@pytest.mark.parametrize("odd", [True, [1], "x", 7, {"enabled": True}, {"enabled": 1}])
@pytest.mark.parametrize("plain", [False, True])
def test_what_a_contract_does_not_know_is_ignored_whatever_it_is(odd: Any, plain: bool) -> None:
    service = Service(contract="cometapi", account=AccountSettings(plain_generation=plain))
    request = body(watermark_info=odd, **({"subject_image_list": ..., "prompt": "a"} if plain else {}))
    made = service("POST", PATH, json=request)
    service.control().advance("1m")
    (image,) = data_of(service("GET", f"{PATH}/{data_of(made)['task_id']}"))["task_result"]["images"]

    assert "watermark_url" not in image


def test_a_task_is_found_by_an_external_id_of_any_length(service: Service) -> None:
    made = service.create(external_task_id="x" * 20_000)

    assert data_of(service("GET", f"{KLING}/{'x' * 20_000}"))["task_id"] == made["task_id"]
    assert service("GET", f"{KLING}/{'x' * 20_001}").status_code == 400


def test_a_success_says_what_it_cost_in_units() -> None:
    bodies: list[Any] = []

    def receive(_: str, sent: bytes, __: dict[str, str], **___: Any) -> int:
        bodies.append(json.loads(sent))
        return 204

    service = Service(receive, contract="kling", account=AccountSettings())
    made = service.create(n=2, callback_url=HOOK)
    before = data_of(service("GET", f"{KLING}/{made['task_id']}"))
    service.control().advance("1m")
    after = data_of(service("GET", f"{KLING}/{made['task_id']}"))

    assert {"final_unit_deduction", "final_balance_deduction"} & before.keys() == set()
    assert (after["final_unit_deduction"], service.control().account()["spent"]) == ("32", "32")
    assert after["final_balance_deduction"].keys() == {"quota", "list_price"}
    assert service.control().account()["currency"] == "units"
    assert [each["task_status"] for each in bodies] == ["submitted", "processing", "succeed"]
    assert all(service.simulator.contract.callback_validator.is_valid(each) for each in bodies)


def test_units_that_are_not_there_are_refused() -> None:
    service = Service(contract="kling")
    service.control().configure(balance="20")

    assert [service("POST", KLING, json=body()).json["code"] for _ in range(2)] == [0, 1102]  # type: ignore[index]


def test_a_path_that_is_none_is_json_on_the_vendors_side(service: Service) -> None:
    odd = f"{KLING}/a/b\u00e9"
    answer = service._client.get(odd)

    assert (answer.status_code, answer.mimetype) == (404, "application/json")
    assert answer.json == {
        "timestamp": "2026-01-01T00:00:00.000+00:00",
        "status": 404,
        "error": "Not Found",
        "message": "No message available",
        "path": odd,
    }
    assert "tasks are made at " + KLING in answer.headers["Klingkit-Warning"]
    assert service("GET", "/kling/v1/images/nothing").mimetype == service("GET", "/nothing").mimetype == "text/html"


@pytest.mark.parametrize("sent", [b"", b"[]", b"{", b'{"n":NaN}', b"[" * 1000, b"\xff"])
def test_each_refusal_of_the_vendor_is_in_its_envelope(service: Service, sent: bytes) -> None:
    refused = service("POST", KLING, data=sent, content_type="application/json")

    assert (refused.status_code, refused.json["code"]) == (400, 1200)  # type: ignore[index]
    assert service("DELETE", KLING).json["code"] == 1202  # type: ignore[index]
    assert service("POST", KLING, data=b"{}", content_type="text/plain").json["code"] == 1200  # type: ignore[index]


def test_a_scenario_that_one_contract_does_not_know_leaves_it_alone(service: Service) -> None:
    control = service.control()
    control.configure(scenario="gateway-503")

    assert service("POST", PATH, json=body()).status_code == 503
    assert service("POST", KLING, json=body()).status_code == 200
    control.configure(scenario=None)
    control.scenario("gateway-503")
    assert service("POST", KLING, json=body()).status_code == 200
    assert service("POST", PATH, json=body()).status_code == 503
    assert service("POST", KLING, json=body(prompt="[[error-1303]]")).status_code == 429
    page = service._client.get(KLING, headers={"Authorization": "Bearer x", "Prefer": "scenario=html-502"})
    assert (page.status_code, page.mimetype) == (502, "text/html")


def test_each_contract_has_its_document(service: Service) -> None:
    def fetched(query: str = "") -> TestResponse:
        return service("GET", f"/_mock/api.json{query}", key="", base_url="http://localhost")

    assert fetched().json == load_contract().document
    assert fetched("?contract=kling").json == load_contract("kling").document
    assert (fetched("?contract=x").status_code, "the valid ones: cometapi, kling" in fetched("?contract=x").text) == (400, True)  # fmt: skip
    assert service.control().health()["contract"] == "cometapi and kling"


@pytest.mark.parametrize("served", ["all", "cometapi", "kling"])
def test_a_recording_answers_for_its_own_contract_only(served: str, tmp_path: Path) -> None:
    contract = load_contract()
    answer = RecordedAnswer(
        "n.maximum/one-too-high",
        sent="POST",
        http=400,
        headers={},
        body={"code": 1201, "message": "n is too high", "request_id": "<uuid>"},
        value="10",
    )
    save(
        Recording("https://api.cometapi.com", contract.name, datetime.now(UTC), {"n.maximum": {"key": answer}}),
        tmp_path / "rec",
        [],
    )
    if served == "kling":
        with pytest.raises(BrokenRecordingError, match="it is of the contract 'cometapi', and this is 'kling'"):
            Service(contract=served, recording=str(tmp_path / "rec"))
        return
    service = Service(contract=served, recording=str(tmp_path / "rec"))
    service.control("new").configure(contract="cometapi-2026")

    def told(path: str, key: str = "key") -> str:
        return str(service("POST", path, key=key, json=body(n=10)).json["message"])  # type: ignore[index]

    own = "n: must be less than or equal to 9"
    assert (told(PATH), told(PATH, "new")) == ("n is too high", own)
    assert served != "all" or told(KLING) == own
    why = service.control().journal(rule="n.maximum")[0]["why"]
    title = "a recording of https://api.cometapi.com"
    assert {(aspect["grade"], aspect["title"]) for aspect in why["aspects"]} == {("recorded", title)}
    known = service.control().evidence()["aspects"]
    assert {row["title"] for row in known if row["name"] == "n.maximum"} == {title}


# Plain pictures, on CometAPI's path


@pytest.mark.parametrize("served", ["cometapi", "cometapi-2026"])
def test_a_create_without_subjects_is_refused_and_says_what_it_would_cost(
    served: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "klingkit")
    service = Service(contract=served)
    refused = service("POST", PATH, json={"prompt": "a lighthouse"})
    told = "the real path makes a plain picture of this, and bills it"

    assert (refused.status_code, refused.json["message"]) == (400, "subject_image_list cannot be empty")  # type: ignore[index]
    assert told in refused.headers["Klingkit-Warning"]
    assert told in caplog.text
    assert [(hint["kind"], told in hint["text"], "--plain-generation" in hint["do"]) for hint in service.control().advice()] == [("plain-picture", True, True)]  # fmt: skip


def test_the_vendor_makes_no_plain_pictures_and_bills_none() -> None:
    service = Service(contract="kling", account=AccountSettings(plain_generation=True))
    refused = service("POST", KLING, json={"prompt": "a lighthouse", "image": URL})

    assert refused.status_code == 400
    assert "bills" not in refused.headers.get("Klingkit-Warning", "")


def plain(**settings: Any) -> Service:
    return Service(account=AccountSettings(plain_generation=True), **settings)


@pytest.mark.parametrize("request_body", [{"prompt": "a lighthouse", "n": 2}, {"prompt": "x" * 500, "image": b64(png()), "subject_image_list": None}])  # fmt: skip
def test_with_the_option_it_makes_a_plain_picture(request_body: dict[str, Any]) -> None:
    service = plain()
    made = service("POST", PATH, json=request_body)
    task_id = data_of(made)["task_id"]
    service.control().advance("1m")
    task = data_of(service("GET", f"{PATH}/{task_id}"))

    assert "bills" not in made.headers.get("Klingkit-Warning", "")
    images = task["task_result"]["images"]
    assert len(images) == request_body.get("n", 1)
    assert all(service("GET", urlsplit(image["url"]).path, key="").data[:4] == b"\x89PNG" for image in images)
    assert [entry["operation"] for entry in service.control().journal()] == ["create_plain_task", "get_task"]


@pytest.mark.parametrize(
    ("request_body", "message"),
    [
        ({}, "prompt cannot be empty"),
        ({"image": URL}, "prompt cannot be empty"),
        ({"prompt": "x" * 501}, "prompt: size must be between 0 and 500"),
        ({"prompt": "x", "n": 10}, "n: must be less than or equal to 9"),
        ({"prompt": "x", "image": "data:image/png;base64,AAAA"}, "File is not in a valid base64 format"),
        ({"prompt": "x", "subject_image_list": []}, "subject_image_list: size must be between 2 and 4"),
    ],
)
def test_a_plain_picture_has_rules_of_its_own(request_body: dict[str, Any], message: str) -> None:
    refused = plain()("POST", PATH, json=request_body)

    assert (refused.status_code, refused.json["code"]) == (400, 1201)  # type: ignore[index]
    assert refused.json["message"] == message  # type: ignore[index]


def test_scenarios_and_external_ids_count_for_plain_pictures_too() -> None:
    service = plain()
    service.control().scenario("error-1303")
    codes = [service("POST", PATH, json={"prompt": "x", "external_task_id": "one"}).json["code"] for _ in range(3)]  # type: ignore[index]

    assert codes == [1303, 0, 1201]
    assert service("POST", PATH, json=body(external_task_id="one")).status_code == 400
    assert service("POST", PATH, json={"prompt": "[[fail-moderation]]"}).status_code == 200
