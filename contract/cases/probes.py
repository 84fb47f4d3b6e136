"""Probes: the requests whose answers tell the alternatives of an assumption apart, and what they can cost.

Whatever is assumed, most are refused for a picture that is no Base64, which is checked last, so that asking costs nothing. The others make
a task that fails on its pictures before anything is generated, which is not charged (recorded).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from .builder import Builder
from .case import FAILS, NEVER, UNKNOWN_TASK
from .sample_pictures import encode, padded, picture

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..spec import Contract
    from ..targets.target import Request

NO_BASE64 = "not base64!"


@dataclass(frozen=True, slots=True)
class Probe:
    """What is asked to settle an assumption."""

    assumption: str
    cost: str
    """NEVER, or FAILS for a task that fails without cost."""
    requests: tuple[Request, ...]
    """`{task_id}` in a path stands for the task that the first has made, which is then waited for."""


def probes(contract: Contract, run: str) -> list[Probe]:
    """Return a probe of each assumption of a contract that can be settled by asking, the free ones first."""
    builder = Builder(contract, run, None)
    known = {assumption.id for assumption in contract.assumptions if not assumption.fixed}
    found = [*_free(builder), *_failing(builder), *_of_list(builder)]
    return sorted((probe for probe in found if probe.assumption in known), key=lambda probe: probe.cost != NEVER)


def _free(builder: Builder) -> Iterator[Probe]:
    """Yield those that every service refuses: what is asked comes first, and a picture that is no Base64 last.

    That is a subject: files are looked at last, and where the last field is told first, the subjects are the first.
    """
    post, query = builder.post(builder.body), builder.get(UNKNOWN_TASK)
    no_base64 = {**builder.body, "subject_image_list": builder.subjects(builder.square, NO_BASE64)}
    for assumption, fields in (
        ("error-passthrough", {"aspect_ratio": "5:4"}),
        ("list-errors", {"n": 0}),
        ("unknown-model", {"model_name": "kling-v99"}),
        ("two-subjects", {"subject_image_list": builder.subjects(NO_BASE64)}),
        ("newer-fields", {"model_name": "kling-v2-1"}),
        ("prompt-length", {"prompt": "\u00e9" * builder.rules.nodes[("prompt",)]["maxLength"]}),
        ("id-and-url-length", {"callback_url": "http://127.0.0.1/" + "x" * 10_000}),
        ("empty-strings", {"prompt": ""}),
        ("callback-processing", {"callback_url": "klingkit"}),
        ("unknown-fields", {"klingkit": 1}),
        ("null-values", {"prompt": None}),
        ("item-types", {"subject_image_list": ["klingkit", "klingkit"], "style_image": NO_BASE64}),
        ("number-forms", {"n": "1"}),
        ("check-order", {"model_name": "kling-v99", "n": 0}),
    ):
        yield _probe(assumption, builder.post({**no_base64, **fields}))
    without = {name: value for name, value in builder.body.items() if name != "subject_image_list"}
    yield _probe("no-subjects", builder.post({**without, "prompt": "klingkit", "image": NO_BASE64}))
    yield _probe("unknown-task", query)
    yield _probe("missing-key", replace(query, authorization=None))
    yield _probe("bare-key", replace(query, authorization="{key}"))
    yield _probe("wrong-method", replace(post, method="PUT"))
    yield _probe("body-forms", replace(post, raw=b"{"), replace(builder.post(no_base64), content_type="text/plain"))


def _failing(builder: Builder) -> Iterator[Probe]:
    """Yield those that can be accepted, with a task that fails on a picture that is too small."""
    small = encode(picture(builder.side - 1, builder.side - 1))
    failing: dict[str, Any] = {"subject_image_list": builder.subjects(small, small)}
    named = {**failing, "external_task_id": f"{builder.failed}-probe"}
    for assumption, style in (
        ("base64-dialect", f"{small[:76]}\n{small[76:]}"),
        ("empty-picture", ""),
        ("megabyte", encode(padded(10_200_000, builder.side - 1))),
        ("other-scheme", "ftp://example.com/picture.png"),
        ("unreadable-picture", encode(b"klingkit")),
    ):
        yield _probe(assumption, builder.post({**failing, "style_image": style}), cost=FAILS)
    query = builder.get("{task_id}")
    yield _probe("external-id-after-failure", builder.post(named), query, builder.post(named), cost=FAILS)
    other = {**failing, "external_task_id": f"{builder.failed}-query"}
    yield _probe("external-id-query", builder.post(other), builder.get(other["external_task_id"]), cost=FAILS)


def _of_list(builder: Builder) -> Iterator[Probe]:
    if listing := builder.contract.operations.get("list_tasks"):
        yield _probe("list-paging", replace(builder.get(""), method=listing.method, path=f"{listing.path}?pageNum=0"))


def _probe(assumption: str, *requests: Request, cost: str = NEVER) -> Probe:
    return Probe(assumption, cost, requests)
