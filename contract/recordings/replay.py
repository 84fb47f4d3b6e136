"""A contract whose rules answer as a recording says: what a simulator with a recording keeps to."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from ..evidence import RECORDED, Evidence
from ..judge.deviation import shown
from ..nearest import nearest
from .recording import ACCEPTED, RecordedAnswer, Recording

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ..rule import ErrorSpec, Rule
    from ..spec import Contract

VARYING = re.compile(r"<(?:run|key|varies|e-mail|address|(?:gateway )?request id|[\w ]+ of [^>]+)[^<>]*>")
"""A placeholder in a text, which stands for what a simulator cannot know."""

SOURCE = "recording"
"""What the evidence of an answer rests on that was taken from a recording."""
WITHOUT_BODY = {204, 205, 304}
"""Statuses after which HTTP has no body, whoever sends one."""


def apply(recording: Recording, contract: Contract) -> tuple[Contract, list[str]]:
    """Return the contract with the recorded answers in place of its own, and what of them could not be applied."""
    rules: dict[str, Rule] = {}
    problems: list[str] = []
    for section, answers in recording.answers.items():
        rule = contract.rules.get(section)
        if rule is None:
            problems += _refused_goods(section, answers, contract)
            continue
        changed: list[tuple[RecordedAnswer, Rule]] = []
        for answer in sorted(answers.values(), key=lambda recorded: recorded.case):
            outcome = _recorded_rule(recording, contract, rule, answer)
            if isinstance(outcome, str):
                problems.append(f"{answer.case}: {outcome}")
            else:
                changed.append((answer, outcome))
        if changed:
            rules[section] = _most_alike([outcome for _, outcome in changed])
            others = [answer.case for answer, other in changed if not _says_the_same(rules[section], other, answer)]
            if others:
                problems.append(f"{', '.join(others)}: recorded with another answer than other cases of {section}")
    source = {"title": f"a recording of {recording.target}", "date": f"{recording.at:%Y-%m-%d}"}
    return contract.with_rules(rules, {SOURCE: source}), problems


def _most_alike(rules: list[Rule]) -> Rule:
    """Return the answer that most cases had; among equals one that quotes the value."""
    return max(rules, key=lambda rule: (rules.count(rule), "{value}" in rule.message))


def _says_the_same(given: Rule, recorded: Rule, answer: RecordedAnswer) -> bool:
    return given.error == recorded.error and given.text(value=answer.value) == recorded.text(value=answer.value)


def _refused_goods(section: str, answers: Mapping[str, RecordedAnswer], contract: Contract) -> Iterator[str]:
    if section in contract.promises:
        return
    if section != ACCEPTED:
        yield f"unknown rule {section}{nearest(section, contract.rules)}"
        return
    for answer in answers.values():
        if not answer.accepted:
            yield f"{answer.case}: it was refused, which this contract does not know; {answer.summary}"


def _recorded_rule(recording: Recording, contract: Contract, rule: Rule, answer: RecordedAnswer) -> Rule | str:
    """Return a rule as it was answered, or why it cannot be so."""
    outcome = recorded_error(contract, rule.error, answer) if rule.error else recorded_failure(contract, answer)
    if isinstance(outcome, str):
        return outcome
    error, text = outcome
    quotable = "{value}" in rule.message or rule in contract.request.rules.values()  # others have no value to quote
    message = rule.message if text is None else _template(text, answer.value if quotable else "")
    if text is not None and VARYING.search(message):
        return f"its text holds what is another each time: {shown(text)}"
    recorded = Evidence(RECORDED, SOURCE, f"{recording.at:%Y-%m-%d}", recording.target)
    return replace(rule, message=message, error=error, aspects=dict.fromkeys(rule.aspects, recorded))


def recorded_failure(contract: Contract, answer: RecordedAnswer) -> tuple[None, str] | str:
    """Return no error, and the reason that the task failed for; or what else the recording has."""
    end = answer.task[-1] if answer.task else {}
    if not answer.accepted or end.get("task_status") != contract.lifecycle.failed:
        return f"the contract lets its task fail, and the recording has {answer.summary}"
    return None, str(end.get("task_status_msg", ""))


def recorded_error(contract: Contract, error: ErrorSpec, answer: RecordedAnswer) -> tuple[ErrorSpec, str | None] | str:
    """Return error and text, None for the page that the contract has; or why the recording has none that can be given."""
    problem = ""
    code, text = answer.inner.get("code"), answer.inner.get("message")
    if answer.http in WITHOUT_BODY:
        problem = f"an answer of status {answer.http} has no body"
    elif answer.accepted:
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
            return replace(error, http=answer.http, envelope=answer.envelope, code=code), text
    return problem


def _template(text: str, value: str) -> str:
    """Return a text as the message of a rule, which quotes the value that is sent if the recorded one did."""
    text = text.replace("{", "{{").replace("}", "}}")
    if not value:
        return text
    value = value.replace("{", "{{").replace("}", "}}")
    # As a word of its own: where 10 was sent, the 10 in 2100 does not quote it.
    return re.sub(rf"(?<!\w){re.escape(value)}(?!\w)", "{value}", text)
