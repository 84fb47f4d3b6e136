"""Requests about a task that another case has made: its external id again, and another account that asks for it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from .case import NEVER, PICTURES, Case

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .builder import Builder


FOUND = "task.found"
"""The promise that a task is found by its external id."""


def follow_ups(builder: Builder, named: Case, failed: Case) -> Iterator[Case]:
    """Yield what is sent after the task `named` was made, and after the task `failed` has failed."""
    yield _again(builder, "again", named, sure=True)
    yield from _isolation(builder, named, failed)
    yield replace(_again(builder, "after-success", named, sure=True), late=True)
    yield replace(_again(builder, "after-failure", failed, sure=False), late=True)


def _again(builder: Builder, label: str, taken: Case, *, sure: bool) -> Case:
    """Return a create with the external id of a task of the same account."""
    rule = builder.contract.rules["external_task_id.unique"]
    value = (taken.request.body or {})["external_task_id"]
    request = builder.post({**builder.body, "external_task_id": value})
    mended = builder.post({**builder.body, "external_task_id": f"{value}-2"})
    case = builder.case(f"{rule.id}/{label}", request, rule, sure=sure, value=value, mended=mended)
    return replace(case, after=taken.id)


def _isolation(builder: Builder, named: Case, failed: Case) -> Iterator[Case]:
    """Yield what two accounts must not know of each other, whoever comes first."""
    exists = builder.contract.rules["task_id.exists"]
    right = builder.get("{task_id}")
    by_name = builder.get(builder.named)
    if "external_task_id" in builder.contract.found_by:
        found = Case(f"{FOUND}/query", by_name, builder.query.operation_id, NEVER, promise=FOUND)
        yield replace(found, after=named.id, late=True)
        unseen = builder.get(builder.failed)  # an id that the other account has not used itself
        other = builder.case("account.isolation/query-external-id", unseen, exists, value=builder.failed, mended=right)
        yield replace(other, after=failed.id, promise="account.isolation", other_key=True)
    else:
        query = builder.case("task_id.exists/known-external-id", by_name, exists, value=builder.named, mended=right)
        yield replace(query, after=named.id)
    other = builder.case("account.isolation/query", right, exists, value="{task_id}", mended=right)
    yield replace(other, after=named.id, promise="account.isolation", other_key=True)
    yield _same_id(builder, "external-id", builder.named, named.id, other_key=True)
    first = _same_id(builder, "external-id-first", builder.theirs, named.id, other_key=True)
    yield first
    second = _same_id(builder, "external-id-second", builder.theirs, first.id, other_key=False)
    yield replace(second, both_keys=True)


def _same_id(builder: Builder, label: str, external_task_id: str, after: str, *, other_key: bool) -> Case:
    """Return a create with an external id that only the other account has."""
    request = builder.post({**builder.body, "external_task_id": external_task_id})
    case = Case(f"account.isolation/{label}", request, builder.create.operation_id, PICTURES, after=after)
    return replace(case, promise="account.isolation", other_key=other_key)
