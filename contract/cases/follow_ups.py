"""Requests about a task that another case has made: its external id again, and another account that asks for it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from .case import PICTURES, Case

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .builder import Builder


def follow_ups(builder: Builder, named: Case, failed: Case) -> Iterator[Case]:
    """Yield what is sent after the task `named` was made, and after the task `failed` has failed."""
    unique = builder.contract.rules["external_task_id.unique"]
    exists = builder.contract.rules["task_id.exists"]
    for label, case, sure in (("again", named, True), ("after-failure", failed, False)):
        value = (case.request.body or {})["external_task_id"]
        mended = builder.post({**builder.body, "external_task_id": f"{value}-2"})
        request = builder.post({**builder.body, "external_task_id": value})
        again = builder.case(f"external_task_id.unique/{label}", request, unique, sure=sure, value=value, mended=mended)
        yield replace(again, after=case.id)
    query = builder.case(
        "task_id.exists/known-external-id", builder.get(builder.left), exists, mended=builder.get("{task_id}")
    )
    yield replace(query, after=named.id)
    other = builder.case("account.isolation/query", builder.get("{task_id}"), exists, mended=builder.get("{task_id}"))
    yield replace(other, after=named.id, promise="account.isolation", other_key=True)
    request = builder.post({**builder.body, "external_task_id": builder.left})
    own = Case("account.isolation/external-id", request, builder.create.operation_id, PICTURES)
    yield replace(own, after=named.id, promise="account.isolation", other_key=True)
