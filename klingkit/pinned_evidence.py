"""What the tests of a project rest on, written down with how well it is known, and compared with what is known now."""

from __future__ import annotations

import json
from datetime import date
from typing import TYPE_CHECKING, Any

from .command_errors import WrongUsage

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from klingkit.contract import Contract
    from klingkit.contract.behaviours import Aspect

FORMAT = 1
LARGEST = 4 * 1024 * 1024
"""Bytes of a file that is read."""
VALUES = ("says", "grade", "source", "date")
HEAD = """\
# What the tests of this project rest on, and how well that is known. Made to be committed.
# Written by `klingkit evidence --pin`; `klingkit evidence --check` says what of it has changed since.
"""

Pinned = dict[str, dict[str, dict[str, str]]]
"""By contract, then by aspect: what it says, its grade, source and date."""


def read_met(file: Path) -> dict[str, list[str]]:
    """Return the behaviours that tests met by contract, as `pytest --klingkit-coverage-json` wrote it.

    Raises WrongUsage for what is no such file.
    """
    met = _read(file, "--met", json.loads).get("evidence")
    names = [entry.get("rests_on") if isinstance(entry, dict) else None for entry in _values(met)]
    if not isinstance(met, dict) or not all(_are_texts(each) for each in names):
        raise WrongUsage(f"--met {file}: is not what pytest --klingkit-coverage-json FILE has written")
    if not met:
        raise WrongUsage(f"--met {file}: nothing was met; do the tests take kling_mock or kling_server?")
    return dict(zip(met, names, strict=True))


def pin(met: Mapping[str, Iterable[str]]) -> Pinned:
    """Return what these behaviours are and how well each aspect of them is known, sorted.

    Raises WrongUsage for a behaviour or contract that there is not.
    """
    pinned: Pinned = {}
    for choice, behaviours in sorted(met.items()):
        aspects = list(_aspects(choice))
        if strange := set(behaviours) - {aspect.behaviour for aspect in aspects}:
            raise WrongUsage(f"--met: {choice} has no {min(strange)[:100]!r}; run the tests again with this klingkit")
        rows = sorted((aspect for aspect in aspects if aspect.behaviour in behaviours), key=lambda aspect: aspect.id)
        pinned[choice] = {aspect.id: _values_of(aspect) for aspect in rows}
    return pinned


def as_text(pinned: Pinned) -> str:
    """Return the text of the file, an aspect a line."""
    import yaml

    content = {"format": FORMAT, "contracts": pinned}
    form: dict[str, Any] = {"default_flow_style": None, "sort_keys": False, "allow_unicode": True, "width": LARGEST}
    return HEAD + str(yaml.dump(content, Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper), **form))


def read_pinned(file: Path) -> Pinned:
    """Return what `as_text` has written. Raises WrongUsage for what is no such file."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    content = _read(file, "--check", lambda text: yaml.load(text, loader))  # noqa: S506 - both loaders are safe
    contracts = content.get("contracts")
    if content.get("format") != FORMAT or not isinstance(contracts, dict) or not contracts:
        raise WrongUsage(f"--check {file}: is not what klingkit evidence --pin FILE has written")
    return {str(choice): dict(_entries(file, choice, entries)) for choice, entries in contracts.items()}


def _entries(file: Path, choice: Any, entries: Any) -> Iterator[tuple[str, dict[str, str]]]:
    from klingkit.contract.evidence import GRADES

    if not isinstance(entries, dict):
        raise WrongUsage(f"--check {file}: {str(choice)[:60]} has no aspects under it")
    for name, entry in entries.items():
        place = f"{str(choice)[:60]}, {str(name)[:100]}"
        if not isinstance(entry, dict) or entry.keys() != set(VALUES) or not all(map(_is_plain, entry.values())):
            raise WrongUsage(f"--check {file}: {place} has to have {', '.join(VALUES)}, each a text, and nothing else")
        if entry["grade"] not in GRADES:
            raise WrongUsage(f"--check {file}: {place}: the grade is one of {', '.join(GRADES)}")
        yield str(name), {value: str(entry[value]) for value in VALUES}  # YAML reads 2026 as a number


def changes(pinned: Pinned, against: str | None = None) -> list[str]:
    """Say in a line each what has changed, lost its grade or is gone; `against` is another contract than the pinned one.

    Raises WrongUsage for a contract that there is not.
    """
    return [line for choice, entries in pinned.items() for line in _changes(choice, entries, against or choice)]


def _changes(pinned_for: str, entries: Mapping[str, Mapping[str, str]], choice: str) -> Iterator[str]:
    from klingkit.contract.changes import service_changes

    now = {aspect.id: _values_of(aspect) for aspect in _aspects(choice)}
    where = choice if choice == pinned_for else f"{pinned_for} to {choice}"
    if choice != pinned_for:
        moved = service_changes(contract_of(pinned_for), contract_of(choice))
        yield from (f"{where}: {change.rule}: {change.what}" for change in moved)
    for name, was in entries.items():
        if name not in now:
            yield f"{where}: {name}: is gone; it was {_shown(was['says'])} ({was['grade']})"
            continue
        is_now = now[name]
        if was["says"] != is_now["says"]:
            yield f"{where}: {name}: was {_shown(was['says'])}, is {_shown(is_now['says'])}"
        if _strength(was["grade"]) < _strength(is_now["grade"]):
            yield f"{where}: {name}: was {_known(was)}, is {_known(is_now)}"


def _strength(grade: str) -> int:
    from klingkit.contract.evidence import GRADES

    return GRADES.index(grade)


def _known(values: Mapping[str, str]) -> str:
    return f"{values['grade']} ({values['source']}, {values['date']})"


def _shown(says: str) -> str:
    return repr(says) if says else "there"


def contract_of(choice: str) -> Contract:
    """Return a contract by the text of its choice. Raises WrongUsage if there is none."""
    from klingkit.contract import UnknownChoiceError, load_contract

    try:
        return load_contract(choice)
    except UnknownChoiceError as error:
        raise WrongUsage(str(error)) from None


def _aspects(choice: str) -> tuple[Aspect, ...]:
    from klingkit.contract.behaviours import aspects_of

    return aspects_of(contract_of(choice))


def _values_of(aspect: Aspect) -> dict[str, str]:
    evidence = aspect.evidence
    return {"says": aspect.says, "grade": evidence.grade, "source": evidence.source, "date": evidence.date}


def _read(file: Path, option: str, parse: Any) -> dict[str, Any]:
    import yaml

    try:
        with file.open("rb") as stream:
            raw = stream.read(LARGEST + 1)  # what is no file, such as a device, says of itself that it is empty
        if len(raw) > LARGEST:
            raise WrongUsage(f"{option} {file}: is larger than {LARGEST // 1024**2} MB")
        content = parse(raw.decode())
    except OSError as error:
        raise WrongUsage(f"{option} {file}: {error.strerror}") from None
    except (ValueError, RecursionError, yaml.YAMLError):
        raise WrongUsage(f"{option} {file}: is no {'plain YAML' if option == '--check' else 'JSON'}") from None
    return content if isinstance(content, dict) else {}


def _values(value: Any) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else ()


def _is_plain(value: Any) -> bool:
    """Tell whether it is a text, or what YAML takes for a number or date; anything else could be without end."""
    return isinstance(value, (str, int, float, date))


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)
