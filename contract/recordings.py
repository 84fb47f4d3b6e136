"""Recordings: what a service answered to the cases, kept in a folder, by rule and by what was sent.

`recording.json` says of which service and when; beside it each rule has a file of its name. What varies from run to run and
what is private is masked (`masking.py`), so that a new recording differs from the old one only where the service does.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import os
import re
import secrets as random
import shutil
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pybase64

from .errors import ErrorSpec
from .images import measure
from .judge import describe, envelope_of, shown
from .masking import Masker, find_secret
from .verify import takes_any_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from .cases import Case
    from .masking import Secret
    from .results import Report, Result
    from .rules import Rule
    from .spec import Contract

FORMAT = 1
HEAD = "recording.json"
ACCEPTED = "accepted"
"""Name of the file for the cases that are of no single rule."""
OLD = timedelta(days=90)
LONGEST_SENT = 300
VARYING = re.compile(r"<(?:run|key|varies|e-mail|address|(?:gateway )?request id|[\w ]+ of [^>]+)[^<>]*>")
"""A placeholder in a text, which stands for what a simulator cannot know."""
LARGE = 100_000
"""Bytes of a picture file that was made so large on purpose; the size of others depends on the version of a library."""
REPEATED = re.compile(r"(.)\1{40,}")
PICTURE = re.compile(r"(?:iVBORw0KGgo|/9j/)[A-Za-z0-9+/_\-\n]{20,}={0,2}")
"""A PNG or JPEG in Base64 of any dialect."""


class BrokenRecordingError(Exception):
    """A recording cannot be read; the message names the file and what is wrong with it."""


class SecretFoundError(Exception):
    """A secret would have been written; the message says where it stands, and not what it is."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a service answered to one case, masked."""

    case: str
    """Id of the case, for the reader."""
    sent: str
    """What was sent, in short, for the reader."""
    http: int
    headers: Mapping[str, str]
    body: dict[str, Any] | None
    """None where the answer was no JSON object."""
    other: str = ""
    """What such an answer was: a page, a redirect, ..."""
    blamed: str = ""
    """The rule for which a request that should be accepted was refused."""
    value: str = ""
    """The value that broke the rule, where a text may quote it."""
    task: list[dict[str, Any]] = field(default_factory=list)
    """The task in each state in which it was seen."""

    @property
    def envelope(self) -> str:
        """Name of its envelope, as `envelope_of` has it."""
        return envelope_of(self.body)

    @property
    def accepted(self) -> bool:
        """Whether the request was accepted."""
        return 200 <= self.http < 300 and (bool(self.task) or self.envelope == "success")

    @property
    def inner(self) -> dict[str, Any]:
        """What holds code and message."""
        inner = (self.body or {}).get("error", self.body)
        return inner if isinstance(inner, dict) else {}

    @property
    def summary(self) -> str:
        """The answer in a few words."""
        if self.body is None:
            return f"{self.http}, {self.other}"
        if self.accepted:
            end = self.task[-1] if self.task else {}
            reason = f", {shown(end['task_status_msg'])}" if end.get("task_status_msg") else ""
            return f"accepted, then {end.get('task_status')}{reason}" if end else f"{self.http}, accepted"
        return f"{self.http}/{shown(self.inner.get('code'))} {shown(self.inner.get('message'))}"


@dataclass(frozen=True, slots=True)
class Recording:
    """The answers of one service."""

    target: str
    contract: str
    at: datetime
    answers: Mapping[str, Mapping[str, Answer]]
    """By rule (or promise, or ACCEPTED), then by the key of the case."""

    def find(self, place: str, key: str) -> Answer | None:
        """Return the answer to a case, if there is one; `place_of` and `key_of` tell where it stands."""
        return self.answers.get(place, {}).get(key)

    def is_old(self, now: datetime) -> bool:
        """Tell whether it should be made anew."""
        return now - self.at > OLD


# What was sent


def place_of(case: Case) -> str:
    """Return under which name the answers to a case are kept."""
    return case.subject or ACCEPTED


def key_of(case: Case, run: str) -> str:
    """Return what stands for a request: the same in each run, another for everything else that is sent."""
    request = case.request
    canonical = {
        "method": request.method,
        "path": request.path.replace(run, "<run>"),
        "authorization": request.authorization,
        "content_type": request.content_type,
        "other_key": case.other_key,
        "after": bool(case.after),
        "body": canonical_body(case, run),
    }
    return hashlib.sha256(json.dumps(canonical, sort_keys=True).encode()).hexdigest()[:16]


def canonical_body(case: Case, run: str) -> str:
    """Return the body of a case without what differs from run to run: external ids, and the bytes of pictures."""
    request = case.request
    if request.raw is not None:
        text = PICTURE.sub(lambda match: _picture(match[0]), request.raw.decode("utf-8", "backslashreplace"))
    elif request.body is None:
        return ""
    else:
        body = _without_pictures(request.body)
        text = json.dumps(body, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return text.replace(f"{run}-", "<run>-")


def _without_pictures(node: Any) -> Any:
    if isinstance(node, dict):
        return {name: _without_pictures(child) for name, child in node.items()}
    if isinstance(node, list):
        return [_without_pictures(child) for child in node]
    if isinstance(node, str) and len(node) > LONGEST_SENT:
        starts = [node.find(start) for start in ("iVBORw0KGgo", "/9j/")]
        start = min((each for each in starts if each >= 0), default=-1)
        return node if start < 0 else node[:start] + _picture(node[start:])
    return node


def _picture(text: str) -> str:
    """Describe a picture in Base64; two libraries pack the same picture into different bytes."""
    plain = text.replace("\n", "") if "\n" in text else text
    size = len(plain.rstrip("=")) * 3 // 4
    head = plain[:4000].replace("-", "+").replace("_", "/").rstrip("=")
    pixels = measure(pybase64.b64decode(head + "=" * (-len(head) % 4)))
    facts = ["PNG" if plain.startswith("iVBOR") else "JPEG"]
    facts += [f"{pixels[0]} x {pixels[1]} px"] if pixels else []
    facts += [f"{size} bytes"] if size > LARGE else []
    facts += ["line breaks"] if plain is not text else []
    facts += ["no padding"] if len(plain) % 4 else []
    facts += ["URL-safe"] if "_" in plain or "-" in plain else []
    return f"<{', '.join(facts)}>"


# From a run


def record(report: Report, at: datetime) -> Recording:
    """Return the answers of a run, masked. Its options must have had `keep`."""
    masker = Masker(report)
    answers: dict[str, dict[str, Answer]] = {}
    for result in report.results:
        if result.reply and not takes_any_key(report.contract, report.options, result.case, result.reply):
            key = key_of(result.case, report.options.run)
            answers.setdefault(place_of(result.case), {})[key] = _answer(report, masker, result)
    return Recording(_public(report.target), report.contract.name, at, answers)


def _answer(report: Report, masker: Masker, result: Result) -> Answer:
    case, reply = result.case, result.reply
    assert reply  # noqa: S101 - only answered cases come here
    masked = masker.mask(result, reply)
    body = canonical_body(case, report.options.run)
    body = REPEATED.sub(r"\1\1\1...", body)[:LONGEST_SENT]
    sent = masker.text(f"{case.request.method} {case.request.path} {body}".strip())
    blamed = next((each.subject for each in result.deviations if each.kind == "refused"), "")
    value = case.details.get("value")
    quotable = isinstance(value, (str, int, float)) and not isinstance(value, bool) and len(str(value)) <= LONGEST_SENT
    return Answer(
        case=case.id,
        sent=sent,
        http=reply.http,
        headers=masked.headers,
        body=masked.body,
        other="" if masked.body is not None else describe(reply).partition(", ")[2],
        blamed=blamed if case.accepted else "",
        value=masker.text(str(value)) if quotable else "",
        task=masked.task,
    )


def _public(target: str) -> str:
    """Return the name of a target without what could be private in a URL."""
    if "://" not in target:
        return target
    parts = urlsplit(target)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


# On disk


def save(recording: Recording, folder: Path, secrets: Iterable[Secret]) -> None:
    """Write a recording; one that is there already is replaced once the new one is whole.

    Raises SecretFoundError, and OSError; then nothing has changed.
    """
    folder = folder.resolve()
    files = dict(_files(recording))
    _refuse_secrets(files, list(secrets))
    folder.parent.mkdir(parents=True, exist_ok=True)
    mark = random.token_hex(4)
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
        parent = next(each for each in folder.resolve().parents if each.exists())
        if not (parent.is_dir() and os.access(parent, os.W_OK)):
            raise BrokenRecordingError(f"{folder}: cannot be made, {parent} cannot be written to")
        return
    if not folder.is_dir():
        raise BrokenRecordingError(f"{folder} is a file; name a folder")
    foreign = sorted(each.name for each in folder.iterdir() if each.suffix != ".json" or each.is_dir())
    if foreign:
        raise BrokenRecordingError(f"{folder} holds {foreign[0]}, which is of no recording; choose another folder")
    if any(folder.iterdir()) and not (folder / HEAD).exists():
        raise BrokenRecordingError(f"{folder} has no {HEAD}, so it is no recording; choose another folder")


def _files(recording: Recording) -> Iterator[tuple[str, dict[str, Any]]]:
    at = recording.at.astimezone(UTC).isoformat(timespec="seconds")
    yield HEAD, {"format": FORMAT, "target": recording.target, "contract": recording.contract, "at": at}
    for place, answers in recording.answers.items():
        yield f"{place}.json", {"rule": place, "answers": {key: _as_json(each) for key, each in answers.items()}}


def _as_json(answer: Answer) -> dict[str, Any]:
    values = {name: getattr(answer, name) for name in Answer.__dataclass_fields__}
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
    """Read a recording. Raises BrokenRecordingError."""
    if not folder.is_dir():
        raise BrokenRecordingError(f"{folder} is no folder, so it is no recording")
    head = _read(folder / HEAD)
    if head.get("format") != FORMAT:
        raise BrokenRecordingError(
            f"{folder / HEAD}: its format is {head.get('format')!r}; this klingkit reads {FORMAT}"
        )
    if head.get("contract") != contract.name:
        raise BrokenRecordingError(
            f"{folder / HEAD}: it is of the contract {head.get('contract')!r}, and this is {contract.name!r}"
        )
    target = _value(head, "target", str, folder / HEAD)
    try:
        at: datetime | None = datetime.fromisoformat(_value(head, "at", str, folder / HEAD))
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise BrokenRecordingError(f"{folder / HEAD}: 'at' is no time with a zone, such as 2026-11-25T12:00:00+00:00")
    answers = {}
    for file in sorted(folder.glob("*.json")):
        if file.name != HEAD:
            content = _read(file)
            if content.get("rule") != file.stem:
                raise BrokenRecordingError(f"{file}: its rule is {content.get('rule')!r}, not {file.stem!r}")
            entries = _value(content, "answers", dict, file)
            answers[file.stem] = {key: _load_answer(entry, f"{file}: answer {key}") for key, entry in entries.items()}
    return Recording(target, contract.name, at, answers)


TYPES = {
    "case": str,
    "sent": str,
    "http": int,
    "headers": dict,
    "other": str,
    "blamed": str,
    "value": str,
    "task": list,
}
OPTIONAL = {"other", "blamed", "value", "task"}


def _load_answer(entry: Any, where: str) -> Answer:
    if not isinstance(entry, dict):
        raise BrokenRecordingError(f"{where} is no JSON object")
    if strange := sorted(entry.keys() - TYPES.keys() - {"body"}):
        raise BrokenRecordingError(f"{where} has {strange[0]!r}, which there is not in a recording")
    values = {
        name: _value(entry, name, kind, where) for name, kind in TYPES.items() if name in entry or name not in OPTIONAL
    }
    body = entry.get("body")
    tasks = values.get("task", [])
    if not (body is None or isinstance(body, dict)) or not all(isinstance(each, dict) for each in tasks):
        raise BrokenRecordingError(f"{where}: 'body' and each of 'task' must be JSON objects")
    if not all(isinstance(each, str) for each in values["headers"].values()):
        raise BrokenRecordingError(f"{where}: 'headers' must be texts")
    return Answer(body=body, **values)


def _value(entry: Mapping[str, Any], name: str, kind: type, where: object) -> Any:
    value = entry.get(name)
    if not isinstance(value, kind) or isinstance(value, bool):
        names = {str: "a text", int: "a whole number", dict: "a JSON object", list: "a list"}
        raise BrokenRecordingError(f"{where}: {name!r} must be {names[kind]}")
    return value


def _read(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BrokenRecordingError(f"{file.parent} has no {file.name}, so it is no recording") from None
    except OSError as error:
        raise BrokenRecordingError(f"{file}: {error.strerror}") from None
    except json.JSONDecodeError as error:
        raise BrokenRecordingError(f"{file}: no JSON, {error.msg} in line {error.lineno}") from None
    except (ValueError, RecursionError):
        raise BrokenRecordingError(f"{file}: no JSON in UTF-8") from None
    if not isinstance(content, dict):
        raise BrokenRecordingError(f"{file}: no JSON object")
    return content


# In the simulator


def apply(recording: Recording, contract: Contract) -> tuple[Contract, list[str]]:
    """Return the contract with the recorded answers in place of its own, and what of them could not be applied."""
    rules: dict[str, Rule] = {}
    problems: list[str] = []
    for place, answers in recording.answers.items():
        rule = contract.rules.get(place)
        if rule is None:
            problems += _refused_goods(place, answers, contract)
            continue
        changed: list[tuple[Answer, Rule]] = []
        for answer in sorted(answers.values(), key=lambda each: each.case):
            outcome = _recorded_rule(recording, contract, rule, answer)
            if isinstance(outcome, str):
                problems.append(f"{answer.case}: {outcome}")
            else:
                changed.append((answer, outcome))
        if changed:
            rules[place] = _most_alike([each for _, each in changed])
            others = [answer.case for answer, each in changed if not _says_the_same(rules[place], each, answer)]
            if others:
                problems.append(f"{', '.join(others)}: recorded with another answer than other cases of {place}")
    return contract.with_rules(rules), problems


def _most_alike(rules: list[Rule]) -> Rule:
    """Return the answer that most cases had; among equals one that quotes the value."""
    return max(rules, key=lambda rule: (rules.count(rule), "{value}" in rule.message))


def _says_the_same(given: Rule, recorded: Rule, answer: Answer) -> bool:
    return given.error == recorded.error and given.text(value=answer.value) == recorded.text(value=answer.value)


def _refused_goods(place: str, answers: Mapping[str, Answer], contract: Contract) -> Iterator[str]:
    if place in contract.promises:
        return
    if place != ACCEPTED:
        near = difflib.get_close_matches(place, contract.rules, n=3, cutoff=0.3)
        yield f"unknown rule {place}" + (f"; the nearest are {', '.join(near)}" if near else "")
        return
    for answer in answers.values():
        if not answer.accepted:
            yield f"{answer.case}: it was refused, which this contract does not know; {answer.summary}"


def _recorded_rule(recording: Recording, contract: Contract, rule: Rule, answer: Answer) -> Rule | str:
    """Return a rule as it was answered, or why it cannot be so."""
    source = f"{recording.target}, {recording.at:%Y-%m-%d}"
    outcome = _recorded_error(contract, rule.error, answer) if rule.error else _recorded_failure(contract, answer)
    if isinstance(outcome, str):
        return outcome
    error, text = outcome
    message = rule.message if text is None else _template(text, answer.value)
    if text is not None and VARYING.search(message):
        return f"its text holds what is another each time: {shown(text)}"
    return replace(rule, message=message, error=error, evidence="recorded", source=source)


def _recorded_failure(contract: Contract, answer: Answer) -> tuple[None, str] | str:
    end = answer.task[-1] if answer.task else {}
    if not answer.accepted or end.get("task_status") != contract.lifecycle.failed:
        return f"the contract lets its task fail, and the recording has {answer.summary}"
    return None, str(end.get("task_status_msg", ""))


def _recorded_error(contract: Contract, error: ErrorSpec, answer: Answer) -> tuple[ErrorSpec, str | None] | str:
    """Return error and text; None for the page that the contract has."""
    problem = ""
    code, text = answer.inner.get("code"), answer.inner.get("message")
    if answer.accepted:
        problem = f"the contract refuses it, and the recording has {answer.summary}"
    elif answer.body is None:
        if error.envelope == "html":
            return replace(error, http=answer.http), None
        problem = f"the recording has no JSON object but {answer.summary}"
    elif not isinstance(code, (int, str)) or isinstance(code, bool) or not isinstance(text, str):
        problem = f"the recording has no code and message: {answer.summary}"
    else:
        if answer.envelope == "gateway":
            suffix = contract.gateway["messageSuffix"].format(gateway_request_id="<gateway request id>")
            problem = (
                "" if text.endswith(suffix) else f"its text does not end with{suffix}, which this envelope always has"
            )
            text = text.removesuffix(suffix)
        if not problem:
            return ErrorSpec(error.key, answer.http, answer.envelope, code, error.message, "recorded"), text
    return problem


def _template(text: str, value: str) -> str:
    """Return a text as the message of a rule, which quotes the value that is sent if the recorded one did."""
    text = text.replace("{", "{{").replace("}", "}}")
    if not value:
        return text
    value = value.replace("{", "{{").replace("}", "}}")
    return re.sub(rf"(?<!\w){re.escape(value)}(?!\w)", "{value}", text)
