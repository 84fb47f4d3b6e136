"""Coverage of behaviour: what the service can do, and what of it the tests made their code meet."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any

from klingkit.contract import load_contract
from klingkit.contract.behaviours import QUESTION, aspects_of, count_grades
from klingkit.contract.choice import CONTRACTS
from klingkit.contract.evidence import INFERRED, UNKNOWN
from klingkit.mock_server.scenario_choice import parse_scenario
from klingkit.mock_server.scenarios import scenario_table
from klingkit.mock_server.tasks import at_step

from .resting_on import behaviours_of_callback, behaviours_of_request

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from klingkit.contract import Contract
    from klingkit.contract.behaviours import Aspect
    from klingkit.mock_server.deliveries import Delivery
    from klingkit.mock_server.journal import Entry
    from klingkit.mock_server.simulator import Simulator
    from klingkit.mock_server.tasks import Task

Met = Counter[tuple[str, str]]
"""How often each behaviour was met, by kind and name; under a contract stands what of it was rested on."""
MetByTest = dict[str, set[tuple[str, str]]]
"""The same of each test, by its id."""
BROKEN = ("reset", "reset-within", "cut")
"""Faults after which no caller has read an answer."""
MOST_TESTS, MOST_NAMES = 20, 5
"""Tests that are printed, and what is named for each; the JSON has them all."""
STATUS = re.compile(rb'"task_status":"(\w+)"')


def behaviours(contract: Contract) -> dict[str, list[str]]:
    """Return the names of all behaviours by kind: statuses, ends, errors, faults, callbacks."""
    scenarios = [row.make("") for row in scenario_table(contract).values() if row.name != "path"]
    tables: dict[str, list[str]] = {
        "statuses": list(contract.lifecycle.transitions),
        "ends": [
            contract.lifecycle.succeeded,
            *(rule.id for rule in contract.rules.values() if rule.phase == "async"),
            *(f"urls-{scenario['urls']}" for scenario in scenarios if "urls" in scenario),
        ],
        "errors": [key for key in contract.errors if key != "0"],
        "faults": [scenario["fault"].kind for scenario in scenarios if "fault" in scenario],
        "callbacks": [
            "delivered",
            "repeated",
            *(scenario["callback"] for scenario in scenarios if "callback" in scenario),
        ],
    }
    return tables


def met(simulator: Simulator) -> Met:
    """Return what the code under test has met in a simulator since its last reset."""
    found: Met = Counter()
    for entry in simulator.store.journal.entries():
        contract = simulator.contracts.by_text(entry.contract)
        found.update(_of_request(entry, contract))
        if entry.fault not in BROKEN:
            found.update(_known(behaviours_of_request(entry, contract), contract))
        task = simulator.store.get(entry.task_id)
        if task and {contract.lifecycle.succeeded, contract.lifecycle.failed} & set(_statuses(entry)):
            found["ends", _end(task, contract)] += 1
    for delivery in simulator.store.deliveries():
        if task := simulator.store.get(delivery.task_id):
            found.update(_of_delivery(delivery, task, simulator.contract_of(task)))
    return found


def _of_delivery(delivery: Delivery, task: Task, contract: Contract) -> Iterator[tuple[str, str]]:
    """Yield what one callback showed."""
    if not delivery.attempts:
        return
    yield from _known(behaviours_of_callback(delivery, task, contract), contract)
    if fault := task.scenario.callback.removesuffix("-all") if task.scenario else "":
        yield "callbacks", fault
    if delivery.outcome == "delivered":
        yield "callbacks", "delivered"
    if len(delivery.attempts) > 1:
        yield "callbacks", "repeated"
    if any(not attempt.problem for attempt in delivery.attempts):
        view = at_step(task, delivery.step)
        yield "statuses", view.status
        if view.ended:
            yield "ends", _end(task, contract)


def _known(rests_on: Iterable[str], contract: Contract) -> Iterator[tuple[str, str]]:
    """Yield of what was rested on what the contract knows, under its name: a faulty answer shows what there is not."""
    behaviours = {aspect.behaviour for aspect in aspects_of(contract)}
    yield from ((str(contract.choice), name) for name in rests_on if name in behaviours)


def _of_request(entry: Entry, contract: Contract) -> Iterator[tuple[str, str]]:
    """Yield what one answer showed."""
    text, _, source = entry.scenario.partition("; source=")
    scenario = parse_scenario(text, contract) if text else None
    broken = scenario and source != "task" and scenario.fault and scenario.fault.kind in BROKEN
    yield from (("statuses", status) for status in _statuses(entry) if not broken)
    rule = contract.rules.get(entry.rule.partition(";")[0])
    if rule and rule.error:
        yield "errors", rule.error.key
    if scenario and source != "task":
        if scenario.error:
            yield "errors", scenario.error
        if scenario.fault:
            yield "faults", scenario.fault.kind


def _statuses(entry: Entry) -> list[str]:
    """Return the statuses that an answer shows."""
    return [status.decode() for status in STATUS.findall(entry.answer)]


def _end(task: Task, contract: Contract) -> str:
    """Return the name of the end that a task has come to."""
    urls = task.scenario.urls if task.scenario else ""
    if task.plan.fails:
        return task.plan.rule or contract.lifecycle.failed
    return f"urls-{urls}" if urls else contract.lifecycle.succeeded


def summary(found: Met, tests: MetByTest) -> dict[str, Any]:
    """Return what was met and what never, by kind, and the percentage of it all, as JSON; `tests` are what each has met."""
    choices = {kind for kind, _ in found} - set(behaviours(load_contract()))
    table: dict[str, list[str]] = {}
    for choice in sorted(choices) or CONTRACTS[:1]:
        for kind, names in behaviours(load_contract(choice)).items():
            table[kind] = list(dict.fromkeys([*table.get(kind, []), *names]))
    number = sum(bool(found[kind, name]) for kind, names in table.items() for name in names)
    return {
        "percent": round(100 * number / sum(map(len, table.values())), 1),
        "met": {
            kind: {name: found[kind, name] for name in names if found[kind, name]} for kind, names in table.items()
        },
        "never": {kind: [name for name in names if not found[kind, name]] for kind, names in table.items()},
        "evidence": {
            choice: _evidence(choice, {name for kind, name in found if kind == choice}, tests)
            for choice in sorted(choices)
        },
    }


def _evidence(choice: str, rests_on: set[str], tests: MetByTest) -> dict[str, Any]:
    """Return what was rested on of a contract, how well it is known, and what of it is weak, in all and for each test."""
    aspects = [aspect for aspect in aspects_of(load_contract(choice)) if aspect.behaviour in rests_on]
    of_tests = {
        test: _weak(aspects, {name for kind, name in found if kind == choice}) for test, found in sorted(tests.items())
    }
    return {
        "grades": count_grades(aspects),
        **_weak(aspects, rests_on),
        "rests_on": sorted(rests_on),
        "tests": {test: weak for test, weak in of_tests.items() if any(weak.values())},
    }


def _weak(aspects: list[Aspect], rests_on: set[str]) -> dict[str, list[str]]:
    """Return what of it is no more than inferred, or unknown; open questions first: they are what one can do something about."""
    rows = sorted((row for row in aspects if row.behaviour in rests_on), key=lambda row: row.kind != QUESTION)
    return {grade: [row.id for row in rows if row.evidence.grade == grade] for grade in (INFERRED, UNKNOWN)}


def lines(result: dict[str, Any]) -> Iterator[str]:
    """Yield a summary as text."""
    for kind in result["met"]:
        total = len(result["met"][kind]) + len(result["never"][kind])
        yield f"{kind}: {len(result['met'][kind])} of {total}"
        if result["met"][kind]:
            yield "  met: " + ", ".join(f"{name} ({times})" for name, times in result["met"][kind].items())
        if result["never"][kind]:
            yield "  never: " + ", ".join(result["never"][kind])
    for choice, known in result["evidence"].items():
        grades = ", ".join(f"{number} {grade}" for grade, number in known["grades"].items())
        yield f"how well the contract {choice} is known in what was met: {grades}"
        for grade in (INFERRED, UNKNOWN):
            if known[grade]:
                yield f"  {grade}: {'; '.join(known[grade])}"
        yield from _lines_of_tests(known["tests"])
    yield f"{result['percent']:g} % of the behaviour of the service was met"


def _lines_of_tests(tests: Mapping[str, Mapping[str, list[str]]]) -> Iterator[str]:
    """Yield the tests that rest on what is weak, each with what that is; so many as a summary can have."""
    if tests:
        yield f"  tests that rest on that: {len(tests)}"
    for test, weak in list(tests.items())[:MOST_TESTS]:
        yield f"    {test}: {_some([name for names in weak.values() for name in names])}"
    if len(tests) > MOST_TESTS:
        yield f"    and {len(tests) - MOST_TESTS} more; --klingkit-coverage-json FILE has them all"


def _some(names: list[str]) -> str:
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return "; ".join(names[:MOST_NAMES]) + more
