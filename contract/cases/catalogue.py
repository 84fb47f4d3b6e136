"""Labelled cases, derived from the contract: requests that break exactly one rule, and the good side of every boundary.

What a wrong value of a keyword looks like stands in `_bad_values` and `BAD_TYPES`, what a boundary looks like in `_good_values`;
fields, limits and texts come from the contract. Good boundaries are packed into few requests, since only those cost money.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, replace
from itertools import chain, zip_longest
from typing import TYPE_CHECKING, Any

from ..targets.target import Request
from .case import FAILS, MAY, NEVER, PICTURES, SMALLEST, UNKNOWN_KEY, UNKNOWN_TASK, Boundary, Case, Place
from .sample_pictures import encode, padded, picture

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ..rule import Rule
    from ..spec import Contract

MISSING: Any = object()
"""Stands for a field that is left out."""
LATER = "@@@"
"""Stands in a body for JSON that Python cannot write."""
UNREACHABLE = "://klingkit.invalid/picture.png"
"""No name under `.invalid` is ever given to anybody (RFC 6761)."""


@dataclass(frozen=True, slots=True)
class Bad:
    """A wrong value; `sure` if no reader of JSON, however lenient, could take it for a right one."""

    label: str
    value: Any
    sure: bool = True
    json: str = ""
    """How it is written, where Python cannot."""


def build_cases(contract: Contract, run: str = "run", callback_url: str | None = None) -> tuple[Case, ...]:
    """Return the cases of a contract, those that find most first.

    `run` begins every `external_task_id`, which must be new to the account; accepted tasks call back to `callback_url`.
    """
    return _Maker(contract, run, callback_url).cases()


class _Maker:
    def __init__(self, contract: Contract, run: str, callback_url: str | None) -> None:
        self._contract = contract
        self._rules = contract.request
        self._create = contract.operations["create_task"]
        self._query = contract.operations["get_task"]
        self._left = f"{run}-left"
        self._failed = f"{run}-failed"
        limits = self._rules.limits
        self._side = limits.min_pixels
        self._long = int(limits.min_pixels * limits.max_ratio)
        self._square = encode(picture(self._side, self._side))
        self._callback = {"callback_url": callback_url} if callback_url else {}
        self._body = {"subject_image_list": self._subjects(self._square, self._square), **self._callback}

    def cases(self) -> tuple[Case, ...]:
        """Return all cases.

        First come the packs, each of which tries many rules and whose tasks take time; then one case of each rule, then a
        second one, and so on. The largest bodies come late: most wrong services are found out before.
        """
        by_rule: dict[str, list[Case]] = defaultdict(list)
        for case in chain(self._keyword_cases(), self._body_cases(), self._gate_cases()):
            by_rule[case.requirement].append(case)
        heavy = [rule for rule in by_rule if rule.endswith(".maxBytes")]
        large = [case for rule in heavy for case in by_rule.pop(rule)]
        first, *rest = zip_longest(*by_rule.values())
        failing = list(self._failing_cases())
        packs = list(self._packs())
        named = self._named(packs, self._left)
        later = (case for turn in rest for case in turn if case)
        others = [case for case in packs if case is not named]
        large_packs = [case for case in others if any(each.rule in heavy for each in case.covers)]
        others = [case for case in others if case not in large_packs]
        refused = (*map(self._leave, first), named, *later)
        return (*others, *failing, *refused, *large_packs, *large, *self._follow_ups(named, failing))

    def _leave(self, case: Case) -> Case:
        """Give a refused create the external id that a pack takes later, which shows that nothing was left behind."""
        body = case.request.body
        if body is None or case.request.raw is not None or case.requirement.startswith("external_task_id"):
            return case
        name = {"external_task_id": self._left}
        mended = case.mended
        if mended and mended.body is not None:
            mended = replace(mended, body={**mended.body, **name})
        return replace(case, request=replace(case.request, body={**body, **name}), mended=mended)

    # Refused

    def _keyword_cases(self) -> Iterator[Case]:
        for (path, keyword), rule in self._rules.rules.items():
            node = self._rules.nodes[path]
            # of the pictures, the subjects are tried in every way and the others in the most likely ones
            few = "x-role" in node and node["x-role"] != "subject"
            place = tuple(1 if step == "items" else step for step in path)
            for number, bad in enumerate(self._bad_values(keyword, node)):
                if few and number >= 2:
                    break
                yield self._broken(rule, place, bad)

    def _bad_values(self, keyword: str, node: Mapping[str, Any]) -> Iterator[Bad]:
        if keyword == "type":
            yield from (bad for bad in BAD_TYPES[node["type"]] if bad.value is not None or "x-null" not in node)
        elif keyword == "required":
            yield Bad("missing", MISSING)
            if node.get("x-null") == "required":
                yield Bad("null", None)
        elif keyword == "pattern":
            yield from (Bad("empty", ""), Bad("blank", " \t\u3000"))
        elif keyword == "minItems":
            yield Bad("one-too-few", self._items(node["minItems"] - 1))
            yield Bad("none", [])
        elif keyword == "maxItems":
            yield Bad("one-too-many", self._items(node["maxItems"] + 1))
        elif keyword == "maxLength":
            yield Bad("one-too-long", "x" * (node["maxLength"] + 1))
        elif keyword == "enum":
            first = node["enum"][0]
            wrong = (Bad("unknown", "klingkit"), Bad("space", f"{first} "), Bad("empty", "", sure=False))
            yield from (bad for bad in (*wrong, Bad("case", first.swapcase())) if bad.value not in node["enum"])
        elif keyword == "minimum":
            yield from (Bad("one-too-low", node["minimum"] - 1), Bad("negative", -node["minimum"]))
        elif keyword == "maximum":
            yield Bad("one-too-high", node["maximum"] + 1)
        elif keyword == "base64":
            yield from self._bad_pictures()
        elif keyword == "maxBytes":
            yield Bad("one-byte-too-many", encode(padded(self._rules.limits.max_bytes + 1, self._side)))

    def _bad_pictures(self) -> Iterator[Bad]:
        text = self._square
        while not text.endswith("="):  # one that padding makes a difference to
            text = encode(picture(self._side, self._side) + b"\0" * (1 + text.count("=")))
        yield Bad("data-url", f"data:image/png;base64,{text}")
        yield Bad("other-scheme", "ftp://example.com/picture.png")
        yield Bad("text", "not base64!")
        yield Bad("line-break", f"{text[:76]}\n{text[76:]}", sure=False)
        yield Bad("no-padding", text.rstrip("="), sure=False)
        yield Bad("url-safe", encode(picture(self._side, self._side) + b"\xff\xff").replace("/", "_"), sure=False)

    def _broken(self, rule: Rule, place: Place, bad: Bad) -> Case:
        body = put(self._body, place, LATER if bad.json else bad.value)
        request = self._post(body)
        if bad.json:
            request = replace(request, raw=request.data.replace(json.dumps(LATER).encode(), bad.json.encode()))
        sure = bad.sure and rule.limit_evidence != "inferred"
        mended = self._post(put(self._body, place, self._right(place)))
        return self._case(f"{rule.id}/{bad.label}", request, rule, sure=sure, value=bad.value, mended=mended)

    def _right(self, place: Place) -> Any:
        """Return a right value for a place in a request."""
        node = self._rules.nodes[tuple("items" if isinstance(step, int) else step for step in place)]
        if "x-role" in node:
            return self._square
        kinds = {"array": self._body["subject_image_list"], "object": {"subject_image": self._square}, "integer": 1}
        return node.get("default", kinds.get(node["type"], MISSING))

    def _body_cases(self) -> Iterator[Case]:
        rules = self._contract.rules
        good = self._post(self._body)
        text = good.data.decode()
        nan = json.dumps({**self._body, "n": LATER}).replace(json.dumps(LATER), "NaN")
        surrogate = json.dumps({**self._body, "prompt": LATER}).replace(LATER, "\\ud800")
        for label, raw, sure in (
            ("cut-off", text[:-1].encode(), True),
            ("empty", b"", True),
            ("trailing-comma", f"{text[:-1]},}}".encode(), False),
            ("nan", nan.encode(), False),
            ("byte-order-mark", b"\xef\xbb\xbf" + text.encode(), False),
            ("lone-surrogate", surrogate.encode(), False),
            ("not-utf-8", json.dumps({**self._body, "prompt": LATER}).encode().replace(b"@@@", b"\xff"), False),
        ):
            yield self._case(f"body.json/{label}", replace(good, raw=raw), rules["body.json"], sure=sure, mended=good)
        for label, other in (("array", f"[{text}]"), ("null", "null"), ("string", '"kling"')):
            request = replace(good, raw=other.encode())
            yield self._case(f"body.object/{label}", request, rules["body.object"], mended=good)
        depth = rules["body.depth"].params["maxDepth"]
        deep = self._post({**self._body, "klingkit": _nested(depth)})
        mended = self._post({**self._body, "klingkit": _nested(depth - 1)})
        yield self._case("body.depth/one-too-deep", deep, rules["body.depth"], sure=False, mended=mended)
        details = {"mediaType": self._create.media_type}
        for label, content_type in (
            ("missing", None),
            ("text", "text/plain"),
            ("form", "application/x-www-form-urlencoded"),
        ):
            request = replace(good, content_type=content_type)
            rule = rules["body.mediaType"]
            case = self._case(f"body.mediaType/{label}", request, rule, sure=False, mended=good)
            yield replace(case, details=details)

    def _gate_cases(self) -> Iterator[Case]:
        """Yield the cases of what is checked before the body: path, authentication, method; and the id of a task."""
        rules = self._contract.rules
        create, query, unknown = self._post(self._body), self._get("{task_id}"), self._get(UNKNOWN_TASK)
        bearer, known, method = rules["authorization.bearer"], rules["path.known"], rules["path.method"]
        for label, header, sure in (
            ("missing", None, True),
            ("scheme", "Basic {key}", True),
            ("empty", "Bearer ", True),
            ("bare", "{key}", False),
        ):
            request = replace(create, authorization=header)
            yield self._case(f"authorization.bearer/{label}", request, bearer, sure=sure, mended=create)
        for label, header in (("query", None), ("unknown-key", f"Bearer {UNKNOWN_KEY}")):
            request = replace(query, authorization=header)
            case = self._case(f"authorization.bearer/{label}", request, bearer, mended=query)
            yield replace(case, after=SMALLEST)
        prefix = self._create.path.rpartition("/")[0]
        for label, path in (
            ("invented", f"{prefix}/tasks/{UNKNOWN_TASK}"),
            ("without-prefix", "/v1" + unknown.path.partition("/v1")[2]),
            ("trailing-slash", unknown.path + "/"),
        ):
            yield self._case(f"path.known/{label}", replace(unknown, path=path), known, mended=query)
        get = replace(query, path=self._create.path)
        yield self._case("path.method/get-create", get, method, mended=query)
        yield self._case("path.method/put-create", replace(create, method="PUT"), method, mended=create)
        for verb in ("DELETE", "POST"):
            request = replace(query, method=verb)
            case = self._case(f"path.method/{verb.lower()}-task", request, method, mended=query)
            yield replace(case, after=SMALLEST)
        for label, task_id in (("unknown", UNKNOWN_TASK), ("word", "klingkit"), ("external-id", self._left)):
            request = self._get(task_id)
            yield self._case(f"task_id.exists/{label}", request, rules["task_id.exists"], mended=query)

    # Accepted

    def _failing_cases(self) -> Iterator[Case]:
        long = self._side + 1, self._side, self._long + 1
        bad = {
            "pixels": (
                ("too-small", encode(picture(self._side - 1, self._side))),
                ("too-wide", encode(picture(long[2], self._side))),
                ("too-tall", encode(picture(self._side, long[2]))),
                ("no-picture", encode(b"klingkit")),
                ("other-format", encode(picture(self._side, self._side, "GIF"))),
            ),
            "fetch": (("unreachable", f"https{UNREACHABLE}"),),
        }
        few_bad = {**bad, "fetch": (("unreachable", f"http{UNREACHABLE}"),)}
        for (path, keyword), rule in self._rules.rules.items():
            few = self._rules.nodes[path].get("x-role") != "subject"
            for label, value in few_bad.get(keyword, ())[:1] if few else bad.get(keyword, ()):
                place = tuple(1 if step == "items" else step for step in path)
                body = put(self._body, place, value)
                if label == "too-small" and not few:
                    body["external_task_id"] = self._failed
                mended = self._post(put(body, place, self._square))
                case = self._case(f"{rule.id}/{label}", self._post(body), rule, mended=mended)
                yield replace(case, cost=FAILS)

    def _packs(self) -> Iterator[Case]:
        """Yield as few accepted requests as can try every boundary."""
        columns = [
            [Boundary(self._rule_of(name, label), label, (name,), value) for label, value in self._good_values(name)]
            for name in self._rules.nodes[()]["properties"]
        ]
        columns.append(list(self._wrappings()))
        height = max(map(len, columns))
        turns: list[list[Boundary]] = [[] for _ in range(height)]
        for number, column in enumerate(columns):
            for row, boundary in enumerate(column):
                turns[(row + number) % height].append(boundary)
        yield self._pack(SMALLEST, ())
        for number, boundaries in enumerate(turns, 1):
            yield self._pack(f"accepted/{number}", tuple(boundaries))

    def _pack(self, case_id: str, covers: tuple[Boundary, ...]) -> Case:
        request = self._pack_request(covers)
        return Case(case_id, request, self._create.operation_id, PICTURES, covers=covers, repack=self._pack_request)

    def _pack_request(self, covers: tuple[Boundary, ...]) -> Request:
        """Return the request that tries some boundaries at once."""
        body = self._body
        for boundary in covers:
            if boundary.place:
                body = put(body, boundary.place, boundary.value)
        request = self._post(body)
        for boundary in covers:
            if boundary.change:
                request = boundary.change(request)
        return request

    def _good_values(self, name: str) -> Iterator[tuple[str, Any]]:
        """Yield keyword and value of each boundary of a field, from the good side."""
        node = self._rules.nodes[(name,)]
        limits = self._rules.limits
        if "x-role" in node:
            yield "pixels/smallest-jpeg", encode(picture(self._side, self._side, "JPEG"))
            yield "pixels/widest", encode(picture(self._long, self._side))
            yield "pixels/tallest", encode(picture(self._side, self._long))
            yield "maxBytes/largest", encode(padded(limits.max_bytes, self._side))
        elif node["type"] == "array":
            kinds = [(self._side, self._side, "JPEG"), (self._long, self._side), (self._side, self._long)]
            varied = [encode(picture(*kind)) for kind in kinds]
            yield "minItems/fewest", self._items(node["minItems"])
            yield "maxItems/most", self._subjects(*(varied + [self._square] * node["maxItems"])[: node["maxItems"]])
            yield "maxBytes/largest", self._subjects(self._square, encode(padded(limits.max_bytes, self._side)))
        elif "enum" in node:
            yield from ((f"enum/{value}", value) for value in node["enum"])
        elif "maxLength" in node:
            yield "maxLength/longest", "x" * node["maxLength"]
            yield "maxLength/longest-of-4-bytes", "\U0001f600" * node["maxLength"]
            yield "maxLength/empty", ""
            yield "type/nul", "a\0b"
        elif node["type"] == "integer":
            yield "minimum/lowest", node["minimum"]
            yield "maximum/highest", node["maximum"]
        elif name == "external_task_id":
            yield "unique/new", self._left
            yield "type/empty", ""
        else:
            yield "type/any-text", "klingkit"

    def _wrappings(self) -> Iterator[Boundary]:
        """Yield the boundaries that are of no field."""
        rules = self._contract.rules
        depth = rules["body.depth"].params["maxDepth"] - 1
        media_type = f"{self._create.media_type}; charset=utf-8"
        yield Boundary("body.mediaType", "charset", change=lambda request: replace(request, content_type=media_type))
        yield Boundary(
            "authorization.bearer",
            "lower-case",
            change=lambda request: replace(request, authorization="bearer {key}"),
        )
        yield Boundary("request.unknown_fields", "unknown-field", ("klingkit",), {"a": [1, None]})
        yield Boundary("body.depth", "deepest", ("klingkit",), _nested(depth))
        model = json.dumps(self._rules.nodes[("model_name",)]["enum"][0])
        twice = f'{{"model_name":"klingkit","model_name":{model},'.encode()
        yield Boundary(
            "body.json", "repeated-key", change=lambda request: replace(request, raw=twice + request.data[1:])
        )

    def _rule_of(self, name: str, label: str) -> str:
        keyword = label.partition("/")[0]
        paths = [(name,), (name, "items", "subject_image")]
        return next((self._rules.rules[path, keyword].id for path in paths if (path, keyword) in self._rules.rules), "")

    # After others

    def _follow_ups(self, named: Case, failing: list[Case]) -> Iterator[Case]:
        unique = self._contract.rules["external_task_id.unique"]
        exists = self._contract.rules["task_id.exists"]
        failed = self._named(failing, self._failed)
        for label, case, sure in (("again", named, True), ("after-failure", failed, False)):
            value = (case.request.body or {})["external_task_id"]
            mended = self._post({**self._body, "external_task_id": f"{value}-2"})
            request = self._post({**self._body, "external_task_id": value})
            again = self._case(
                f"external_task_id.unique/{label}", request, unique, sure=sure, value=value, mended=mended
            )
            yield replace(again, after=case.id)
        query = self._case(
            "task_id.exists/known-external-id", self._get(self._left), exists, mended=self._get("{task_id}")
        )
        yield replace(query, after=named.id)
        other = self._case("account.isolation/query", self._get("{task_id}"), exists, mended=self._get("{task_id}"))
        yield replace(other, after=named.id, promise="account.isolation", other_key=True)
        request = self._post({**self._body, "external_task_id": self._left})
        own = Case("account.isolation/external-id", request, self._create.operation_id, PICTURES)
        yield replace(own, after=named.id, promise="account.isolation", other_key=True)

    @staticmethod
    def _named(cases: list[Case], external_task_id: str) -> Case:
        return next(case for case in cases if (case.request.body or {}).get("external_task_id") == external_task_id)

    # Requests

    def _case(
        self,
        case_id: str,
        request: Request,
        rule: Rule,
        *,
        sure: bool = True,
        value: object = None,
        mended: Request | None = None,
    ) -> Case:
        operation = self._operation_of(request)
        charged = operation == self._create.operation_id
        cost = MAY if charged and not sure else NEVER
        return Case(case_id, request, operation, cost, rule, details={"value": value}, mended=mended)

    def _operation_of(self, request: Request) -> str:
        if request.path == self._create.path and request.method != self._query.method:
            return self._create.operation_id
        known = request.path.startswith(self._create.path + "/") and request.method == self._query.method
        return self._query.operation_id if known and "/" not in request.path[len(self._create.path) + 1 :] else ""

    def _post(self, body: Mapping[str, Any]) -> Request:
        return Request(self._create.method, self._create.path, body, content_type=self._create.media_type)

    def _get(self, task_id: str) -> Request:
        return Request(self._query.method, self._query.path.replace("{task_id}", task_id))

    def _items(self, count: int) -> list[dict[str, Any]]:
        return self._subjects(*[self._square] * count)

    def _subjects(self, *pictures: str) -> list[dict[str, Any]]:
        return [{"subject_image": each} for each in pictures]


BAD_TYPES: dict[str, tuple[Bad, ...]] = {
    "string": (Bad("null", None, sure=False), Bad("number", 5, sure=False), Bad("list", ["klingkit"])),
    "integer": (
        Bad("null", None, sure=False),
        Bad("string", "1", sure=False),
        Bad("float", 1.0, sure=False),
        Bad("fraction", 1.5, sure=False),
        Bad("boolean", True, sure=False),
        Bad("infinite", float("inf"), sure=False, json="1e400"),
        Bad("endless", float("inf"), sure=False, json="1" * 5000),
    ),
    "array": (
        Bad("null", None, sure=False),
        Bad("string", "klingkit"),
        Bad("object", {"subject_image": "x"}, sure=False),
    ),
    "object": (Bad("string", "klingkit"), Bad("null", None), Bad("list", [])),
}
"""Wrong types that clients send, by the type that is right."""


def put(body: Mapping[str, Any], place: Place, value: Any) -> dict[str, Any]:
    """Return a copy of a body with another value at a place; MISSING leaves the field out."""

    def changed(node: Any, place: Place) -> Any:
        if not place:
            return value
        step = place[0]
        copy: Any = list(node) if isinstance(step, int) else dict(node)
        if value is MISSING and len(place) == 1:
            copy.pop(step, None)
        else:
            inner = node[step] if isinstance(step, int) else node.get(step, {})
            copy[step] = changed(inner, place[1:])
        return copy

    result: dict[str, Any] = changed(body, place)
    return result


def _nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value
