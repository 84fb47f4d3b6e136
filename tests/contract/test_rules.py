"""The rule table: which rule a request breaks, in which order, and with which text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openapi_core.contrib.werkzeug import WerkzeugOpenAPIRequest
from openapi_core.exceptions import OpenAPIError
from werkzeug.test import EnvironBuilder

from klingkit.contract import load_contract
from tests.conftest import PATH, URL, b64, body, png, subjects

if TYPE_CHECKING:
    from openapi_core import OpenAPI

    from klingkit.contract import Contract

LONG = "x" * 2501
ITEM = "subject_image_list.items"

REFUSED = [
    # model
    ({"model_name": "kling-v9"}, "model_name.enum", "model_name value 'kling-v9' is invalid"),
    ({"model_name": ""}, "model_name.enum", "model_name value '' is invalid"),
    ({"model_name": 2}, "model_name.type", "model_name value type is invalid, expected string"),
    # required
    ({"subject_image_list": ...}, "subject_image_list.required", "subject_image_list cannot be empty"),
    ({"subject_image_list": None}, "subject_image_list.required", "subject_image_list cannot be empty"),
    ({"subject_image_list": [{}, {}]}, f"{ITEM}.subject_image.required", "subject_image: must not be blank"),
    ({"subject_image_list": subjects(URL, None)}, f"{ITEM}.subject_image.required", "subject_image: must not be blank"),
    ({"subject_image_list": subjects(URL, "")}, f"{ITEM}.subject_image.pattern", "subject_image: must not be blank"),
    (
        {"subject_image_list": subjects(URL, " \t\u3000")},
        f"{ITEM}.subject_image.pattern",
        "subject_image: must not be blank",
    ),
    # other constraints
    ({"subject_image_list": []}, "subject_image_list.minItems", "subject_image_list: size must be between 2 and 4"),
    (
        {"subject_image_list": subjects(URL)},
        "subject_image_list.minItems",
        "subject_image_list: size must be between 2 and 4",
    ),
    (
        {"subject_image_list": subjects(*[URL] * 5)},
        "subject_image_list.maxItems",
        "subject_image_list: size must be between 2 and 4",
    ),
    (
        {"subject_image_list": "x"},
        "subject_image_list.type",
        "subject_image_list value type is invalid, expected array",
    ),
    ({"subject_image_list": {}}, "subject_image_list.type", "subject_image_list value type is invalid, expected array"),
    ({"subject_image_list": ["x"]}, f"{ITEM}.type", "subject_image_list value type is invalid, expected object"),
    ({"subject_image_list": [None]}, f"{ITEM}.type", "subject_image_list value type is invalid, expected object"),
    (
        {"subject_image_list": subjects(URL, 5)},
        f"{ITEM}.subject_image.type",
        "subject_image value type is invalid, expected string",
    ),
    ({"prompt": LONG}, "prompt.maxLength", "prompt: size must be between 0 and 2500"),
    ({"style_image": 1}, "style_image.type", "style_image value type is invalid, expected string"),
    ({"n": 0}, "n.minimum", "n: must be greater than or equal to 1"),
    ({"n": 10}, "n.maximum", "n: must be less than or equal to 9"),
    ({"n": 10**30}, "n.maximum", "n: must be less than or equal to 9"),
    ({"n": 1.0}, "n.type", "n value type is invalid, expected integer"),
    ({"n": 1.5}, "n.type", "n value type is invalid, expected integer"),
    ({"n": "1"}, "n.type", "n value type is invalid, expected integer"),
    ({"n": True}, "n.type", "n value type is invalid, expected integer"),
    ({"n": float("inf")}, "n.type", "n value type is invalid, expected integer"),
    ({"aspect_ratio": "5:4"}, "aspect_ratio.enum", "aspect_ratio value '5:4' is invalid"),
    ({"aspect_ratio": 1}, "aspect_ratio.type", "aspect_ratio value type is invalid, expected string"),
    ({"callback_url": 1}, "callback_url.type", "callback_url value type is invalid, expected string"),
    ({"external_task_id": 1}, "external_task_id.type", "external_task_id value type is invalid, expected string"),
    # file format
    *(
        (fields, f"{place}.base64", "File is not in a valid base64 format")
        for value in (
            "data:image/png;base64,QUJD",
            "ftp://a/b.png",
            "not base64!",
            "QUI",
            "QU JD",
            "QUJD\n",
            "-_-_",
            "é",
        )
        for fields, place in (
            ({"subject_image_list": subjects(URL, value)}, f"{ITEM}.subject_image"),
            ({"scence_image": value}, "scence_image"),
            ({"style_image": value}, "style_image"),
        )
    ),
    ({"scence_image": ""}, "scence_image.base64", "File is not in a valid base64 format"),
    ({"style_image": ""}, "style_image.base64", "File is not in a valid base64 format"),
]


def test_null_in_an_optional_field_counts_as_absent(contract: Contract) -> None:
    """api-facts 6.4: recorded in client code, sibling."""
    optional = [name for name in contract.request.known_fields[()] if name != "subject_image_list"]

    assert contract.request.judge(body(**dict.fromkeys(optional))) == contract.request.judge(body())
    assert len(optional) == 8


@pytest.mark.parametrize(
    ("fields", "rule", "grades", "assumption"),
    [
        ({"scence_image": "data:image/png;base64,QUJD"}, "scence_image.base64", "documented recorded recorded", ""),
        ({"scence_image": "QUJD\nQUJD"}, "scence_image.base64", "inferred inferred inferred", "base64-dialect"),
        ({"scence_image": "QUJD\r\nQUI"}, "scence_image.base64", "inferred inferred inferred", "base64-dialect"),
        ({"scence_image": "QU JD"}, "scence_image.base64", "inferred inferred inferred", "base64-dialect"),
        ({"scence_image": "QUI"}, "scence_image.base64", "inferred inferred inferred", "base64-dialect"),
        ({"scence_image": "-_-_"}, "scence_image.base64", "inferred inferred inferred", "base64-dialect"),
        ({"scence_image": ""}, "scence_image.base64", "inferred inferred inferred", "empty-picture"),
        ({"scence_image": "ftp://a/b"}, "scence_image.base64", "inferred inferred inferred", "other-scheme"),
        ({"scence_image": "not base64!"}, "scence_image.base64", "documented recorded recorded", ""),
        ({"n": 1.0}, "n.type", "inferred inferred inferred", "number-forms"),
        ({"n": "1"}, "n.type", "inferred inferred inferred", "number-forms"),
        ({"n": True}, "n.type", "inferred inferred inferred", "number-forms"),
        ({"n": float("inf")}, "n.type", "inferred inferred inferred", "number-forms"),
        ({"n": "many"}, "n.type", "documented inferred inferred", ""),
        ({"n": 1.5}, "n.type", "documented inferred inferred", ""),
        ({"subject_image_list": None}, "subject_image_list.required", "inferred inferred inferred", "no-subjects"),
        ({"aspect_ratio": ""}, "aspect_ratio.enum", "inferred inferred inferred", "empty-strings"),
        ({"aspect_ratio": "5:4"}, "aspect_ratio.enum", "documented recorded recorded", ""),
        ({"subject_image_list": ["x"]}, f"{ITEM}.type", "documented inferred inferred", ""),
    ],
)
def test_how_well_a_refusal_is_known_depends_on_the_input(
    contract: Contract, fields: dict[str, Any], rule: str, grades: str, assumption: str
) -> None:
    found = contract.request.judge(body(**fields))[0][0].rule
    missing = contract.request.judge({})[0][0].rule

    assert (found.id, found.assumption) == (rule, assumption)
    assert " ".join(known.grade for known in found.aspects.values()) == grades
    assert (f"; assumption={assumption}" in found.explanation) == bool(assumption)
    assert missing.assumption == "no-subjects"


@pytest.mark.parametrize(
    ("fields", "rule", "text"), REFUSED, ids=[f"{rule}-{n}" for n, (_, rule, _) in enumerate(REFUSED)]
)
def test_one_violation_is_answered_by_its_rule(fields: dict[str, Any], rule: str, text: str) -> None:
    violation = load_contract().request.judge(body(**fields))[0][0]

    assert (violation.rule.id, violation.error.message) == (rule, text)
    assert (violation.error.error.http, violation.error.error.code) == (400, 1201)


ACCEPTED: list[dict[str, Any]] = [
    {"subject_image_list": subjects(*[URL] * 4)},
    {"subject_image_list": subjects("HTTP://a", b64(png()))},
    {"model_name": "kling-v2", "n": 9, "aspect_ratio": "21:9"},
    {"n": 1},
    {"prompt": "", "external_task_id": ""},
    {"prompt": "\U0001f600" * 2500},
    {"prompt": "a\x00b"},
    {"callback_url": "not a url", "external_task_id": "x" * 10_000},
    {"unknown": {"deep": [1, None]}, "scene_image": 5},
    {"style_image": "QUJD"},
]


@pytest.mark.parametrize("fields", ACCEPTED, ids=range(len(ACCEPTED)))
def test_valid_requests_break_no_rule(fields: dict[str, Any]) -> None:
    assert load_contract().request.judge(body(**fields))[0] == []


def test_ten_megabytes_are_the_limit_of_a_decoded_file() -> None:
    """A file of exactly 10 binary megabytes is accepted, one byte more is not."""
    judge = load_contract().request.judge
    limit = 10 * 1024 * 1024

    assert judge(body(scence_image=b64(b"x" * limit)))[0] == []
    too_large = judge(body(scence_image=b64(b"x" * (limit + 1))))[0]
    assert [violation.rule.id for violation in too_large] == ["scence_image.maxBytes"]
    assert too_large[0].error.message == "scence_image: file size must not exceed 10 MB"


# One violation of each stage, in the documented order.
BY_STAGE: list[dict[str, Any]] = [
    {"model_name": "x"},
    {"subject_image_list": subjects(URL, "")},
    {"n": 0},
    {"style_image": "!"},
]


@given(st.lists(st.sampled_from(range(len(BY_STAGE))), min_size=1, unique=True))
def test_the_earliest_stage_answers(stages: list[int]) -> None:
    """Whatever else is wrong, the first stage with a violation decides."""
    request = body(**{name: value for stage in stages for name, value in BY_STAGE[stage].items()})
    expected = load_contract().request.judge(body(**BY_STAGE[min(stages)]))[0][0].rule

    assert load_contract().request.judge(request)[0][0].rule == expected


IN_ORDER: list[dict[str, Any]] = [
    {"subject_image_list": subjects(URL)},
    {"prompt": LONG},
    {"scence_image": 1},
    {"style_image": 1},
    {"n": 0},
    {"aspect_ratio": "x"},
    {"callback_url": 1},
    {"external_task_id": 1},
]


@given(st.lists(st.sampled_from(range(len(IN_ORDER))), min_size=1, unique=True))
def test_inside_a_stage_the_order_of_the_fields_decides(fields: list[int]) -> None:
    request = body(**{name: value for field in fields for name, value in IN_ORDER[field].items()})
    violations = load_contract().request.judge(request)[0]

    assert [violation.rule.id.split(".")[0] for violation in violations] == [
        next(iter(IN_ORDER[field])) for field in sorted(fields)
    ]


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.just(URL),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(), children, max_size=3),
    max_leaves=5,
)
near_requests = st.fixed_dictionaries(
    {},
    optional={
        "subject_image_list": st.lists(
            st.fixed_dictionaries({}, optional={"subject_image": st.just(URL) | json_values}) | json_values, max_size=6
        )
        | json_values,
        "model_name": st.sampled_from(["kling-v2", "kling-v1"]) | json_values,
        "prompt": st.text() | json_values,
        "scence_image": st.just(URL) | json_values,
        "style_image": st.just(URL) | json_values,
        "n": st.integers(-1, 11) | json_values,
        "aspect_ratio": st.sampled_from(["16:9", "1:1", "5:4"]) | json_values,
        "callback_url": json_values,
        "external_task_id": json_values,
        "other": json_values,
    },
)


@given(request_body=near_requests)
def test_judges_as_openapi_core_does(referee: OpenAPI, request_body: dict[str, Any]) -> None:
    """The fast validator and the referee agree on every body; what goes beyond JSON Schema is counted apart."""
    contract = load_contract()
    builder = EnvironBuilder(
        PATH,
        contract.server_url,
        method="POST",
        json=without_nulls(request_body),
        headers=[("Authorization", "Bearer k")],
    )
    violations = contract.request.judge(request_body)[0]
    beyond_schema = [
        v for v in violations if v.rule.id.endswith((".base64", ".maxBytes")) or v.value == float_of_n(request_body)
    ]

    try:
        referee.validate_request(WerkzeugOpenAPIRequest(builder.get_request()))
    except OpenAPIError:
        assert violations
    else:
        assert violations == beyond_schema


def without_nulls(value: Any) -> Any:
    """A request without the fields that are null, which count as absent."""
    if isinstance(value, dict):
        return {name: without_nulls(inner) for name, inner in value.items() if inner is not None}
    return [without_nulls(item) for item in value] if isinstance(value, list) else value


def float_of_n(request: dict[str, Any]) -> float | None:
    """1.0 is an integer to JSON Schema and none to the service."""
    n = request.get("n")
    return n if isinstance(n, float) and n.is_integer() else None


@given(request_body=near_requests)
def test_every_violation_has_a_message(request_body: dict[str, Any]) -> None:
    for violation in load_contract().request.judge(request_body)[0]:
        assert violation.error.message
        assert "{" not in violation.rule.text(value="v")
