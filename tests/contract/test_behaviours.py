"""Every behaviour with its aspects, in each contract, from the document alone."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest

from klingkit.contract import Contract, load_contract
from klingkit.contract.behaviours import Aspect, as_json, aspects_of, count_grades, fields_in
from klingkit.contract.evidence import GRADES, ContractError
from klingkit.contract.spec import operation_specs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CHOICES = ("cometapi", "cometapi-2026", "kling", "cometapi+plain-generation", "cometapi-2026+plain-generation")


def found(choice: str = "cometapi") -> dict[str, Aspect]:
    return {aspect.id: aspect for aspect in aspects_of(load_contract(choice))}


def examples(contract: Contract) -> Iterator[tuple[str, Any]]:
    """Each answer that the document shows, by its operation."""
    for _, _, operation_id, spec in operation_specs(contract.document):
        content = spec["responses"]["200"]["content"]["application/json"]
        yield from ((operation_id, example["value"]) for example in content.get("examples", {}).values())


@pytest.mark.parametrize("choice", CHOICES)
def test_nothing_is_without_a_grade_and_nothing_is_left_out(choice: str) -> None:
    contract = load_contract(choice)
    aspects = aspects_of(contract)
    names = {aspect.behaviour for aspect in aspects}

    assert len(names) < len(aspects) == len({aspect.id for aspect in aspects})
    assert {f"rule {rule}" for rule in contract.rules} <= names
    assert {f"error {error}" for error in contract.errors} <= names
    assert {f"promise {promise}" for promise in contract.promises} <= names
    assert {f"question {question.id}" for question in contract.assumptions} <= names
    assert {f"lifecycle {role}" for role in contract.lifecycle.timings} <= names
    for operation_id, answer in examples(contract):
        assert {f"shown {place}" for place, _ in fields_in(operation_id, answer)} <= names
    example = contract.operations["create_task"].example
    assert {f"sent {place}" for place, _ in fields_in("create_task", example)} <= names
    assert all(aspect.evidence.grade in GRADES and aspect.evidence.date for aspect in aspects)


@pytest.mark.parametrize(
    ("choice", "name", "says", "grade"),
    [
        ("cometapi", "rule prompt.maxLength, limit", "2500", "documented"),
        ("cometapi", "rule prompt.maxLength, text", "prompt: size must be between 0 and 2500", "recorded"),
        ("cometapi", "rule style_image.maxBytes, limit", "maxMegabytes 10, megabyte 1048576", "documented"),
        ("cometapi", "rule style_image.maxBytes, answer", "400, code 1201, envelope kling", "inferred"),
        ("cometapi", "rule style_image.maxBytes, text", "style_image: file size must not exceed 10 MB", "unknown"),
        ("cometapi", "rule body.depth, limit", "maxDepth 128", "unknown"),
        ("cometapi", "rule subject_image_list.required, limit", "must be there", "documented"),
        ("cometapi", "rule moderation, answer", "accepted, then failed", "recorded"),
        ("cometapi", "error 1303, answer", "429, code 1303, envelope kling", "documented"),
        ("cometapi", "error 1202, text", "The requested method is invalid", "unknown"),
        ("cometapi", "sent create_task.aspect_ratio", "string, default 16:9, optional", "documented"),
        ("cometapi", "shown create_task.data.task_status", "is submitted", "recorded"),
        ("cometapi", "shown get_task.data.task_result.images[].index", "integer, optional", "recorded"),
        ("cometapi", "shown TaskError.code", "string", "inferred"),
        ("cometapi", "lifecycle processing", "400 to 1000 ms after submission", "inferred"),
        ("cometapi", "callbacks timeoutMs", "10000", "unknown"),
        ("cometapi", "shown KlingError without data", "no data", "documented"),
        (
            "cometapi",
            "shown get_task.data without final_unit_deduction",
            'no final_unit_deduction unless {"task_status": {"const": "succeed"}}',
            "inferred",
        ),
        ("cometapi", "question prompt-length", "Unicode code points.", "inferred"),
        ("cometapi", "price picture", "0.0133 USD", "documented"),
        ("cometapi-2026", "rule subject_image_list.minItems, limit", "1", "documented"),
        ("cometapi-2026", "sent create_task.watermark_info", "object, optional", "inferred"),
        ("kling", "sent list_tasks.pageSize", "integer, default 30, optional", "documented"),
        ("kling", "shown list_tasks.data[].task_id", "string", "recorded"),
        ("cometapi+plain-generation", "rule plain.prompt.maxLength, limit", "500", "documented"),
    ],
)
def test_an_aspect_says_what_it_is_and_how_well_it_is_known(choice: str, name: str, says: str, grade: str) -> None:
    aspect = found(choice)[name]

    assert (aspect.says, aspect.evidence.grade) == (says, grade)


def test_an_aspect_names_the_open_questions_that_would_settle_it() -> None:
    aspects = found()

    assert aspects["rule prompt.maxLength, answer"].assumptions == (
        "error-passthrough",
        "prompt-length (longest-of-4-bytes)",
        "empty-strings (empty)",
    )
    assert "error-passthrough" not in aspects["rule prompt.maxLength, text"].assumptions
    assert aspects["promise task.picture"].assumptions == ("result-size",)
    assert aspects["rule moderation, text"].assumptions == ()


def test_json_has_the_sources_in_full_and_totals() -> None:
    contract = load_contract()
    aspects = aspects_of(contract)
    told = as_json(contract, aspects)

    assert told["contract"] == "cometapi"
    assert told["totals"] == count_grades(aspects)
    assert sum(told["totals"].values()) == len(told["aspects"]) == len(aspects)
    (limit,) = [row for row in told["aspects"] if (row["name"], row["aspect"]) == ("n.maximum", "limit")]
    assert limit["title"] == contract.document["x-sources"][limit["source"]]["title"]


FORGOTTEN: dict[str, Callable[[dict[str, Any]], object]] = {
    "create_task.data.task_id": lambda document: document["components"]["schemas"]["CreateAnswer"]["properties"][
        "data"
    ]["properties"]["task_id"].pop("x-evidence"),
    "create_task.prompt": lambda document: document["components"]["schemas"]["CreateRequest"]["properties"][
        "prompt"
    ].pop("x-evidence"),
    "the timing failed": lambda document: document["x-lifecycle"]["timings"]["failed"].pop("evidence"),
    "resultDays": lambda document: document["x-lifecycle"]["evidence"].pop("resultDays"),
    "x-callbacks timeoutMs": lambda document: document["x-callbacks"]["evidence"].pop("timeoutMs"),
    "x-price": lambda document: document["x-price"].pop("evidence"),
    "x-task-id": lambda document: document["x-task-id"].pop("evidence"),
    "a header": lambda document: document["components"]["headers"]["GatewayRequestId"].pop("x-evidence"),
}


@pytest.mark.parametrize("place", FORGOTTEN)
def test_evidence_that_was_forgotten_is_an_error_that_names_the_place(place: str) -> None:
    document = copy.deepcopy(load_contract().document)
    FORGOTTEN[place](document)

    with pytest.raises(ContractError, match=f"^{place}: evidence is "):
        aspects_of(Contract(document))
