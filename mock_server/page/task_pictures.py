"""The pictures of a task as the page shows them: small ones, and where there is none, why."""

from __future__ import annotations

from typing import Any

ROW, LARGE = 96, 480
"""Px of a small picture in a list, and on the screen of a task."""
MOST_INPUTS = 6
"""Of a task in a list: as many as a create can have."""
DRAWN = 50_000_000
"""Px; a larger picture is not made small."""


def thumbnails(task: dict[str, Any]) -> dict[str, Any]:
    """Return the small pictures of a task in a list: what it was made from, and its first result."""
    inputs = [each for each in task["inputs"] if each["address"]]
    urls = len([each for each in task["inputs"] if each["url"]])
    lost = len(task["inputs"]) - len([each for each in task["inputs"] if each["address"] or each["url"]])
    beside = [f"{urls} picture{'s' * (urls > 1)} by URL"] * bool(urls) + [f"{lost} not kept"] * bool(lost)
    return {
        "input_pictures": [(f"{each['address']}?width={ROW}", each["role"]) for each in inputs[:MOST_INPUTS]],
        "beside": ("and " if inputs and beside else "") + ", ".join(beside),
        "result_picture": ""
        if not task["results"] or _has_expired(task)
        else f"{task['results'][0]['address']}?width={ROW}",
    }


def pictures(task: dict[str, Any]) -> dict[str, Any]:
    """Return what a task was made from and its results, each with a small picture or the reason why there is none."""
    has_expired = _has_expired(task)
    return {
        "inputs": [_input(each, why_fails=_why_fails(task)) for each in task["inputs"]],
        "results": [
            {
                **each,
                "small": "" if has_expired else f"{each['address']}?width={LARGE}",
                "why": "expired: the service keeps a result for a while only" if has_expired else "",
            }
            for each in task["results"]
        ],
    }


def _has_expired(task: dict[str, Any]) -> bool:
    now = task["timeline"]["planned"][0]["at"] + task["age_ms"]
    return any(result["expires_at"] <= now for result in task["results"])


def _why_fails(task: dict[str, Any]) -> str:
    """Return what keeps a task from needing its pictures; empty if nothing does."""
    return "its scenario makes" if task["scenario_why"] else "its pictures make" if task["failure"] else ""


def _input(found: dict[str, Any], *, why_fails: str) -> dict[str, Any]:
    pixels = (found["width"] or 0) * (found["height"] or 0)
    why = ""
    if found["address"] is None and found["url"]:
        why = "given by its URL, and not fetched"
    elif found["address"] is None:
        why = "not kept: " + (
            f"a task that {why_fails} fail needs none" if why_fails else "newer pictures took its room"
        )
    elif not found["media_type"]:
        why = "neither a PNG nor a JPEG, so it is not shown"
    elif pixels >= DRAWN:
        why = "larger than 50 megapixels, so it is not drawn small"
    name = ".".join(str(step) for step in found["place"])
    return {**found, "name": name, "why": why, "small": "" if why else f"{found['address']}?width={LARGE}"}
