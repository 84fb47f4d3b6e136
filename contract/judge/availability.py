"""Whether an answer says something of the request at all, or only that the service is out of order at the moment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .reading import is_page

if TYPE_CHECKING:
    from ..cases.case import Case
    from ..targets.target import Reply

TOO_MANY = 429
FAILED = 500
ODD = frozenset({401, 403, FAILED})
"""With what else a page comes from a proxy, a firewall or a login."""
NOT_NOW = frozenset({408, TOO_MANY, 502, 503, 504, *range(520, 531)})
"""What a service, or a proxy before it, answers when it cannot serve; 520 to 530 are Cloudflare's."""


def says_not_now(case: Case, reply: Reply) -> bool:
    """Tell whether a reply only says that the service cannot serve now, where the contract expects something else.

    A page with 200 is that too: the contract has it for wrong paths alone, and proxies for when they are at a loss.
    """
    error = case.rule.error if case.rule else None
    if error and error.http == reply.http:
        return False
    wants_page = error is not None and error.envelope == "html"
    return reply.http in NOT_NOW or (reply.http == 200 and is_page(reply) and not wants_page)


def is_odd_page(case: Case, reply: Reply) -> bool:
    """Tell whether a reply is a page, or a way to one, as a proxy or a firewall puts before a service that answers JSON."""
    error = case.rule.error if case.rule else None
    if error and (error.http == reply.http or error.envelope == "html"):
        return False
    return 300 <= reply.http < 400 or (reply.http in ODD and is_page(reply))


def failed(reply: Reply) -> bool:
    """Tell whether the service failed at a request, which may go well the next time; if it never does, that is an answer."""
    return reply.http == FAILED
