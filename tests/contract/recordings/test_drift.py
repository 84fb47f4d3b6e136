"""Drift: each class of difference, shown by a service that is wrong in one way; and no alarm by noise."""

from __future__ import annotations

import itertools
import json
import re
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st

from klingkit import recording_commands
from klingkit.cli import main
from klingkit.contract import load_contract
from klingkit.contract.recordings.drift import DRIFT_KINDS, Drift, DriftRow, compare
from klingkit.contract.recordings.drift_report import LONGEST, as_json, as_markdown
from klingkit.contract.recordings.files import save
from klingkit.contract.recordings.secret import Secret
from klingkit.contract.verify.selection import Options
from tests.stand_in_faults import FAULTS
from tests.stand_in_target import stand_in_target
from tests.wrong_targets import CONTRACT, KEY, NOW, OTHER_KEY, AlteredExchange, recording_of, wrong_target

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from klingkit.contract import Contract
    from klingkit.contract.recordings.recording import Recording
    from klingkit.ending import Signals
    from tests.conftest import Running

GATEWAY = {"message": "no (request id: abc)", "type": "comet_api_error", "code": "invalid_request"}


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("COMETAPI_KEY", "KLINGKIT_OTHER_KEY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def contract() -> Contract:
    """As the recordings keep it, with smaller pictures."""
    return CONTRACT


@pytest.fixture(scope="module")
def right() -> Recording:
    """All cases, answered by the right simulator."""
    return recording_of()


def run(*arguments: str) -> Result:
    result = CliRunner().invoke(main, arguments)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def drift_of(contract: Contract, right: Recording, rule: str | None, **hands: Any) -> list[DriftRow]:
    """What differs between the right simulator and one whose answers go through some hands."""
    return compare(right, recording_of(wrong_target(**hands), only=rule), contract, rule).rows


# A service that is no simulator


def recording_of_stand_in(*faults: str) -> Recording:
    target = stand_in_target(keys=(KEY, OTHER_KEY), megabytes=1)
    target.callback_url = None
    for fault in faults:
        FAULTS[fault][0](target.service)
    return recording_of(target)


def test_texts_that_nobody_knows_are_no_drift(right: Recording, contract: Contract) -> None:
    other = recording_of_stand_in()

    own = other.answers["body.json"].keys() & right.answers["body.json"].keys()
    assert any(other.answers["body.json"][key].inner != right.answers["body.json"][key].inner for key in own)
    found = compare(right, other, contract)
    assert (found.rows, found.missing, found.orphans) == ([], {}, [])
    assert found.agree == found.compared > 110


def test_a_service_that_does_otherwise_than_documented_is_told_for_just_that(
    right: Recording, contract: Contract
) -> None:
    found = compare(right, recording_of_stand_in("status-for-prompt", "text-for-duplicate", "no-21-9"), contract)

    assert {(row.requirement, row.kind) for row in found.rows} == {
        ("prompt.maxLength", "status"),
        ("external_task_id.unique", "text"),
        ("aspect_ratio.enum", "stricter"),
    }


# Noise


@pytest.mark.parametrize("settings", [{"seed": 5}, {"seed": 6, "speed": 0.7}, {"seed": 7, "instant": True}])
def test_two_right_services_do_not_differ(settings: dict[str, Any], right: Recording, contract: Contract) -> None:
    other = recording_of(wrong_target(**settings), run="klingkit-ffffffff")
    found = compare(right, other, contract)
    assert (found.rows, found.missing, found.orphans) == ([], {}, [])
    assert found.agree == found.compared > 110


def noisy(start: int) -> Callable[[AlteredExchange], None]:
    """A service that puts a number of its own into each text, and a field with the time into each answer."""
    numbers = itertools.count(start)

    def change(exchange: AlteredExchange) -> None:
        if exchange.text and "error" not in exchange.body:
            exchange.answer({**exchange.body, "served_at": f"12:00:{next(numbers)}"})
            exchange.say(f"{exchange.text} [trace x{next(numbers)}y]")

    return change


def test_what_varies_by_itself_is_learnt_and_masked(right: Recording, contract: Contract) -> None:
    one, two = (recording_of(wrong_target(noisy(start))) for start in (1000, 5000))

    assert compare(one, two, contract).rows == []
    text = next(iter(two.answers["n.maximum"].values())).inner["message"]
    assert text == "n: must be less than or equal to 9 [trace <varies>]"
    rows = compare(right, two, contract, "n.maximum").rows
    assert {(row.requirement, row.kind) for row in rows} >= {
        ("n.maximum", "text"),
        ("answer.schema", "undocumented_field"),
    }


def test_a_text_that_is_another_each_time_as_a_whole_is_masked(contract: Contract) -> None:
    numbers = itertools.count(1)

    def change(exchange: AlteredExchange) -> None:
        if exchange.body.get("code") == 1202:
            exchange.say(f"e{next(numbers)}")

    one, two = (recording_of(wrong_target(change), only="path.method") for _ in "ab")
    assert compare(one, two, contract, "path.method").rows == []
    assert {answer.inner["message"] for answer in one.answers["path.method"].values()} == {"<varies>"}


def test_an_answer_that_quotes_the_id_of_another_task_differs(right: Recording, contract: Contract) -> None:
    made: list[str] = []

    def change(exchange: AlteredExchange) -> None:
        data = exchange.body.get("data")
        if isinstance(data, dict) and exchange.method == "POST":
            made.append(data["task_id"])
        if "already exists" in exchange.text:
            exchange.say(f"{exchange.text}, as task {made[0]}")

    row, *_ = drift_of(contract, right, "external_task_id.unique", change=change)
    assert (row.requirement, row.kind) == ("external_task_id.unique", "text")
    assert re.search(r"as task <task of \S+>'$", row.b)


def test_a_task_that_is_shown_under_another_id_differs(right: Recording, contract: Contract) -> None:
    made: list[str] = []

    def change(exchange: AlteredExchange) -> None:
        answer = exchange.body
        if isinstance(answer.get("data"), dict):
            made.append(answer["data"]["task_id"])
            answer["data"]["task_id"] = made[0]
            if exchange.method == "GET":
                exchange.answer(answer)

    rows = drift_of(contract, right, "aspect_ratio.enum", change=change)
    assert {(row.requirement, row.kind) for row in rows} == {("answer.schema", "shape")}
    first, second = rows[0].a, rows[0].b
    assert first.startswith("task.data.task_id: '<task of accepted/")
    assert second.startswith("task.data.task_id: '<task of accepted/")
    assert first != second


# Classes


def refusal(change: Callable[[AlteredExchange], object]) -> Callable[[AlteredExchange], object]:
    """Change the refusal of an n that is too high, and nothing else."""
    return lambda exchange: change(exchange) if "equal to 9" in exchange.text else None


def ended(change: Callable[[dict[str, Any]], object]) -> Callable[[AlteredExchange], None]:
    """Change a task that is shown as ended."""

    def apply(exchange: AlteredExchange) -> None:
        answer = exchange.body
        if isinstance(answer.get("data"), dict) and "task_status_msg" in answer["data"]:
            change(answer["data"])
            exchange.answer(answer)

    return apply


def without(exchange: AlteredExchange, name: str) -> None:
    exchange.answer({key: value for key, value in exchange.body.items() if key != name})


def lenient(exchange: AlteredExchange) -> None:
    if exchange.sent.get("n") == 10:
        exchange.raw = json.dumps({**exchange.sent, "n": 9}).encode()


def strict(exchange: AlteredExchange) -> None:
    if exchange.sent.get("n") == 9:
        exchange.raw = json.dumps({**exchange.sent, "n": 10}).encode()


@pytest.mark.parametrize(
    ("expected", "hands"),
    [
        (("looser", "n.maximum", "accepted, then submitted"), {"before": lenient}),
        (("stricter", "n.maximum", "400/1201 'n: must be less than or equal to 9'"), {"before": strict}),
        (
            ("status", "n.maximum", "422"),
            {"change": refusal(lambda exchange: exchange.answer(exchange.body, "422 No"))},
        ),
        (
            ("code", "n.maximum", "1200 'n:"),
            {"change": refusal(lambda exchange: exchange.answer({**exchange.body, "code": 1200}))},
        ),
        (("text", "n.maximum", "'too much'"), {"change": refusal(lambda exchange: exchange.say("too much"))}),
        (
            ("shape", "n.maximum", "400/'invalid_request'"),
            {"change": refusal(lambda exchange: exchange.answer({"error": GATEWAY}))},
        ),
        (
            ("shape", "n.maximum", "a page"),
            {"change": refusal(lambda exchange: setattr(exchange, "content", b"<html>"))},
        ),
        (
            ("shape", "answer.schema", "<request id, a number>"),
            {"change": refusal(lambda exchange: exchange.answer({**exchange.body, "request_id": 7}))},
        ),
        (
            ("undocumented_field", "answer.schema", "hint, a string"),
            {"change": refusal(lambda exchange: exchange.answer({**exchange.body, "hint": "x"}))},
        ),
        (
            ("missing_field", "answer.schema", "no request_id"),
            {"change": refusal(lambda exchange: without(exchange, "request_id"))},
        ),
        (
            ("missing_field", "answer.schema", "no header x-cometapi-request-id"),
            {"change": refusal(lambda exchange: exchange.headers.pop("x-cometapi-request-id"))},
        ),
        (
            ("task", "accepted", "submitted > processing > succeeded"),
            {"change": ended(lambda it: it.update(task_status="succeeded"))},
        ),
        # The pack that tries n also has a file at the limit, of which is only inferred what a binary megabyte is.
        (
            ("stricter", "scence_image.maxBytes", "failed"),
            {"change": ended(lambda it: it.update(task_status="failed"))},
        ),
        (("text", "scence_image.maxBytes", "'done'"), {"change": ended(lambda it: it.update(task_status_msg="done"))}),
        (("task", "task.result", "0 pictures"), {"change": ended(lambda it: it["task_result"].update(images=[]))}),
        (
            ("undocumented_field", "answer.schema", "task.data.units, a number"),
            {"change": ended(lambda it: it.update(units=1))},
        ),
        (
            ("missing_field", "answer.schema", "no task.data.updated_at"),
            {"change": ended(lambda it: it.pop("updated_at"))},
        ),
        (
            ("shape", "answer.schema", 'task_info: string "x"'),
            {"change": ended(lambda it: it.update(task_info="x"))},
        ),
        (
            ("shape", "answer.schema", "<time, 10 digits>"),
            {"change": ended(lambda it: it.update(updated_at=1795569547))},
        ),
        (
            ("shape", "answer.schema", "<task of accepted/"),
            {"change": ended(lambda it: it.update(task_id=int(it["task_id"])))},
        ),
    ],
)
def test_a_difference_has_its_class(
    expected: tuple[str, str, str], hands: dict[str, Any], right: Recording, contract: Contract
) -> None:
    kind, subject, words = expected
    rows = drift_of(contract, right, "n.maximum", **hands)
    assert {(row.kind, row.requirement) for row in rows} == {(kind, subject)}
    assert any(words in row.b for row in rows)
    assert kind in DRIFT_KINDS


def test_the_status_of_a_redirect_counts_and_the_text_of_a_page_does_not(right: Recording, contract: Contract) -> None:
    def page(exchange: AlteredExchange) -> None:
        if exchange.content.startswith(b"<!DOCTYPE"):
            exchange.content = b"<html>Go away</html>"

    def moved(exchange: AlteredExchange) -> None:
        if exchange.content.startswith(b"<!DOCTYPE"):
            exchange.status = "410 Gone"

    assert drift_of(contract, right, "path.known", change=page) == []
    rows = drift_of(contract, right, "path.known", change=moved)
    assert {(row.kind, row.a, row.b) for row in rows} == {("status", "status 404", "status 410")}
    assert {row.documented: [case.partition("/")[2] for case in row.cases] for row in rows} == {
        "a redirect or an HTML page (documented)": ["invented", "without-prefix"],
        "a redirect or an HTML page (inferred)": ["trailing-slash"],
    }


def test_what_is_unknown_is_not_compared(right: Recording, contract: Contract) -> None:
    """Nobody knows the text of 1202 or of a body that is no JSON; that of the status is inferred."""

    def own_words(exchange: AlteredExchange) -> None:
        told = exchange.body.get("error", exchange.body)
        if told.get("code") in {1202, "invalid_request"}:
            told["message"] = f"in other words{told['message'][-48:] if 'request id' in told['message'] else ''}"
            exchange.answer({"error": told} if "error" in exchange.body else told)

    assert drift_of(contract, right, "body.json", change=own_words) == []
    assert drift_of(contract, right, "path.method", change=own_words) == []


def other_type(name: str, value: Any) -> Callable[[AlteredExchange], object]:
    """Change a field of each answer."""

    def change(exchange: AlteredExchange) -> None:
        if name in exchange.body:
            exchange.answer({**exchange.body, name: value(exchange.body[name])})

    return change


def test_a_code_of_another_type_is_one_fact_with_both_values(right: Recording, contract: Contract) -> None:
    """As the scenario string-code answers: all cells of its rows were equal."""
    rows = drift_of(contract, right, None, change=other_type("code", str))

    assert {(row.requirement, row.kind) for row in rows} == {("answer.schema", "shape")}
    cells = [(row.a, row.b) for row in rows]
    assert ("code: number 0", 'code: string "0"') in cells
    assert ("code: number 1201", 'code: string "1201"') in cells
    assert len(cells) == len({row.a for row in rows}) < 8
    assert sum(len(row.cases) for row in rows) > 80


def test_a_message_that_differs_at_its_end_is_shown_there(right: Recording, contract: Contract) -> None:
    long = "x" * 1000

    def saying(text: str) -> Recording:
        return recording_of(wrong_target(refusal(lambda exchange: exchange.say(text))), only="n.maximum")

    one, two = saying(f"{long}a"), saying(f"{long}b")
    (row,) = compare(one, two, contract, "n.maximum").rows
    assert (row.a, row.b) == (f"message: ...{'x' * 20}a'", f"message: ...{'x' * 20}b'")


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-9, 9)
    | st.sampled_from(["", "1", "None", "true", "0", "null", "x" * 500, "x" * 501]),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["code", "a", "x" * 300]), inner, max_size=2)
    ),
    max_leaves=4,
)
ANSWERS = st.builds(
    lambda http, body, task: {"http": http, "body": body, "task": task, "other": "" if body else "a page"},
    st.sampled_from([200, 400]),
    st.none()
    | st.fixed_dictionaries({}, optional={"code": st.just(0) | JSON, "message": JSON, "request_id": JSON, "error": JSON, "data": JSON}),
    st.lists(st.fixed_dictionaries({"task_status": JSON}, optional={"task_status_msg": JSON, "task_result": JSON}), max_size=2),
)  # fmt: skip


@given(one=ANSWERS, two=ANSWERS)
@settings(max_examples=50)
def test_no_row_has_two_cells_that_are_equal(
    one: dict[str, Any], two: dict[str, Any], right: Recording, contract: Contract
) -> None:
    (key, answer), *_ = right.answers["n.maximum"].items()
    a, b = (replace(right, answers={"n.maximum": {key: replace(answer, **fields)}}) for fields in (one, two))
    found = compare(a, b, contract, "n.maximum")

    assert all(row.a != row.b for row in found.rows)
    for line in as_markdown(found).splitlines():
        if line.startswith("| `"):
            cells = line.split(" | ")
            assert len(cells) == 6
            assert cells[3] != cells[4]


# What is not compared


def test_what_one_side_has_not_answered_is_listed_and_does_not_count(right: Recording, contract: Contract) -> None:
    free = recording_of(budget=Decimal(0), other_key=None)
    found = compare(right, free, contract)

    assert found.rows == []
    assert found.missing.keys() == {"not B"}
    assert found.agree + len(found.missing["not B"]) == sum(map(len, right.answers.values()))
    assert f"not answered by simulator ({len(found.missing['not B'])}): accepted/" in as_markdown(found)


def test_recordings_that_no_case_uses_are_named(right: Recording, contract: Contract) -> None:
    answer = next(iter(right.answers["n.maximum"].values()))
    strange = {"n.maximum": {"0123456789abcdef": replace(answer, case="n.maximum/two-too-high")}, "n.maximun": {}}
    found = compare(right, replace(right, target="old", answers={**right.answers, **strange}), contract)

    assert found.orphans == [
        "n.maximum.json of old: no case sends what n.maximum/two-too-high sent",
        "n.maximun.json of old: no case is about a rule n.maximun; the nearest are n.maximum, n.minimum, prompt.maxLength",
    ]
    assert found.missing["not B"] == ["n.maximum/one-too-high"]
    assert "Recorded in vain (2): n.maximum.json of old" in as_markdown(found)


# Reports


def test_the_markdown_is_a_table_whatever_a_service_says(right: Recording, contract: Contract) -> None:
    evil = "a | b ` c\n\r\u2028<script>@everyone ![x](https://example.com/x.png) \x1b[31m\\"
    bad = recording_of(wrong_target(refusal(lambda exchange: exchange.say(evil))), only="n.maximum")
    found = compare(right, replace(bad, target="the <b>real</b> @one |\nservice"), contract, "n.maximum")
    lines = as_markdown(found).splitlines()

    assert lines[0] == (
        "**1 difference between simulator (2026-11-25) and the `<b>real</b>` `@one` `¦` service (2026-11-25); "
        f"of {found.compared} cases {found.agree} agree, 0 were not compared**"
    )
    table = [line for line in lines if line.startswith("|")]
    assert len(table) == 3
    assert {len(re.findall(r"\|", line)) for line in table} == {7}
    assert table[0].endswith("A: simulator, 2026-11-25 | B: the `<b>real</b>` `@one` `¦` service, 2026-11-25 | cases |")
    assert table[2].count("`") == 8  # rule, documented, A and B are code, in which nothing is markup
    assert not any(char in table[2] for char in "\x1b\u2028")
    assert "400/1201 'n: must be less than or equal to 9' (inferred)" in table[2]


def test_the_markdown_fits_into_a_comment(right: Recording) -> None:
    rows = [DriftRow(f"rule.{number}", "text", "x" * 300, "y" * 300, "z" * 300, ["case"] * 9) for number in range(500)]
    text = as_markdown(Drift(right, right, rows, missing={"not A": ["case"] * 500}, orphans=["x" * 90] * 500))

    assert 40_000 < len(text) <= LONGEST
    shown = len(re.findall(r"^\| `rule", text, re.MULTILINE))
    assert f"{500 - shown} more differences are not shown here" in text


def test_json_has_all(right: Recording, contract: Contract) -> None:
    bad = recording_of(wrong_target(refusal(lambda exchange: exchange.say("no"))), only="n.maximum")
    found = json.loads(as_json(compare(right, bad, contract, "n.maximum")))

    assert found["a"] == {"target": "simulator", "at": NOW.isoformat()}
    assert found["differences"] == [
        {
            "rule": "n.maximum",
            "class": "text",
            "documented": "400/1201 'n: must be less than or equal to 9' (inferred)",
            "a": "message: 'n: must be less than or equal to 9'",
            "b": "message: 'no'",
            "cases": ["n.maximum/one-too-high"],
        }
    ]
    assert found["compared"] == found["agree"] + 1


# The command


@pytest.fixture
def folder(right: Recording, tmp_path: Path) -> Path:
    save(right, tmp_path / "rec", [Secret("the key", KEY)])
    return tmp_path / "rec"


def test_the_simulator_agrees_with_its_recording_offline(tmp_path: Path) -> None:
    """With pictures of 10 MB, as both have them."""
    folder, whole = tmp_path / "rec", load_contract()
    save(recording_of(wrong_target(contract=whole), contract=whole), folder, [Secret("the key", KEY)])
    result = run("drift", "simulator", str(folder))
    assert result.exit_code == 0, result.output
    assert re.fullmatch(
        r"\*\*no drift between simulator \(\d{4}-\d\d-\d\d\) and simulator \(2026-11-25\); of (\d+) cases \1 agree, "
        r"0 were not compared\*\*\n",
        result.stdout,
    )
    assert run("drift", str(folder), str(folder), "--plan").stdout == (
        "no service is asked: nothing is sent, and nothing costs money\n"
    )


def test_drift_ends_with_1_and_an_old_recording_with_a_warning(folder: Path, right: Recording) -> None:
    text = json.dumps({"message": "no", "code": 1201, "request_id": "<request id: UUID>"})
    answers = {key: replace(answer, body=json.loads(text)) for key, answer in right.answers["n.maximum"].items()}
    old = replace(right, at=NOW - timedelta(days=400), answers={**right.answers, "n.maximum": answers})
    save(old, folder, [])

    result = run("drift", "simulator", str(folder), "--only", "n.maximum", "--json")

    assert result.exit_code == 1
    assert [row["class"] for row in json.loads(result.stdout)["differences"]] == ["text"]
    assert re.fullmatch(rf"warning: {folder} was recorded \d+ days ago; record it anew\n", result.stderr)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ["simulator", "no-such-folder"],
            "no-such-folder is no folder, so it is no recording; give a URL, `simulator`",
        ),
        (["simulator", "https://api.cometapi.com"], "say --real if you mean it"),
        (["https://api.cometapi.com", "simulator", "--real"], "no key for https://api.cometapi.com"),
        (["simulator", "ftp://x"], "is not the URL of a service"),
        (["simulator", "simulator", "--only", "n.maximun"], "unknown rule 'n.maximun'; the nearest are n.maximum"),
        (["simulator", "http://127.0.0.1:9"], "nothing could be tested: http://127.0.0.1:9: nothing answers there"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(arguments: list[str], words: str) -> None:
    result = run("drift", *arguments)
    assert result.exit_code == 2
    (line,) = (line for line in result.stderr.splitlines() if line.startswith("Error: "))
    assert words in line


def test_nothing_in_common_is_exit_code_2(folder: Path, right: Recording) -> None:
    save(replace(right, answers={"n.maximum": right.answers["n.maximum"]}), folder, [])
    result = run("drift", "simulator", str(folder), "--only", "prompt.maxLength")
    assert result.exit_code == 2
    assert result.stderr.endswith("Error: nothing could be compared: no case was answered by both\n")


def test_a_url_is_asked_for_free_unless_there_is_a_budget(server: Running) -> None:
    result = run("drift", "simulator", server.url, "--only", "prompt.maxLength", "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["b"]["target"] == server.url
    assert found["compared"] == 1
    assert all(case_id.startswith("accepted/") for case_id in found["not_compared"]["not_B"])

    plan = run("drift", server.url, server.url, "--plan", "--budget", "0.5").stdout.splitlines()
    assert sum("of which 0 are drawn at random" in line for line in plan) == 2
    assert plan[-1] == "both together: at most 0.5 USD"


def test_the_budget_is_for_both_together(monkeypatch: pytest.MonkeyPatch) -> None:
    targets = [wrong_target(contract=load_contract()) for _ in range(2)]
    budgets = []
    asked = iter(targets)
    real_ask = recording_commands.Asked.ask

    def prepare(*_: object, **__: object) -> tuple[Any, Options]:
        return next(asked), Options(KEY, OTHER_KEY, only="n.maximum", run="klingkit-0a1b2c")

    def ask(self: recording_commands.Asked, contract: Contract, budget: Decimal, signals: Signals) -> Any:
        report = real_ask(self, contract, budget, signals)
        budgets.append((budget, report.spent))
        return report

    monkeypatch.setattr(recording_commands, "prepare", prepare)
    monkeypatch.setattr(recording_commands.Asked, "ask", ask)
    result = run("drift", "http://a", "http://b", "--budget", "0.2", "--only", "n.maximum")

    (first, spent), (second, spent_too) = budgets
    assert (first, second) == (Decimal("0.2"), Decimal("0.2") - spent)
    assert spent + spent_too <= first
    assert result.exit_code == 3
    assert "incomplete: the budget was too small" in result.stderr


def test_a_secret_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_SECRET", "planted-value-77")
    target = wrong_target(refusal(lambda exchange: exchange.say("planted-value-77")))
    options = Options(KEY, OTHER_KEY, only="n.maximum", run="klingkit-0a1b2c")
    monkeypatch.setattr(recording_commands, "prepare", lambda *_, **__: (target, options))
    result = run("drift", "simulator", "http://a", "--budget", "1", "--only", "n.maximum")

    assert result.exit_code == 1
    assert result.output == "Error: the comparison is not shown, since MY_SECRET stands in it\n"
