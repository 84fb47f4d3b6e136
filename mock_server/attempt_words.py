"""What came of an attempt to deliver a callback, and what to do about it, in words for a person."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from .deliveries import Attempt


class Words(NamedTuple):
    """Why it came so, and what to do; that is empty if there is nothing to do."""

    why: str
    do: str = ""


DELIVERED = Words("the receiver took it")
LOST = Words(
    "its scenario loses this callback on purpose: nothing was sent",
    "that is what the scenario is for; to get the callback all the same, send it again",
)
CAUSES = {
    "lost": LOST,
    "no-url": Words(
        "the callback_url is no http(s) URL, so nothing was sent",
        "give a whole URL, with http:// or https:// and a host",
    ),
    "long-url": Words("the callback_url is longer than any server takes, so nothing was sent", "give a shorter one"),
    "not-allowed": Words(
        "the host is neither loopback nor private, so nothing was sent: a simulator does not call the internet by itself",
        "receive on 127.0.0.1 or in a private network, or start the server with --allow-callback HOST",
    ),
    "itself": Words(
        "the URL leads to this simulator, which sends nothing to itself",
        "give the URL of your own receiver",
    ),
    "unknown-host": Words(
        "the name of the host is not known on the machine of the simulator",
        "check its spelling; a simulator in a container knows other names than your machine, and a public host needs --allow-callback HOST",
    ),
    "no-connection": Words(
        "nobody listens there: the connection was refused",
        "start the receiver before the task moves, and check the port; in a container 127.0.0.1 is the container itself",
    ),
    "timeout": Words(
        "the receiver did not answer in time",
        "answer 2xx first, and do the work afterwards; check that nothing on the way swallows the request",
    ),
    "tls": Words(
        "the TLS handshake failed, so nothing was sent",
        "use a certificate that this machine trusts and that names the host, or http:// in tests",
    ),
    "no-http": Words(
        "the receiver closed the connection, or answered what is no HTTP",
        "check that the port is that of an HTTP server, and whether it wants https://",
    ),
    "": Words("the attempt failed"),
}
"""Why there was no answer, by `Attempt.cause`."""
STATUSES = {
    401: Words(
        "the receiver wants to know who asks",
        "a callback carries no credentials: let its path in, and check the signature instead",
    ),
    403: Words(
        "the receiver forbids it",
        "let the path of the callback in without a login or a CSRF token, and check the signature instead",
    ),
    404: Words("the receiver has no such path", "give the path that your application has, or add it there"),
    405: Words("the receiver takes no POST on this path", "let the path take POST"),
    408: Words(
        "the receiver gave up waiting for the request", "send it again; if it stays so, look at the receiver's log"
    ),
    413: Words(
        "the receiver finds the body too large",
        "raise its limit: the body has a few hundred bytes, and more with each picture",
    ),
    415: Words("the receiver does not take this Content-Type", "let it take application/json"),
    429: Words("the receiver is too busy", "answer 2xx first, and do the work afterwards"),
}
"""What a receiver answered, by its status."""
CLASSES = {
    3: Words(
        "the receiver redirects, and a callback follows no redirect", "give the URL to which it leads (header location)"
    ),
    4: Words("the receiver refuses the request", "look at what it answered, and at its log"),
    5: Words("the receiver failed", "look at its log: this is an error of the receiver, not of the callback"),
}
"""The same by the first digit of it."""
ODD = Words("the receiver answered neither success nor failure", "answer 200 or 204")


def words_of(attempt: Attempt) -> Words:
    """Return why an attempt came out as it did, and what to do."""
    if not attempt.problem:
        return DELIVERED
    if attempt.status is None:
        return CAUSES.get(attempt.cause, CAUSES[""])
    return STATUSES.get(attempt.status) or CLASSES.get(attempt.status // 100, ODD)
