"""What came in and what went out, in order; bounded, the oldest goes first. Keys are masked, pictures are elided."""

from __future__ import annotations

import hashlib
import itertools
import json
import threading
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .outbound import host_and_path

if TYPE_CHECKING:
    from collections.abc import Callable

SHORT = 200
"""Characters of a text that are kept."""
SMALL = 8 * 1024
"""A body of up to so many bytes is kept as it came and elided when somebody looks."""
MAX_FIELDS = 200
SECRET_WORDS = ("auth", "cookie", "token", "key", "secret", "signature")
"""What the name of a header has that is masked."""


@dataclass(slots=True)
class Entry:
    """One request and its answer."""

    number: int
    at: int
    """Time of the simulator in ms."""
    wall: float
    """Time of the machine in s, from an arbitrary start."""
    account: str
    operation: str
    """Operation id; empty for a path that is none."""
    method: str
    path: str
    headers: list[tuple[str, str]]
    body: bytes | dict[str, Any]
    """As it came, or elided if it was large."""
    status: int
    answer: bytes
    frozen: bool = False
    """Whether the simulator's clock stood still."""
    scenario: str = ""
    rule: str = ""
    error: str = ""
    """Key of the error in the catalogue that was answered."""
    retry_after_s: int | None = None
    """What the answer asked the client to wait, if it did."""
    fault: str = ""
    """What was done to the connection: one of `FaultKind`, or nothing."""
    task_id: str = ""
    advice: list[tuple[str, str]] = field(default_factory=list)
    """Kind and text of each mistake that this request shows by itself."""


class Journal:
    """The last entries. Safe to use from many threads."""

    def __init__(self, limit: int) -> None:
        self._entries: deque[Entry] = deque(maxlen=limit)
        self._numbers = itertools.count(1)
        self._changed = threading.Condition()
        self._waiters = 0
        self.count = 0
        """How many there have been."""

    def next_number(self) -> int:
        """Return the number of a request that begins."""
        return next(self._numbers)

    def add(self, entry: Entry) -> None:
        """Keep an entry."""
        self._entries.append(entry)
        self.count += 1
        if self._waiters:
            with self._changed:
                self._changed.notify_all()

    def entries(self) -> list[Entry]:
        """Return what is kept, oldest first."""
        while True:
            try:
                return list(self._entries)
            except RuntimeError:  # changed while it was copied
                continue

    @property
    def dropped(self) -> int:
        """How many older entries are not kept any more."""
        return self.count - len(self._entries)

    def forget(self, account: str) -> None:
        """Drop the entries of an account."""
        kept = [entry for entry in self.entries() if entry.account != account]
        self.count -= len(self._entries) - len(kept)
        self._entries.clear()
        self._entries.extend(kept)

    def wait_for(self, matches: Callable[[Entry], bool], timeout: float) -> Entry | None:
        """Return the first entry that matches, waiting for it for at most `timeout` s of the machine's time."""
        with self._changed:
            self._waiters += 1
            try:
                self._changed.wait_for(lambda: any(map(matches, self.entries())), timeout)
            finally:
                self._waiters -= 1
        return next(filter(matches, self.entries()), None)


def masked_headers(headers: list[tuple[str, str]]) -> dict[str, str]:
    """Return headers as a journal may show them."""
    names = [(name.lower().replace("_", "-"), value) for name, value in headers]
    return {name: "***" if _is_secret(name, value) else value[:SHORT] for name, value in names}


def _is_secret(name: str, value: str) -> bool:
    return any(word in name for word in SECRET_WORDS) or value[:7].lower() in {"bearer ", "basic "}


def elide(value: Any) -> Any:
    """Return JSON with long texts replaced by their size and hash, and without what a callback URL may keep secret."""
    if isinstance(value, str):
        if len(value) <= SHORT:
            return value
        digest = hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()[:16]
        return f"({len(value)} characters, sha256 {digest})"
    if isinstance(value, list):
        return [elide(item) for item in value[:MAX_FIELDS]]
    if isinstance(value, dict):
        return {
            key[:SHORT]: host_and_path(item) if key == "callback_url" and isinstance(item, str) else elide(item)
            for key, item in list(value.items())[:MAX_FIELDS]
        }
    return value


def readable(body: bytes | dict[str, Any]) -> Any:
    """Return a body as the journal shows it: elided JSON, or how much there was of something else."""
    if not isinstance(body, bytes):
        return body
    if not body:
        return None
    try:
        return elide(json.loads(body))
    except (ValueError, RecursionError):
        return f"({len(body)} bytes that are no JSON)"
