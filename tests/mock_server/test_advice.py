"""Likely mistakes of a client: each is named, with the request that shows it, and good clients get no advice."""

from __future__ import annotations

import base64
import json
import time
from io import BytesIO
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from PIL import Image

from klingkit.cli import main
from klingkit.client import KlingClient
from klingkit.mock_server.advice import REMEDIES
from klingkit.mock_server.control.client import Control
from klingkit.mock_server.settings import Settings
from klingkit.mock_server.simulator import Simulator
from tests.conftest import PATH, Api, Clock, Running, b64, body, data_of, png, subjects

if TYPE_CHECKING:
    from collections.abc import Callable

    from openapi_core import OpenAPI


@pytest.fixture
def wall(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The machine's time in s, as a list of one, which a test can move."""
    now = [1000.0]
    monkeypatch.setattr(time, "time", lambda: now[0])
    return now


def kinds(api: Api, key: str | None = None) -> list[str]:
    return [mistake["kind"] for mistake in Control.of(api.simulator, key=key).advice()]


def ended(api: Api, clock: Clock) -> str:
    task_id: str = data_of(api.create())["task_id"]
    clock.move_to(clock.now() + 60_000)
    return task_id


def fetch(api: Api, task_id: str) -> None:
    api.send("GET", f"/_mock/pictures/{task_id}/0.png", key=None)


def test_a_good_client_gets_no_advice(api: Api, clock: Clock, wall: list[float]) -> None:
    task_id = data_of(api.create(body(external_task_id="a")))["task_id"]
    for _ in range(40):
        clock.move_to(clock.now() + 100)
        wall[0] += 1.0
        if data_of(api.query(task_id))["task_status"] == "succeed":
            break
    fetch(api, task_id)
    assert kinds(api) == []


def test_unknown_fields_and_data_urls(api: Api) -> None:
    api.create(body(scene_image="https://example.com/x.png"))
    api.create(body(subject_image_list=subjects("data:image/png;base64," + b64(png()), "https://example.com/a.png")))

    advice = Control.of(api.simulator).advice()
    assert [(mistake["kind"], mistake["request"]) for mistake in advice] == [("unknown-field", 1), ("data-url", 2)]
    assert "did you mean 'scence_image'" in advice[0]["text"]


IN_AN_ITEM = ["image", "url", "image_url", "imageUrl", "b64_json", "subjectImage", "Subject-Image"]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("subjectImageList", "subject_image_list"),
        ("images", "subject_image_list"),
        ("image_list", "subject_image_list"),
        ("imageUrls", "subject_image_list"),
        ("callbackUrl", "callback_url"),
        ("webhook", "callback_url"),
        ("size", "aspect_ratio"),
        ("ratio", "aspect_ratio"),
        ("num_images", "n"),
        ("N", "n"),
        ("model", "model_name"),
        ("scene-image", "scence_image"),
        ("promt", "prompt"),
        ("externalTaskID", "external_task_id"),
    ],
)
def test_names_of_other_apis_lead_to_the_field_that_is_meant(api: Api, name: str, meant: str) -> None:
    answer = api.create(body(**{name: "x"}))
    assert f"unknown field '{name}' is ignored, did you mean '{meant}'?" in answer.headers["Klingkit-Warning"]


@pytest.mark.parametrize("name", IN_AN_ITEM)
def test_in_an_item_they_lead_to_its_picture(api: Api, name: str) -> None:
    items = [*subjects("https://example.com/a.png"), {name: "https://example.com/b.png"}]
    answer = api.create(body(subject_image_list=items))
    says = f"unknown field '{name}' in subject_image_list[1] is ignored, did you mean 'subject_image'?"
    assert says in answer.headers["Klingkit-Warning"]


PLAIN = "the real path makes a plain picture of this, and bills it"


@pytest.mark.parametrize("fields", [{"prompt": "a cat"}, {"image": "https://example.com/a.png"}])
def test_what_the_real_path_makes_a_plain_picture_of(api: Api, fields: dict[str, Any]) -> None:
    """In the header, the log, the journal and the advice."""
    answer = api.create(fields)
    advice = [mistake for mistake in Control.of(api.simulator).advice() if mistake["kind"] == "plain-picture"]

    assert answer.status_code == 400
    assert f"subject_image_list is missing: {PLAIN}" in answer.headers["Klingkit-Warning"]
    assert [PLAIN in mistake["text"] for mistake in advice] == [True]
    assert "style_image" not in answer.headers["Klingkit-Warning"]


def test_an_image_beside_the_list_is_told_what_it_would_be(api: Api) -> None:
    answer = api.create(body(image="https://example.com/a.png"))
    assert answer.headers["Klingkit-Warning"] == (
        f"unknown field 'image' is ignored: {PLAIN}, where subject_image_list is missing"
    )
    assert "did you mean" not in api.create(body(negative_prompt="x")).headers["Klingkit-Warning"]


def test_a_field_for_the_size_is_not_taken_for_the_shape(api: Api) -> None:
    """As prompture sends it."""
    warning = api.create(body(image_size="1k")).headers["Klingkit-Warning"]
    assert "nothing here sets how large a picture is" in warning


def test_where_plain_pictures_have_a_path_of_their_own_nobody_says_that_one_would_be_made(
    make_api: Callable[..., Api],
) -> None:
    path = "/v1/images/multi-image2image"
    answer = make_api(contract="kling").send_unchecked("POST", path, json={"image": "https://example.com/a.png"})
    assert answer.headers["Klingkit-Warning"] == (
        "unknown field 'image' is ignored: it belongs to plain pictures, which have a path of their own"
    )


def test_an_empty_body_is_no_plain_picture(api: Api) -> None:
    assert "Klingkit-Warning" not in api.create({}).headers


@pytest.mark.parametrize(
    ("picture", "kind"),
    [
        ("data:image/png;base64," + b64(png()), "data-url"),
        (base64.encodebytes(png()).decode(), "base64-lines"),
        (b64(png()).replace("=", "\r\n"), "base64-lines"),
        (b64(png()) + "\n", "base64-lines"),
        (b64(bytes(300_000)) + "\n", "base64-lines"),
        (base64.encodebytes(bytes(300_000)).decode(), "base64-lines"),
        (b64(bytes(300_001)).rstrip("="), "base64-padding"),
        (b64(png()).replace("i", " "), "base64-spaces"),
        ("", "empty-picture"),
        ("  ", "empty-picture"),
        (base64.urlsafe_b64encode(b"\xfb\xef\xbe\xff").decode(), "base64-url-safe"),
        (b64(b"abcd").rstrip("="), "base64-padding"),
        (b64(b"abcde").rstrip("="), "base64-padding"),
        (b64(b"abcd").replace("=", "%3D"), "base64-quoted"),
        (str(base64.b64encode(png())), "bytes-text"),
        ("ftp://example.com/a.png", "wrong-scheme"),
        ("file:///home/me/a.png", "wrong-scheme"),
        ("C:\\pictures\\anna.JPG", "file-name"),
        ("www.example.com/anna.jpeg?size=2", "file-name"),
        ("\u00e4\u00f6", "no-base64"),
        ("(none)", "no-base64"),
    ],
)
@pytest.mark.parametrize("place", ["style_image", "subject_image_list[1].subject_image"])
def test_what_is_no_base64_is_named_as_what_it_is(api: Api, picture: str, kind: str, place: str) -> None:
    fine = "https://example.com/a.png"
    fields = {"style_image": picture} if place == "style_image" else {"subject_image_list": subjects(fine, picture)}
    answer = api.create(body(**fields))
    (mistake,) = Control.of(api.simulator).advice()

    assert answer.status_code == 400
    assert mistake["kind"] == kind
    assert mistake["text"].startswith(f"{place} ")
    assert answer.headers["Klingkit-Warning"] == mistake["text"]


def test_a_bare_url_in_the_list_is_told_that_it_needs_an_object(api: Api) -> None:
    answer = api.create(body(subject_image_list=["https://example.com/a.png"] * 2))
    says = 'subject_image_list[0] is a text, and has to be an object: {"subject_image": ...}'
    assert answer.headers["Klingkit-Warning"] == says


def gif() -> bytes:
    out = BytesIO()
    Image.new("P", (300, 300)).save(out, "GIF")
    return out.getvalue()


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (png(200, 400), "is 200 x 400 px, less than 300 px each way: Image pixel is invalid"),
        (png(300, 900), "is 300 x 900 px, longer than 1:2.5 (3.00): Image pixel is invalid"),
        (gif(), f"is a file of {len(gif())} bytes that looks like GIF, and no PNG or JPEG that can be read"),
        (b"<html>not found</html>", "is a file of 22 bytes that looks like SVG or HTML, and no PNG or JPEG"),
        (b"abc", "is a file of 3 bytes, and no PNG or JPEG that can be read"),
    ],
)
def test_a_picture_that_makes_a_task_fail_is_named_with_the_reason(
    api: Api, clock: Clock, caplog: pytest.LogCaptureFixture, data: bytes, says: str
) -> None:
    """On create, where nothing else shows it, and when the end is seen; in header and log."""
    caplog.set_level("INFO", "klingkit")
    created = api.create(body(scence_image=b64(data)))
    clock.move_to(clock.now() + 60_000)
    ended = api.query(data_of(created)["task_id"])

    for answer in (created, ended):
        assert f"scence_image {says}" in answer.headers["Klingkit-Warning"]
    assert [f"scence_image {says}" in line for line in caplog.messages] == [True, True]
    assert kinds(api) == ["picture"]


def test_a_picture_that_cannot_be_fetched_is_named(api: Api) -> None:
    answer = api.create(body(style_image="https://me:secret@nobody.invalid/a.png?token=secret"))
    assert answer.headers["Klingkit-Warning"] == "style_image cannot be fetched: https://nobody.invalid/a.png"


def test_a_file_that_is_too_large_is_named(api: Api) -> None:
    answer = api.create(body(style_image=b64(bytes(10 * 1024 * 1024 + 300_000))))
    assert answer.headers["Klingkit-Warning"] == "style_image is 10.3 MB large, more than 10 MB"


@pytest.mark.parametrize(
    "path", ["/v1/images/generations/{}", "/kling/v1/tasks/{}", "/kling/v1/images/generations/{}/", "/kling/x", "/t/{}"]
)
def test_an_invented_path(api: Api, path: str) -> None:
    task_id = data_of(api.create())["task_id"]
    response = api.send("GET", path.format(task_id))

    assert response.status_code == 404
    assert f"{PATH}/TASK_ID" in response.headers["Klingkit-Warning"]
    assert kinds(api, "key") == ["wrong-path"]
    assert kinds(api, "another") == []


def test_other_wrong_paths_are_no_advice(api: Api) -> None:
    for path in ("/", "/favicon.ico", "/robots.txt"):
        api.send("GET", path)
    assert kinds(api) == []


@pytest.mark.everywhere
def test_an_id_that_passed_through_a_float(api: Api) -> None:
    task_id = data_of(api.create())["task_id"]
    response = api.query(str(int(float(task_id))))

    assert response.status_code == 400
    assert task_id in response.headers["Klingkit-Warning"]
    assert kinds(api) == ["mangled-id"]
    api.query("100000000000000000")
    assert kinds(api) == ["mangled-id"]


def test_an_id_that_is_written_as_a_float_is_named(api: Api) -> None:
    """As JavaScript and spreadsheets write a large number; of somebody else's task nothing is said."""
    task_id = data_of(api.create())["task_id"]
    written = repr(float(task_id))
    assert "e+" in written
    assert task_id in api.query(written).headers["Klingkit-Warning"]
    assert "Klingkit-Warning" not in api.query(written, key="other").headers
    assert "Klingkit-Warning" not in api.query("9e99").headers


def test_polling_after_the_end(api: Api, clock: Clock) -> None:
    task_id = ended(api, clock)
    fetch(api, task_id)
    assert "Klingkit-Warning" not in api.query(task_id).headers
    assert "has ended" in api.query(task_id).headers["Klingkit-Warning"]
    assert kinds(api) == ["poll-after-end"]


@pytest.mark.parametrize(
    ("pauses", "found"),
    [
        ([0.1] * 10, ["poll-too-fast"]),
        ([0.9] * 4, ["poll-too-fast"]),
        ([1.0] * 10, []),
        ([0.1, 0.2, 0.4, 0.8, 1.6, 3.2], []),
        ([0.5, 0.5], []),
    ],
)
def test_polling_faster_than_once_a_second(
    referee: OpenAPI, wall: list[float], pauses: list[float], found: list[str]
) -> None:
    """In the machine's time, and not where the pauses grow."""
    api = Api(Simulator(Settings(speed=0.001)), referee)
    task_id = data_of(api.create())["task_id"]
    api.query(task_id)
    for pause in pauses:
        wall[0] += pause
        api.query(task_id)
    assert kinds(api) == found


def test_where_the_clock_stands_still_nobody_has_to_wait(api: Api) -> None:
    task_id = data_of(api.create())["task_id"]
    for _ in range(10):
        api.query(task_id)
    assert kinds(api) == []


def test_a_request_id_taken_for_the_id_of_the_task(api: Api) -> None:
    request_id = json.loads(api.create().data)["request_id"]
    assert "data.task_id" in api.query(request_id).headers["Klingkit-Warning"]
    assert kinds(api) == ["request-id"]


def test_the_same_thing_twice(api: Api) -> None:
    for prompt in ("a", "b", "a"):
        api.create(body(prompt=prompt))
    for _ in range(2):
        api.create(body(external_task_id="x"))
    (advice,) = Control.of(api.simulator).advice()
    assert (advice["kind"], advice["request"]) == ("same-again", 3)
    assert "first: request 1" in advice["text"]


def test_pictures_that_are_never_fetched(api: Api, clock: Clock) -> None:
    task_id = ended(api, clock)
    api.query(task_id)
    assert kinds(api) == ["never-fetched"]
    fetch(api, task_id)
    assert kinds(api) == []


def test_repeating_1102(api: Api) -> None:
    Control.of(api.simulator, key="key").configure(balance="0")
    for _ in range(3):
        api.create()
    assert kinds(api) == ["retry-1102", "retry-1102"]


def test_advice_is_of_one_account(api: Api) -> None:
    api.create(body(scene_image="x"), key="one")
    assert (kinds(api, "one"), kinds(api, "two"), kinds(api)) == (["unknown-field"], [], ["unknown-field"])


def test_the_same_mistake_is_named_once(api: Api, clock: Clock, wall: list[float]) -> None:
    task_id = ended(api, clock)
    fetch(api, task_id)
    for _ in range(5):
        wall[0] += 1.0
        api.query(task_id)
    assert kinds(api) == ["poll-after-end"]


@pytest.mark.parametrize(
    ("marker", "says"),
    [("Instant", "did you mean [[instant]]?"), ("error-13003", "[[error-1303]]"), ("slow:abc", "is not a factor")],
)
def test_what_looks_like_a_scenario_and_is_none(api: Api, marker: str, says: str) -> None:
    response = api.create(body(prompt=f"[[{marker}]] [[friends]] é"))
    assert response.status_code == 200
    assert says in response.headers["Klingkit-Warning"]
    assert kinds(api) == ["unknown-scenario"]


def test_every_kind_says_what_to_do() -> None:
    assert all(REMEDIES.values())


def run(*arguments: str) -> Any:
    return CliRunner().invoke(main, ["advice", *arguments])


def test_the_command_prints_advice_and_exits_with_1(server: Running) -> None:
    url = ["--base-url", server.url, "--key", "advice-test"]
    nothing = run(*url)
    assert (nothing.exit_code, "no requests of that account" in nothing.stderr) == (2, True)
    with KlingClient("advice-test", server.url) as client:
        client.create(["https://example.com/a.png"] * 2)
        clean = run(*url)
        assert (clean.exit_code, clean.stdout) == (0, "no mistakes found; requests: 1\n")
        client.create(["https://example.com/a.png"] * 2)
    found = run(*url)
    assert found.exit_code == 1
    assert found.stdout.startswith("same-again (request ")
    assert "external_task_id" in found.stdout
    as_json = run(*url, "--json")
    assert as_json.exit_code == 1
    assert [mistake["kind"] for mistake in json.loads(as_json.stdout)] == ["same-again"]
    assert run("--base-url", "foo").exit_code == 2
    nobody = run("--base-url", "http://127.0.0.1:1")
    assert (nobody.exit_code, "nothing there answers" in nobody.stderr) == (2, True)
