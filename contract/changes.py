"""What a caller of one contract meets in another: what breaks, and what else is otherwise."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from .rule import Rule
    from .rule_table import Path
    from .rules import RequestRules
    from .spec import Contract

LOWER = {"minItems", "minLength", "minimum", "minPixels"}
"""Limits that are narrower the higher they are; the others are so the lower they are."""
SHOWN_BY_ITSELF = {"actions", "overlay"}
"""What an alternative changes in the document, where it can be seen."""
UPPER = {"maxItems", "maxLength", "maximum", "maxMegabytes", "maxRatio"}


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that is otherwise; `rule` is the id of a rule, a field, an operation or a part of the service."""

    rule: str
    breaking: bool
    what: str

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return asdict(self)


def changes(old: Contract, new: Contract) -> list[Change]:
    """Return what a caller of `old` meets in `new`, what breaks first."""
    found = [
        *_service(old, new),
        *_operations(old, new),
        *_requests(old, new),
        *_answers(old, new),
        *_refusals(old, new),
        *_assumed(old, new),
    ]
    return sorted(dict.fromkeys(found), key=lambda change: not change.breaking)


def service_changes(old: Contract, new: Contract) -> list[Change]:
    """Return what every caller meets, whatever is sent: of address, keys, price and paths, without what is only new."""
    there = {*old.operations, *(f"get_task.{name}" for name in old.found_by)}
    of_operations = (change for change in _operations(old, new) if change.rule in there)
    return list(dict.fromkeys((*_service(old, new), *of_operations)))


def _service(old: Contract, new: Contract) -> Iterator[Change]:
    if old.server_url != new.server_url:
        yield Change("server", True, f"it is at {new.server_url}, not at {old.server_url}")
        yield Change("authorization", True, "it has keys of its own")
    if bool(old.jwt) != bool(new.jwt):
        what = "a signed token (JWT) is taken beside a key" if new.jwt else "no signed token (JWT) is taken, keys alone"
        yield Change("authorization.token", bool(old.jwt), what)
    if old.request_id_header != new.request_id_header:
        gone = f"there is no header {old.request_id_header}" if old.request_id_header else ""
        come = f"the header {new.request_id_header} names the request" if new.request_id_header else ""
        yield Change("answer.request_id_header", bool(gone), "; ".join(filter(None, (gone, come))))
    before, now = (f"{each.price_per_picture} {each.currency}" for each in (old, new))
    if before != now:
        yield Change("price", False, f"a picture costs {now}, not {before}")


def _operations(old: Contract, new: Contract) -> Iterator[Change]:
    for name, operation in old.operations.items():
        if name not in new.operations:
            yield Change(name, True, f"there is no {operation.method} {operation.path}")
            continue
        before, now = (f"{each.method} {each.path}" for each in (operation, new.operations[name]))
        if before != now:
            yield Change(name, True, f"it is {now}, not {before}")
    for name, operation in new.operations.items():
        if name not in old.operations:
            yield Change(name, False, f"new: {operation.method} {operation.path}; {operation.summary}")
    for name in dict.fromkeys((*old.found_by, *new.found_by)):
        if (name in old.found_by) != (name in new.found_by):
            can = "can" if name in new.found_by else "cannot"
            yield Change(f"get_task.{name}", can == "cannot", f"a task {can} be queried by its {name}")


def _requests(old: Contract, new: Contract) -> Iterator[Change]:
    for name, request in old.requests.items():
        if name in new.requests:
            yield from _fields(request, new.requests[name])
    before, now = old.document["x-image"], new.document["x-image"]
    yield from (change for name in before for change in _keyword("picture", name, before.get(name), now.get(name)))


def _fields(old: RequestRules, new: RequestRules) -> Iterator[Change]:
    renamed: set[Path] = set()
    for path, node in old.nodes.items():
        where = ".".join((*old.prefix, *path))
        if path in new.nodes:
            for word in sorted(_keywords(node) | _keywords(new.nodes[path])):
                yield from _keyword(where, word, node.get(word), new.nodes[path].get(word))
            if _must(old, path) != _must(new, path):
                can = "has to" if _must(new, path) else "need not"
                yield Change(f"{where}.required", _must(new, path), f"it {can} be there")
        elif path[:-1] in new.nodes:
            other = _new_name(path, old, new)
            renamed.add((*path[:-1], other))
            yield Change(
                where, True, f"it is called {other}; {path[-1]} is ignored" if other else "it is not known, and ignored"
            )
    for path, node in new.nodes.items():
        if path not in old.nodes and path not in renamed and path[:-1] in old.nodes:
            yield Change(
                ".".join((*new.prefix, *path)), _must(new, path), f"new: {node.get('description', '')}".rstrip(": ")
            )


def _must(rules: RequestRules, path: Path) -> bool:
    return bool(path) and path[-1] in rules.nodes[path[:-1]].get("required", ())


def _new_name(path: Path, old: RequestRules, new: RequestRules) -> str:
    """Return the field that is new, and is known to be sent under this name by mistake; empty if there is none."""
    for name, schema in new.nodes[path[:-1]].get("properties", {}).items():
        if (*path[:-1], name) not in old.nodes and path[-1] in schema.get("x-misnamed", ()):
            return str(name)
    return ""


def _keywords(node: Mapping[str, Any]) -> set[str]:
    return node.keys() & {*LOWER, *UPPER, "enum", "default", "type", "pattern"}


def _keyword(where: str, word: str, old: Any, new: Any) -> Iterator[Change]:
    """Yield how a keyword of a field differs."""
    if old == new:
        return
    rule = f"{where}.{word}".removeprefix(".")
    if isinstance(old or new, list):
        gone, come = (
            [str(item) for item in one or () if item not in (other or ())] for one, other in ((old, new), (new, old))
        )
        if gone:
            yield Change(rule, True, f"no longer {', '.join(gone)}")
        if come:
            yield Change(rule, False, f"also {', '.join(come)}")
    elif word == "default":
        yield Change(rule, True, f"it is {_shown(new)}, not {_shown(old)}")
    elif word in LOWER | UPPER and None not in (old, new):
        narrower = (new > old) == (word in LOWER)
        yield Change(rule, narrower, f"{'narrower' if narrower else 'wider'}: {new}, not {old}")
    else:
        yield Change(rule, new is not None, f"{_shown(new)}, not {_shown(old)}")


def _shown(value: Any) -> str:
    return "none that is known" if value is None else str(value)


def _answers(old: Contract, new: Contract) -> Iterator[Change]:
    """Yield how the fields of a success, and of a callback, differ."""
    for name in (name for name in old.operations if name in new.operations):
        before, now = (dict(_answer_fields(each.document, _success(each, name), "")) for each in (old, new))
        yield from _answer(f"{name}.answer", before, now)
    before, now = (
        dict(_answer_fields(each.document, {"$ref": "#/components/schemas/CallbackTask"}, "")) for each in (old, new)
    )
    yield from _answer("callback", before, now)


def _answer(where: str, before: dict[str, bool], now: dict[str, bool]) -> Iterator[Change]:
    """Yield how fields differ, of those that come or go with the one around them only that one."""
    for field, sure in before.items():
        if field not in now and _around(field) in {"", *now}:
            yield Change(f"{where}.{field}", True, "gone")
        elif sure and now.get(field) is False:
            yield Change(f"{where}.{field}", True, "it can be missing")
    for field in now:
        if field not in before and _around(field) in {"", *before}:
            yield Change(f"{where}.{field}", False, "new")


def _around(field: str) -> str:
    return field.rpartition(".")[0].removesuffix("[]")


def _success(contract: Contract, name: str) -> dict[str, Any]:
    operation = contract.operations[name]
    spec = contract.document["paths"][operation.path][operation.method.lower()]
    spec = spec if spec["operationId"] == name else spec["x-siblings"][name]
    schema: dict[str, Any] = next(iter(spec["responses"]["200"]["content"].values()))["schema"]
    return schema


def _answer_fields(document: Mapping[str, Any], schema: Mapping[str, Any], place: str) -> Iterator[tuple[str, bool]]:
    """Yield each field of an answer, with whether it must be there."""
    while "$ref" in schema:
        step: Any = document
        for key in schema["$ref"][2:].split("/"):
            step = step[key]
        schema = step
    for name, inner in schema.get("properties", {}).items():
        here = f"{place}.{name}".removeprefix(".")
        yield here, name in schema.get("required", ())
        yield from _answer_fields(document, inner, here)
    if "items" in schema:
        yield from _answer_fields(document, schema["items"], f"{place}[]")


def _refusals(old: Contract, new: Contract) -> Iterator[Change]:
    """Yield how the answer to a violation of a rule differs, and which rules are new that belong to no field."""
    for name, rule in old.rules.items():
        if name in new.rules:
            before, now = _answer_to(rule), _answer_to(new.rules[name])
            if before != now:
                yield Change(name, True, f"answers {now}, not {before}")
            elif rule.message != new.rules[name].message:
                yield Change(name, False, f"says {new.rules[name].template!r}, not {rule.template!r}")
    of_fields = {rule.id for request in new.requests.values() for rule in request.rules.values()}
    for name, rule in new.rules.items():
        if name not in old.rules and name not in of_fields:
            yield Change(name, False, f"new: {_answer_to(rule)}, {rule.template!r}")


def _assumed(old: Contract, new: Contract) -> Iterator[Change]:
    """Yield which open question is chosen to be answered otherwise, where nothing else of the document shows what that does."""
    before, now = (each.document["x-assumptions"] for each in (old, new))
    chosen = dict((*old.choice.assume, *new.choice.assume))
    for name in (name for name in before if name in now and name in chosen):
        taken, other = (found[name]["alternatives"][found[name]["default"]] for found in (before, now))
        if before[name]["default"] != now[name]["default"] and not (taken.keys() | other.keys()) & SHOWN_BY_ITSELF:
            yield Change(name, True, f"{now[name]['question']} {other['does']} Before: {taken['does']}")


def _answer_to(rule: Rule) -> str:
    if rule.error is None:
        return "a task that fails"
    code = f"{rule.error.http}/{rule.error.code}".removesuffix("/")
    return f"{code} in the envelope {rule.error.envelope}"
