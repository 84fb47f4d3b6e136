"""An entry of the journal: what came in and what went out. Keys are masked, pictures are elided."""

from __future__ import annotations

import hashlib
import json
import zlib
from dataclasses import dataclass, field
from typing import Any

from .outbound import host_and_path

SHORT = 200
"""Characters of a text that are kept."""
SMALL = 8 * 1024
"""A body of up to so many bytes is kept as it came and elided when somebody looks; about as much is kept of a larger one."""
MAX_FIELDS = 200
MAX_DEPTH = 20
MAX_NUMBER = 2**53
"""Up to here every reader of JSON has the same whole numbers."""
ENTRY_BYTES = 1150
"""What an entry takes beside its texts."""
HEADER_BYTES = 162
ADVICE_BYTES = 49
"""What one takes beside its text."""
SECRET_WORDS = ("auth", "cookie", "token", "key", "secret", "signature")
"""What the name of a header has that is masked."""


@dataclass(slots=True)
class Entry:
    """One request and its answer."""

    at: int
    """Time of the simulator in ms."""
    wall: float
    """Time of the machine in s since 1970, when the request began."""
    request_id: str
    """As the answer showed it."""
    account: str
    contract: str
    """Text of the choice of the contract by which it was answered."""
    operation: str
    """Operation id; empty for a path that is none."""
    method: str
    path: str
    headers: list[tuple[str, str]]
    body: bytes
    """What was `kept` of it."""
    fingerprint: int
    """The same for the same body and query, in every process."""
    status: int
    answer: bytes
    """What was `kept` of it."""
    frozen: bool = False
    """Whether the simulator's clock stood still."""
    scenario: str = ""
    rule: str = ""
    evidence: str = ""
    """How well the answer is known, where `rule` does not say so."""
    error: str = ""
    """Key of the error in the catalogue that was answered."""
    retry_after_s: int | None = None
    """What the answer asked the client to wait, if it did."""
    ms: float = 0.0
    """How long the answer took to be made, of the machine's time; a fault comes on top."""
    fault: str = ""
    """What was done to the connection: one of `FaultKind`, or nothing."""
    task_id: str = ""
    questions: tuple[str, ...] = ()
    """The open questions on whose answer this one rests, where somebody wants to know (`Simulator.find_questions`)."""
    advice: list[tuple[str, str]] = field(default_factory=list)
    """Kind and text of each mistake that this request shows by itself."""
    number: int = 0
    """Its place in the journal, which gives it when it keeps the entry."""

    size: int = field(init=False, default=0)
    """Bytes in memory, more or less."""

    @property
    def is_poll(self) -> bool:
        """Whether it queries one task that there is."""
        return self.operation == "get_task" and bool(self.task_id)

    def __post_init__(self) -> None:
        size = ENTRY_BYTES + len(self.body) + len(self.answer) + len(self.path) + len(self.scenario) + len(self.rule)
        size += sum([HEADER_BYTES + len(name) + len(value) for name, value in self.headers])
        self.size = size + sum([ADVICE_BYTES + len(text) for _, text in self.advice])


def masked_headers(headers: list[tuple[str, str]]) -> dict[str, str]:
    """Return headers as a journal may show them."""
    names = [(name.lower().replace("_", "-"), value) for name, value in headers]
    return {name: "***" if _is_secret(name, value) else value[:SHORT] for name, value in names}


def _is_secret(name: str, value: str) -> bool:
    return any(word in name for word in SECRET_WORDS) or value[:7].lower() in {"bearer ", "basic "}


def kept(body: bytes, value: Any = None) -> bytes:
    """Return what is kept of a body: as it came if it is small, else JSON of its shape, of `value` if that is known."""
    if len(body) <= SMALL:
        return body
    shown = readable(body) if value is None else elide(value)
    return json.dumps(shown, ensure_ascii=False, separators=(",", ":")).encode()


def fingerprint(raw: bytes, shown: bytes, query: str) -> int:
    """Return a number of 63 bits that is the same for the same body, of which `shown` was `kept`, and query."""
    text = b"%d %s %d %s" % (zlib.crc32(raw), query.encode("utf-8", "surrogateescape"), len(raw), shown)
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big") >> 1


def elide(value: Any, room: int = SMALL) -> Any:
    """Return JSON with long texts replaced by their size and hash, and without what a callback URL may keep secret.

    It is JSON that every reader takes, of about `room` characters at most, whatever the value is: what is not is a text.
    """
    return _Elider(room).elided(value, 0)


class _Elider:
    def __init__(self, room: int) -> None:
        self._room = room

    def elided(self, value: Any, depth: int) -> Any:
        self._room -= 8
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, (list, dict)) and value and depth == MAX_DEPTH:
            return "(nested deeper)"
        if isinstance(value, list):
            return self._list(value, depth)
        if isinstance(value, dict):
            return self._object(value, depth)
        if isinstance(value, (int, float)) and not abs(value) <= MAX_NUMBER:  # NaN neither
            return self._text(str(value))
        return value

    def _text(self, text: str) -> str:
        if len(text) > SHORT:
            digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
            text = f"({len(text)} characters, sha256 {digest})"
        self._room -= len(text)
        return text.encode("utf-8", "backslashreplace").decode()  # a lone surrogate

    def _list(self, items: list[Any], depth: int) -> list[Any]:
        shown = []
        for number, item in enumerate(items):
            if number == MAX_FIELDS or self._room < 0:
                shown.append(f"(and {len(items) - number} more)")
                break
            shown.append(self.elided(item, depth + 1))
        return shown

    def _object(self, fields: dict[str, Any], depth: int) -> dict[str, Any]:
        shown: dict[str, Any] = {}
        for number, (name, value) in enumerate(fields.items()):
            if number == MAX_FIELDS or self._room < 0:
                shown["..."] = f"(and {len(fields) - number} more)"
                break
            hidden = name == "callback_url" and isinstance(value, str)
            shown[self._text(name)] = self.elided(host_and_path(value[:SMALL]) if hidden else value, depth + 1)
        return shown


def readable(body: bytes) -> Any:
    """Return a body as the journal shows it: elided JSON, or how much there was of something else."""
    if not body:
        return None
    try:
        return elide(_decoder.decode(body.decode()))
    except (ValueError, RecursionError):
        return f"({len(body)} bytes that are no JSON)"


def _number(digits: str) -> int | float | str:
    """Return a number, or its text if readers of JSON disagree about it."""
    number = float(digits)
    if not abs(number) <= MAX_NUMBER:
        return digits
    return number if set(digits) & set(".eE") else int(digits)


_decoder = json.JSONDecoder(parse_int=_number, parse_float=_number, parse_constant=str)
