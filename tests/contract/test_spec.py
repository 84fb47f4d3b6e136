"""openapi.yaml: valid OpenAPI, complete, and the only place where the facts of the API stand."""

from __future__ import annotations

import fnmatch
import io
import itertools
import re
import tokenize
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

from klingkit.contract import load_contract
from klingkit.contract.choice import CONTRACTS
from klingkit.contract.evidence import ContractError, Evidence, told
from klingkit.contract.spec import Contract
from klingkit.mock_server.handlers import HANDLERS

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]


def test_is_valid_openapi(contract: Contract) -> None:
    validate(contract.document)


def test_has_no_repeated_key() -> None:
    """YAML parsers let the last of two equal keys win in silence."""

    def check(node: yaml.Node) -> None:
        if isinstance(node, yaml.MappingNode):
            keys = [key.value for key, _ in node.value]
            assert len(keys) == len(set(keys)), f"line {node.start_mark.line + 1}: {keys}"
            for _, value in node.value:
                check(value)
        elif isinstance(node, yaml.SequenceNode):
            for value in node.value:
                check(value)

    root = yaml.compose((ROOT / "openapi.yaml").read_text(encoding="utf-8"))
    assert root
    check(root)


def examples(node: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Each media type of the document with its schema and each of its examples."""
    if isinstance(node, dict):
        if "schema" in node and "examples" in node:
            for name, example in node["examples"].items():
                yield f"{path}/{name}", node["schema"], example["value"]
        for key, value in node.items():
            yield from examples(value, f"{path}/{key}")


EXAMPLES = list(examples(load_contract().document))


@pytest.mark.parametrize(("schema", "value"), [case[1:] for case in EXAMPLES], ids=[case[0] for case in EXAMPLES])
def test_examples_keep_their_schema(contract: Contract, schema: dict[str, Any], value: Any) -> None:
    Draft202012Validator({**schema, "components": contract.document["components"]}).validate(value)


def test_request_examples_break_no_rule(contract: Contract) -> None:
    media = contract.document["paths"][contract.operations["create_task"].path]["post"]["requestBody"]["content"]
    for example in media["application/json"]["examples"].values():
        assert contract.request.judge(example["value"])[0] == []


def test_catalogue_has_the_22_documented_codes(contract: Contract) -> None:
    kling = {error.code: error.http for error in contract.errors.values() if error.envelope == "kling"}

    assert len(kling) == 22
    assert kling == {
        0: 200,
        1000: 401,
        1001: 401,
        1002: 401,
        1003: 401,
        1004: 401,
        1100: 429,
        1101: 429,
        1102: 429,
        1103: 403,
        1200: 400,
        1201: 400,
        1202: 404,
        1203: 404,
        1300: 400,
        1301: 400,
        1302: 429,
        1303: 429,
        1304: 429,
        5000: 500,
        5001: 503,
        5002: 504,
    }


def test_error_schema_lists_the_catalogue(contract: Contract) -> None:
    listed = contract.document["components"]["schemas"]["KlingError"]["properties"]["code"]["enum"]

    assert listed == [error.code for error in contract.errors.values() if error.envelope == "kling" and error.code != 0]


def evidence_in(contract: Contract, node: Any, name: str = "") -> Iterator[Evidence]:
    """Whatever `evidence` the document has anywhere; reading it fails where it is wrong."""
    if name in {"evidence", "x-evidence"}:
        entries = node.values() if isinstance(node, dict) else [node]
        yield from (contract.sources.evidence(entry, name) for entry in entries)
    elif isinstance(node, dict):
        for child, inner in node.items():
            yield from evidence_in(contract, inner, child)
    elif isinstance(node, list):
        for inner in node:
            yield from evidence_in(contract, inner)


def fields_without_evidence(document: dict[str, Any], schema: dict[str, Any], path: str) -> Iterator[str]:
    """The fields of an answer that do not say how well they are known."""
    if reference := schema.get("$ref"):
        name = reference.rpartition("/")[2]
        yield from fields_without_evidence(document, document["components"]["schemas"][name], name)
    for field, inner in schema.get("properties", {}).items():
        if "x-evidence" not in inner:
            yield f"{path}.{field}"
        yield from fields_without_evidence(document, inner, f"{path}.{field}")
    if "items" in schema:
        yield from fields_without_evidence(document, schema["items"], f"{path}[]")


def test_every_aspect_has_grade_source_and_date(contract: Contract) -> None:
    document = contract.document
    found = list(evidence_in(contract, document))
    answers = ("CreateAnswer", "QueryAnswer", "CallbackTask", "KlingError", "GatewayError", "TaskError")
    fields = [
        field
        for name in answers
        for field in fields_without_evidence(document, document["components"]["schemas"][name], name)
    ]
    timings = document["x-lifecycle"]["timings"]

    assert not fields
    assert {evidence.grade for evidence in found} == {"documented", "recorded", "inferred", "unknown"}
    assert all(re.fullmatch(r"20\d\d(-\d\d){0,2}", evidence.date) for evidence in found)
    assert {evidence.source for evidence in found} <= contract.sources.entries.keys()
    assert all(set(rule.aspects) == {"limit", "answer", "text"} for rule in contract.rules.values())
    assert all(set(error.aspects) == {"answer", "text"} for error in contract.errors.values())
    assert all("evidence" in timing for timing in timings.values())
    assert all("evidence" in document[name] for name in ("x-lifecycle", "x-callbacks", "x-price", "x-task-id"))


def test_an_aspect_without_evidence_is_refused_at_load(contract: Contract) -> None:
    document = yaml.safe_load((ROOT / "openapi.yaml").read_text(encoding="utf-8"))
    del document["x-rules"]["body.size"]["evidence"]["text"]

    with pytest.raises(ContractError, match=r"#/x-rules/body\.size: evidence of limit, answer, text is wanted"):
        Contract(document)


@pytest.mark.parametrize(
    ("rule", "grades"),
    [
        ("subject_image_list.items.subject_image.maxBytes", "limit documented, answer inferred, text unknown"),
        ("prompt.maxLength", "limit documented, answer recorded, text recorded"),
        ("n.maximum", "inferred"),
        ("body.depth", "limit unknown, answer inferred, text unknown"),
        ("body.size", "limit unknown, answer inferred, text unknown"),
        ("account.concurrency", "documented"),
    ],
)
def test_aspects_of_a_rule_are_known_each_in_its_way(contract: Contract, rule: str, grades: str) -> None:
    """api-facts 1, 6.2 to 6.4."""
    assert told(contract.rules[rule].aspects) == grades


def test_a_text_that_no_page_has_is_unknown(contract: Contract) -> None:
    """api-facts 6.2: every code of 6.1 for which 6.3 has no line."""
    known = {error.code for error in contract.errors.values() if error.aspects["text"].grade != "unknown"}

    assert known == {0, 1001, 1102, 1302, 1303, "", "model_not_found", "task_not_exist"}
    assert all(contract.errors[str(code)].aspects["answer"].grade == "documented" for code in (1000, 1202, 5002))


def test_assumptions_say_what_they_are_about(contract: Contract) -> None:
    known = {*contract.rules, *contract.promises}
    about = {entry.id: [name.partition("/")[0] for name in entry.about] for entry in contract.assumptions}

    assert [name for names in about.values() for name in names if not fnmatch.filter(known, name)] == []
    assert len({entry.id for entry in contract.assumptions}) == len(contract.assumptions) >= 30
    assert all(entry.question and entry.default and entry.probe for entry in contract.assumptions)


def test_every_pointer_of_a_rule_leads_somewhere(contract: Contract) -> None:
    for rule in contract.rules.values():
        node: Any = contract.document
        for step in rule.pointer.split("/")[1:]:
            node = node[step.replace("~1", "/").replace("~0", "~")]


def test_link_and_callback_are_described(contract: Contract) -> None:
    create = contract.document["paths"]["/kling/v1/images/generations"]["post"]

    assert create["responses"]["200"]["links"]["query"]["operationId"] == "get_task"
    assert "{$request.body#/callback_url}" in create["callbacks"]["taskChanged"]


def test_each_operation_of_a_contract_has_its_handler() -> None:
    choices = [*CONTRACTS, f"{CONTRACTS[0]}+plain-generation"]

    assert HANDLERS.keys() == {name for choice in choices for name in load_contract(choice).operations}


def test_statuses_of_the_lifecycle_are_those_of_the_schema(contract: Contract) -> None:
    statuses = contract.document["components"]["schemas"]["TaskStatus"]["enum"]

    assert list(contract.lifecycle.transitions) == statuses == ["submitted", "processing", "succeed", "failed"]


def test_a_keyword_without_a_rule_is_refused_at_load(contract: Contract) -> None:
    document = yaml.safe_load((ROOT / "openapi.yaml").read_text(encoding="utf-8"))
    document["components"]["schemas"]["CreateRequest"]["properties"]["prompt"]["minLength"] = 1

    with pytest.raises(ContractError, match=r"prompt/minLength.*minLength"):
        Contract(document)


def test_a_changed_limit_changes_rule_and_text(contract: Contract) -> None:
    """openapi.yaml alone says what is allowed."""
    document = yaml.safe_load((ROOT / "openapi.yaml").read_text(encoding="utf-8"))
    document["components"]["schemas"]["CreateRequest"]["properties"]["subject_image_list"]["minItems"] = 1
    one = {"subject_image_list": [{"subject_image": "http://a"}]}

    assert Contract(document).request.judge(one)[0] == []
    assert contract.request.judge(one)[0][0].rule.id == "subject_image_list.minItems"
    none = Contract(document).request.judge({"subject_image_list": []})[0][0]
    assert none.error.message == "subject_image_list: size must be between 1 and 4"


def strings_and_numbers(path: Path) -> Iterator[tuple[str, str]]:
    """Literals of a source file with their place, without docstrings."""
    tokens = list(tokenize.generate_tokens(io.StringIO(path.read_text(encoding="utf-8")).readline))
    for before, token in itertools.pairwise(tokens):
        starts_line = before.type in {tokenize.NEWLINE, tokenize.NL, tokenize.INDENT, tokenize.DEDENT, tokenize.COMMENT}
        kinds = {tokenize.STRING, tokenize.NUMBER, getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING)}
        if token.type in kinds and not (starts_line and token.type == tokenize.STRING):
            yield f"{path.name}:{token.start[0]}", token.string


def test_no_fact_of_the_api_stands_in_the_code(contract: Contract) -> None:
    """Limits, enums, paths and texts are read from openapi.yaml."""
    schema = contract.document["components"]["schemas"]
    words = {"succeed", "SUCCEED", "kling-v2", "scence_image", "style_image", "comet_api_error", "task_not_exist"}
    words |= set(schema["CreateRequest"]["properties"]["aspect_ratio"]["enum"])
    texts = [error.message for error in contract.errors.values()] + [r.message for r in contract.rules.values()]
    parts = {part for text in texts for part in re.split(r"\{\w+\}", text) if len(part) > 12}
    parts |= {operation.path.split("{")[0] for operation in contract.operations.values()}
    numbers = {"2500", "9", "0.4", "2.5", "10485760", str(contract.task_id_epoch_ms), "22"}
    for path in [*(ROOT / "contract").glob("*.py"), *(ROOT / "mock_server").glob("*.py")]:
        for place, literal in strings_and_numbers(path):
            inner = literal.strip("rbf\"'")
            assert inner not in words, f"{place} spells {literal}"
            assert not any(part in literal for part in parts), f"{place} repeats {literal}"
            assert literal not in numbers, f"{place} repeats the number {literal}"


def schemas(node: Any) -> Iterator[dict[str, Any]]:
    """Every object below a place of the document, but for examples and what is ours alone."""
    if isinstance(node, dict):
        yield node
        for name, value in node.items():
            if not name.startswith(("x-", "example")):
                yield from schemas(value)
    elif isinstance(node, list):
        for value in node:
            yield from schemas(value)


@pytest.mark.parametrize("name", CONTRACTS)
def test_openapi_generator_makes_clients_of_it(name: str) -> None:
    """Its Python generator knows no type that is only null, and others no array of nothing."""
    for schema in schemas(load_contract(name).document):
        assert schema.get("type") != "null"
        assert schema.get("type") != "array" or "items" in schema
