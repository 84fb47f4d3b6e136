"""Texts of a service in Markdown, in the eyes of a parser: they are text, and nothing else."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from klingkit.contract.evidence import Evidence
from klingkit.contract.judge.deviation import DEVIATION_KINDS, Deviation
from klingkit.contract.markdown import code, prose
from klingkit.contract.recordings.drift import Drift, DriftRow, compare
from klingkit.contract.recordings.drift_report import as_markdown as drift_markdown
from klingkit.contract.verify.report import as_markdown
from klingkit.contract.verify.results import Report, Result
from tests.wrong_targets import CONTRACT, PAID, recording_of, right_target, run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from markdown_it.token import Token

    from klingkit.contract.recordings.recording import Recording

AT = datetime(2026, 1, 1, tzinfo=UTC)
PIECES = [
    *"|`<>@#[]()!*_~\\&$:=-+ \n\r\t1a.",
    *("@user", "#1", "GH-1", "user/repo#1", "<img src=x>", "[x](y)", "![x](y)", "https://a.example/b", "www.a.example", "a@b.example"),
    *("```", "~~~", "<!--", "-->", "</details>", "&#64;user", "&lt;", "\u2028", "\u202e", "\x1b[2J", "\ud800", "- ", "1. ", "    ", "|---|---|", "\n\n# a\n", "deadbeef1"),
]  # fmt: skip
TEXTS = st.lists(st.sampled_from(PIECES), max_size=8).map("".join) | st.text(st.characters(codec=None), max_size=20)


def leaves(text: str) -> Iterator[Token]:
    """What a text is made of, for a parser that knows tables."""
    for token in MarkdownIt("commonmark").enable("table").parse(text):
        yield from token.children or [token]


def is_plain(text: str) -> bool:
    """Tell whether nothing in the text outside of code makes GitHub do more than show it."""
    return not re.search(r"[@#<&\[\]]|://|(?i:www\.|gh-\d)|\b[0-9a-f]{7,40}\b", text)


@given(TEXTS, TEXTS)
@settings(max_examples=300)
@example("|", "`")
@example("a`b|c", "[x](y) @user #1 https://a.example <img> _a_ *b* &#64;c GH-1 www.a.example")
def test_a_text_stays_in_its_cell_and_is_no_markup(one: str, two: str) -> None:
    found = list(leaves(f"| a | b |\n|---|---|\n| {code(one)} | {prose(two)} |\nend"))

    assert sum(token.type == "td_open" for token in found) == 2 + 2  # "end" is taken for another row
    kinds = {"text", "code_inline", "inline"}
    assert all(
        token.type in kinds or token.type.startswith(("table_", "thead_", "tbody_", "tr_", "th_", "td_"))
        for token in found
    )
    assert all(is_plain(token.content) for token in found if token.type == "text")


@given(TEXTS)
@example("- a")
@example("1. a")
@example("===")
def test_a_line_of_prose_is_a_paragraph(text: str) -> None:
    kinds = {token.type for token in leaves(prose(text))}
    assert kinds <= {"paragraph_open", "paragraph_close", "text", "code_inline", "inline"}


@given(TEXTS)
def test_ordinary_words_stay_as_they_are(text: str) -> None:
    assert prose("45 hold, 0 deviate; 0.2261 USD (2026-11-26).") == "45 hold, 0 deviate; 0.2261 USD (2026-11-26)."
    assert prose(prose(text)).count("``") == 0


@pytest.fixture(scope="module")
def right() -> Recording:
    return recording_of(only="n.maximum")


ALLOWED = {"text", "code_inline", "inline", "softbreak", "em_open", "em_close", "strong_open", "strong_close", "fence"}


def assert_only_what_is_ours(markdown: str, columns: int, rows: int) -> None:
    found = list(leaves(markdown))
    assert {token.type for token in found if not token.type.endswith(("_open", "_close"))} <= ALLOWED
    assert not [
        token for token in found if token.type.startswith(("link", "image", "html", "blockquote", "ordered", "hr"))
    ]
    assert sum(token.type == "td_open" for token in found) == columns * rows
    assert all(is_plain(token.content) for token in found if token.type == "text")


@given(texts=st.lists(TEXTS, min_size=6, max_size=6))
@settings(max_examples=60)
def test_no_text_of_a_recording_leaves_its_place_in_a_drift(texts: list[str], right: Recording) -> None:
    one, two, three, four, five, six = texts
    rows = [DriftRow(one, "text", two, three, four, ["n.maximum/one-too-high"])]
    drift = Drift(replace(right, target=five), right, rows, missing={"not A": ["case"]}, orphans=[six])
    assert_only_what_is_ours(drift_markdown(drift), 6, 1)


def test_the_rule_that_a_recording_blames_is_code(right: Recording) -> None:
    key, answer = next(iter(right.answers["accepted"].items()))
    refused = replace(answer, http=400, body={"code": 1, "message": "no"}, task=[], blamed="@user | [x](y) `")
    other = replace(right, answers={"accepted": {key: refused}})
    text = drift_markdown(compare(right, other, CONTRACT, "n.maximum"))
    assert "| `@user ¦ [x](y) '` |" in text
    assert_only_what_is_ours(text, 6, 1)


@pytest.fixture(scope="module")
def held() -> Report:
    return run(right_target(), replace(PAID, only="n.maximum"))


@given(texts=st.lists(TEXTS, min_size=5, max_size=5), kind=st.sampled_from(sorted(DEVIATION_KINDS)))
@settings(max_examples=60)
def test_no_text_of_a_service_leaves_its_place_in_a_report(texts: list[str], kind: str, held: Report) -> None:
    expected, got, note, reason, target = texts
    results = [Result(result.case, reply=result.reply) for result in held.results]
    results[0].add(Deviation("n.maximum", kind, expected, got, Evidence("recorded", "sibling", "2026-11")))
    results[1].skip(reason)
    report = replace(held, target=target, results=results, notes=[note], incomplete=reason)
    assert_only_what_is_ours(as_markdown(report, AT), 7, 1)
