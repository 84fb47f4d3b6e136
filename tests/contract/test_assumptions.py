"""Assumptions are switches: each alternative changes what the contract says, and the default is what it says otherwise."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from klingkit.contract import CONTRACTS, Contract, UnknownChoiceError, load_contract
from klingkit.contract.cases.sample_pictures import encode, padded, picture

SQUARE = encode(picture(300, 300))
TEN_MB = encode(padded(10_000_001, 300))
E_ACUTE = "\u00e9"


def body(**fields: Any) -> dict[str, Any]:
    return {"subject_image_list": [{"subject_image": SQUARE}, {"subject_image": SQUARE}], **fields}


def broken(contract: Contract, given: dict[str, Any]) -> list[str]:
    return list(dict.fromkeys(violation.rule.id for violation in contract.request.judge(given)[0]))


def answer(contract: Contract, given: dict[str, Any]) -> tuple[int, object, str, str]:
    error = contract.request.judge(given)[0][0].error
    return error.error.http, error.error.code, error.error.envelope, error.message


UNREADABLE = base64.b64encode(b"klingkit").decode()
SPLIT = f"{SQUARE[:76]}\n{SQUARE[76:]}"
MODEL = {"model_name": "kling-v99"}
BODIES: list[tuple[str, dict[str, Any], list[str], list[str]]] = [
    ("two-subjects=one", {"subject_image_list": [{"subject_image": SQUARE}]}, ["subject_image_list.minItems"], []),
    (
        "newer-fields=accepted",
        body(model_name="kling-v2-1", scene_image="?"),
        ["model_name.enum"],
        ["scene_image.base64"],
    ),
    ("prompt-length=bytes", body(prompt=E_ACUTE * 1251), [], ["prompt.maxLength"]),
    ("prompt-length=bytes", body(prompt=E_ACUTE * 1250), [], []),
    ("prompt-length=bytes", body(prompt="x" * 2501), ["prompt.maxLength"], ["prompt.maxLength"]),
    ("id-and-url-length=1024", body(callback_url="x" * 1025), [], ["callback_url.maxLength"]),
    ("id-and-url-length=1024", body(external_task_id="x" * 1024), [], []),
    (
        "empty-strings=refused",
        body(prompt="", external_task_id=""),
        [],
        ["prompt.minLength", "external_task_id.minLength"],
    ),
    ("megabyte=decimal", body(style_image=TEN_MB), [], ["style_image.maxBytes"]),
    ("base64-dialect=lenient", body(style_image=SPLIT), ["style_image.base64"], []),
    ("base64-dialect=lenient", body(style_image=SQUARE.rstrip("=") + " "), ["style_image.base64"], []),
    ("base64-dialect=lenient", body(style_image="-_-_"), ["style_image.base64"], []),
    ("base64-dialect=lenient", body(style_image="not base64!"), ["style_image.base64"], ["style_image.base64"]),
    ("base64-dialect=lenient", body(style_image=""), ["style_image.base64"], ["style_image.base64"]),
    ("empty-picture=absent", body(style_image="", scence_image=""), ["scence_image.base64", "style_image.base64"], []),
    ("other-scheme=taken", body(style_image="ftp://example.com/a.png"), ["style_image.base64"], []),
    ("other-scheme=taken", body(style_image="gopher://example.com"), ["style_image.base64"], ["style_image.base64"]),
    ("unreadable-picture=refused", body(style_image=UNREADABLE), [], ["style_image.readable"]),
    ("unreadable-picture=refused", body(style_image=SQUARE), [], []),
    ("callback-processing=url-checked", body(callback_url="x"), [], ["callback_url.pattern"]),
    ("callback-processing=url-checked", body(callback_url=""), [], []),
    ("callback-processing=url-checked", body(callback_url="http://a/"), [], []),
    ("unknown-fields=refused", body(scene_image=1), [], ["request.fields"]),
    ("unknown-fields=refused", body(n=10, scene_image=1), ["n.maximum"], ["n.maximum", "request.fields"]),
    ("null-values=wrong-type", body(prompt=None, n=None), [], ["prompt.type", "n.type"]),
    (
        "null-values=wrong-type",
        {"subject_image_list": None},
        ["subject_image_list.required"],
        ["subject_image_list.required"],
    ),
    ("number-forms=lenient", body(n=1.0), ["n.type"], []),
    ("number-forms=lenient", body(n="9"), ["n.type"], []),
    ("number-forms=lenient", body(n="10"), ["n.type"], ["n.maximum"]),
    ("number-forms=lenient", body(n=True), ["n.type"], ["n.type"]),
    ("number-forms=lenient", body(n=1.5), ["n.type"], ["n.type"]),
    ("number-forms=lenient", body(n="1e1"), ["n.type"], ["n.type"]),
    ("check-order=model-last", body(**MODEL, n=0), ["model_name.enum", "n.minimum"], ["n.minimum", "model_name.enum"]),
]


@pytest.mark.parametrize(("choice", "given", "by_default", "assumed"), BODIES)
def test_a_request_is_judged_by_what_is_assumed(
    choice: str, given: dict[str, Any], by_default: list[str], assumed: list[str]
) -> None:
    assert broken(load_contract(), given) == by_default
    assert broken(load_contract(f"cometapi+{choice}"), given) == assumed


WORDS = "Invalid request parameters"
ANSWERS = [
    ("list-errors=code-1200", body(n=0), (400, 1200, "kling", WORDS)),
    ("list-errors=code-1200", body(n="x"), (400, 1200, "kling", WORDS)),
    ("list-errors=code-1200", {"subject_image_list": []}, (400, 1200, "kling", WORDS)),
    (
        "error-passthrough=wrapped",
        body(aspect_ratio="5:4"),
        (400, "1201", "gateway", "aspect_ratio value '5:4' is invalid"),
    ),
    ("item-types=code-1200", {"subject_image_list": ["x", "x"]}, (400, 1200, "kling", WORDS)),
    (
        "unknown-model=gateway",
        body(**MODEL),
        (503, "model_not_found", "gateway", "no available channel for group default and model kling-v99 (distributor)"),
    ),
]


@pytest.mark.parametrize(("choice", "given", "assumed"), ANSWERS)
def test_a_violation_is_answered_by_what_is_assumed(
    choice: str, given: dict[str, Any], assumed: tuple[Any, ...]
) -> None:
    assert answer(load_contract(), given)[:3] == (400, 1201, "kling")
    assert answer(load_contract(f"cometapi+{choice}"), given) == assumed


RULES = [
    ("unknown-task=kling", "task_id.exists", (400, "task_not_exist"), (400, 1201)),
    ("quota=gateway-429", "account.quota", (403, "insufficient_user_quota"), (429, "insufficient_user_quota")),
    ("quota=kling-1101", "account.quota", (403, "insufficient_user_quota"), (429, 1101)),
    ("body-forms=kling", "body.json", (400, "invalid_request"), (400, 1200)),
    ("wrong-method=wrong-path", "path.method", (404, 1202), (404, "")),
    ("too-large=html", "body.size", (413, "invalid_request"), (413, "")),
]


@pytest.mark.parametrize(("choice", "rule", "by_default", "assumed"), RULES)
def test_a_rule_answers_by_what_is_assumed(
    choice: str, rule: str, by_default: tuple[int, object], assumed: tuple[int, object]
) -> None:
    errors = [load_contract(text).rules[rule].require_error() for text in ("cometapi", f"cometapi+{choice}")]

    assert [(error.http, error.code) for error in errors] == [by_default, assumed]


def test_what_a_request_means_follows_from_what_is_assumed() -> None:
    given = body(n="2", prompt=None)

    assert load_contract().request.meant(body(prompt=None))["n"] == 1
    meant = load_contract("cometapi+number-forms=lenient").request.meant(given)
    assert (meant["n"], "prompt" in meant, meant["aspect_ratio"]) == (2, False, "16:9")


def test_times_and_retries_follow_from_what_is_assumed() -> None:
    default, late = load_contract(), load_contract("cometapi+status-times=late+callback-delivery=once")

    assert (default.lifecycle.timings["processing"], late.lifecycle.timings["processing"]) == (
        (400, 1000),
        (1500, 1800),
    )
    assert (len(default.callbacks.retry_after_ms["default"]), late.callbacks.retry_after_ms["default"]) == (4, ())
    assert load_contract("cometapi+external-id-query=yes").found_by == ("task_id", "external_task_id")


@pytest.mark.parametrize("name", CONTRACTS)
def test_every_alternative_of_every_contract_can_be_assumed(name: str) -> None:
    contract = load_contract(name)
    for assumption in contract.assumptions:
        assert assumption.default in assumption.alternatives
        assert (len(assumption.alternatives) == 1) == bool(assumption.fixed), assumption.id
        for alternative in assumption.alternatives:
            other = load_contract(f"{name}+{assumption.id}={alternative}")
            assert other.takes(assumption.id) == alternative
            assert (other is contract) == (alternative == assumption.default)


def test_a_choice_is_shown_in_its_shortest_form() -> None:
    assert load_contract("cometapi+prompt-length=characters") is load_contract()
    assert load_contract("cometapi+no-subjects=made-by-text") is load_contract("cometapi+plain-generation")
    both = load_contract("cometapi+prompt-length=bytes+megabyte=decimal+quota=gateway-403")
    assert str(both.choice) == "cometapi+megabyte=decimal+prompt-length=bytes"
    assert broken(both, body(prompt=E_ACUTE * 1251, style_image=TEN_MB)) == ["prompt.maxLength", "style_image.maxBytes"]


def test_what_is_assumed_holds_for_plain_generation_too() -> None:
    plain = load_contract("cometapi+plain-generation+prompt-length=bytes").requests["create_plain_task"]

    assert [violation.rule.id for violation in plain.judge({"prompt": E_ACUTE * 251})[0]] == ["plain.prompt.maxLength"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "cometapi+prompt-lenght=bytes",
            "cometapi has no assumption 'prompt-lenght'; did you mean prompt-length? there are list-errors, ",
        ),
        ("kling+bare-key=accepted", "kling has no assumption 'bare-key'; there are list"),
        (
            "cometapi+prompt-length=words",
            "prompt-length has no alternative 'words'; there are characters, bytes",
        ),
        ("cometapi+result-size=huge", "result-size has no alternative 'huge'; there are asked-ratio (The pixels"),
    ],
)
def test_what_there_is_not_is_one_line_that_names_what_there_is(text: str, said: str) -> None:
    with pytest.raises(UnknownChoiceError) as raised:
        load_contract(text)
    assert str(raised.value).startswith(said)
    assert "\n" not in str(raised.value)


def test_the_default_is_untouched_by_what_others_assume() -> None:
    before = load_contract().document["x-assumptions"]["prompt-length"]["default"]
    load_contract("cometapi+prompt-length=bytes")

    assert load_contract().document["x-assumptions"]["prompt-length"]["default"] == before == "characters"
