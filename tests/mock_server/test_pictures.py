"""Result pictures: real PNGs, of the asked ratio, made from what the request gave."""

from __future__ import annotations

import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from klingkit.contract import load_contract
from klingkit.contract.pictures import measure
from klingkit.mock_server.cache import Workshop
from klingkit.mock_server.pictures import render
from klingkit.mock_server.settings import Settings
from klingkit.mock_server.simulator import Simulator
from tests.conftest import PATH, URL, Api, Clock, b64, body, data_of, png, png_header, serving, subjects

if TYPE_CHECKING:
    from collections.abc import Callable

    from werkzeug.test import TestResponse

    from klingkit.contract import Contract


RATIOS = load_contract().document["components"]["schemas"]["CreateRequest"]["properties"]["aspect_ratio"]["enum"]
DAY = 24 * 60 * 60 * 1000
Pixel = tuple[int, ...]


def fetch(api: Api, request: dict[str, Any], index: int = 0, **headers: str) -> TestResponse:
    """Create a task and get one of its pictures, without a key."""
    task_id = data_of(api.create(request))["task_id"]
    url = data_of(api.query(task_id))["task_result"]["images"][index]["url"]
    return api.send("GET", url.removeprefix("https://api.cometapi.com"), key=None, headers=headers)


def opened(response: TestResponse) -> Image.Image:
    assert (response.status_code, response.mimetype) == (200, "image/png")
    image = Image.open(BytesIO(response.data))
    image.load()
    return image


@pytest.fixture
def instant(make_api: Callable[..., Api]) -> Api:
    return make_api(instant=True)


@pytest.mark.parametrize("ratio", [..., *RATIOS])
def test_a_picture_has_the_asked_ratio(instant: Api, ratio: Any) -> None:
    image = opened(fetch(instant, body(aspect_ratio=ratio)))

    width, height = map(int, ("16:9" if ratio in (..., None) else ratio).split(":"))
    assert image.format == "PNG"
    assert image.width / image.height == pytest.approx(width / height, rel=0.01)


def test_n_pictures_differ_and_each_keeps_its_bytes(instant: Api) -> None:
    task_id = data_of(instant.create(body(n=9)))["task_id"]
    paths = [f"/_mock/pictures/{task_id}/{index}.png" for index in range(10)]
    first = [instant.send("GET", path, key=None) for path in paths]

    assert [response.status_code for response in first] == [200] * 9 + [404]
    assert len({response.data for response in first[:9]}) == 9
    assert [instant.send("GET", path).data for path in paths[:9]] == [response.data for response in first[:9]]


def colours(image: Image.Image) -> set[Pixel]:
    found = image.convert("RGB").getcolors(image.width * image.height)
    assert found
    return {colour for _, colour in found if isinstance(colour, tuple)}


def test_subjects_scene_and_style_are_in_the_picture(instant: Api) -> None:
    """Pixels of both subjects and of the scene are found; a style changes all of them."""
    request = body(
        subject_image_list=subjects(b64(png(colour="#ff0000")), b64(png(colour="#0000ff"))),
        scence_image=b64(png(colour="#00ff00")),
    )
    plain = colours(opened(fetch(instant, request)))
    tinted = colours(opened(fetch(instant, {**request, "style_image": b64(png(colour="#ffffff"))})))

    assert {(255, 0, 0), (0, 0, 255), (0, 255, 0)} <= plain
    assert not {(255, 0, 0), (0, 0, 255), (0, 255, 0)} & tinted
    assert {(255, 76, 76), (76, 76, 255), (76, 255, 76)} <= tinted


def test_the_stamp_names_task_and_prompt(instant: Api) -> None:
    """The whole prompt also stands in the PNG's text, in any script."""
    prompt = "두 친구 in Paris \x00 🎉"
    response = fetch(instant, body(prompt=prompt))
    image = opened(response)
    task = instant.simulator.store.tasks()[0]

    assert image.text["prompt"] == prompt  # type: ignore[attr-defined]
    assert image.text["task_id"] == task.task_id  # type: ignore[attr-defined]
    assert opened(fetch(instant, body(prompt="x"))).tobytes() != opened(fetch(instant, body(prompt="y"))).tobytes()


def test_there_is_no_picture_before_success_or_of_a_failure(api: Api, clock: Clock) -> None:
    good = data_of(api.create())["task_id"]
    bad = data_of(api.create(body(style_image="QUJD")))["task_id"]
    assert api.send("GET", f"/_mock/pictures/{good}/0.png").status_code == 404
    clock.move_to(clock.now() + 60_000)

    assert api.send("GET", f"/_mock/pictures/{good}/0.png").status_code == 200
    for path in (f"{bad}/0.png", f"{good}/1.png", f"{good}/-1.png", f"{good}/x.png", "1/0.png", f"{good}/0.jpg"):
        assert api.send("GET", f"/_mock/pictures/{path}").status_code == 404


def test_results_expire_30_days_after_the_end(api: Api, clock: Clock) -> None:
    task_id = data_of(api.create())["task_id"]
    clock.move_to(clock.now() + 60_000)
    ended = data_of(api.query(task_id))["updated_at"]
    clock.move_to(clock.now() + ended + 30 * DAY - 1 - clock.now())
    assert api.send("GET", f"/_mock/pictures/{task_id}/0.png").status_code == 200
    clock.move_to(clock.now() + 1)

    assert api.send("GET", f"/_mock/pictures/{task_id}/0.png").status_code == 403


def test_head_range_and_revalidation(instant: Api) -> None:
    whole = fetch(instant, body())
    path = whole.request.path
    head = instant.send("HEAD", path, key=None)
    part = instant.send("GET", path, key=None, headers={"Range": "bytes=8-15"})
    beyond = instant.send("GET", path, key=None, headers={"Range": f"bytes={len(whole.data)}-"})
    same = instant.send("GET", path, key=None, headers={"If-None-Match": whole.headers["ETag"]})

    assert int(whole.headers["Content-Length"]) == int(head.headers["Content-Length"]) == len(whole.data)
    assert head.data == b""
    assert (part.status_code, part.data) == (206, whole.data[8:16])
    assert part.headers["Content-Range"] == f"bytes 8-15/{len(whole.data)}"
    assert (beyond.status_code, same.status_code) == (416, 304)


def test_result_urls_use_the_host_that_the_client_used(make_api: Callable[..., Api]) -> None:
    api = make_api(instant=True)
    task_id = data_of(api.create())["task_id"]
    other = api.send("GET", f"/kling/v1/images/generations/{task_id}", headers={"Host": "kling.test:81"})
    public = make_api(instant=True, public_url="https://mock.example")
    public_id = data_of(public.create())["task_id"]

    assert other.json["data"]["task_result"]["images"][0]["url"].startswith("https://kling.test:81/_mock/")  # type: ignore[index]
    assert data_of(public.query(public_id))["task_result"]["images"][0]["url"].startswith("https://mock.example/_mock/")


def test_a_dropped_input_becomes_a_placeholder(make_api: Callable[..., Api]) -> None:
    """The bound on kept inputs costs a subject, never an answer."""
    red, blue = (b64(png(colour=colour) + bytes(300_000)) for colour in ("#ff0000", "#0000ff"))
    api = make_api(instant=True, max_memory=1024**2)  # of which sent pictures have three eighths
    image = opened(fetch(api, body(subject_image_list=subjects(red, blue))))

    assert (255, 0, 0) not in colours(image)
    assert (0, 0, 255) in colours(image)


def test_kept_results_are_bounded_and_rendered_again_alike(make_api: Callable[..., Api]) -> None:
    api = make_api(instant=True, max_memory=8000)
    response = fetch(api, body())

    assert api.send("GET", response.request.path).data == response.data


@pytest.mark.parametrize(
    "data",
    [
        png(2000, 2000)[:400],
        png_header(0xFFFF, 0xFFFF),
        png_header(1024, 768, b"noise" * 99),
    ],
    ids=["cut", "huge", "noise"],
)
def test_a_good_header_before_a_broken_body_still_gives_a_picture(instant: Api, data: bytes) -> None:
    """Pictures are judged by header; what cannot be drawn is a placeholder."""
    opened(
        fetch(instant, body(scence_image=b64(data), style_image=b64(data), subject_image_list=subjects(b64(data), URL)))
    )


@given(st.binary(max_size=60), st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", png()[:40], png()[:60]]))
def test_measuring_any_bytes_never_fails(tail: bytes, head: bytes) -> None:
    size = measure(head + tail)

    assert size is None or len(size) == 2


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "I;16", "CMYK"])
def test_every_kind_of_picture_can_be_drawn(contract: Contract, instant: Api, mode: str) -> None:
    out = BytesIO()
    Image.new(mode, (320, 400)).save(out, "JPEG" if mode == "CMYK" else "PNG")
    opened(fetch(instant, body(style_image=b64(out.getvalue()), subject_image_list=subjects(b64(out.getvalue()), URL))))


@given(prompt=st.text(max_size=300))
def test_any_prompt_can_be_drawn(prompt: str) -> None:
    simulator = Simulator()
    task = simulator.create("a", body(prompt=prompt, aspect_ratio="9:16"), "http://host").task
    assert render(task, 0, task.pictures).startswith(b"\x89PNG")


def test_a_picture_that_many_fetch_at_a_time_is_drawn_once() -> None:
    """Everybody gets the very same bytes, also the first who asked."""
    simulator = Simulator(Settings(instant=True))
    task_id = simulator.create("a", body(), "http://host").task.task_id
    start = threading.Barrier(8)

    def fetch_it(_: int) -> int:
        start.wait()
        return id(simulator.picture(task_id, 0))

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(fetch_it, range(8)))) == 1


def test_what_cannot_be_drawn_for_one_cannot_for_the_others() -> None:
    """An error goes to everybody who waits for the same, and the next one tries again."""
    workshop = Workshop()
    with pytest.raises(ZeroDivisionError):
        workshop.get("key", lambda: bytes(1 // 0))
    assert workshop.get("key", lambda: b"data") == b"data"


@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
def test_large_pictures_are_drawn_one_after_the_other(mode: str) -> None:
    """Of 16 megapixels a decoded one takes 64 MB; six results are fetched at a time."""
    out = BytesIO()
    Image.new(mode, (4000, 4000)).save(out, "PNG", compress_level=1)
    headers = {"Authorization": "Bearer key"}
    request = body(subject_image_list=subjects(b64(out.getvalue()), b64(out.getvalue())))
    with serving("--instant") as running:
        ids = [
            requests.post(running.url + PATH, json=request, headers=headers, timeout=20).json()["data"]["task_id"]
            for _ in range(6)
        ]
        requests.get(f"{running.url}/_mock/pictures/{ids.pop()}/0.png", timeout=60)  # libraries are loaded
        process = Path(f"/proc/{running.process.pid}")
        process.joinpath("clear_refs").write_text("5")
        before = peak_mb(process)
        with ThreadPoolExecutor(5) as pool:
            urls = [f"{running.url}/_mock/pictures/{task_id}/0.png" for task_id in ids]
            answers = list(pool.map(lambda url: requests.get(url, timeout=60).status_code, urls))
        grown = peak_mb(process) - before

    assert answers == [200] * 5
    assert grown < 130


def peak_mb(process: Path) -> int:
    line = next(line for line in process.joinpath("status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) // 1024


@pytest.mark.parametrize("side", [8000, 60_000])
def test_a_picture_that_is_too_large_to_be_decoded_says_so(side: int) -> None:
    """Not that it is broken: its placeholder is another one."""
    simulator = Simulator(Settings(instant=True))
    task = simulator.create("a", body(), "http://host").task
    large, broken = (
        render(task, 0, [replace(picture, data=data) for picture in task.pictures])
        for data in (png_header(side, side), png_header(300, 300, b"noise"))
    )
    assert large != broken


def test_a_photo_is_turned_as_its_camera_says(instant: Api) -> None:
    """Its left half lies above: over the blue there is red, and no blue right of it."""
    photo = Image.new("RGB", (4000, 2000), "red")
    photo.paste("blue", (2000, 0, 4000, 2000))
    exif = Image.Exif()
    exif[0x0112] = 6
    out = BytesIO()
    photo.save(out, "PNG", exif=exif)
    image = opened(fetch(instant, body(aspect_ratio="1:1", scence_image=b64(out.getvalue())))).convert("RGB")

    assert image.getpixel((5, 5)) == (255, 0, 0)
    assert image.getpixel((image.width - 5, 5)) == (255, 0, 0)
