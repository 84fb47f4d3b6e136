"""No connection leaves for the service, by whatever library: names of its hosts are not resolved."""

from __future__ import annotations

import asyncio
import http.client
import os
import socket
import threading
import urllib.request
from socket import getaddrinfo
from typing import TYPE_CHECKING, Any

import aiohttp
import httpx
import pytest
import requests
import urllib3
import uvloop

import klingkit
from klingkit.contract import load_contract
from klingkit.no_connection import hosts_of, no_connection_to

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from klingkit.kling import Kling

HOST = "api.cometapi.com"
NOBODY = "http://127.0.0.1:9"
URL = f"https://{HOST}/kling/v1/images/generations"
SAYS = (
    f"klingkit lets no connection leave for {HOST}: kling_mock intercepts requests, httpx and aiohttp for the hosts of its contract "
    "(--klingkit-contract), and kling_server, which sets COMETAPI_BASE_URL or KLING_BASE_URL, serves the rest"
)


async def with_aiohttp() -> None:
    async with aiohttp.ClientSession() as session, session.get(URL):
        pass


async def with_another_resolver() -> None:
    connector = aiohttp.TCPConnector(resolver=aiohttp.ThreadedResolver())
    async with aiohttp.ClientSession(connector=connector) as session, session.get(URL):
        pass


async def with_streams() -> None:
    await asyncio.open_connection(HOST, 443)


async def with_a_loop() -> None:
    await asyncio.get_running_loop().getaddrinfo(HOST, 443)


async def with_a_socket_of_a_loop() -> None:
    with socket.socket() as client:
        client.setblocking(False)
        await asyncio.get_running_loop().sock_connect(client, (HOST, 443))


def with_a_socket(name: str) -> None:
    with socket.socket() as client:
        getattr(client, name)((HOST, 443))


def with_a_datagram() -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as client:
        client.connect((HOST, 443))


INTERCEPTED: dict[str, Callable[[], Any]] = {
    "requests": lambda: requests.get(URL, timeout=5),
    "requests-proxy": lambda: requests.get(URL, timeout=5, proxies={"https": NOBODY}),
    "httpx": lambda: httpx.get(URL),
    "aiohttp": lambda: asyncio.run(with_aiohttp()),
    "aiohttp-uvloop": lambda: uvloop.run(with_aiohttp()),
    "aiohttp-resolver": lambda: asyncio.run(with_another_resolver()),
}
OTHERS: dict[str, Callable[[], Any]] = {
    "urllib": lambda: urllib.request.urlopen(URL, timeout=5),
    "http.client": lambda: http.client.HTTPSConnection(HOST).connect(),
    "urllib3": lambda: urllib3.PoolManager().request("GET", URL, retries=False),
    "urllib3-proxy": lambda: urllib3.ProxyManager(NOBODY).request("GET", URL, retries=False),
    "urllib-proxy": lambda: urllib.request.build_opener(urllib.request.ProxyHandler({"https": NOBODY})).open(URL),
    "streams": lambda: asyncio.run(with_streams()),
    "streams-uvloop": lambda: uvloop.run(with_streams()),
    "loop": lambda: asyncio.run(with_a_loop()),
    "loop-uvloop": lambda: uvloop.run(with_a_loop()),
    "sock-connect": lambda: asyncio.run(with_a_socket_of_a_loop()),
    "sock-connect-uvloop": lambda: uvloop.run(with_a_socket_of_a_loop()),
    "create_connection": lambda: socket.create_connection((HOST, 443)),
    "connect": lambda: with_a_socket("connect"),
    "connect_ex": lambda: with_a_socket("connect_ex"),
    "datagram": with_a_datagram,
    "getaddrinfo": lambda: socket.getaddrinfo(HOST, 443),
    "getaddrinfo-taken-before": lambda: getaddrinfo(HOST, 443),
    "gethostbyname": lambda: socket.gethostbyname(HOST),
    "gethostbyname_ex": lambda: socket.gethostbyname_ex(HOST),
    "gethostbyaddr": lambda: socket.gethostbyaddr(HOST),
}


def refused(ask: Callable[[], Any]) -> str:
    """Return what is said to who asks for the service."""
    with pytest.raises((OSError, aiohttp.ClientError, httpx.ConnectError, urllib3.exceptions.HTTPError)) as raised:
        ask()
    return str(raised.value)


@pytest.mark.parametrize("way", OTHERS)
@pytest.mark.parametrize("where", ["kling_mock", "kling_server"])
def test_what_is_not_intercepted_does_not_get_out(way: str, where: str, request: pytest.FixtureRequest) -> None:
    kling: Kling = request.getfixturevalue(where)

    said = refused(OTHERS[way])

    assert SAYS in said
    assert "\n" not in said
    assert f"sent elsewhere:\n  {HOST} (not let out)" in kling.report()


@pytest.mark.parametrize("way", INTERCEPTED)
def test_nothing_gets_out_beside_a_server(way: str, kling_server: Kling) -> None:
    assert SAYS in refused(INTERCEPTED[way])


def test_c_ares_resolves_nothing_either(kling_server: Kling) -> None:
    aiodns = pytest.importorskip("aiodns")

    async def ask() -> None:
        await aiodns.DNSResolver().getaddrinfo(HOST)

    assert SAYS in refused(lambda: asyncio.run(ask()))


FORMS = [
    HOST.upper(),
    HOST + ".",
    HOST.encode(),
    b"API.CometAPI.com.",
    "\uff41pi\u3002cometapi.com",
    HOST + "\0.example",
]


@pytest.mark.parametrize("host", FORMS)
def test_a_host_is_known_in_each_form_in_which_it_is_resolved(kling_mock: Kling, host: Any) -> None:
    assert SAYS in refused(lambda: socket.getaddrinfo(host, 443))


@pytest.mark.parametrize("host", ["localhost", b"localhost", None, "127.0.0.1"])
def test_other_hosts_are_resolved(kling_mock: Kling, host: Any) -> None:
    assert socket.getaddrinfo(host, 443)


@pytest.mark.parametrize("host", [f"not.{HOST}.invalid", f"{HOST}.invalid", "a" * 70, "\uff41" * 70])
def test_a_host_that_there_is_not_is_as_unknown_as_ever(kling_mock: Kling, host: str) -> None:
    with pytest.raises((OSError, UnicodeError)) as raised:
        socket.getaddrinfo(host, 443)
    assert "klingkit" not in str(raised.value)


@pytest.mark.parametrize(
    "form", ["https://API.cometapi.com.", "HTTPS://api.CometAPI.com", "http://api.cometapi.com.:80"]
)
@pytest.mark.parametrize("get", [requests.get, httpx.get], ids=["requests", "httpx"])
def test_what_is_intercepted_is_so_in_each_form(kling_mock: Kling, form: str, get: Callable[[str], Any]) -> None:
    get(form + "/kling/v1/images/generations/1")

    assert len(kling_mock.journal) == 1


def test_it_holds_in_each_thread(kling_mock: Kling) -> None:
    said: list[str] = []
    threads = [threading.Thread(target=lambda: said.append(refused(OTHERS["urllib"]))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [SAYS in line for line in said] == [True] * 4


def test_what_others_say_of_the_host_counts(kling_mock: Kling, monkeypatch: pytest.MonkeyPatch) -> None:
    """A test that leads the name to a server of its own is not disturbed."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = server.getsockname()
        monkeypatch.setattr(
            socket, "getaddrinfo", lambda *_, **__: [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address)]
        )
        with socket.create_connection((HOST, 443), timeout=5) as client:
            assert client.getpeername() == address


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """A proxy that the environment names; nobody listens to who comes."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0)
        for name in ("https_proxy", "HTTPS_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{server.getsockname()[1]}")
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
        yield server


@pytest.mark.parametrize("way", ["urllib", "requests", "httpx"])
@pytest.mark.parametrize("own", ["", "*", "localhost"])
def test_a_proxy_of_the_environment_is_not_asked(
    proxy: socket.socket, way: str, own: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", own)
    before = dict(os.environ)

    with no_connection_to(hosts_of(load_contract())):
        assert SAYS in refused((OTHERS | INTERCEPTED)[way])

    with pytest.raises(BlockingIOError):
        proxy.accept()
    assert before == dict(os.environ)


def test_guards_within_each_other_end_one_by_one() -> None:
    hosts = hosts_of(load_contract())
    told: list[str] = []
    before = socket.socket.connect, uvloop.Loop.create_connection
    with no_connection_to(hosts):
        with no_connection_to(hosts, told.append):
            assert SAYS in refused(OTHERS["connect"])
        assert SAYS in refused(OTHERS["connect"])
        with klingkit.mock():
            assert SAYS in refused(OTHERS["streams-uvloop"])
        assert SAYS in refused(OTHERS["streams-uvloop"])

    assert told == [HOST]
    assert before == (socket.socket.connect, uvloop.Loop.create_connection)


@pytest.mark.parametrize(("kind", "name"), [(socket.socket, "connect"), (uvloop.Loop, "getaddrinfo")])
def test_what_another_tool_puts_in_place_meanwhile_stays(kind: Any, name: str) -> None:
    hosts = hosts_of(load_contract())
    before, is_own = getattr(kind, name), name in vars(kind)

    def theirs(*_: Any) -> None:
        raise PermissionError("theirs")

    try:
        with no_connection_to(hosts):
            setattr(kind, name, theirs)
        assert getattr(kind, name) is theirs
        with no_connection_to(hosts):
            assert getattr(kind, name) is not theirs
            with pytest.raises(PermissionError):
                getattr(kind, name)(None, "127.0.0.1", 9)
        assert getattr(kind, name) is theirs
    finally:
        setattr(kind, name, before) if is_own else delattr(kind, name)
