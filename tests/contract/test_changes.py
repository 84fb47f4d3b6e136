"""What a caller of one contract meets in another."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from klingkit.contract import CONTRACTS, Contract, load_contract
from klingkit.contract.changes import Change, changes
from klingkit.contract.overlay import apply_action

FIELDS = "$.components.schemas.CreateRequest.properties"
DATA = "$.components.schemas.QueryAnswer.properties.data"


def contract(*actions: dict[str, Any]) -> Contract:
    document = copy.deepcopy(load_contract().document)
    for action in actions:
        apply_action(document, action)
    return Contract(document)


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        ({"target": f"{FIELDS}.n.maximum", "update": 8}, Change("n.maximum", True, "narrower: 8, not 9")),
        ({"target": f"{FIELDS}.n.maximum", "update": 10}, Change("n.maximum", False, "wider: 10, not 9")),
        ({"target": f"{FIELDS}.n.minimum", "update": 2}, Change("n.minimum", True, "narrower: 2, not 1")),
        ({"target": f"{FIELDS}.n.minimum", "update": 0}, Change("n.minimum", False, "wider: 0, not 1")),
        (
            {"target": f"{FIELDS}.n.maximum", "remove": True},
            Change("n.maximum", False, "none that is known, not 9"),
        ),
        ({"target": f"{FIELDS}.n.default", "update": 2}, Change("n.default", True, "it is 2, not 1")),
        (
            {"target": f"{FIELDS}.aspect_ratio.enum[7]", "remove": True},
            Change("aspect_ratio.enum", True, "no longer 21:9"),
        ),
        ({"target": f"{FIELDS}.aspect_ratio.enum", "update": "5:4"}, Change("aspect_ratio.enum", False, "also 5:4")),
        (
            {"target": f"{FIELDS}.callback_url.type[0]", "update": "object"},
            Change("callback_url.type", True, "object, not string"),
        ),
        (
            {"target": f"{FIELDS}.callback_url", "remove": True},
            Change("callback_url", True, "it is not known, and ignored"),
        ),
        (
            {"target": "$.components.schemas.CreateRequest.required", "update": "prompt"},
            Change("prompt.required", True, "it has to be there"),
        ),
        (
            {"target": "$['x-image'].minPixels", "update": 400},
            Change("picture.minPixels", True, "narrower: 400, not 300"),
        ),
        ({"target": "$['x-image'].maxRatio", "update": 3}, Change("picture.maxRatio", False, "wider: 3, not 2.5")),
        (
            {"target": f"{DATA}.properties.task_info", "remove": True},
            Change("get_task.answer.data.task_info", True, "gone"),
        ),
        (
            {"target": f"{DATA}.required[0]", "remove": True},
            Change("get_task.answer.data.task_id", True, "it can be missing"),
        ),
        (
            {"target": f"{DATA}.properties", "update": {"cost": {"type": "object", "properties": {"usd": {}}}}},
            Change("get_task.answer.data.cost", False, "new"),
        ),
        (
            {"target": "$['x-rules']['path.method'].error", "update": "1203"},
            None,  # the same status and envelope, another code
        ),
    ],
)
def test_one_difference_is_one_change(action: dict[str, Any], expected: Change | None) -> None:
    found = changes(contract(), contract(action))

    if expected is None:
        assert [(change.rule, change.breaking) for change in found] == [("path.method", True)]
    else:
        assert expected in found
        assert len(found) == 1


def test_a_text_alone_breaks_nobody() -> None:
    action = {"target": f"{FIELDS}.external_task_id['x-rules'].unique", "update": {"message": "taken"}}

    (change,) = changes(contract(), contract(action))

    assert (change.rule, change.breaking) == ("external_task_id.unique", False)
    assert change.what == "says 'taken', not 'External_task_id {value} already exists'"


@pytest.mark.parametrize("name", CONTRACTS)
def test_a_contract_does_not_differ_from_itself(name: str) -> None:
    assert changes(load_contract(name), load_contract(name)) == []


def test_a_question_that_is_answered_otherwise_may_break_a_caller() -> None:
    """Once, also where it changes the document, of which the change is shown then."""
    (change,) = changes(load_contract(), load_contract("cometapi+prompt-length=bytes"))
    (wider,) = changes(load_contract(), load_contract("cometapi+two-subjects=one"))

    assert (change.rule, change.breaking) == ("prompt-length", True)
    assert "bytes" in change.what.lower()
    assert (wider.rule, wider.breaking) == ("subject_image_list.minItems", False)


def test_what_is_new_in_one_direction_is_gone_in_the_other() -> None:
    old, new = load_contract("cometapi-2026"), load_contract("kling")
    there, back = changes(old, new), changes(new, old)

    gone = {change.rule for change in back if change.what == "gone" or change.what.startswith("there is no")}
    come = {change.rule for change in there if change.what.startswith("new")} | {"answer.request_id_header"}
    assert gone <= come
    assert {"get_task.answer.data.final_balance_deduction", "list_tasks"} <= gone
    assert all(change.breaking for change in back if change.rule in gone)
    assert not any(change.breaking for change in there if change.rule in gone - {"answer.request_id_header"})


def test_a_field_that_is_spelt_otherwise_is_one_change() -> None:
    found = [
        change for change in changes(load_contract(), load_contract("kling")) if "image" in change.rule.split(".")[0]
    ]

    assert Change("scence_image", True, "it is called scene_image; scence_image is ignored") in found
    assert "scene_image" not in {change.rule for change in found}
