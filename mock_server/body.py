"""From the bytes of a request to a JSON object, as strictly as a JSON reader can be (api-facts 6.4)."""

from __future__ import annotations

import codecs
import json
import re
from typing import TYPE_CHECKING, Any, NoReturn

from klingkit.contract import ApiError

if TYPE_CHECKING:
    from klingkit.contract import Contract

STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
"""Also one that has no end, and takes all the rest: to look for the next quote from each of its quotes would cost the square."""
SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
SQUARE = bytes.maketrans(b"{}", b"[]")
NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


def read_json_object(raw: bytes, contract: Contract) -> dict[str, Any]:
    """Parse a request body.

    Raises ApiError if it is no strict JSON (UTF-8 without a byte order mark; no NaN, Infinity or lone surrogate), is
    nested too deep, or is no object. Of repeated keys the last wins. A number too long to parse becomes infinite.
    """
    limit = contract.rules["body.depth"].params["maxDepth"]
    if raw.count(b"[") + raw.count(b"{") > limit and _is_deeper(raw, limit):
        raise ApiError(contract.rules["body.depth"])
    kind: str | None = None
    try:
        value = _decoded(raw.decode("utf-8"))
        if SURROGATE.search(raw):
            json.dumps(value, ensure_ascii=False).encode("utf-8")  # raises on a lone surrogate
    except (ValueError, RecursionError) as error:
        kind = _kind(raw, error)
    if kind is not None:  # not raised from the error, which holds the whole body
        raise ApiError(contract.questions.known(contract.rules["body.json"], kind))
    if not isinstance(value, dict):
        raise ApiError(contract.rules["body.object"])
    return value


def _kind(raw: bytes, error: Exception) -> str:
    """Name the kind of a body that a strict reader of JSON refuses, and a lenient one may not."""
    if not raw:
        return "empty"
    if raw.startswith(codecs.BOM_UTF8):
        return "byte-order-mark"
    kinds = {UnicodeDecodeError: "not-utf-8", UnicodeEncodeError: "lone-surrogate", ValueError: "nan"}
    return kinds.get(type(error), "")


def _is_deeper(raw: bytes, limit: int) -> bool:
    """Tell whether brackets are nested deeper than `limit`: whether any are left when so often the innermost were taken out.

    Each step is one of C over bytes; to look at each bracket in Python takes fifty times as long as to parse it.
    """
    brackets = STRING.sub(b"", raw).translate(SQUARE, NO_BRACKETS)
    for _ in range(limit):
        if b"[]" not in brackets:
            break
        brackets = brackets.replace(b"[]", b"")
    return b"[]" in brackets or brackets.count(b"[") > limit


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def _decoded(text: str) -> Any:
    try:
        return _decoder.decode(text)
    except json.JSONDecodeError:
        raise
    except ValueError:  # a constant, or a number too long: to look at each number in Python costs
        return _patient_decoder.decode(text)


def _parse_int(digits: str) -> int | float:
    try:
        return int(digits)
    except ValueError:  # more digits than Python converts
        return float("inf")


_decoder = json.JSONDecoder(parse_constant=_refuse)
_patient_decoder = json.JSONDecoder(parse_constant=_refuse, parse_int=_parse_int)
