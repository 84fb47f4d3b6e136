"""Recordings in a folder: `recording.json` says of which service and when; beside it each rule has a file of its name."""

from __future__ import annotations

import json
import os
import shutil
from contextlib import contextmanager
from datetime import UTC, datetime
from secrets import token_hex
from typing import TYPE_CHECKING, Any

from ..judge.deviation import shown
from ..strict_json import read_json
from .entry import WrongValueError, check_values, read_answer, value_of
from .recording import RecordedAnswer, Recording
from .secret import find_secret

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from ..spec import Contract
    from .secret import Secret

FORMAT = 1
HEAD = "recording.json"
MAX_FILE = 16 * 1024 * 1024
"""Bytes of one file of a recording."""


class BrokenRecordingError(Exception):
    """A recording cannot be read; the message names the file and what is wrong with it."""


class OtherContractError(BrokenRecordingError):
    """A recording is of another contract; the message names both."""


class SecretFoundError(Exception):
    """A secret would have been written; the message says where it stands, and not what it is."""


def save(recording: Recording, folder: Path, secrets: Iterable[Secret]) -> None:
    """Write a recording; one that is there already is replaced once the new one is whole.

    Raises SecretFoundError, and OSError; then nothing has changed.
    """
    folder = folder.resolve()
    files = dict(_files(recording))
    _refuse_secrets(files, list(secrets))
    folder.parent.mkdir(parents=True, exist_ok=True)
    mark = token_hex(4)
    new, old = (folder.with_name(f".{folder.name}.{mark}.{word}") for word in ("new", "old"))
    try:
        new.mkdir()
        for name, content in files.items():
            (new / name).write_text(_text(content), encoding="utf-8")
        if folder.exists():
            folder.rename(old)
        try:
            new.rename(folder)
        except OSError:
            if old.exists():
                old.rename(folder)
            raise
    finally:
        shutil.rmtree(new, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def check_folder(folder: Path) -> None:
    """Raise BrokenRecordingError if a recording must not be written there, since something else would be lost."""
    if not folder.exists():
        parent = next(parent for parent in folder.resolve().parents if parent.exists())
        if not (parent.is_dir() and os.access(parent, os.W_OK)):
            raise BrokenRecordingError(f"{folder}: cannot be made, {parent} cannot be written to")
        return
    if not folder.is_dir():
        raise BrokenRecordingError(f"{folder} is a file; name a folder")
    foreign = sorted(path.name for path in folder.iterdir() if path.suffix != ".json" or path.is_dir())
    if foreign:
        raise BrokenRecordingError(f"{folder} holds {foreign[0]}, which is of no recording; choose another folder")
    if any(folder.iterdir()) and not (folder / HEAD).exists():
        raise BrokenRecordingError(f"{folder} has no {HEAD}, so it is no recording; choose another folder")


def _files(recording: Recording) -> Iterator[tuple[str, dict[str, Any]]]:
    at = recording.at.astimezone(UTC).isoformat(timespec="seconds")
    yield HEAD, {"format": FORMAT, "target": recording.target, "contract": recording.contract, "at": at}
    for section, answers in recording.answers.items():
        entries = {key: _as_json(answer) for key, answer in answers.items()}
        yield f"{section}.json", {"rule": section, "answers": entries}


def _as_json(answer: RecordedAnswer) -> dict[str, Any]:
    values = {name: getattr(answer, name) for name in RecordedAnswer.__dataclass_fields__}
    return {name: value for name, value in values.items() if value not in ("", [], None)}


def _text(content: dict[str, Any]) -> str:
    return json.dumps(content, sort_keys=True, indent=1, ensure_ascii=False) + "\n"


def _refuse_secrets(files: Mapping[str, dict[str, Any]], secrets: list[Secret]) -> None:
    for name, content in files.items():
        answers = content.get("answers", {"": content})
        for answer in answers.values():
            if found := find_secret([name, json.dumps(answer), *_strings(answer)], secrets):
                case = f", case {answer['case']}" if "case" in answer else ""
                raise SecretFoundError(f"{name}{case}: {found} stands in it")


def _strings(node: Any) -> Iterator[str]:
    if isinstance(node, str):
        yield node
    elif isinstance(node, dict):
        for name, child in node.items():
            yield name
            yield from _strings(child)
    elif isinstance(node, (list, tuple)):
        for child in node:
            yield from _strings(child)


def load(folder: Path, contract: Contract) -> Recording:
    """Read a recording of a contract. Raises BrokenRecordingError; OtherContractError for one of another contract."""
    if not folder.is_dir():
        raise BrokenRecordingError(f"{folder} is no folder, so it is no recording")
    head = _read(folder / HEAD)
    if head.get("format") != FORMAT:
        raise BrokenRecordingError(
            f"{folder / HEAD}: its format is {shown(head.get('format'))}; this klingkit reads {FORMAT}"
        )
    choice = str(contract.choice)
    if head.get("contract") != choice:
        raise OtherContractError(
            f"{folder / HEAD}: it is of the contract {shown(head.get('contract'))}, and this is {choice!r}"
        )
    with _said_of(folder / HEAD):
        check_values(head)
        target, at = value_of(head, "target", str), _time(value_of(head, "at", str))
    answers = {}
    for file in sorted(folder.glob("*.json")):
        if file.name == HEAD:
            continue
        content = _read(file)
        if content.get("rule") != file.stem:
            raise BrokenRecordingError(f"{file}: its rule is {shown(content.get('rule'))}, not {file.stem!r}")
        with _said_of(file):
            entries = value_of(content, "answers", dict)
        answers[file.stem] = dict(_answers(file, entries))
    return Recording(target, choice, at, answers)


def _answers(file: Path, entries: Mapping[str, Any]) -> Iterator[tuple[str, RecordedAnswer]]:
    for key, entry in entries.items():
        with _said_of(f"{file}: answer {key[:100]}", ""):
            check_values(key)
            yield key, read_answer(entry)


@contextmanager
def _said_of(where: object, colon: str = ":") -> Iterator[None]:
    """Say of what place it is what is wrong there."""
    try:
        yield
    except WrongValueError as error:
        raise BrokenRecordingError(f"{where}{colon} {error}") from None


def _time(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
        at.astimezone(UTC)
    except (ValueError, OverflowError):
        at = datetime.min  # noqa: DTZ901 - it has no zone, which is refused below
    if at.tzinfo is None:
        raise WrongValueError("'at' is no time with a zone, such as 2026-11-25T12:00:00+00:00")
    return at


def _read(file: Path) -> dict[str, Any]:
    try:
        if file.stat().st_size > MAX_FILE:
            raise BrokenRecordingError(f"{file}: larger than {MAX_FILE // 1024**2} MB")
        content = read_json(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BrokenRecordingError(f"{file.parent} has no {file.name}, so it is no recording") from None
    except OSError as error:
        raise BrokenRecordingError(f"{file}: {error.strerror}") from None
    except json.JSONDecodeError as error:
        raise BrokenRecordingError(f"{file}: no JSON, {error.msg} in line {error.lineno}") from None
    except UnicodeDecodeError:
        raise BrokenRecordingError(f"{file}: no JSON in UTF-8") from None
    except ValueError as error:
        raise BrokenRecordingError(f"{file}: no JSON that can be read, {error}") from None
    if not isinstance(content, dict):
        raise BrokenRecordingError(f"{file}: no JSON object")
    return content
