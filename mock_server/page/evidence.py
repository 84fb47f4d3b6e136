"""What is known of the real service, how well, and what is not: the open questions with the answer that each is given meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .ask import Ask

SHOWN = 100
"""Aspects on a page."""
FILTERS = ("text", "kind", "grade")


def show(ask: Ask) -> dict[str, Any]:
    """Return the open questions and a page of the aspects that have all words, of one contract."""
    wanted = {name: ask.query[name] for name in FILTERS if ask.query.get(name)}
    found = ask.call(
        "get_evidence", **wanted, **({"contract": ask.query["contract"]} if ask.query.get("contract") else {})
    )
    questions = ask.call("list_assumptions")
    contracts = list(dict.fromkeys(each["contract"] for each in questions))
    contract = ask.query.get("contract") or contracts[0]
    of_it = [each for each in questions if each["contract"] == contract]
    first = _number(ask.query.get("from", ""))
    return {
        "contract": contract,
        "contracts": list(dict.fromkeys([*contracts, contract])),
        "totals": found["totals"],
        "aspects": [_linked(each, of_it) for each in found["aspects"][first : first + SHOWN]],
        "first": first,
        "number": len(found["aspects"]),
        "shown": SHOWN,
        "filtered": bool(wanted),
        "kinds": _choices(ask, "kind"),
        "grades": _choices(ask, "grade"),
        "questions": sorted(_asked(of_it, found["aspects"], wanted) if wanted else of_it, key=_as_by_default),
        "done": ask.outcome.fields.get("assumption_id", "") if ask.outcome else "",
        "of_all": len(of_it),
    }


def _asked(
    questions: list[dict[str, Any]], aspects: list[dict[str, Any]], wanted: dict[str, str]
) -> list[dict[str, Any]]:
    """Return the questions that are behind these aspects, and those that have all the words themselves."""
    behind = {text.partition(" ")[0] for aspect in aspects for text in (*aspect["assumptions"], aspect["name"])}
    words = wanted.get("text", "").lower().split()

    def fits(question: dict[str, Any]) -> bool:
        text = f"{question['id']} {question['question']}".lower()
        return question["id"] in behind or (bool(words) and all(word in text for word in words))

    return list(filter(fits, questions))


def _choices(ask: Ask, name: str) -> list[str]:
    parameters = ask.call("get_openapi")["paths"]["/_mock/evidence"]["get"]["parameters"]
    found: list[str] = next(each["schema"]["enum"] for each in parameters if each.get("name") == name)
    return found


def _linked(aspect: dict[str, Any], questions: list[dict[str, Any]]) -> dict[str, Any]:
    """Return an aspect with its open questions as id and what is added in brackets, and those that are answered otherwise here.

    Its source speaks of the default answers alone.
    """
    known = {each["id"]: each for each in questions}
    named = [text.partition(" ") for text in aspect["assumptions"]]
    otherwise = {name: each for name, each in known.items() if not _as_by_default(each)}
    return {
        **aspect,
        "open": [(name, rest, name in known) for name, _, rest in named],
        "answered": otherwise.get(aspect["name"]) if aspect["kind"] == "question" else None,
        "otherwise": [otherwise[name] for name, _, _ in named if name in otherwise],
    }


def _as_by_default(question: dict[str, Any]) -> bool:
    """Tell whether a question is answered by its default; those that are not come first."""
    same: bool = question["taken"] == question["default"]
    return same


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 7 else 0
