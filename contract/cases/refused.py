"""Requests that must be refused, each of which breaks one rule."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

from ..evidence import DOCUMENTED, LIMIT, RECORDED, UNKNOWN
from ..kinds import kind_of
from .bad_values import bad_values
from .builder import MISSING, nested, put
from .case import SMALLEST, UNKNOWN_KEY, UNKNOWN_TASK, Case, Place
from .listing import LIST, list_cases
from .tokens import wrong_tokens

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..rule import Rule
    from ..targets.target import Request
    from .bad_values import Bad
    from .builder import Builder

LATER = "@@@"
"""Stands in a body for JSON that Python cannot write."""


def keyword_cases(builder: Builder) -> Iterator[Case]:
    """Yield the cases of the fields."""
    for (path, keyword), rule in builder.rules.rules.items():
        node = builder.rules.nodes[path]
        # of the pictures, the subjects are tried in every way and the others in the most likely one
        few = "x-role" in node and node["x-role"] != "subject"
        place = tuple(1 if step == "items" else step for step in path)
        for bad in islice(bad_values(builder, keyword, path), 1 if few else None):
            case = _broken(builder, rule, keyword, place, bad)
            if _is_for(builder, case.request):
                yield case


def _is_for(builder: Builder, request: Request) -> bool:
    """Tell whether a body is for the operation of the builder, not for another one of that method and path."""
    if not isinstance(request.body, dict):
        return True
    first = builder.contract.operations["create_task"]
    return builder.contract.operation_for(first, request.body).operation_id == builder.create.operation_id


def _broken(builder: Builder, rule: Rule, keyword: str, place: Place, bad: Bad) -> Case:
    body = put(builder.body, place, LATER if bad.json else bad.value)
    request = builder.post(body)
    if bad.json:
        request = replace(request, raw=request.data.replace(json.dumps(LATER).encode(), bad.json.encode()))
    kind = "missing" if bad.value is MISSING else "null" if bad.value is None else kind_of(keyword, bad.value)
    doubts = builder.contract.questions.about_kind(rule.id, kind)
    doubted = any(LIMIT in doubt.aspects for doubt in doubts) or rule.aspects[LIMIT].grade not in {DOCUMENTED, RECORDED}
    sure = bad.sure and not doubted
    mended = builder.post(put(builder.body, place, builder.right_value(place)))
    case_id = f"{rule.id}/{bad.label}"
    return builder.case(case_id, request, rule, sure=sure, value=bad.value, mended=mended, kind=kind)


def body_cases(builder: Builder) -> Iterator[Case]:
    """Yield the cases of bodies that are no right JSON object, or not declared as one."""
    rules = builder.contract.rules
    good = builder.post(builder.body)
    text = good.data.decode()
    nan = json.dumps({**builder.body, "n": LATER}).replace(json.dumps(LATER), "NaN")
    surrogate = json.dumps({**builder.body, "prompt": LATER}).replace(LATER, "\\ud800")
    for label, raw, sure in (
        ("cut-off", text[:-1].encode(), True),
        ("empty", b"", True),
        ("trailing-comma", f"{text[:-1]},}}".encode(), False),
        ("nan", nan.encode(), False),
        ("byte-order-mark", b"\xef\xbb\xbf" + text.encode(), False),
        ("lone-surrogate", surrogate.encode(), False),
        ("not-utf-8", json.dumps({**builder.body, "prompt": LATER}).encode().replace(b"@@@", b"\xff"), False),
    ):
        yield builder.case(f"body.json/{label}", replace(good, raw=raw), rules["body.json"], sure=sure, mended=good)
    for label, other in (("array", f"[{text}]"), ("null", "null"), ("string", '"kling"')):
        request = replace(good, raw=other.encode())
        yield builder.case(f"body.object/{label}", request, rules["body.object"], mended=good)
    yield from _depth_cases(builder)
    yield from _media_type_cases(builder)


def _depth_cases(builder: Builder) -> Iterator[Case]:
    rule = builder.contract.rules["body.depth"]
    if rule.aspects[LIMIT].grade == UNKNOWN:  # then it is a protection of the simulator, and no rule of the API
        return
    depth = rule.params["maxDepth"]
    deep = builder.post({**builder.body, "klingkit": nested(depth)})
    mended = builder.post({**builder.body, "klingkit": nested(depth - 1)})
    yield builder.case("body.depth/one-too-deep", deep, rule, sure=False, mended=mended)


def _media_type_cases(builder: Builder) -> Iterator[Case]:
    rule, good = builder.contract.rules.get("body.mediaType"), builder.post(builder.body)
    if rule is None:  # then any will do
        return
    details = {"mediaType": builder.create.media_type}
    for label, content_type in (
        ("missing", None),
        ("text", "text/plain"),
        ("form", "application/x-www-form-urlencoded"),
    ):
        request = replace(good, content_type=content_type)
        kind = "other" if content_type else "missing"
        case = builder.case(f"body.mediaType/{label}", request, rule, sure=False, mended=good, kind=kind)
        yield replace(case, details=details)


def gate_cases(builder: Builder) -> Iterator[Case]:
    """Yield the cases of what is checked before the body: authentication, path, method; and the id of a task."""
    yield from _authorization_cases(builder)
    yield from _path_cases(builder)
    yield from _method_cases(builder)
    yield from list_cases(builder)
    exists, query = builder.contract.rules["task_id.exists"], builder.get("{task_id}")
    ids = [("unknown", UNKNOWN_TASK), ("word", "klingkit")]
    if "external_task_id" not in builder.contract.found_by:
        ids.append(("external-id", builder.left))
    for label, task_id in ids:
        request = builder.get(task_id)
        yield builder.case(f"task_id.exists/{label}", request, exists, value=task_id, mended=query)


def _authorization_cases(builder: Builder) -> Iterator[Case]:
    create, query = builder.post(builder.body), builder.get("{task_id}")
    for label, header, sure in (
        ("missing", None, True),
        ("scheme", "Basic {key}", True),
        ("empty", "Bearer ", True),
        ("bare", "{key}", False),
    ):
        request = replace(create, authorization=header)
        yield _unauthorized(builder, _form(builder, header, label), request, create, sure=sure)
    for label, header in (("query", None), ("unknown-key", f"Bearer {UNKNOWN_KEY}")):
        request = replace(query, authorization=header)
        yield replace(_unauthorized(builder, _form(builder, header, label), request, query), after=SMALLEST)
    right = builder.get(UNKNOWN_TASK)
    for case_id, token, signed, details in wrong_tokens(builder.contract, builder.pair):
        case = _unauthorized(builder, case_id, replace(right, authorization=f"Bearer {token}"), query)
        yield replace(case, signed=signed, details={**case.details, **details})


def _form(builder: Builder, header: str | None, label: str) -> str:
    """Return the id of the case of a header that holds no key: some contracts have a rule for one that is there and has no token."""
    form = "authorization.form"
    return f"{form if header and form in builder.contract.rules else 'authorization.bearer'}/{label}"


def _unauthorized(builder: Builder, case_id: str, request: Request, mended: Request, *, sure: bool = True) -> Case:
    rule = builder.contract.rules[case_id.partition("/")[0]]
    case = builder.case(case_id, request, rule, sure=sure, mended=mended)
    return replace(case, details={"parts": "0", **case.details})


def _path_cases(builder: Builder) -> Iterator[Case]:
    known = builder.contract.rules["path.known"]
    query, unknown = builder.get("{task_id}"), builder.get(UNKNOWN_TASK)
    prefix = builder.create.path.rpartition("/")[0]
    before, version, rest = unknown.path.partition("/v1")
    for label, path in (
        ("invented", f"{prefix}/tasks/{UNKNOWN_TASK}"),
        ("without-prefix" if before else "with-prefix", f"{'' if before else '/kling'}{version}{rest}"),
        ("trailing-slash", unknown.path + "/"),
    ):
        yield builder.case(f"path.known/{label}", replace(unknown, path=path), known, mended=query)


def _method_cases(builder: Builder) -> Iterator[Case]:
    method = builder.contract.rules["path.method"]
    create, query = builder.post(builder.body), builder.get("{task_id}")
    get = replace(query, path=builder.create.path)
    if LIST not in builder.contract.operations:
        yield builder.case("path.method/get-create", get, method, mended=query)
    yield builder.case("path.method/put-create", replace(create, method="PUT"), method, mended=create)
    for verb in ("DELETE", "POST"):
        request = replace(query, method=verb)
        case = builder.case(f"path.method/{verb.lower()}-task", request, method, mended=query)
        yield replace(case, after=SMALLEST)
