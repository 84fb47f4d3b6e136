"""The cases: one breaks exactly one rule, which mending just that one thing shows; every boundary is tried."""

from __future__ import annotations

import copy
import json
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from klingkit.contract import Contract, load_contract
from klingkit.contract.cases.builder import put
from klingkit.contract.cases.case import FAILS, MAY, PICTURES, Case
from klingkit.contract.cases.catalogue import build_cases
from klingkit.contract.judge.reading import envelope_of, task_id_of
from klingkit.contract.verify.selection import EXPLORED, MAX_CREATES
from klingkit.mock_server.serving.in_process import SimulatorTarget, in_process_target

if TYPE_CHECKING:
    from klingkit.contract.targets.target import Reply, Request

CASES = {case.id: case for case in build_cases(load_contract())}
KEYS = frozenset({"key", "other"})
BREAKING = [case.id for case in CASES.values() if case.rule]


def target_for(case: Case) -> tuple[SimulatorTarget, str]:
    """A fresh simulator on which the case that must go before has gone; with the id of its task."""
    target = in_process_target(keys=KEYS)
    task_id = ""
    if case.after:
        task_id = task_id_of(target.send(CASES[case.after].request, "key"))
        target.wait(60)
    elif case.mended and "{task_id}" in case.mended.path:
        task_id = task_id_of(target.send(CASES["accepted/smallest"].request, "key"))
    return target, task_id


def send(target: SimulatorTarget, request: Request, task_id: str, key: str = "key") -> Reply:
    return target.send(replace(request, path=request.path.replace("{task_id}", task_id)), key)


def outcome(target: SimulatorTarget, request: Request, task_id: str, key: str) -> str:
    """The rule that a request breaks at once or that its task breaks later; empty if all is well."""
    reply = send(target, request, task_id, key)
    if envelope_of(reply.body) != "success":
        return reply.headers["klingkit-rule"].partition(";")[0]
    if not request.body:
        return ""
    target.wait(60)
    query = target.simulator.contract.operations["get_task"].path.replace("{task_id}", task_id_of(reply))
    ended = target.send(replace(request, method="GET", path=query, body=None, raw=None), key)
    return ended.headers.get("klingkit-rule", "").partition(";")[0]


@pytest.mark.parametrize("case_id", BREAKING)
def test_a_case_breaks_one_rule_and_mending_it_leaves_none(case_id: str) -> None:
    case = CASES[case_id]
    assert case.rule
    assert case.mended
    target, task_id = target_for(case)

    assert outcome(target, case.request, task_id, "other" if case.other_key else "key") == case.rule.id
    target, task_id = target_for(case)
    # what is mended in a case about another account's task is the account
    assert outcome(target, case.mended, task_id, "key") == ""


@pytest.mark.parametrize("case_id", BREAKING)
def test_a_case_and_its_mended_form_differ_in_one_thing(case_id: str) -> None:
    case = CASES[case_id]
    assert case.mended
    differing = [
        name
        for name in ("method", "path", "content_type", "authorization")
        if getattr(case.request, name) != getattr(case.mended, name)
    ]
    if case.request.data != case.mended.data:
        differing.append("body")

    assert len(differing) == (0 if case.other_key else 1)
    if differing == ["body"] and case.request.raw is None:
        assert len(differences(case.request.body, case.mended.body)) == 1


def differences(one: Any, other: Any, place: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The deepest places at which two JSON values differ."""
    if isinstance(one, dict) and isinstance(other, dict):
        names = one.keys() | other.keys()
        return [
            found for name in names for found in differences(one.get(name, ...), other.get(name, ...), (*place, name))
        ]
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        return [found for index in range(len(one)) for found in differences(one[index], other[index], (*place, index))]
    return [] if one == other and type(one) is type(other) else [place]


def test_an_accepted_case_breaks_no_rule() -> None:
    contract = load_contract()
    for case in CASES.values():
        if case.cost == PICTURES:
            violations, pictures = contract.request.judge(json.loads(case.request.data))
            assert violations == []
            assert [contract.request.async_violation(picture) for picture in pictures] == [None] * len(pictures)


def test_only_what_nobody_can_bring_about_from_outside_has_no_case() -> None:
    about = {case.requirement for case in CASES.values()}

    assert load_contract().rules.keys() - about == {
        "body.size",
        "body.depth",
        "moderation",
        "account.rate",
        "account.quota",
        "account.balance",
        "account.concurrency",
    }


def test_every_boundary_has_a_good_side() -> None:
    """Each limit and each value of an enum of the contract is tried by a pack."""
    tried = {
        (boundary.place[0], boundary.label) for case in CASES.values() for boundary in case.covers if boundary.place
    }
    contract = load_contract()
    for path, node in contract.request.nodes.items():
        for keyword in ("minItems", "maxItems", "maxLength", "minimum", "maximum"):
            if keyword in node:
                assert any(name == path[0] and label.startswith(keyword) for name, label in tried), (path, keyword)
        for value in node.get("enum", ()):
            assert (path[0], f"enum/{value}") in tried
        if "x-role" in node:
            assert any(name == path[0] and label == "maxBytes/largest" for name, label in tried), path


def test_little_money_is_needed() -> None:
    costs = Counter(case.cost for case in CASES.values())

    assert costs[PICTURES] <= 12
    assert costs[FAILS] <= 10
    assert sum(case.creates for case in CASES.values()) <= MAX_CREATES - EXPLORED
    assert sorted(case.pictures for case in CASES.values() if case.cost == PICTURES) == [1] * 11 + [9]


def test_ids_are_unique_and_none_depends_on_the_run() -> None:
    assert len(CASES) == len(build_cases(load_contract()))
    assert [case.id for case in build_cases(load_contract(), "other", "http://127.0.0.1:1/")] == list(CASES)


def test_what_siblings_have_beside_an_enum_is_tried_and_may_cost() -> None:
    """A service that has other models, or other ratios, is told from one that takes anything."""
    for path, node in load_contract().request.nodes.items():
        if "enum" in node:
            assert len(node["x-neighbours"]) >= 5
            tried = [CASES[f"{path[0]}.enum/{value}"] for value in node["x-neighbours"]]
            assert {case.cost for case in tried} == {MAY}
            assert [(case.request.body or {})[path[0]] for case in tried] == node["x-neighbours"]


def test_a_neighbour_that_a_contract_has_is_no_wrong_value() -> None:
    ids = {case.id for case in build_cases(changed("enum", "model_name", ["kling-v2", "kling-v2-1"]))}

    assert "model_name.enum/kling-v2-1" not in ids
    assert "model_name.enum/kling-v2-new" in ids


def changed(keyword: str, place: str, value: Any) -> Contract:
    document = copy.deepcopy(load_contract().document)
    document["components"]["schemas"]["CreateRequest"]["properties"][place][keyword] = value
    return Contract(document)


def test_a_changed_limit_moves_its_cases() -> None:
    cases = {case.id: case for case in build_cases(changed("maxLength", "prompt", 10))}
    assert (cases["prompt.maxLength/one-too-long"].request.body or {})["prompt"] == "x" * 11

    cases = {case.id: case for case in build_cases(changed("maximum", "n", 4))}
    assert (cases["n.maximum/one-too-high"].request.body or {})["n"] == 5
    assert sorted({(case.request.body or {}).get("n") or 1 for case in cases.values() if case.cost == PICTURES}) == [
        1,
        4,
    ]


def test_put_leaves_the_body_as_it_is() -> None:
    body = {"a": [{"b": 1}]}

    assert put(body, ("a", 0, "b"), 2) == {"a": [{"b": 2}]}
    assert body == {"a": [{"b": 1}]}


def test_a_failing_case_costs_nothing() -> None:
    for case in CASES.values():
        if case.cost == FAILS:
            target = in_process_target()
            assert task_id_of(target.send(case.request, "key"))
            target.wait(60)
            simulator = target.simulator
            assert simulator.store.spent(None, simulator.clocks.now()) == 0, case.id
