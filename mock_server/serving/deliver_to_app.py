"""Post a callback straight into an application in this process, WSGI or ASGI."""

from __future__ import annotations

import asyncio
import inspect
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from flask import got_request_exception

from ..deliveries import Reply
from .in_process import call

if TYPE_CHECKING:
    from collections.abc import Mapping

LONGEST_S = 60.0
"""Of real time, for an ASGI application to answer; a WSGI one runs in the thread of its caller, where nothing can end it."""


def post(
    app: Any, url: str, headers: Mapping[str, str], body: bytes, *, longest_s: float = LONGEST_S
) -> tuple[Reply, list[BaseException]]:
    """Return what the application answers, and what it raised: a TimeoutError too, if it takes too long.

    What is raised through its edge is a 500, as a server would make of it; a Flask application has made one itself.
    """
    raised: list[BaseException] = []

    def collect(_: object, exception: BaseException, **__: object) -> None:
        raised.append(exception)

    try:
        with got_request_exception.connected_to(collect):
            if is_asgi(app):
                # A thread, since a loop may run in this one.
                with ThreadPoolExecutor(1) as pool:
                    reply = pool.submit(copy_context().run, _run_asgi, app, url, headers, body, longest_s).result()
            else:
                answer = call(app, "POST", url, headers, body)
                reply = Reply(answer.status, tuple(answer.headers), answer.body)
    except Exception as error:  # noqa: BLE001 - whatever the application raises
        reply = Reply(500)
        if error not in raised:
            raised.append(error)
    return reply, raised


def is_asgi(app: Any) -> bool:
    """Tell an ASGI application from a WSGI one.

    Raises TypeError for what is neither, ModuleNotFoundError if it is ASGI and there is no httpx.
    """
    if not callable(app):
        raise TypeError(f"callbacks are delivered to a WSGI or ASGI application, and {app!r:.60} is none")
    asgi = inspect.iscoroutinefunction(app) or inspect.iscoroutinefunction(type(app).__call__)
    if asgi and not find_spec("httpx"):
        raise ModuleNotFoundError("callbacks are delivered to an ASGI application by httpx: install it")
    return asgi


def _run_asgi(app: Any, url: str, headers: Mapping[str, str], body: bytes, longest_s: float) -> Reply:
    return asyncio.run(_post_asgi(app, url, headers, body, longest_s))


async def _post_asgi(app: Any, url: str, headers: Mapping[str, str], body: bytes, longest_s: float) -> Reply:
    import httpx  # noqa: PLC0415 - only ASGI needs it

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), trust_env=False) as client:
        limit = asyncio.timeout(longest_s)
        try:
            async with limit:
                answer = await client.post(url, headers=dict(headers), content=body)
                return Reply(answer.status_code, tuple(answer.headers.items()), answer.content)
        except TimeoutError as error:
            if limit.expired():
                raise TimeoutError(f"the application did not answer a callback within {longest_s:g} s") from error
            raise
