"""What is told of a rule: its text, its place, its evidence by aspect, and what is open."""

from __future__ import annotations

from jsonschema import Draft202012Validator

from klingkit.contract import load_contract
from klingkit.mock_server.control.document import described
from klingkit.mock_server.control.explanations import explanation

CONTRACT = load_contract()


def test_every_rule_is_explained_as_the_document_says() -> None:
    document = described((CONTRACT,))
    schema = {"$ref": "#/components/schemas/Explanation", "components": document["components"]}
    for rule in CONTRACT.rules.values():
        told = explanation(CONTRACT, rule.explanation, "because")
        Draft202012Validator(schema).validate(told)
        assert told is not None
        assert CONTRACT.at(told["spec"][1:]) is not None
        assert {each["aspect"]: each["grade"] for each in told["aspects"]} == {
            name: evidence.grade for name, evidence in rule.aspects.items()
        }


def test_the_question_about_the_kind_of_input_stands_first_and_weakens_what_it_is_about() -> None:
    kind = "prompt.maxLength/longest-of-4-bytes"
    rule = CONTRACT.rules[kind.partition("/")[0]]
    known = CONTRACT.questions.known(rule, kind.partition("/")[2])
    told = explanation(CONTRACT, known.explanation)

    assert told is not None
    assert told["assumptions"][0]["id"] == known.assumption != ""
    assert {each["aspect"]: each["grade"] for each in told["aspects"]} == {
        name: evidence.grade for name, evidence in known.aspects.items()
    }
    assert known.assumption not in {each["id"] for each in (explanation(CONTRACT, rule.id) or {})["assumptions"]}


def test_an_open_question_is_told_with_what_is_taken() -> None:
    told = explanation(CONTRACT, "subject_image_list.maxItems")
    assert told is not None
    (question,) = told["assumptions"]
    assert (question["id"], question["taken"]) == ("list-errors", "code-1201")
    assert question["does"].startswith("400 with code 1201")


def test_what_is_no_rule_has_no_explanation() -> None:
    assert explanation(CONTRACT, "") is None
    assert explanation(CONTRACT, "nothing.known; spec=x") is None
