"""What a report says, in all its forms, and the commands in it that show a deviation again."""

from __future__ import annotations

import itertools
import json
import os
import random
import re
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest

from klingkit.contract import load_contract
from klingkit.contract.check import check_create
from klingkit.contract.evidence import Evidence
from klingkit.contract.judge.deviation import Deviation
from klingkit.contract.targets.callback_receiver import receiving
from klingkit.contract.targets.target import HttpTarget
from klingkit.contract.verify import report as forms
from klingkit.contract.verify.causes import causes
from klingkit.contract.verify.reproduce import curl, python
from klingkit.contract.verify.results import MOST_VIEWS, Result
from klingkit.contract.verify.run import verify
from klingkit.contract.verify.told import commands
from klingkit.contract.verify.usable_target import UnusableTargetError
from tests.conftest import serving
from tests.wrong_targets import PAID, Wrong, rewritten, right_target, run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from klingkit.contract.targets.callback_receiver import Received
    from klingkit.contract.targets.target import Reply, Request
    from klingkit.contract.verify.results import Report
    from klingkit.contract.verify.selection import Options
    from tests.conftest import Running

AT = datetime(2026, 1, 1, tzinfo=UTC)
RECORDED = Evidence("recorded", "sibling", "2026-11")


@pytest.fixture(scope="module")
def live() -> Iterator[Running]:
    with serving("--instant", "--seed", "1") as running:
        yield running


def differing(report: Report) -> list[Result]:
    """What deviates, and what was learned."""
    return [*report.of("deviates"), *report.of("learned")]


def report_on(url: str, options: Options = PAID) -> Report:
    """A report in which every case deviates, as if it had been made at a URL."""
    report = run(right_target(), options)
    report.url = url
    for result in report.results:
        result.add(Deviation(result.case.requirement or "answer.schema", "text", "a", "b", RECORDED))
    return report


def shell(command: str, **env: str) -> str:
    environment = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", **env}
    done = subprocess.run(["bash", "-c", command], capture_output=True, env=environment, check=False)
    return (done.stdout + done.stderr).decode(errors="replace")


def test_every_curl_line_and_program_of_a_report_runs_as_it_is(live: Running) -> None:
    """Both get the answer that the case expects; a sample of them, of every kind."""
    report = report_on(live.url)
    refused = [result for result in report.results if not (result.case.after or result.case.accepted)]
    refused = [each for each in refused if "external_task_id" not in each.case.id and "maxBytes" not in each.case.id]
    special = ("body.json/not-utf-8", "body.mediaType/missing", "body.json/empty", "authorization.bearer/missing")
    chosen = random.Random(1).sample(refused, 5) + [each for each in refused if each.case.id in special]
    for result in chosen:
        assert result.reply
        subject = result.case.requirement
        for answer in (
            shell(curl(report, result, subject), COMETAPI_KEY="any"),
            shell(f"python - <<'EOF'\n{python(report, result, subject)}\nEOF", COMETAPI_KEY="any"),
        ):
            assert str(result.reply.http) in answer.splitlines()[0]
            if isinstance(result.reply.body, dict):
                assert str(result.reply.body.get("message", "invalid")).partition(" '")[0] in answer, result.case.id


def test_a_command_needs_the_key_that_the_run_was_given(live: Running) -> None:
    keyed, keyless = report_on(live.url), report_on(live.url, replace(PAID, key="run-key"))
    for report, text in ((keyed, "COMETAPI_KEY"), (keyless, "prompt: size must be")):
        (result,) = (each for each in report.results if each.case.id == "prompt.maxLength/one-too-long")
        subject = result.case.requirement
        assert text in shell(curl(report, result, subject)).splitlines()[-1]
        assert text in shell(f"python - <<'EOF'\n{python(report, result, subject)}\nEOF").splitlines()[-1]


def test_a_large_body_comes_from_the_list_of_cases(live: Running) -> None:
    target = HttpTarget(live.url)
    with receiving(target.received) as url:
        target.callback_url = url
        report = verify(target, load_contract(), replace(PAID, only="n.maximum", run="klingkit-1a2b"))
    for result in report.results:
        (line,) = curl(report, result, "n.maximum").splitlines()
        assert line.startswith(f"klingkit cases {result.case.id} | curl ")
        assert len(line) < 300


def test_what_is_wrong_with_a_task_is_shown_by_a_query_of_it(live: Running) -> None:
    report = verify(HttpTarget(live.url), load_contract(), replace(PAID, only="task.times"))
    (result, *_) = report.results

    line = curl(report, result, "task.times")

    assert line.startswith(f"curl -si -X GET {live.url}")
    assert f'"task_id":"{result.task_id}"' in shell(line, COMETAPI_KEY="key")
    assert result.task_id in shell(f"python - <<'EOF'\n{python(report, result, 'task.times')}\nEOF", COMETAPI_KEY="key")


def test_what_is_wrong_with_callbacks_is_shown_by_a_run_that_receives_them(live: Running) -> None:
    report = report_on(live.url)
    line = curl(report, report.results[0], "callback.body")

    assert "3 hold, 0 deviate" in shell(line, COMETAPI_KEY="any")
    assert python(report, report.results[0], "callback.body") == ""


def test_a_command_that_costs_money_says_so() -> None:
    report = report_on("https://api.cometapi.com")
    report.local = False
    lines = {each.case.id: curl(report, each, each.case.requirement or "answer.schema") for each in report.results}

    assert lines["accepted/smallest"].endswith("  # 0.0133 USD each time, if it is accepted")
    assert lines["n.maximum/one-too-high"].endswith("  # 0.1330 USD each time, if it is accepted")
    assert "#" not in lines["task_id.exists/unknown"]
    assert curl(report, report.results[0], "callback.body").endswith("--only callback.body --budget 5 --real")


def test_nothing_that_a_target_says_can_break_a_report() -> None:
    evil = "\ud800\x1b[2J\r\x00<b>|"

    def spoil(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: spoil(each) for name, each in value.items()} | {evil: evil}
        return evil if isinstance(value, str) and not value.isdecimal() else value

    def wrong(_: Request, reply: Reply) -> Reply:
        return replace(reply, content=json.dumps(spoil(reply.body)).encode())

    class Spoilt(Wrong):
        @property
        def received(self) -> list[Received]:
            return [replace(each, content=json.dumps(spoil(each.body)).encode()) for each in self._inner.received]

    report = run(Spoilt(wrong))

    assert len(differing(report)) > 100
    assert "callback.body" in {each.requirement for each in report.counted("inferred")}
    for text in (forms.as_text(report), forms.as_markdown(report, AT), forms.as_json(report, AT)):
        text.encode()
        assert not set(text) & set("\x1b\r\x00")
    ET.fromstring(forms.as_junit(report, AT).encode())


def test_a_report_groups_by_rule_in_all_forms(live: Running) -> None:
    report = report_on(live.url)
    subjects = {result.case.requirement or "answer.schema" for result in report.results}

    markdown = forms.as_markdown(report, AT)
    titles = re.findall(r"^## \d+\. `?(.*?)`?: the text is another", markdown, re.MULTILINE)
    assert sorted(titles) == sorted(subjects)
    found = json.loads(forms.as_json(report, AT))
    assert len(found["results"]) == len(report.results)
    assert all(row["curl"] and row["python"] for row in found["results"])
    root = ET.fromstring(forms.as_junit(report, AT))
    assert sum(int(suite.attrib["tests"]) for suite in root) == len(report.results)
    assert sum(int(suite.attrib["failures"]) for suite in root) == len(report.results)
    text = forms.as_text(report)
    assert all(subject in text for subject in subjects)
    assert text.startswith("deviates: ")


SECRET = "sk-A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q7r8S9t0U1v2W3x4Y5z6"
OTHER = "sk-other-secret-of-the-second-account"


@pytest.mark.parametrize("times", [1, 4])
def test_no_form_of_a_report_holds_a_key(times: int) -> None:
    """Of a service that repeats it in its refusals, also where a long text is cut."""
    options = replace(PAID, key=SECRET, other_key=OTHER, any_key=True)

    def echo(_: Request, reply: Reply) -> Reply:
        if not isinstance(reply.body, dict) or reply.http == 200:
            return reply
        return rewritten(reply, message="x" * 130 + SECRET * times + OTHER, code=SECRET)

    report = run(Wrong(echo), options)
    assert differing(report)
    for text in (
        forms.as_text(report),
        forms.as_markdown(report, AT),
        forms.as_json(report, AT),
        forms.as_junit(report, AT),
    ):
        assert SECRET[:12] not in text
        assert OTHER[:12] not in text
    assert "secret" not in repr(options)


def test_no_reason_and_no_error_holds_a_key() -> None:
    options = replace(PAID, key=SECRET, other_key=OTHER, any_key=True)

    def broke(request: Request, reply: Reply) -> Reply:
        body = {"code": 1102, "message": f"balance of {SECRET} is empty", "request_id": "x"}
        return replace(reply, http=429, content=json.dumps(body).encode()) if request.method == "POST" else reply

    for keep in (False, True):
        report = run(Wrong(broke), replace(options, keep=keep))
        assert "(the key) is empty" in report.incomplete
        assert SECRET not in forms.as_text(report)

    def unauthorized(_: Request, reply: Reply) -> Reply:
        return replace(
            reply, http=401, content=json.dumps({"error": {"message": f"bad {SECRET}", "code": ""}}).encode()
        )

    with pytest.raises(UnusableTargetError, match=r"does not accept the key: 401 'bad \(the key\)'"):
        run(Wrong(unauthorized), options)
    with pytest.raises(AssertionError) as failed:
        check_create(Wrong(broke), {"n": 0}, key=SECRET)
    assert SECRET not in str(failed.value)


def test_a_line_of_a_command_stays_one_whatever_its_body_holds() -> None:
    report = report_on("http://127.0.0.1:9")
    drawn = next(each for each in report.results if each.case.id.startswith("explored/"))
    body = {"prompt": "a\u2028b\u0085c\x0bd"}
    drawn.case = replace(drawn.case, request=replace(drawn.case.request, body=body))

    lines = commands(report, drawn, drawn.case.requirement)

    assert lines[0].endswith("'")
    assert len(lines) == 4


def test_a_put_goes_out_with_the_content_type_of_its_case() -> None:
    report = report_on("http://127.0.0.1:9")
    (put,) = (each for each in report.results if each.case.id == "path.method/put-create")

    assert "-H 'Content-Type: application/json'" in curl(report, put, "path.method")


def test_a_long_text_of_a_service_is_cut_wherever_it_stands() -> None:
    def long(_: Request, reply: Reply) -> Reply:
        if not reply.data:
            return reply
        return rewritten(
            reply, data={**reply.data, "task_status": "x" * 10**5, "task_info": {"external_task_id": "y" * 10**5}}
        )

    report = run(Wrong(long))

    assert max(len(each.got) for result in report.results for each in result.deviations) < 200
    assert max(len(each.expected) for result in report.results for each in result.deviations) < 200


def test_of_a_task_that_is_shown_otherwise_each_time_some_views_are_kept_and_the_last() -> None:
    numbers = itertools.count()

    def restless(request: Request, reply: Reply) -> Reply:
        if request.method == "POST" or not reply.data:
            return reply
        return rewritten(reply, data={**reply.data, "noise": [next(numbers)] * 1000})

    report = run(Wrong(restless), replace(PAID, only="n.maximum"))

    made = [result for result in report.results if result.history]
    assert made
    assert all(len(result.history) <= MOST_VIEWS for result in made)
    assert all(result.history[-1]["task_status"] == "succeed" for result in made)


def test_a_task_that_is_shown_as_before_is_kept_once() -> None:
    report = run(right_target(), replace(PAID, only="n.maximum"))

    assert {len(result.history) for result in report.results if result.history} == {3}  # submitted, processing, succeed


def wrong_code(request: Request, reply: Reply) -> Reply:
    return (
        rewritten(reply, code=str(reply.body["code"]))
        if isinstance(reply.body, dict) and "code" in reply.body
        else reply
    )


def test_one_cause_is_told_once_with_the_cheapest_case_that_shows_it() -> None:
    """A code that is a string: it gave 38 rows, and two failures a case."""
    report = run(Wrong(wrong_code))

    (cause,) = causes(report)
    assert len(cause.cases) == len(differing(report)) > 80
    result, deviation = cause.example
    assert (deviation.requirement, deviation.kind) == ("answer.schema", "code")
    assert result.case.cost == "never"
    text = forms.as_text(report)
    assert text.count("\n  expected ") == 1
    assert len(text.splitlines()) < 20
    found = json.loads(forms.as_json(report, AT))
    assert [(len(row["cases"]), row["kind"]) for row in found["causes"]] == [(len(cause.cases), "code")]
    assert forms.as_markdown(report, AT).count("```sh") == 1
    failures = ET.fromstring(forms.as_junit(report, AT)).iter("failure")
    assert sum(1 for _ in failures) == len(cause.cases)


def outage(request: Request, reply: Reply) -> Reply:
    body = {"error": {"message": f"no (request id: {len(request.path)}{request.data[:9]!r})", "code": "x", "type": "y"}}
    return replace(reply, http=422, content=json.dumps(body).encode()) if request.method == "POST" else reply


def test_one_answer_to_all_is_few_causes_whatever_rule_each_case_is_about() -> None:
    report = run(Wrong(outage))

    found = causes(report)
    assert len(differing(report)) > 90
    assert len(found) < 8
    assert max(len(cause.requirements) for cause in found) > 20


def test_two_rules_that_are_not_kept_are_two_causes() -> None:
    def lenient(request: Request, reply: Reply) -> Reply:
        return reply if reply.http == 200 or b"equal to" not in reply.content else rewritten(reply, message="no")

    found = causes(run(Wrong(lenient)))
    assert [cause.requirements for cause in found] == [["n.minimum"], ["n.maximum"]]
    assert len(found[0].cases) > 1


@pytest.mark.parametrize(
    ("make", "options", "first", "words"),
    [
        (right_target, PAID, "# Holds: `simulator`", "It does what the contract cometapi says in all of"),
        (lambda: Wrong(wrong_code), PAID, "# Deviates: `simulator`", "It deviates from the contract cometapi in one way, seen in"),
        (
            right_target,
            replace(PAID, budget=Decimal("0.1")),
            "# Incomplete: `simulator`",
            "but less was tested than was to be. Besides, the run is incomplete: the budget was too small for",
        ),
    ],
)  # fmt: skip
def test_the_markdown_begins_with_a_verdict_and_explains_its_words(
    make: Any, options: Options, first: str, words: str
) -> None:
    report = run(make(), options)
    lines = forms.as_markdown(report, AT).splitlines()

    assert lines[0] == first
    assert words in lines[2]
    assert json.loads(forms.as_json(report, AT))["verdict"] == first.split()[1].rstrip(":").lower()
    legend = "\n".join(lines[lines.index("## Words") :])
    assert all(
        word in legend for word in ("Deviates", "Not tested", "Evidence", "inferred", "May cost money", "openapi.yaml#")
    )


def test_the_markdown_has_no_link_but_to_what_there_is() -> None:
    markdown = forms.as_markdown(report_on("http://127.0.0.1:8000"), AT)
    places = set(re.findall(r"openapi\.yaml#(/[^`;)]*)", markdown)) - {"/..."}

    assert not re.search(r"\]\(", markdown)
    assert len(places) > 30
    for place in places:
        node: Any = load_contract().document
        for step in place[1:].split("/"):
            node = node[step.replace("~1", "/").replace("~0", "~")]


def test_junit_has_the_time_of_each_exchange_by_the_clock_of_the_target() -> None:
    class Slow(Wrong):
        def send(self, request: Request, key: str | None = None) -> Reply:
            return replace(super().send(request, key), seconds=1.5)

    root = ET.fromstring(forms.as_junit(run(Slow(lambda _, reply: reply)), AT))

    assert {case.attrib["time"] for case in root.iter("testcase") if not len(case)} == {"1.500"}
    for suite in root:
        assert float(suite.attrib["time"]) == sum(float(case.attrib["time"]) for case in suite)
        assert suite.attrib["timestamp"] == AT.isoformat()
    assert float(root.attrib["time"]) > 100


def test_a_service_that_takes_any_key_is_told_what_that_means() -> None:
    text = forms.as_text(run(right_target()))
    assert (
        "the target takes any key: of a simulator that is as wanted; a real service that does so lets everybody in"
        in text
    )


@pytest.mark.parametrize(
    "change",
    [
        lambda reply: replace(reply, headers={**reply.headers, "content-type": "text/html; charset=x"}),
        lambda reply: replace(reply, headers={**reply.headers, "content-type": ""}),
        lambda reply: replace(reply, content=reply.content.decode().encode("utf-16")),
        lambda reply: replace(reply, content=reply.content[:-5]),
        lambda reply: rewritten(reply, data={**reply.data, "task_result": {"images": [{"index": 0, "url": "a/b.png"}]}}),
        lambda reply: rewritten(reply, data={**reply.data, "task_result": {"images": [{"index": 0, "url": "http://[::1"}]}}),
    ],
)  # fmt: skip
def test_no_report_names_a_class_of_python(change: Any, live: Running) -> None:
    target = Wrong(lambda request, reply: change(reply) if reply.data else reply)
    target.fetch = HttpTarget(live.url).fetch  # type: ignore[attr-defined]
    report = run(target, replace(PAID, cases=frozenset({"accepted/smallest", "accepted/1", "n.maximum/one-too-high"})))
    assert differing(report)
    assert not re.search(
        r"\b[A-Z][a-z]+(?:[A-Z][a-z]+)+\b",
        re.sub("Bearer|CreateRequest|ImageSource", "", "".join(d.got for r in report.results for d in r.deviations)),
    )


def test_a_command_shows_no_character_that_turns_or_hides_others(live: Running) -> None:
    report = report_on(live.url, replace(PAID, budget=Decimal(0), other_key=None))
    result = next(each for each in report.results if each.case.id == "n.maximum/one-too-high")
    odd = {"prompt": "a'\\\u202eb\x9b\u200b" + "x" * 2501, "subject_image_list": []}
    result.case = replace(result.case, id="explored/1", request=replace(result.case.request, body=odd))
    line = curl(report, result, "n.maximum")

    assert line.isprintable()
    assert "size must be between 2 and 4" in shell(line, COMETAPI_KEY="any")
