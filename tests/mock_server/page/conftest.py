"""Looking at the page: as HTML, by the application itself, and in a real browser."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import pytest

from klingkit.mock_server.app import create_app
from klingkit.mock_server.serving.thread_server import ThreadServer
from tests.mock_server.page.html import Node, parsed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser, Page
    from werkzeug.test import TestResponse

    from tests.conftest import Api

HTML = "text/html,application/xhtml+xml"
CHROMIUM = shutil.which("chromium")


class Visitor:
    """Looks at the page of a simulator without a browser."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self._client = create_app(api.simulator).test_client()

    def send(self, method: str, path: str, **request: Any) -> TestResponse:
        """Send what a browser on this machine would, and return the answer."""
        headers = {"Host": "localhost:8000", "Accept": HTML, **request.pop("headers", {})}
        return self._client.open(path, method=method, headers=headers, **request)

    def look(self, path: str = "/_mock/", http: int = 200) -> Node:
        """Return the screen at an address."""
        answer = self.send("GET", path)
        assert (answer.status_code, answer.mimetype) == (http, "text/html"), answer.text[:2000]
        return parsed(answer.text)

    def poll(self, path: str, tag: str = "") -> TestResponse:
        """Ask for the live part of a screen, as htmx does."""
        headers = {"HX-Request": "true", **({"HX-PTag": tag} if tag else {})}
        return self.send("GET", path, headers=headers)

    def do(self, operation_id: str, back: str = "/_mock/", http: int = 200, **fields: str) -> Node:
        """Send a form, and return the screen that answers it."""
        fields = {name.replace("__", "."): value for name, value in fields.items()}
        answer = self.send("POST", f"/_mock/page/do/{operation_id}", data={"back": back, **fields})
        assert answer.status_code == http, answer.text[:2000]
        return parsed(answer.text)


@pytest.fixture
def visitor(api: Api) -> Visitor:
    """Look at the page of a simulator whose clock stands still."""
    return Visitor(api)


@contextmanager
def served(api: Api) -> Iterator[str]:
    """Serve a simulator on a free port; yield the URL."""
    crashes: list[Exception] = []
    server = ThreadServer(create_app(api.simulator), api.simulator, crashes.append)
    try:
        yield server.url
    finally:
        server.stop()
    assert crashes == []


@pytest.fixture
def url(api: Api) -> Iterator[str]:
    """Where `api` is served for a browser."""
    with served(api) as found:
        yield found


# Playwright's synchronous interface runs an event loop in the thread that uses it, which a test of asyncio could not share. So
# it has a thread of its own, in which tests that look with a browser run as a whole.


@pytest.fixture(scope="session")
def browser_thread() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1, "browser") as thread:
        yield thread


@pytest.fixture(scope="session")
def browser(browser_thread: ThreadPoolExecutor) -> Iterator[Browser]:
    """Debian's Chromium; nothing is downloaded."""
    if CHROMIUM is None:
        pytest.skip("no Debian chromium")
    from playwright.sync_api import sync_playwright

    playwright = browser_thread.submit(lambda: sync_playwright().start()).result()
    arguments = ["--no-sandbox", "--disable-dev-shm-usage"]
    launched = browser_thread.submit(playwright.chromium.launch, executable_path=CHROMIUM, args=arguments).result()
    yield launched
    browser_thread.submit(launched.close).result()
    browser_thread.submit(playwright.stop).result()


NOT_OF_THE_PAGE = ("net::ERR_CONNECTION", "net::ERR_EMPTY_RESPONSE", "Failed to fetch", "status of 400 ")


class Complaints(list[str]):
    """What a browser complains about: errors of scripts, refusals, and what the Content-Security-Policy has forbidden."""

    def note(self, text: str) -> None:
        """Keep a complaint; not that a form was refused, nor that a server is gone, as to a page that is open when its test ends."""
        if not any(each in text for each in NOT_OF_THE_PAGE):
            self.append(text)


@pytest.fixture
def complaints() -> Complaints:
    """Must be empty at the end; a test that expects some clears it."""
    return Complaints()


@pytest.fixture
def new_page(
    browser: Browser, browser_thread: ThreadPoolExecutor, complaints: Complaints
) -> Iterator[Callable[..., Page]]:
    """Open a page of a context of its own; options are those of Playwright's `new_context`. Only for tests that use `page`."""
    opened = []

    def make(**options: Any) -> Page:
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **options})
        opened.append(context)
        page = context.new_page()
        page.set_default_timeout(10_000)
        page.on("pageerror", lambda error: complaints.note(str(error)))
        page.on("console", lambda message: complaints.note(message.text) if message.type == "error" else None)
        return page

    yield make
    for context in opened:
        browser_thread.submit(context.close).result()
    assert complaints == []


@pytest.fixture
def page(new_page: Callable[..., Page], browser_thread: ThreadPoolExecutor) -> Page:
    """A page of a browser. The test that uses it runs in the thread of the browser."""
    return browser_thread.submit(new_page).result()


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a test that uses a browser in its thread."""
    if "browser" not in pyfuncitem.fixturenames:
        return None
    thread: ThreadPoolExecutor = pyfuncitem._request.getfixturevalue("browser_thread")
    names = pyfuncitem._fixtureinfo.argnames
    thread.submit(pyfuncitem.obj, **{name: pyfuncitem.funcargs[name] for name in names}).result()
    return True


@pytest.fixture(scope="session")
def axe_source() -> str:
    """axe-core, which finds what keeps people from using a page."""
    return files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")


@pytest.fixture
def accessible(axe_source: str) -> Callable[[Page], None]:
    """Fail if axe-core finds anything on a page."""

    def check(page: Page) -> None:
        page.evaluate(axe_source)
        found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
        assert [
            f"{one['id']} ({one['impact']}): {one['help']}: {[node['html'][:200] for node in one['nodes'][:3]]}"
            for one in found
        ] == []

    return check
