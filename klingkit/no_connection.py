"""Let no connection leave this process for some hosts, by whatever library: the name of such a host is not resolved.

The interpreter itself asks before it resolves a name or connects (an audit hook), so that this holds in each thread, for whoever took
`getaddrinfo` out of its module before, and beside whatever else replaces parts of `socket`. What does not ask is made to.

What it cannot see: other processes, an address by number, a connection or address that somebody has kept from before, and a
proxy that the code names to httpx or aiohttp itself.
"""

from __future__ import annotations

import os
import socket
import sys
from contextlib import ExitStack, contextmanager
from functools import cache, wraps
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any
from unittest.mock import patch
from urllib.parse import urlsplit

from .environment import environment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from klingkit.contract import Contract

NAMED_IN = {
    "socket.getaddrinfo": 0,
    "socket.gethostbyname": 0,
    "socket.gethostbyaddr": 0,
    "socket.connect": 1,
    "socket.sendto": 1,
}
"""Where in the arguments of an audit event the host stands."""
NAMED_TO: dict[str, tuple[str, tuple[str, ...]]] = {
    "socket": ("socket", ("connect", "connect_ex")),  # they ask when the name is resolved already
    "http.client": (
        "HTTPConnection",
        ("set_tunnel",),
    ),  # a proxy resolves it; urllib, urllib3 and requests go through here
    "uvloop": ("Loop", ("getaddrinfo", "create_connection")),
    "pycares": ("Channel", ("getaddrinfo", "gethostbyname", "query")),
}
"""Methods to which a host is named, for it to be resolved without asking; some modules are not installed everywhere."""
_guards: list[tuple[Hosts, Callable[[str], object]]] = []


class Hosts(frozenset[str]):
    """Names of hosts; one of them is recognised in whatever form it comes: in capitals, as bytes, with a dot at its end."""

    def __contains__(self, host: object) -> bool:
        """Tell whether a host, as a caller names it, is one of them."""
        return super().__contains__(_plain(host))


def hosts_of(*contracts: Contract) -> Hosts:
    """Return the hosts of the servers of contracts."""
    return Hosts(
        _plain(urlsplit(server["url"]).hostname) for contract in contracts for server in contract.document["servers"]
    )


@cache
def every_host() -> Hosts:
    """Return the hosts of the servers of every contract."""
    from klingkit.contract import load_contract
    from klingkit.contract.choice import CONTRACTS

    return hosts_of(*map(load_contract, CONTRACTS))


def _plain(host: object) -> str:
    if isinstance(host, bytes):
        host = host.decode("latin-1")
    if not isinstance(host, str):
        return ""
    if not host.isascii():
        try:
            host = host.encode("idna").decode()
        except UnicodeError:
            return ""  # it is not resolved either
    return host.partition("\0")[0].rstrip(".").lower()  # C reads as far as the NUL


@contextmanager
def no_connection_to(hosts: Hosts, told: Callable[[str], object] = lambda _: None) -> Iterator[None]:
    """Let whoever resolves one of the hosts meanwhile get a `gaierror`, and tell of it."""
    guard = (hosts, told)
    _ask_first()
    with ExitStack() as stack:
        stack.enter_context(_proxies_bypassed(hosts))
        for owner, name in _methods():
            stack.enter_context(_replaced(owner, name))
        _guards.append(guard)
        stack.callback(_let_go, guard)
        yield


def _let_go(guard: tuple[Hosts, Callable[[str], object]]) -> None:
    place = next(number for number, other in enumerate(_guards) if other is guard)  # one may equal another
    del _guards[place]


@cache
def _ask_first() -> None:
    """Begin to be asked, once: an audit hook stays, and lets all pass while there is no guard."""

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if _guards and event in NAMED_IN:
            _check(arguments[NAMED_IN[event]])

    sys.addaudithook(hook)


def _check(host: object) -> None:
    """Raise if a host, or that of an address, is closed."""
    name = _plain(host[0] if isinstance(host, tuple) and host else host)
    closing = [told for hosts, told in _guards if name in hosts]
    for told in closing:
        told(name)
    if closing:
        raise socket.gaierror(
            socket.EAI_NONAME,
            f"klingkit lets no connection leave for {name}: kling_mock intercepts requests, httpx and aiohttp for the hosts of its "
            "contract (--klingkit-contract), and kling_server, which sets COMETAPI_BASE_URL or KLING_BASE_URL, serves the rest",
        )


@cache
def _methods() -> list[tuple[Any, str]]:
    """Return the class and name of each method of NAMED_TO; to look for modules takes longer than a test may."""
    found = []
    for module, (class_name, names) in NAMED_TO.items():
        if find_spec(module):
            with patch.object(socket, "socket", _own(socket.socket, "socket")):  # uvloop keeps what it finds there
                kind = _own(getattr(import_module(module), class_name), module)
            found += [(kind, name) for name in names if hasattr(kind, name)]
    return found


def _own(kind: Any, module: str) -> Any:
    """Return the class that a module itself has made, if a tool has put a subclass in its place."""
    return next((base for base in kind.__mro__ if base.__module__ == module), kind)


@contextmanager
def _replaced(owner: Any, name: str) -> Iterator[None]:
    """Let a method check its arguments meanwhile; whatever somebody else puts in its place stays there."""
    inherited = name not in vars(owner)
    original = getattr(owner, name)

    @wraps(original)
    def checked(*arguments: Any, **options: Any) -> Any:
        for argument in (*arguments[1:], options.get("host")):
            _check(argument)
        return original(*arguments, **options)

    setattr(owner, name, checked)
    try:
        yield
    finally:
        if vars(owner).get(name) is checked and inherited:
            delattr(owner, name)
        elif vars(owner).get(name) is checked:
            setattr(owner, name, original)


def _proxies_bypassed(hosts: Hosts) -> AbstractContextManager[None]:
    """Add the hosts to NO_PROXY, since a proxy that the environment names would resolve their names elsewhere."""
    proxies = {name.lower() for name, value in os.environ.items() if value and name.lower().endswith("_proxy")}
    listed = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    if listed.strip() == "*" or (sys.platform in {"darwin", "win32"} and not proxies):
        return environment()  # there any such variable hides the proxies of the system
    names = ",".join(filter(None, [listed, *hosts, *(f"{host}." for host in hosts)]))
    return environment(NO_PROXY=names, no_proxy=names)
