"""Which contract is meant, and that each resolves to what the pages say of it."""

from __future__ import annotations

import copy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from openapi_spec_validator import validate

from klingkit.contract import CONTRACTS, Choice, Contract, UnknownChoiceError, load_contract
from klingkit.contract.choice import WITH_PLAIN
from klingkit.contract.overlay import apply_action, select
from klingkit.contract.resolving import OVERLAYS

CHOICES = [Choice(name) for name in CONTRACTS] + [Choice(name, plain_generation=True) for name in WITH_PLAIN]
FORM = "is no ID=ALTERNATIVE; `klingkit assumptions` lists them; after the name of a contract come +ID=ALTERNATIVE and +plain-generation"
WORDS = st.from_regex(r"[a-z]{1,6}(-[a-z]{1,6})?", fullmatch=True)


def field(contract: Contract, name: str) -> dict[str, Any]:
    return contract.request.nodes[(name,)]


@given(st.sampled_from(CHOICES), st.dictionaries(WORDS, WORDS, max_size=3))
def test_a_choice_is_read_from_what_it_is_written_as(choice: Choice, assume: dict[str, str]) -> None:
    whole = Choice(choice.name, choice.plain_generation, tuple(assume.items()))

    assert Choice.parse(str(whole)) == whole
    assert whole == Choice(choice.name, choice.plain_generation, tuple(reversed(assume.items())))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("klink", "unknown contract 'klink'; there are cometapi, cometapi-2026, kling"),
        ("", "unknown contract ''; there are cometapi, cometapi-2026, kling"),
        ("kling+plain-generation", "kling has no plain generation on this path; cometapi and cometapi-2026 have"),
        ("kling+prompt-length", f"'prompt-length' {FORM}"),
        ("kling+=bytes", f"'=bytes' {FORM}"),
        ("kling+quota=a+quota=b", "quota=a and quota=b contradict each other: give one of them"),
        (
            "cometapi+plain-generation+no-subjects=refused",
            "plain-generation and no-subjects=refused contradict each other: leave one of them out",
        ),
    ],
)
def test_what_there_is_not_is_refused_in_one_line_that_names_what_there_is(text: str, said: str) -> None:
    with pytest.raises(UnknownChoiceError) as raised:
        load_contract(text)
    assert str(raised.value) == said


@pytest.mark.parametrize("choice", CHOICES, ids=str)
def test_each_contract_resolves_to_a_valid_document(choice: Choice) -> None:
    contract = load_contract(choice)

    validate(contract.document)
    assert (contract.name, contract.choice) == (choice.name, choice)
    assert load_contract(str(choice)) is contract


def test_each_overlay_belongs_to_a_choice() -> None:
    assert {path.stem for path in OVERLAYS.iterdir()} == {*CONTRACTS[1:], "plain-generation"}


@pytest.mark.parametrize("name", [*CONTRACTS[1:], "plain-generation"])
def test_an_overlay_says_nothing_that_its_base_says_already(name: str) -> None:
    overlay = yaml.safe_load((OVERLAYS / f"{name}.yaml").read_text(encoding="utf-8"))
    made = copy.deepcopy(load_contract().document)

    for action in overlay["actions"]:
        if "update" in action:
            for node in select(made, action["target"]):
                assert list(repeated(node.value, action["update"])) == [], action
        apply_action(made, action)


def repeated(old: Any, new: Any) -> Any:
    """Yield what an update sets to the value that is there."""
    if isinstance(old, dict) and isinstance(new, dict):
        for name in old.keys() & new.keys():
            yield from repeated(old[name], new[name])
    elif isinstance(old, list):
        yield from (item for item in (new if isinstance(new, list) else [new]) if item in old)
    elif old == new:
        yield new


def test_the_contracts_differ_as_the_pages_do() -> None:
    older, newer, kling = map(load_contract, CONTRACTS)

    assert [field(each, "subject_image_list")["minItems"] for each in (older, newer, kling)] == [2, 1, 1]
    assert [field(each, "subject_image_list")["maxItems"] for each in (older, newer, kling)] == [4, 4, 4]
    assert [sorted(field(each, "model_name")["enum"]) for each in (older, newer, kling)] == [
        ["kling-v2"],
        ["kling-v2", "kling-v2-1"],
        ["kling-v2", "kling-v2-1"],
    ]
    assert [each.request.defaults.get("model_name") for each in (older, newer, kling)] == [
        "kling-v2",
        None,
        "kling-v2-1",
    ]
    scenes = {"scence_image", "scene_image", "negative_prompt", "watermark_info"}
    assert [scenes & each.request.known_fields[()].keys() for each in (older, newer, kling)] == [
        {"scence_image"},
        scenes - {"scence_image"},
        scenes - {"scence_image"},
    ]
    assert {each.operations["create_task"].path for each in (older, newer)} == {"/kling/v1/images/generations"}
    assert kling.operations["create_task"].path == "/v1/images/multi-image2image"
    assert kling.operations["get_task"].path == "/v1/images/multi-image2image/{task_id}"
    assert [each.found_by for each in (older, newer, kling)] == [("task_id",)] * 2 + [("task_id", "external_task_id")]
    assert [each.server_url for each in (older, newer, kling)] == ["https://api.cometapi.com"] * 2 + [
        "https://api-singapore.klingai.com"
    ]
    assert [bool(each.jwt) for each in (older, newer, kling)] == [False, False, True]
    assert [each.request_id_header for each in (older, newer, kling)] == ["x-cometapi-request-id"] * 2 + [""]


@pytest.mark.parametrize(("name", "fewest"), [("cometapi", 2), ("cometapi-2026", 1), ("kling", 1)])
def test_the_text_about_too_few_pictures_names_the_limits_of_the_contract(name: str, fewest: int) -> None:
    violation = load_contract(name).request.judge({"subject_image_list": []})[0][0]

    assert violation.error.message == f"subject_image_list: size must be between {fewest} and 4"


@pytest.mark.parametrize("name", ["cometapi-2026", "kling"])
def test_a_negative_prompt_has_a_limit_on_the_newer_page_and_is_ignored_by_the_vendor(name: str) -> None:
    contract = load_contract(name)
    body = {"subject_image_list": [{"subject_image": "https://example.com/a.png"}], "negative_prompt": "x" * 2501}

    broken = [violation.rule.id for violation in contract.request.judge(body)[0]]

    assert broken == {"cometapi-2026": ["negative_prompt.maxLength"], "kling": []}[name]


def test_nothing_of_the_gateway_is_left_in_the_vendor_s_contract() -> None:
    contract = load_contract("kling")

    assert {error.envelope for error in contract.errors.values()} == {"kling", "unrouted", "html"}
    pages = {key for key, error in contract.errors.items() if error.envelope == "html"}
    assert pages == {"html_502", "html_504"}  # of any proxy
    text = yaml.safe_dump({name: part for name, part in contract.document.items() if name in ("paths", "components")})
    assert "cometapi-request-id" not in text
    assert "GatewayError" not in text


@pytest.mark.parametrize(
    ("query", "broken"),
    [
        ({}, []),
        ({"pageNum": "1", "pageSize": "500"}, []),
        ({"pageNum": "1000", "other": "x"}, []),
        ({"pageNum": "0"}, ["pageNum.minimum"]),
        ({"pageNum": "1001"}, ["pageNum.maximum"]),
        ({"pageSize": "0"}, ["pageSize.minimum"]),
        ({"pageSize": "501", "pageNum": "-1"}, ["pageNum.minimum", "pageSize.maximum"]),
        ({"pageSize": "x"}, ["pageSize.type"]),
        ({"pageSize": ""}, ["pageSize.type"]),
        ({"pageSize": "1.0"}, ["pageSize.type"]),
        ({"pageSize": "9" * 5000}, ["pageSize.type"]),
    ],
)
def test_the_parameters_of_the_list_are_judged_by_the_rule_table(query: dict[str, str], broken: list[str]) -> None:
    contract = load_contract("kling")
    rules = contract.requests["list_tasks"]

    assert [violation.rule.id for violation in rules.judge(rules.read_query(query))[0]] == broken
    assert contract.rules["pageNum.minimum"].pointer == "/components/schemas/PageNumber/minimum"
    assert rules.defaults == {"pageNum": 1, "pageSize": 30}


@pytest.mark.parametrize("name", WITH_PLAIN)
def test_plain_generation_is_an_operation_of_its_own_told_apart_by_the_document(name: str) -> None:
    contract = load_contract(f"{name}+plain-generation")
    create = contract.operations["create_task"]

    def meant(body: dict[str, Any]) -> str:
        return contract.operation_for(create, body).operation_id

    assert meant({"prompt": "x"}) == meant({"subject_image_list": None}) == "create_plain_task"
    assert meant({"subject_image_list": []}) == meant({"subject_image_list": "x"}) == "create_task"
    plain = contract.requests["create_plain_task"]
    assert [violation.rule.id for violation in plain.judge({"prompt": "x" * 501, "n": 10})[0]] == [
        "plain.prompt.maxLength",
        "plain.n.maximum",
    ]
    assert [violation.rule.id for violation in plain.judge({})[0]] == ["plain.prompt.required"]
    assert plain.judge({"prompt": "x" * 500, "n": 9, "negative_prompt": "y", "image_fidelity": 0.5})[0] == []
    assert contract.rules["prompt.maxLength"].params["maxLength"] == 2500


def test_without_the_option_a_body_is_for_the_one_operation() -> None:
    contract = load_contract()
    create = contract.operations["create_task"]

    assert contract.operation_for(create, {"prompt": "x"}) is create
    assert contract.operations.keys() == {"create_task", "get_task"}


def test_no_contract_waits_for_the_jsonpath_library_and_the_default_reads_no_overlay() -> None:
    program = (
        "import sys; from klingkit.contract import load_contract; import klingkit.contract.resolving as spec\n"
        "applied = []; spec.apply_overlay = lambda *given: applied.append(given)\n"
        "load_contract(); assert not applied\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
    every = "".join(f"load_contract({str(choice)!r});" for choice in CHOICES)
    program = f"import sys; from klingkit.contract import load_contract; {every} assert 'jsonpath' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)
    assert (Path(OVERLAYS) / "kling.yaml").is_file()
