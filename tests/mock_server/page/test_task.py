"""The screen of one task: planned beside happened, its pictures, why it fails, a step by hand, its create once more."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any
from urllib.request import urlopen

import pytest

from klingkit.mock_server.control.client import Control
from tests.conftest import PATH, Api, b64, body, data_of, png, subjects
from tests.mock_server.page.conftest import Visitor
from tests.mock_server.page.html import parsed
from tests.mock_server.test_callbacks import HOOK, Receiver

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from playwright.sync_api import Page

LATEST = "/_mock/page/task/latest"
HOSTILE = "$(touch hostile) `touch hostile` \\ ' \" END\nEND\n\N{CAT FACE} \u202e <script>alert(1)</script>"


def create(api: Api, *, key: str = "key", **fields: Any) -> str:
    task_id: str = data_of(api.create(body(**fields), key=key))["task_id"]
    return task_id


def test_what_was_planned_and_what_happened_stand_on_one_axis(make_api: Callable[..., Api]) -> None:
    api = make_api(send=Receiver(500))
    task_id = create(api, prompt="[[slow:2]]", callback_url=HOOK)
    Control.of(api.simulator).advance("5s")
    api.query(task_id)
    Control.of(api.simulator).advance("5m")
    looked = Visitor(api).look(f"/_mock/page/task/{task_id}")

    titles = [title.text for title in looked.one("svg").all("title")]
    assert sum(title.startswith("succeed, ") for title in titles) == 2
    assert any(title.startswith("callback of submitted: HTTP 500, ") for title in titles)
    assert any(title.startswith("query 2, 00:00:05.000") for title in titles)
    assert any(title.startswith("the clock was moved, from 00:00:00.000") for title in titles)
    told = [row[1:] for row in looked.one("table", id="life").rows()]
    assert ["0.0 s", "status submitted"] in told
    assert ["5.0 s", "a query, request 2"] in told
    assert told.index(["5.0 s", "the clock was moved"]) > 0
    places = [float(each.attrs["x"]) for each in looked.one("svg").all("rect")]
    assert all(96 <= place <= 944 for place in places)


def test_a_task_on_its_way_shows_what_lies_ahead_and_now(api: Api, visitor: Visitor) -> None:
    create(api, prompt="[[slow:2]]")
    looked = visitor.look(LATEST)
    assert len(looked.one("svg").all("path", class_="now")) == 1
    assert [row[2] for row in looked.one("table", id="life").rows()] == [
        "status submitted",
        "planned: status processing",
        "planned: status succeed",
    ]
    Control.of(api.simulator).advance("5m")
    assert visitor.look(LATEST).one("svg").all("path", class_="now") == []


@pytest.mark.parametrize(("progression", "says"), [("manual", "each step by hand"), ("polls", "each step by a query")])
def test_a_task_that_time_does_not_move_is_moved_by_its_button(
    api: Api, visitor: Visitor, progression: str, says: str
) -> None:
    Control.of(api.simulator, key="key").configure(progression=progression)
    task_id = create(api)
    looked = visitor.look(LATEST)
    assert f"no times: submitted → processing → succeed, {says}" in looked.text
    for status in ("processing", "succeed"):
        done = visitor.do("move_task", back=LATEST, task_id=task_id)
        assert done.one("p", class_="actions").all("span", class_="badge")[0].text == status
    assert "It has ended: succeed is where its plan ends." in done.text
    assert [button for button in done.all("button") if button.text == "Move a step"] == []


def test_a_task_that_never_ends_says_so(api: Api, visitor: Visitor) -> None:
    create(api, prompt="[[stuck-processing]]")
    Control.of(api.simulator).advance("30d")
    assert "keeps it in processing for ever" in visitor.look(LATEST).text


def test_the_rule_that_makes_it_fail_is_told_in_plain_words(api: Api, visitor: Visitor) -> None:
    create(api, subject_image_list=subjects(b64(png(299, 299)), b64(png())))
    assert "It will fail: subject_image_list[0].subject_image is 299 x 299 px" in visitor.look(LATEST).text
    Control.of(api.simulator).advance("5m")
    looked = visitor.look(LATEST)
    assert "It failed: subject_image_list[0].subject_image is 299 x 299 px, less than 300 px" in looked.text
    why = looked.one("details", id="why").text
    assert "openapi.yaml#/components/schemas/ImageSource/x-rules/pixels" in why
    assert "That there is this limit documented" in why
    assert "given back since it failed" in looked.text
    assert looked.text.count("a task that its pictures make fail needs none") == 2


@pytest.mark.parametrize(
    ("scenario", "message"), [("fail-pixels", "Image pixel is invalid"), ("fail:too dark", "too dark")]
)
def test_a_task_that_its_scenario_makes_fail_says_so_first(
    api: Api, visitor: Visitor, scenario: str, message: str
) -> None:
    task_id = create(api, prompt=f"[[{scenario}]]", subject_image_list=subjects(b64(png()), b64(png())))
    Control.of(api.simulator).advance("5m")
    looked = visitor.look(LATEST)
    said = next(each for each in looked.all(class_="bad") if each.text.startswith("It failed"))
    why = f"its prompt asks for the scenario {scenario}; your pictures are not at fault"
    assert said.text.startswith(f"It failed since {why}. What it does It says: {message}")
    assert visitor.look(said.all("a")[0].attrs["href"]).one("h1").text == "Scenarios"
    assert "its pictures make" not in looked.text
    assert why in visitor.look().one("tr", id=f"task-{task_id}").text


def test_pictures_stand_beside_the_results_and_lead_to_their_full_size(api: Api, visitor: Visitor) -> None:
    task_id = create(api, n=2, subject_image_list=subjects(b64(png(400, 300)), "https://example.com/a.png"))
    Control.of(api.simulator).advance("5m")
    looked = visitor.look(LATEST)
    assert [image.attrs["src"] for image in looked.all("img")] == [
        f"/_mock/tasks/{task_id}/{each}?width=480" for each in ("inputs/0", "results/0", "results/1")
    ]
    results = looked.one("section", aria_labelledby="h-results")
    assert "bytes" not in results.text
    visitor.send("GET", f"/_mock/tasks/{task_id}/results/1?width=480")
    assert (
        visitor.look(LATEST).one("section", aria_labelledby="h-results").text.count(" bytes, image/png; expires") == 1
    )
    full = looked.one("a", href=f"/_mock/tasks/{task_id}/results/1")
    assert (full.attrs["target"], full.attrs["rel"]) == ("_blank", "noopener")
    assert "400 \N{MULTIPLICATION SIGN} 300 px" in looked.text
    assert "given by its URL, and not fetched" in looked.text
    Control.of(api.simulator).advance("31d")
    assert visitor.look(LATEST).text.count("expired: the service keeps a result for a while only") == 2


def test_what_its_requests_could_do_otherwise_stands_with_it(api: Api, visitor: Visitor) -> None:
    create(api, promt="a bus")
    task_id = create(api, prompt="[[fail-pixel]]")
    Control.of(api.simulator).advance("5m")
    api.query(task_id)
    api.query(task_id)
    advice = visitor.look(LATEST).one("section", aria_label="Advice")
    kinds = [item.text.partition(":")[0] for item in advice.all("li")]
    assert {"poll after end", "unknown scenario"} <= {*kinds} <= {"poll after end", "unknown scenario", "never fetched"}
    (link, *_) = advice.all("a")
    assert visitor.look(link.attrs["href"].partition("#")[0]).one("section", id=link.attrs["href"].partition("#")[2])


def test_a_task_that_is_gone_is_said_in_its_place(visitor: Visitor) -> None:
    assert "there is no task '123'" in visitor.look("/_mock/page/task/123", 404).text
    assert "there is no task yet" in visitor.look(LATEST, 404).text


def test_long_text_is_folded_and_all_of_it_there(api: Api, visitor: Visitor) -> None:
    create(api, prompt="\N{CAT FACE}" * 2500, external_task_id="x" * 10_000)
    looked = visitor.look(LATEST)
    assert "\N{CAT FACE}" * 2500 in looked.one("details", id="prompt").text
    assert "x" * 10_000 in looked.one("details", id="external").text


# Once more


def test_its_create_runs_again_as_curl_and_as_python(api: Api, url: str, tmp_path: Path) -> None:
    """Whatever its prompt would like a shell to do."""
    pictures = [png(400, 300), png()]
    create(
        api,
        prompt=HOSTILE,
        subject_image_list=subjects(*map(b64, pictures)),
        style_image="https://example.com/$(touch hostile).png",
        external_task_id="order-1",
    )
    first = api.simulator.store.tasks()[-1]
    code = {name: _code(url, name) for name in ("curl", "python")}
    environment = {**os.environ, "COMETAPI_KEY": "key"}
    answers = [
        subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=True)
        for command in (["sh", "-c", code["curl"]], [sys.executable, "-c", code["python"]])
    ]

    assert json.loads(answers[0].stdout)["code"] == 0
    assert answers[1].stdout.startswith("200 ")
    assert not (tmp_path / "hostile").exists()
    tasks = api.simulator.store.tasks()
    assert len(tasks) == 3
    for task in tasks[1:]:
        assert (task.prompt, task.n, task.aspect_ratio) == (first.prompt, first.n, first.aspect_ratio)
        assert [each.place for each in task.pictures] == [each.place for each in first.pictures]
        assert task.pictures[2].url == "https://example.com/$(touch%20hostile).png"
        assert [api.simulator.store.input(task.task_id, number) for number in (0, 1)] == pictures
    assert f" {url}{PATH} " in code["curl"]


def test_what_is_not_there_any_more_is_said_to_be_put_in(api: Api, url: str, visitor: Visitor, tmp_path: Path) -> None:
    """And the rest of a URL, which may be a signature, stands nowhere."""
    create(
        api,
        prompt="picture( and file(",
        subject_image_list=subjects(b64(png(299, 299)), "https://example.com/a.png?sig=SECRET"),
    )
    looked = visitor.look(LATEST)
    assert "SECRET" not in looked.text
    assert "https://example.com/a.png?..." in looked.text
    assert (
        "What is not kept is read from input-0.png : put a picture there. The query of a URL is not shown"
        in looked.text
    )
    assert "with the key in COMETAPI_KEY , or with the key any if that is not set" in looked.text
    tmp_path.joinpath("input-0.png").write_bytes(png(400, 300))
    environment = {name: value for name, value in os.environ.items() if name != "COMETAPI_KEY"}
    for command in (["sh", "-c", _code(url, "curl")], [sys.executable, "-c", _code(url, "python")]):
        subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, timeout=60, check=True)
    first, *others = api.simulator.store.tasks()
    assert len(others) == 2
    for task in others:
        assert task.account != first.account
        assert (task.prompt, task.plan.why) == (first.prompt, "")
        assert task.pictures[1].url == "https://example.com/a.png?PUT-THE-QUERY-OF-YOUR-URL-HERE"


def _code(url: str, name: str) -> str:
    """Return a text of the screen with its line breaks."""
    with urlopen(url + LATEST) as answer:
        html = parsed(answer.read().decode())
    (text,) = html.one("pre", id=name).inside
    assert isinstance(text, str)
    return text


# In a browser


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_task_is_looked_at_and_moved_in_a_browser(
    api: Api,
    url: str,
    page: Page,
    new_page: Callable[..., Page],
    accessible: Callable[[Page], None],
    *,
    scheme: str,
) -> None:
    Control.of(api.simulator, key="key").configure(progression="manual")
    create(api, prompt=HOSTILE, subject_image_list=subjects(b64(png()), b64(png())))
    page = new_page(color_scheme=scheme, viewport={"width": 360, "height": 740})
    page.goto(url + LATEST)
    accessible(page)
    page.get_by_role("button", name="Move a step").click()
    page.get_by_role("button", name="Move a step").click()
    page.get_by_text("It has ended").wait_for()
    page.get_by_alt_text("result 0").wait_for()
    page.get_by_text("The same as a table").click()
    assert page.locator("#life tbody tr").count() == 3
    accessible(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
