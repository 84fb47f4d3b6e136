"""Make the pictures of the page in this folder: `python docs/make_pictures.py`. Needs Playwright and Debian's chromium.

They are of a simulator that this script fills, and are made after it has looked whether the page shows what they are to show.
"""

from __future__ import annotations

import base64
import io
import shutil
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Page, expect, sync_playwright

from klingkit.mock_server.app import create_app
from klingkit.mock_server.clock import START, ClockState
from klingkit.mock_server.control.client import Control
from klingkit.mock_server.deliveries import Reply
from klingkit.mock_server.serving.thread_server import ThreadServer
from klingkit.mock_server.settings import Settings
from klingkit.mock_server.simulator import Simulator

HERE = Path(__file__).parent
CREATE = "/kling/v1/images/generations"
WIDTH, COLOURS = 1180, 256
SHOP, BROKEN = "http://127.0.0.1:9000/kling", "http://127.0.0.1:9001/old-hook"


def receiver(url: str, _body: bytes, _headers: dict[str, str], *, timeout_ms: int) -> Reply:  # noqa: ARG001
    """Answer a callback: one receiver works, the other has moved."""
    return Reply(200) if url == SHOP else Reply(404, (("Content-Type", "text/plain"),), b"no route for /old-hook")


class Shop:
    """Somebody's code, which uses the service well and not so well."""

    def __init__(self, simulator: Simulator) -> None:
        self._client = create_app(simulator).test_client()
        self._control = Control.of(simulator)

    def submit(self, prompt: str, order: str = "", **fields: Any) -> str:
        """Send a create; return the id of its task, empty if it is refused."""
        pictures = [
            {"subject_image": base64.b64encode((HERE / f"{name}.png").read_bytes()).decode()}
            for name in ("anna", "ben")
        ]
        known = {"external_task_id": order} if order else {}
        body = {"model_name": "kling-v2", "prompt": prompt, "subject_image_list": pictures, **known, **fields}
        answer = self._client.post(CREATE, json=body, headers={"Authorization": "Bearer shop", "Host": "127.0.0.1"})
        return str(answer.json["data"]["task_id"]) if answer.status_code == 200 and answer.json else ""

    def query(self, task_id: str) -> None:
        """Ask how a task is."""
        self._client.get(f"{CREATE}/{task_id}", headers={"Authorization": "Bearer shop", "Host": "127.0.0.1"})

    def day(self) -> dict[str, str]:
        """Do what the pictures show; return the ids of its tasks."""
        paris = self.submit("two friends in Paris", "order-1001", callback_url=SHOP)
        for pause in ("40ms", "900ms", "2s"):
            self._control.advance(pause)
            self.query(paris)
        beach = self.submit("two friends at the beach", "order-1002", callback_url=BROKEN)
        self._control.advance("1m")
        crowd = self.submit("[[fail-moderation]] two friends in a fight", "order-1003")
        self._control.advance("10s")
        self.query(crowd)
        night = self.submit("two friends at night", "order-1004", callback_url=SHOP)
        self._control.advance("300ms")
        self.query(night)
        self.submit("two friends in the rain", "order-1005", promt="with umbrellas", callback_url=SHOP)
        self.submit("two friends on the moon", "order-1006", aspect_ratio="16:10")
        return {"paris": paris, "beach": beach, "crowd": crowd, "night": night}


def keep(page: Page, name: str, height: int) -> None:
    """Write what is seen of a page, with few colours, so that it is small."""
    page.set_viewport_size({"width": WIDTH, "height": height})
    for picture in page.locator("main img").all():
        picture.scroll_into_view_if_needed()  # they are fetched when they come into view
        picture.evaluate("picture => picture.decode()")
    page.evaluate("scrollTo(0, 0)")
    shot = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    file = HERE / f"page-{name}.png"
    shot.quantize(COLOURS, dither=Image.Dither.NONE).save(file, optimize=True)
    print(f"{file.name} {file.stat().st_size // 1024} KB")


def look(page: Page, url: str, ids: dict[str, str]) -> None:
    """Look at each screen, and keep it."""
    main = page.locator("main")
    page.goto(f"{url}/_mock/")
    expect(main.locator("tbody tr")).to_have_count(5)
    expect(main.locator("tbody tr").first).to_contain_text("order-1005")
    expect(main.locator("tbody tr").nth(1)).to_contain_text("processing")
    expect(main.locator("tbody tr").nth(2)).to_contain_text("failed")
    keep(page, "tasks", 500)
    page.goto(f"{url}/_mock/page/task/{ids['paris']}")
    expect(main).to_contain_text("two friends in Paris")
    keep(page, "task", 1100)
    page.goto(f"{url}/_mock/page/journal")
    expect(main.locator("article").first).to_contain_text(
        "Refused by aspect_ratio.enum: aspect_ratio value '16:10' is invalid"
    )
    expect(main.locator("article").nth(1)).to_contain_text("unknown field 'promt' is ignored")
    keep(page, "journal", 800)
    page.goto(f"{url}/_mock/page/callbacks?task_id={ids['beach']}")
    expect(main).to_contain_text("given up")
    expect(main).to_contain_text("no route for /old-hook")
    keep(page, "callbacks", 620)
    page.goto(f"{url}/_mock/page/clock")
    expect(main).to_contain_text("What lies ahead")
    keep(page, "clock", 620)


def main() -> None:
    """Fill a simulator, and make the pictures."""
    simulator = Simulator(Settings(seed=7), clock=ClockState(START), send=receiver)
    ids = Shop(simulator).day()
    crashes: list[Exception] = []
    server = ThreadServer(create_app(simulator), simulator, crashes.append)
    try:
        with sync_playwright() as playwright:
            chromium = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
            look(chromium.new_page(color_scheme="light", viewport={"width": WIDTH, "height": 800}), server.url, ids)
    finally:
        server.stop()


if __name__ == "__main__":
    main()
