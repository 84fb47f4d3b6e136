"""Make the answers of a run comparable and fit to be kept: what varies becomes a placeholder, what is private goes.

The same value becomes the same placeholder wherever it stands, so an answer that quotes the id of another task still shows that.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Any

from ..cases.case import UNKNOWN_KEY
from ..judge.answer_schema import documented_fields
from ..judge.reading import envelope_of
from ..targets.target import SHORTEST_SECRET
from .entry import LARGEST

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ..targets.target import Reply
    from ..verify.results import Report, Result

RECORDED_HOST = "recorded.invalid"
"""Stands for the host of every URL; no name under `.invalid` is ever given to anybody (RFC 6761)."""
SHORTEST_ID = 6
"""Characters of an id that is looked for inside of texts; a shorter one could be any number."""
LONGEST_ID = 200
LONGEST_TEXT = 2000
MOST_ITEMS = 100
DEEPEST = 30

URL = re.compile(r"\b([a-zA-Z][a-zA-Z0-9+.-]{1,20})://[^\s\"'<>\\)\]}]+")
E_MAIL = re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,10}")
ADDRESS = re.compile(r"(?<![\w.:])(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9a-fA-F]{0,4}(?::[0-9a-fA-F]{0,4}){2,7})(?![\w:])")
UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
WORDS = re.compile(r"[\w.:-]+|[^\w.:-]")
JSON_TYPES = {dict: "object", list: "list", str: "string", bool: "boolean", int: "number", float: "number"}


@dataclass(frozen=True, slots=True)
class Masked:
    """What is kept of the answer to a case."""

    headers: dict[str, str]
    body: Any
    """The JSON object that was answered; None if it was none."""
    task: list[dict[str, Any]]
    """Its task in each state that it was seen in."""


@dataclass(slots=True)
class _Scope:
    """What was met in the answers to one case: URLs and times are numbered in it."""

    case: str
    envelope: str
    fields: Mapping[str, str]
    queried: bool = False
    """Whether it is a query that shows a task some time after its create."""
    urls: dict[str, str] = field(default_factory=dict)
    times: dict[object, str] = field(default_factory=dict)


class Masker:
    """Masks the answers of one run; what varies in it is learnt from the answers themselves."""

    def __init__(self, report: Report) -> None:
        self._contract = report.contract
        self._ids: dict[str, tuple[str, str]] = {}
        """What each id is, and the case in whose answer it was given out first."""
        options = report.options
        self._keys = {key: "<key>" for key in (options.key, options.other_key) if key and len(key) >= SHORTEST_SECRET}
        self._keys[UNKNOWN_KEY] = "<unknown key>"
        self._run = re.compile(rf"(?<!\w){re.escape(options.run)}(?=-)")
        for result in report.results:
            for reply in (result.reply, result.again):
                self._learn_ids(result, reply)
        long = sorted((known for known in self._ids if len(known) >= SHORTEST_ID), key=len, reverse=True)
        # The longest first, since an id can begin with another one; `(?!)` is found nowhere.
        self._long_ids = re.compile("|".join(map(re.escape, long)) or "(?!)")
        self._varying: set[tuple[str, str]] = set()
        self._patterns: dict[tuple[str, str], list[re.Pattern[str]]] = {}
        """Envelope and path of the texts that vary as a whole, or in parts, without a reason."""
        for result in report.results:
            if result.again:
                self._learn_noise((result, result.reply), (result, result.again))
        made = [(result, result.reply) for result in report.results if result.task_id]
        if len(made) > 1:  # what is said of an accepted request does not depend on it
            self._learn_noise(made[0], made[1])

    def mask(self, result: Result, reply: Reply) -> Masked:
        """Return what is kept of an answer."""
        scope = self._scope(result, reply)
        body = self._mask_reply(reply, scope)
        content_type = reply.headers.get("content-type", "").partition(";")[0]
        headers = {"content-type": content_type} if content_type else {}
        if request_id := reply.headers.get(self._contract.request_id_header):
            headers[self._contract.request_id_header] = self._whole(request_id, scope)
        if "location" in reply.headers:
            headers["location"] = self._text(reply.headers["location"], scope)
        query = _Scope(scope.case, "success", documented_fields(self._contract, "get_task", "success"), queried=True)
        query.urls, query.times = scope.urls, scope.times
        task: list[dict[str, Any]] = []
        for data in result.history:
            seen = self._walk(data, "data", query)
            if not task or seen != task[-1]:
                task.append(seen)
        return Masked(headers, body, task)

    def text(self, text: str) -> str:
        """Mask a text that is no answer, such as the value that a case sent."""
        return self._text(text, _Scope("", "", {}))

    def _scope(self, result: Result, reply: Reply) -> _Scope:
        envelope = envelope_of(reply.body)
        return _Scope(result.case.id, envelope, documented_fields(self._contract, result.case.operation, envelope))

    def _mask_reply(self, reply: Reply, scope: _Scope) -> Any:
        if not isinstance(reply.body, dict):
            return None
        # A list has all tasks of the account, whoever has made them, and others each time: none of them is kept.
        body = {**reply.body, "data": []} if isinstance(reply.body.get("data"), list) else reply.body
        return self._walk(body, "", scope)

    # Learning

    def _learn_ids(self, result: Result, reply: Reply | None) -> None:
        body = reply.body if reply and isinstance(reply.body, dict) else {}
        found = [
            (result.task_id, "task"),
            (body.get("request_id"), "request id"),
            (reply.headers.get(self._contract.request_id_header) if reply else "", "gateway request id"),
        ]
        for value, what in found:
            if (
                isinstance(value, (str, int))
                and value
                and not isinstance(value, bool)
                and len(str(value)) <= LONGEST_ID
            ):
                self._ids.setdefault(str(value), (what, result.case.id))

    def _learn_noise(self, *answered: tuple[Result, Reply | None]) -> None:
        """Learn from two answers that should say the same what varies besides ids and times."""
        envelope, leaves = "", []
        for result, reply in answered:
            if reply:
                envelope = envelope_of(reply.body)
                leaves.append(_leaves(self._mask_reply(reply, self._scope(result, reply))))
        for (path, before), (other, after) in zip(*leaves, strict=False):
            if path != other or before == after or path.startswith("data"):
                continue
            leaf = (envelope, path)
            patterns = _varying_parts(before, after) if isinstance(before, str) and isinstance(after, str) else None
            if patterns:
                self._patterns.setdefault(leaf, []).extend(patterns)
            else:
                self._varying.add(leaf)

    # Masking

    def _walk(self, node: Any, path: str, scope: _Scope) -> Any:
        if path.count(".") + path.count("[]") > DEEPEST:
            return "<nested too deep>"
        if isinstance(node, dict):
            return {self._text(name, scope): self._child(node, name, path, scope) for name in node}
        if isinstance(node, list):
            return [self._walk(item, f"{path}[]", scope) for item in node[:MOST_ITEMS]]
        return self._leaf(node, path, scope)

    def _leaf(self, node: Any, path: str, scope: _Scope) -> Any:
        if scope.fields.get(path) == "Milliseconds":
            return _time(node, path, scope)
        if (scope.envelope, path) in self._varying:
            return "<varies>"
        if isinstance(node, str):
            masked = self._whole(node, scope)
            for pattern in self._patterns.get((scope.envelope, path), ()):
                masked = pattern.sub(r"\1<varies>\2", masked)
            return masked
        if isinstance(node, (int, float)) and not isinstance(node, bool) and str(node) in self._ids:
            return f"<{self._name(str(node), scope)}, a number>"
        if isinstance(node, int) and abs(node) > LARGEST:
            return f"<a number of {len(str(node))} digits>"
        return node

    def _child(self, node: dict[str, Any], name: str, path: str, scope: _Scope) -> Any:
        inner = f"{path}.{name}" if path else name
        if inner not in scope.fields:  # nobody knows whether what stands there is private, or the same the next time
            return f"<undocumented {JSON_TYPES.get(type(node[name]), 'null')}>"
        return self._walk(node[name], inner, scope)

    def _whole(self, text: str, scope: _Scope) -> str:
        """Mask a text that may be an id as a whole; then its form is kept."""
        if text in self._ids:
            form = "digits" if text.isdecimal() else "UUID" if UUID.fullmatch(text) else "text"
            return f"<{self._name(text, scope)}: {form}>"
        return self._text(text, scope)

    def _text(self, text: str, scope: _Scope) -> str:
        if len(text) > 2 * LONGEST_TEXT:  # in what is longer, looking for all these takes too long
            return f"<{len(text)} characters>"
        text = text.encode("utf-8", "backslashreplace").decode()  # half of a surrogate pair cannot be written
        text = URL.sub(lambda match: _url(match, scope), text)
        for key, placeholder in self._keys.items():
            text = text.replace(key, placeholder)
        text = self._long_ids.sub(lambda match: f"<{self._name(match[0], scope)}>", text)
        text = self._run.sub("<run>", text)
        text = E_MAIL.sub("<e-mail>", text)
        text = ADDRESS.sub(_address, text)
        return text if len(text) <= LONGEST_TEXT else f"<{len(text)} characters>"

    def _name(self, value: str, scope: _Scope) -> str:
        what, case = self._ids[value]
        return what if case == scope.case and what != "task" else f"{what} of {case}"


def _time(value: object, path: str, scope: _Scope) -> str:
    """Return the placeholder of a time; in the first answer and for `created_at`, the same for the same time."""
    form = f"{len(str(value))} digits" if isinstance(value, int) and not isinstance(value, bool) else "not a number"
    if scope.queried and path.endswith("updated_at"):
        return f"<time, {form}>"  # how late a task changes differs from run to run
    start = scope.times.setdefault(value, f"<time {len(scope.times) + 1}")
    return f"{start}, {form}>"


def _url(match: re.Match[str], scope: _Scope) -> str:
    """Return the placeholder of a URL, in which only the scheme is left; a simulator on this machine has no https."""
    url, scheme = match[0], match[1].lower()
    if url.partition("://")[2].partition("/")[0].endswith(".invalid"):
        return url
    scheme = "https" if scheme == "http" else scheme
    return scope.urls.setdefault(url, f"{scheme}://{RECORDED_HOST}/{len(scope.urls) + 1}")


def _address(match: re.Match[str]) -> str:
    try:
        ipaddress.ip_address(match[0])
    except ValueError:
        return match[0]
    return "<address>"


def _leaves(node: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(node, dict):
        for name, child in node.items():
            yield from _leaves(child, f"{path}.{name}" if path else name)
    elif isinstance(node, list):
        for child in node:
            yield from _leaves(child, f"{path}[]")
    else:
        yield path, node


def _varying_parts(first: str, second: str) -> list[re.Pattern[str]]:
    """Return what finds the words in which two texts differ, by those around them; nothing if that is all of it."""
    before, after = WORDS.findall(first), WORDS.findall(second)
    patterns = []
    for kind, start, end, _, _ in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if kind == "equal":
            continue
        left, right = "".join(before[max(0, start - 3) : start]), "".join(before[end : end + 1])
        if kind != "replace" or not (left or right):
            return []
        ends = f"({re.escape(right)})" if right else "($)"
        patterns.append(re.compile(f"({re.escape(left) or '^'})[\\w.:-]+{ends}"))
    return patterns
