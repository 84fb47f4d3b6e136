"""Hypothesis strategies that read the contract: pictures, valid requests, requests that break one rule, a state machine.

A changed limit in `openapi.yaml` moves them. This file alone imports Hypothesis; `klingkit.contract` does not load it.
"""

from __future__ import annotations

import difflib
import math
import re
import string
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from typing import Any, NamedTuple

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, multiple, precondition
from hypothesis.stateful import rule as step
from hypothesis.strategies import SearchStrategy

from .cases.case import NEVER, Case, create_case
from .cases.sample_pictures import encode
from .check import send_case
from .judge.task_history import judge_history
from .rules import Path, Rule
from .spec import Contract, load_contract
from .targets.target import Reply, Request, Target

Node = Mapping[str, Any]
"""Schema of a place in the request."""
Spoilt = tuple[Path, SearchStrategy[Any]]
"""A place, and the values that it shall have instead of valid ones."""
Fields = SearchStrategy[dict[str, Any]]

MISSING = ...
"""Stands for a field that is left out."""
ADDRESSES = ("example.com/", "example.com/a.png", "img.example.org:8443/b/c.jpg?size=1&x=%20", "example.com/é猫.jpg")
EXTERNAL_ID = "external_task_id"
CALLED_BACK = ("callback_url",)
CHARACTERS = st.characters(exclude_categories=["Cs"], exclude_characters="[")
"""`[[name]]` in a prompt would choose a scenario of the simulator."""
SHORT = st.text(string.ascii_letters, max_size=5)
BEYOND = st.just(1) | st.integers(1, 19)
"""How far outside a limit: often just outside, and never so far that a service which takes it charges much."""
DIGITS = st.integers(0, 8)
NO_FILES = (
    "data:image/png;base64,QUJD",
    "QUJD\n",
    "QU JD",
    "QUI",
    "-_-_",
    "ftp://example.com/a.png",
    "//example.com/a",
)
JSON: dict[str, SearchStrategy[Any]] = {
    "null": st.none(),
    "boolean": st.booleans(),
    "integer": DIGITS,
    "number": st.floats(1, 2),
    "string": SHORT | DIGITS.map(str),
    "array": st.lists(DIGITS | SHORT, max_size=2),
    "object": st.dictionaries(SHORT, DIGITS | SHORT, max_size=2),
}
"""Values of each JSON type. Numbers are small: a service that takes one for `n` charges that many pictures."""


class InvalidRequest(NamedTuple):
    """A body that breaks one rule and no other."""

    rule: Rule
    body: dict[str, Any]

    def __repr__(self) -> str:
        """Show the rule by its id."""
        return f"InvalidRequest({self.rule.id!r}, {self.body!r})"


def pictures(contract: Contract | None = None) -> SearchStrategy[str]:
    """Valid pictures: URLs, and files in Base64 with sizes up to the limits of `x-image`."""
    limits = (contract or load_contract()).request.limits
    urls = [f"{scheme}{rest}" for scheme in limits.schemes for rest in ADDRESSES]
    least, ratio = limits.min_pixels, limits.max_ratio
    short = next((side for side in range(least, least + 100) if (side * ratio).is_integer()), least)
    long = math.floor(short * ratio)
    sizes = [(least, least), (short, long), (long, short), (least, least + 1), (long, long)]
    return st.sampled_from(urls) | st.builds(_file, st.sampled_from(limits.formats), st.sampled_from(sizes))


def valid_requests(contract: Contract | None = None) -> SearchStrategy[dict[str, Any]]:
    """Bodies of a create that break no rule; nobody is called back, and each `external_task_id` is new."""
    return _values(contract or load_contract(), ())


def invalid_requests(contract: Contract | None = None, rule: str | None = None) -> SearchStrategy[InvalidRequest]:
    """Bodies of a create that break one rule which needs no state and no large file; `rule` is the id of the one.

    A number over its maximum is over it by less than 20. Raises ValueError for a rule that cannot be broken so.
    """
    contract = contract or load_contract()
    rules = contract.request.rules
    places = {found.id: place for place, found in rules.items() if place[1] in BREACHES}
    if rule is not None and rule not in places:
        nearest = ", ".join(difflib.get_close_matches(rule, places, cutoff=0))
        raise ValueError(f"no request can be drawn that breaks {rule!r} alone; the nearest rules are {nearest}")
    chosen = [places[rule]] if rule else list(places.values())
    return st.one_of([_breaking(contract, path, keyword) for path, keyword in chosen])


def draw(strategy: SearchStrategy[Any], seed: int, count: int) -> list[Any]:
    """Return some examples of a strategy; the same process with the same seed draws the same."""
    drawn: list[Any] = []

    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @seeded(seed)
    @given(strategy)
    def keep(example: Any) -> None:
        drawn.append(example)

    keep()
    return drawn


def breaks_only(contract: Contract, broken: Rule, body: Mapping[str, Any]) -> bool:
    """Tell whether a body breaks just that rule, once. A value of a wrong type is in no `enum` either: that counts as one."""
    found = [violation.rule.id for violation in contract.request.judge(body)[0]]
    field, _, keyword = broken.id.rpartition(".")
    return found == [broken.id] or (keyword == "type" and found == [broken.id, f"{field}.enum"])


def _breaking(contract: Contract, path: Path, keyword: str) -> SearchStrategy[InvalidRequest]:
    node, broken = contract.request.nodes[path], contract.request.rules[path, keyword]
    items = _values(contract, (*path, "items")) if "items" in node else st.nothing()
    bodies = _values(contract, (), (path, BREACHES[keyword](node, items)))
    return _requests(broken, bodies.filter(lambda body: breaks_only(contract, broken, body)))


# Composites, where builds and map would do: a failure shows what they return, not how it was made.
@st.composite
def _requests(draw: st.DrawFn, broken: Rule, bodies: SearchStrategy[dict[str, Any]]) -> InvalidRequest:
    return InvalidRequest(broken, draw(bodies))


@st.composite
def _without_missing(draw: st.DrawFn, known: Fields, unknown: Fields) -> dict[str, Any]:
    return {name: value for name, value in (draw(known) | draw(unknown)).items() if value is not MISSING}


@st.composite
def _with_one(draw: st.DrawFn, others: SearchStrategy[list[Any]], one: SearchStrategy[Any], last: int) -> list[Any]:
    items = draw(others)
    items.insert(draw(st.integers(0, last)), draw(one))
    return items


def _values(contract: Contract, path: Path, spoilt: Spoilt | None = None) -> SearchStrategy[Any]:
    """Valid values of a place in the request, but that the `spoilt` place has values of its own, and is there once."""
    if spoilt and spoilt[0] == path:
        return spoilt[1]
    if spoilt and spoilt[0][: len(path)] != path:
        spoilt = None
    node = contract.request.nodes[path]
    if "enum" in node:
        return st.sampled_from(node["enum"])
    if node["type"] == "object":
        return _objects(contract, path, spoilt)
    if node["type"] == "array":
        return _arrays(contract, path, spoilt)
    if node["type"] == "integer":
        least = node.get("minimum", 0)
        return st.integers(least, node.get("maximum", least + 8))
    return _texts(contract, path) if node["type"] == "string" else JSON[node["type"]]


def _objects(contract: Contract, path: Path, spoilt: Spoilt | None) -> SearchStrategy[dict[str, Any]]:
    """Objects with the required fields, some of the others, and at times one that the contract does not know."""
    names = contract.request.known_fields.get(path, ())
    must = [*contract.request.nodes[path].get("required", ()), *(spoilt[0][len(path) :][:1] if spoilt else ())]
    fields = {name: _values(contract, (*path, name), spoilt) for name in names}
    # A choice for each field; `optional` of fixed_dictionaries chooses among all, and so shrinks to less of the point.
    known = st.fixed_dictionaries(
        {name: field if name in must else st.just(MISSING) | field for name, field in fields.items()}
    )
    unknown = st.dictionaries(SHORT.map("x_{}".format), st.one_of(*JSON.values()), max_size=1)
    return _without_missing(known, unknown)


def _arrays(contract: Contract, path: Path, spoilt: Spoilt | None) -> SearchStrategy[list[Any]]:
    node, place = contract.request.nodes[path], (*path, "items")
    least = node.get("minItems", 0)
    most = node.get("maxItems", least + 3)
    if spoilt is None:
        return st.lists(_values(contract, place), min_size=least, max_size=most)
    others = st.lists(_values(contract, place), min_size=max(0, least - 1), max_size=most - 1)
    return _with_one(others, _values(contract, place, spoilt), most - 1)


def _texts(contract: Contract, path: Path) -> SearchStrategy[str]:
    """Strings of a place: pictures, new ids, texts that are no address, or any texts, of exactly the limit too."""
    node = contract.request.nodes[path]
    least, limit = node.get("minLength", 0), node.get("maxLength")
    if "x-role" in node:
        found = pictures(contract)
        return found.filter(re.compile(node["pattern"]).search) if "pattern" in node else found
    if (path, "unique") in contract.request.rules:
        # Not drawn, or a request that is replayed or shrunk would collide with its first sending.
        return st.just("") | st.builds(lambda: str(uuid.uuid4())[:limit])
    if path == CALLED_BACK:
        return st.text(st.characters(categories=("L", "Zs")), min_size=least, max_size=limit)
    if "pattern" in node:
        most = math.inf if limit is None else limit
        # To Python, `$` lets a line break follow; to JSON Schema it does not.
        texts = st.from_regex(node["pattern"])
        return texts.filter(lambda text: least <= len(text) <= most and not text.endswith("\n"))
    texts = _short_texts(node)
    return texts if limit is None else texts | texts.map(lambda text: text.ljust(limit, "x"))


def _short_texts(node: Node) -> SearchStrategy[str]:
    least = node.get("minLength", 0)
    return st.text(CHARACTERS, min_size=least, max_size=min(node.get("maxLength", math.inf), least + 20))


def _not_listed(allowed: list[str]) -> SearchStrategy[str]:
    near = [like for each in allowed for like in (f"{each} ", f"{each}0", each[:-1], each.swapcase())]
    return SHORT | st.sampled_from([like for like in near if like not in allowed])


@cache
def _file(kind: str, size: tuple[int, int]) -> str:
    """Return a picture in Base64; `kind` as Pillow names formats, `size` in px."""
    from PIL import Image  # noqa: PLC0415 - only who draws pictures waits for Pillow

    out = BytesIO()
    Image.new("L", size).save(out, kind)
    return encode(out.getvalue())


BREACHES: dict[str, Callable[[Node, SearchStrategy[Any]], SearchStrategy[Any]]] = {
    "type": lambda node, _: st.one_of([values for name, values in JSON.items() if name != node["type"]]),
    "required": lambda node, _: st.sampled_from([MISSING, None] if node.get("x-null") == "required" else [MISSING]),
    "pattern": lambda _, __: st.text(" \t\n\u0085\u00a0\u2003\u3000", max_size=3),
    "minItems": lambda node, items: st.lists(items, max_size=node["minItems"] - 1),
    "maxItems": lambda node, items: st.lists(items, min_size=node["maxItems"] + 1, max_size=node["maxItems"] + 3),
    "minLength": lambda node, _: st.text(CHARACTERS, max_size=node["minLength"] - 1),
    "maxLength": lambda node, _: st.builds(
        lambda text, over: text.ljust(node["maxLength"] + over, "x"), _short_texts(node), BEYOND
    ),
    "minimum": lambda node, _: BEYOND.map(lambda under: node["minimum"] - under),
    "maximum": lambda node, _: BEYOND.map(lambda over: node["maximum"] + over),
    "enum": lambda node, _: _not_listed(node["enum"]),
    "base64": lambda _, __: st.text(CHARACTERS, max_size=5) | st.sampled_from(NO_FILES),
}
"""By keyword, what breaks it at a place with that schema and those items; little of it breaks something else."""


def state_machine(
    target: Target, contract: Contract | None = None, key: str | None = None
) -> type[RuleBasedStateMachine]:
    """Return a state machine that submits, polls and waits at a target, and raises AssertionError where it is wrong.

    It sends as often as Hypothesis likes: a service that is not on this machine charges each accepted request.
    """
    contract = contract or load_contract()
    service = _Service(target, contract, key)
    valid = valid_requests(contract)
    waits = sorted(latest / 1000 for _, latest in contract.lifecycle.timings.values())

    class Life(RuleBasedStateMachine):
        tasks = Bundle[_Task]("tasks")
        free_ids = Bundle[str]("free_ids")
        submitted = False

        @step(target=tasks, body=valid)
        def submit(self, body: dict[str, Any]) -> _Task:
            self.submitted = True
            return service.submit(body)

        @step(target=free_ids, invalid=invalid_requests(contract))
        def submit_refused(self, invalid: InvalidRequest) -> Any:
            service.refuse(invalid)
            external_id = invalid.body.get(EXTERNAL_ID)
            return external_id if external_id and isinstance(external_id, str) else multiple()

        @step(target=tasks, body=valid, external_id=consumes(free_ids))
        def submit_with_the_id_of_a_refused(self, body: dict[str, Any], external_id: str) -> _Task:
            return service.submit({**body, EXTERNAL_ID: external_id}, owed="refusal.nothing")

        @step(task=tasks)
        def poll(self, task: _Task) -> None:
            service.poll(task)

        @precondition(lambda self: self.submitted)
        @step(seconds=st.sampled_from(waits))
        def wait(self, seconds: float) -> None:
            target.wait(seconds)

    return Life


@dataclass
class _Task:
    """A task: what was asked, and `data` of each answer about it."""

    body: dict[str, Any]
    history: list[dict[str, Any]]


class _Service:
    """Sends what a step of the state machine asks for, and raises AssertionError where an answer is not as it should be."""

    def __init__(self, target: Target, contract: Contract, key: str | None) -> None:
        self._target = target
        self._contract = contract
        self._key = key

    def submit(self, body: dict[str, Any], *, owed: str = "") -> _Task:
        reply, found = self._send(create_case(self._contract, "submit", body, promise=owed))
        task = _Task(body, [reply.data])
        _raise([*(self._in_history(task) if reply.data else ()), *found])
        return task

    def refuse(self, invalid: InvalidRequest) -> None:
        _raise(self._send(create_case(self._contract, "submit_refused", invalid.body))[1])

    def poll(self, task: _Task) -> None:
        query = self._contract.operations["get_task"]
        path = query.path.replace("{task_id}", str(task.history[0].get("task_id")))
        case = Case("poll", Request(query.method, path), query.operation_id, NEVER, promise="task.end")
        reply, found = self._send(case)
        if reply.data:
            task.history.append(reply.data)
        _raise([*self._in_history(task), *found])

    def _send(self, case: Case) -> tuple[Reply, list[str]]:
        return send_case(self._target, self._contract, case, self._key)

    def _in_history(self, task: _Task) -> Iterator[str]:
        by_url = any(picture.url for picture in self._contract.request.judge(task.body)[1])
        succeeded = self._contract.lifecycle.succeeded
        for owed, expected, got in judge_history(self._contract, task.body, task.history, None):
            goes_on = owed == "task.end"
            may_fail = expected == succeeded and by_url  # whether an address can be fetched, only the service knows
            if not (goes_on or may_fail):
                yield f"{owed}: expected {expected}, got {got}"


def _raise(found: list[str]) -> None:
    if found:
        raise AssertionError("\n".join(found))
