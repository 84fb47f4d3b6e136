"""What answers an open question is learned, and the report names that question and no other."""

from __future__ import annotations

from decimal import Decimal

import pytest

from klingkit.contract.verify.causes import causes
from klingkit.contract.verify.run import verify
from klingkit.contract.verify.selection import Options
from klingkit.mock_server.serving.in_process import in_process_target
from tests.wrong_targets import CONTRACT, light

BESIDE = {"list-errors": {"item-types"}}
"""Questions that an alternative of another answers as well."""


@pytest.mark.parametrize(
    "taken",
    [
        "error-passthrough=wrapped",
        "list-errors=code-1200",
        "other-scheme=taken",
        "unreadable-picture=refused",
        "callback-processing=end-only",
        "prompt-length=bytes",
        "bare-key=accepted",
    ],
)
def test_an_alternative_is_learned_and_settles_its_question_alone(taken: str) -> None:
    question = taken.partition("=")[0]
    options = Options(key="key", other_key="other", budget=Decimal(5), any_key=True)

    report = verify(in_process_target(light(f"cometapi+{taken}")), CONTRACT, options)

    found = causes(report)
    settled = {name for cause in found for name in cause.assumptions}
    assert found
    assert [cause.title for cause in found if not cause.is_learned] == []
    assert {question} <= settled <= {question} | BESIDE.get(question, set())
