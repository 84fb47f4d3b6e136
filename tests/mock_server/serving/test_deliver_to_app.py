"""Callbacks into an application in this process."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from klingkit.mock_server.serving.deliver_to_app import post

URL = "http://my.example/hook"


def test_an_application_that_never_answers_is_given_up() -> None:
    async def app(*_: Any) -> None:
        await asyncio.Event().wait()

    reply, (error,) = post(app, URL, {}, b"{}", longest_s=0.05)

    assert reply.status == 500
    assert str(error) == "the application did not answer a callback within 0.05 s"


def test_a_timeout_of_the_application_is_its_own() -> None:
    async def app(*_: Any) -> None:
        raise TimeoutError("mine")

    assert [str(error) for error in post(app, URL, {}, b"{}")[1]] == ["mine"]


@pytest.mark.parametrize("wrong", [None, "app"])
def test_what_is_no_application_is_named(wrong: object) -> None:
    reply, (error,) = post(wrong, URL, {}, b"{}")

    assert reply.status == 500
    assert "WSGI or ASGI application" in str(error)
