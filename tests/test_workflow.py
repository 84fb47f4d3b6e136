"""`workflow.arazzo.yaml` speaks of operations, fields and statuses that the contract has. `.ci/run` runs it as it stands."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.conftest import data_of

if TYPE_CHECKING:
    from klingkit.contract import Contract
    from tests.conftest import Api

ROOT = Path(__file__).parents[1]
DOCUMENT = yaml.safe_load((ROOT / "workflow.arazzo.yaml").read_text(encoding="utf-8"))
(WORKFLOW,) = DOCUMENT["workflows"]
STEPS: dict[str, dict[str, Any]] = {step["stepId"]: step for step in WORKFLOW["steps"]}


def test_it_is_arazzo_over_the_contract() -> None:
    (source,) = DOCUMENT["sourceDescriptions"]

    assert DOCUMENT["arazzo"] == "1.0.1"
    assert source["type"] == "openapi"
    assert (ROOT / source["url"]).is_file()


@pytest.mark.parametrize("step", STEPS)
def test_each_step_is_an_operation_with_its_parameters(contract: Contract, step: str) -> None:
    operation = contract.operations[STEPS[step]["operationId"]]
    given = {parameter["name"] for parameter in STEPS[step].get("parameters", ())}

    assert given == set(re.findall(r"{(\w+)}", operation.path))


@pytest.mark.parametrize("step", STEPS)
def test_what_a_step_takes_over_is_an_output_of_an_earlier_one(step: str) -> None:
    earlier = list(STEPS)[: list(STEPS).index(step)]

    for name, output in re.findall(r"\$steps\.(\w+)\.outputs\.(\w+)", json.dumps(STEPS[step])):
        assert name in earlier
        assert output in STEPS[name]["outputs"]


def test_its_request_breaks_no_rule(api: Api) -> None:
    data_of(api.create(STEPS["submit"]["requestBody"]["payload"]))


def test_it_polls_until_a_task_has_ended(contract: Contract) -> None:
    criterion = STEPS["poll"]["successCriteria"][-1]
    ended = {status for status in contract.lifecycle.roles if re.search(criterion["condition"], status)}

    assert ended == {status for status, later in contract.lifecycle.transitions.items() if not later}


def test_it_waits_longer_than_the_slowest_task(contract: Contract) -> None:
    (retry,) = STEPS["poll"]["onFailure"]
    slowest_ms = max(high for _, high in contract.lifecycle.timings.values())

    assert retry["retryAfter"] * retry["retryLimit"] * 1000 > 2 * slowest_ms
