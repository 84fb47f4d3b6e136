"""Tasks as the control API shows them: found, in order, with their pictures, and why they fail."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from klingkit.mock_server.control import tasks as control_tasks
from klingkit.mock_server.control.asking import ControlError
from klingkit.mock_server.control.client import Control
from tests.conftest import Api, b64, body, data_of, png, png_header, subjects
from tests.mock_server.test_callbacks import HOOK

if TYPE_CHECKING:
    from collections.abc import Callable

MINUTE = 60_000


def create(api: Api, *, key: str = "key", **fields: Any) -> str:
    task_id: str = data_of(api.create(body(**fields), key=key))["task_id"]
    return task_id


def ids(tasks: list[dict[str, Any]]) -> list[str]:
    return [task["task_id"] for task in tasks]


# Finding


@pytest.mark.everywhere
def test_newest_first_is_the_other_way_round_page_by_page(api: Api) -> None:
    made = [create(api, key=f"key-{number % 2}") for number in range(7)]
    server, mine = Control.of(api.simulator), Control.of(api.simulator, key="key-1")

    assert ids(server.tasks(order="newest")) == made[::-1]
    assert ids(mine.tasks(order="newest")) == made[1::2][::-1]
    assert ids(server.tasks(order="newest", limit=2, after=made[5])) == [made[4], made[3]]
    assert ids(server.tasks(order="newest", after=made[0])) == []


@pytest.mark.everywhere
def test_filters_leave_what_fits_all_of_them(api: Api) -> None:
    plain, slow = create(api, prompt="A RED Bus"), create(api, prompt="a red car [[slow:2]]")
    named = create(api, prompt="", external_task_id="red-7")
    server = Control.of(api.simulator)
    server.advance("5m")
    late = create(api, prompt="stra\u00dfe")

    assert ids(server.tasks(status="submitted")) == [late]
    assert ids(server.tasks(text="red")) == [plain, slow, named]
    assert ids(server.tasks(text="STRASSE")) == [late]
    assert ids(server.tasks(text=named[-6:])) == [named]
    assert ids(server.tasks(scenario="slow")) == ids(server.tasks(scenario="slow:2")) == [slow]
    assert ids(server.tasks(scenario="slow:3")) == []
    assert ids(server.tasks(text="red", status="succeed", scenario="slow", order="newest")) == [slow]
    assert ids(Control.of(api.simulator, key="other").tasks(text="red")) == []


@pytest.mark.everywhere
def test_no_answer_looks_through_everything_and_says_where_to_go_on(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    made = [create(api, prompt="needle" if number in {1, 7} else "hay") for number in range(9)]
    monkeypatch.setattr(control_tasks, "LOOKED_THROUGH", 4)

    def page(query: str) -> tuple[list[str], str]:
        answer = api.send("GET", f"/_mock/tasks?{query}", key=None, headers={"Host": "localhost"})
        return ids(answer.json or []), answer.headers.get("Klingkit-Next", "")

    assert page("text=needle") == ([made[1]], made[3])
    assert page(f"text=needle&after={made[3]}") == ([made[7]], made[7])
    assert page(f"text=needle&after={made[7]}") == ([], "")
    assert page("text=needle&limit=1&order=newest") == ([made[7]], made[7])
    assert page("limit=4") == (made[:4], made[3])
    assert page(f"limit=4&after={made[7]}") == (made[8:], "")
    assert ids(Control.of(api.simulator).tasks(text="needle")) == [made[1], made[7]]
    assert ids(Control.of(api.simulator).tasks(text="needle", limit=2)) == [made[1], made[7]]


@pytest.mark.everywhere
def test_latest_is_the_newest_task_wherever_an_id_is_taken(api: Api) -> None:
    server, mine = Control.of(api.simulator), Control.of(api.simulator, key="mine")
    with pytest.raises(ControlError, match="there is no task yet"):
        server.task("latest")
    first = create(api, key="mine", callback_url=HOOK)
    last = create(api, callback_url=HOOK)
    api.query(last)

    assert (server.task("latest")["task_id"], mine.task("latest")["task_id"]) == (last, first)
    assert mine.move("latest")["task_id"] == first
    assert {each["task_id"] for each in server.deliveries(task_id="latest")} == {last}
    assert [each["task_id"] for each in server.journal(task_id="latest", operation="get_task")] == [last]
    assert server.wait_for_request(task_id="latest", timeout="0s")["task_id"] == last
    with pytest.raises(ControlError, match="there is no task yet of that account"):
        Control.of(api.simulator, key="nobody").task("latest")


# One task


@pytest.mark.everywhere
def test_a_task_says_what_was_asked_and_what_came_of_it(api: Api) -> None:
    create(
        api,
        prompt="two friends [[slow:2]]",
        n=2,
        aspect_ratio="16:9",
        subject_image_list=subjects(b64(png(400, 300)), "https://user:word@example.com/a.png?sig=1"),
        scence_image=b64(png()),
    )
    server = Control.of(api.simulator)
    task = server.task("latest")
    assert (task["prompt"], task["n"], task["aspect_ratio"]) == ("two friends [[slow:2]]", 2, "16:9")
    assert (task["scenario"], task["scenario_source"]) == ("slow:2", "prompt")
    assert (task["cost"], task["currency"], task["message"], task["ended"]) == ("0.0266", "USD", "", False)
    assert task["failure"] is None
    first, second, scene = task["inputs"]
    assert (first["role"], first["kind"], first["width"], first["height"]) == ("subject", "base64", 400, 300)
    assert (first["media_type"], first["bytes"]) == ("image/png", len(png(400, 300)))
    assert (second["kind"], second["url"], second["address"]) == ("url", "https://example.com/a.png?...", None)
    assert scene["role"] == "scene"
    assert task["results"] == []

    server.advance("5m")
    done = server.task("latest")
    assert (done["status"], done["ended"], done["age_ms"]) == ("succeed", True, 5 * MINUTE)
    assert done["updated_at"] == done["timeline"]["happened"][-1]["at"]
    assert [result["address"] for result in done["results"]] == [
        f"/_mock/tasks/{done['task_id']}/results/{number}" for number in (0, 1)
    ]
    assert done["results"][0]["url"].endswith(f"{done['task_id']}/0.png")
    assert done["results"][0]["expires_at"] > done["updated_at"]
    assert done["results"][0]["bytes"] is None
    data = server.result_picture(done["task_id"], 0)
    first, second = server.task("latest")["results"]
    assert (first["bytes"], first["width"] * 9 // 16) == (len(data), first["height"])
    assert second["bytes"] is None


@pytest.mark.everywhere
def test_a_task_that_a_scenario_makes_fail_says_which_and_where_from(api: Api) -> None:
    server = Control.of(api.simulator)
    bad = subjects(b64(png(299, 299)), b64(png()))

    def why(**fields: Any) -> str:
        create(api, **fields)
        said: str = server.task("latest")["scenario_why"]
        return said

    assert why(prompt="[[path:submitted>failed]]").startswith(
        "its prompt asks for the scenario path:submitted>failed; "
    )
    assert (
        why(prompt="[[path:submitted>processing]]") == why(prompt="[[slow:2]]", subject_image_list=bad) == why() == ""
    )
    server.scenario("fail-pixels")
    assert why() == "the scenario fail-pixels was queued for it; your pictures are not at fault"
    server.configure(scenario="fail:too dark")
    assert why() == "the scenario fail:too dark is the default of the server; your pictures are not at fault"


@pytest.mark.everywhere
def test_a_list_does_not_look_at_the_bytes_of_pictures(api: Api) -> None:
    create(api, subject_image_list=subjects(b64(png()), b64(png())))
    create(api, subject_image_list=subjects(b64(png(299, 299)), b64(png())))
    task, failing = Control.of(api.simulator).tasks()
    assert [(each["address"] is None, each["width"]) for each in task["inputs"]] == [(False, None), (False, None)]
    assert [each["address"] for each in failing["inputs"]] == [None, None]


@pytest.mark.everywhere
def test_a_task_that_a_picture_makes_fail_says_by_which_rule_and_why(api: Api) -> None:
    create(api, subject_image_list=subjects(b64(png(299, 299)), b64(png())))
    server = Control.of(api.simulator)
    failure = server.task("latest")["failure"]
    assert failure["rule"] == "subject_image_list.items.subject_image.pixels"
    assert "299 x 299 px" in failure["why"]
    assert {each["aspect"] for each in failure["aspects"]} == {"limit", "answer", "text"}
    server.advance("5m")
    failed = server.task("latest")
    assert (failed["status"], failed["message"], failed["failure"]) == ("failed", failure["says"], failure)


@pytest.mark.everywhere
def test_the_moves_of_its_clock_stand_in_its_timeline(api: Api) -> None:
    server = Control.of(api.simulator)
    server.advance("1m")
    create(api, prompt="[[slow:10]]")
    server.advance("10s")
    server.advance("10m")
    server.advance("1d")
    begun = server.task("latest")["timeline"]["planned"][0]["at"]

    moves = server.task("latest")["timeline"]["moves"]
    assert [(move["by"], move["from"] - begun, move["to"] - begun) for move in moves] == [
        ("advance", -MINUTE, 0),
        ("advance", 0, 10_000),
        ("advance", 10_000, 10 * MINUTE + 10_000),
    ]


# Pictures


def size(data: bytes) -> tuple[int, int]:
    return Image.open(BytesIO(data)).size


@pytest.mark.everywhere
def test_an_input_is_given_as_it_came_and_small(api: Api) -> None:
    picture = png(800, 400)
    task_id = create(api, subject_image_list=subjects(b64(picture), b64(png())))
    server = Control.of(api.simulator)

    assert server.input_picture(task_id, 0) == picture
    small = server.input_picture(task_id, 0, width=96)
    assert (small[:3], size(small)) == (b"\xff\xd8\xff", (96, 48))
    assert server.input_picture("latest", 0, width=96) == small
    assert size(server.input_picture(task_id, 1, width=480)) == (300, 300)
    answer = api.send("GET", f"/_mock/tasks/{task_id}/inputs/0", key=None, headers={"Host": "localhost"})
    assert (answer.mimetype, answer.headers["X-Content-Type-Options"]) == ("image/png", "nosniff")


@pytest.mark.everywhere
def test_a_result_is_given_small_and_that_is_no_fetch_of_the_client(api: Api) -> None:
    task_id = create(api, aspect_ratio="1:1")
    server = Control.of(api.simulator)
    server.advance("5m")

    assert size(server.result_picture(task_id, 0, width=96)) == (96, 96)
    assert size(server.result_picture(task_id, 0))[0] > 480
    record = api.simulator.store.record(task_id)
    assert record is not None
    assert not record.fetched
    with pytest.raises(ControlError, match="no result 1"):
        server.result_picture(task_id, 1, width=96)
    server.advance("31d")
    with pytest.raises(ControlError, match="result 0 has expired"):
        server.result_picture(task_id, 0)


@pytest.mark.parametrize(
    ("data", "width", "says"),
    [
        (png_header(20_000, 8_000), 96, "too large or broken, and cannot be drawn"),
        (png_header(300, 300), 96, "too large or broken, and cannot be drawn"),
        (b"<script>alert(1)</script>", None, "neither a PNG nor a JPEG, and cannot be drawn; it has 25 bytes"),
        (b"<script>alert(1)</script>", 96, "neither a PNG nor a JPEG, and cannot be drawn; it has 25 bytes"),
    ],
)
def test_what_is_no_picture_that_can_be_drawn_is_said(api: Api, data: bytes, width: int | None, says: str) -> None:
    task_id = create(api, subject_image_list=subjects(b64(png()), b64(png())))
    api.simulator.store._inputs._items[task_id, 0] = data  # type: ignore[attr-defined]
    with pytest.raises(ControlError, match=says):
        Control.of(api.simulator).input_picture(task_id, 0, width=width)


def test_a_picture_that_is_not_kept_is_said(make_api: Callable[..., Api]) -> None:
    api = make_api()
    task_id = create(api, subject_image_list=subjects(b64(png(299, 299)), b64(png())))
    with pytest.raises(ControlError, match="not kept any more"):
        Control.of(api.simulator).input_picture(task_id, 0)


def test_a_picture_of_another_account_is_nobodys_business(api: Api) -> None:
    task_id = create(api, subject_image_list=subjects(b64(png()), b64(png())))
    with pytest.raises(ControlError, match="there is no task"):
        Control.of(api.simulator, key="other").input_picture(task_id, 0)
