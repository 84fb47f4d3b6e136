"""Recordings: masked and scrubbed, written whole or not at all, read with care, and answered by the simulator."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
import requests
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from klingkit import recording_commands
from klingkit.cli import main
from klingkit.contract.cases.catalogue import build_cases
from klingkit.contract.recordings.files import BrokenRecordingError, SecretFoundError, check_folder, load, save
from klingkit.contract.recordings.recording import Recording, canonical_body, key_of, section_of
from klingkit.contract.recordings.replay import apply
from klingkit.contract.recordings.secret import Secret, find_secret, secrets_of
from klingkit.contract.targets.target import Request
from klingkit.contract.verify.selection import Options
from klingkit.mock_server.serving.in_process import in_process_target
from tests.conftest import PATH, b64, body, serving, subjects
from tests.wrong_targets import KEY, NOW, OTHER_KEY, AlteredExchange, recording_of, report_of, wrong_target

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from klingkit.contract import Contract
    from tests.conftest import Running

SECRETS = [Secret("the key", KEY), Secret("the other key", OTHER_KEY)]


@pytest.fixture(scope="module")
def whole() -> Recording:
    """All cases, answered by the right simulator."""
    return recording_of()


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("COMETAPI_KEY", "KLINGKIT_OTHER_KEY", "KLINGKIT_RECORDING"):
        monkeypatch.delenv(name, raising=False)


def run(*arguments: str) -> Result:
    result = CliRunner().invoke(main, arguments)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def all_text(folder: Path) -> str:
    return "".join(file.read_text() for file in folder.iterdir())


def message_of(recording: Recording, case_id: str) -> str:
    (answer,) = (
        recorded for answers in recording.answers.values() for recorded in answers.values() if recorded.case == case_id
    )
    return str(answer.inner["message"])


# Keys


def test_a_case_has_the_same_key_in_each_run_and_no_two_cases_have_one(contract: Contract) -> None:
    cases, others = build_cases(contract, "klingkit-1"), build_cases(contract, "klingkit-22")

    keys = [(section_of(case), key_of(case, "klingkit-1")) for case in cases]

    assert keys == [(section_of(case), key_of(case, "klingkit-22")) for case in others]
    assert len(set(keys)) == len(keys)


def test_a_key_depends_on_what_is_sent_but_not_on_how_a_library_packs_a_picture(contract: Contract) -> None:
    case = build_cases(contract)[0]

    def key(picture: str, **fields: Any) -> str:
        request = replace(case.request, body=body(subject_image_list=subjects(picture, picture), **fields))
        return key_of(replace(case, request=request), "run")

    def packed(level: int, width: int = 300) -> bytes:
        out = BytesIO()
        Image.new("RGB", (width, 300), "red").save(out, "PNG", compress_level=level)
        return out.getvalue()

    small, large = b64(packed(9)), b64(packed(0)[:90_000])
    assert small != large
    assert key(small) == key(large)
    assert len({key(small), key(b64(packed(9, 301))), key(small, n=2), key(small[:76] + "\n" + small[76:])}) == 4
    sized = [key(b64(packed(9).ljust(size, b"\0"))) for size in (200_000, 200_001)]
    assert sized[0] != sized[1]


def test_no_picture_and_no_run_stands_in_a_canonical_body(contract: Contract) -> None:
    for case in build_cases(contract, "klingkit-1a2b"):
        text = canonical_body(case, "klingkit-1a2b")
        assert "klingkit-1a2b" not in text
        assert len(text) < 20_000, case.id


# Masks


def test_two_runs_of_one_service_make_the_same_recording(whole: Recording, tmp_path: Path, contract: Contract) -> None:
    other = recording_of(wrong_target(seed=99), run="klingkit-ffffff")
    assert len({answer.case for answers in whole.answers.values() for answer in answers.values()}) > 110
    assert other == whole

    save(whole, tmp_path / "a", SECRETS)
    save(other, tmp_path / "b", SECRETS)
    files = sorted(file.name for file in (tmp_path / "a").iterdir())
    assert {"recording.json", "accepted.json", "n.maximum.json"} <= set(files)
    for name in files:
        content = (tmp_path / "a" / name).read_bytes()
        assert content == (tmp_path / "b" / name).read_bytes()
        assert content.decode() == json.dumps(json.loads(content), sort_keys=True, indent=1, ensure_ascii=False) + "\n"
    assert load(tmp_path / "a", contract) == whole


def test_what_is_private_is_not_kept(tmp_path: Path) -> None:
    planted = [
        "jane.doe@example.org",
        "203.0.113.77",
        "2001:db8::1f",
        KEY,
        "cdn.example.org",
        "X-Signature",
        "Jane Doe",
    ]

    def change(exchange: AlteredExchange) -> None:
        exchange.headers |= {"set-cookie": f"session={KEY}", "x-served-by": "203.0.113.77"}
        if "n:" in exchange.text:
            exchange.answer({**exchange.body, "user": "Jane Doe", "owner": {"name": "Jane Doe"}})
            exchange.say(
                f"{exchange.text} of jane.doe@example.org at 203.0.113.77, 2001:db8::1f with {KEY}, "
                f"see https://cdn.example.org/a/b.png?X-Signature=abc&key={KEY}"
            )

    recording = recording_of(wrong_target(change), only="n.maximum")
    save(recording, tmp_path / "rec", SECRETS)

    text = all_text(tmp_path / "rec")
    assert [secret for secret in planted if secret in text] == []
    assert message_of(recording, "n.maximum/one-too-high") == (
        "n: must be less than or equal to 9 of <e-mail> at <address>, <address> with <key>, see https://recorded.invalid/1"
    )
    assert '"user": "<undocumented string>"' in text
    assert "recorded.invalid" in text
    assert "Authorization" not in text


def test_result_urls_keep_their_references_only() -> None:
    def change(exchange: AlteredExchange) -> None:
        if '"images"' in exchange.content.decode("utf-8", "replace"):
            answer = exchange.body
            images = answer["data"]["task_result"]["images"]
            for image in images:
                image["url"] = "https://signed.example.org/same.png?x-kcdn-pid=1&secret=abcdefgh"
            exchange.answer(answer)

    twice = recording_of(wrong_target(change), only="n.maximum").answers["accepted"]
    right = recording_of(only="n.maximum").answers["accepted"]

    def urls(answers: Any) -> list[list[str]]:
        return [[image["url"] for image in answer.task[-1]["task_result"]["images"]] for answer in answers.values()]

    assert "signed" not in str(twice)
    assert {url for pair in urls(twice) for url in pair} == {"https://recorded.invalid/1"}
    assert ["https://recorded.invalid/1", "https://recorded.invalid/2"] in [pair[:2] for pair in urls(right)]


# Secrets


@pytest.mark.parametrize(
    "form",
    [
        lambda key: base64.b64encode(f"user:{key}".encode()).decode(),
        lambda key: base64.b64encode(f"Bearer {key}!".encode()).decode(),
        lambda key: base64.urlsafe_b64encode(key.encode()).decode().rstrip("="),
        lambda key: quote(key, safe=""),
        lambda key: re.sub("%..", lambda match: match[0].lower(), quote(key, safe="")),
    ],
)
@pytest.mark.parametrize("key", ["sesame/open?>>1234", "Zwölf Öffnungen"])
def test_a_secret_is_found_in_every_form(form: Callable[[str], str], key: str) -> None:
    assert find_secret([f"x={form(key)};"], [Secret("the key", key)]) == "the key"
    assert find_secret([f"x={form('quite another value')};"], [Secret("the key", key)]) == ""


def test_what_looks_like_a_key_is_one_and_words_are_not() -> None:
    for text in ("of sk-4f9a8b7c6d", "sk-ab***yz90", "eyJhbGciOiJIUzI1.eyJpc3MiOiJhYmMifQ.abc"):
        assert find_secret([text], []) == "something that looks like a key"
    for text in ("risk-control-system", "task-status", "ask-me-anything", "sk-", "disk-controller"):
        assert find_secret([text], []) == ""


def test_environment_variables_are_secret_by_their_name() -> None:
    environ = {"MY_API_KEY": "abcdefgh1", "Some_Token": "tokentoken", "SECRET": "short", "PATH": "/usr/bin:/bin"}
    assert [secret.name for secret in secrets_of(environ)] == ["MY_API_KEY", "Some_Token"]
    assert "abcdefgh1" not in repr(secrets_of(environ))


def test_nothing_is_written_if_a_secret_would_be(whole: Recording, tmp_path: Path) -> None:
    target = wrong_target(
        lambda exchange: exchange.say(f"{exchange.text} {b64(KEY.encode())}") if "n:" in exchange.text else 0
    )
    leaky = recording_of(target, only="n.maximum")
    folder = tmp_path / "rec"
    with pytest.raises(SecretFoundError) as caught:
        save(leaky, folder, SECRETS)
    assert str(caught.value) == "n.maximum.json, case n.maximum/one-too-high: the key stands in it"
    assert list(tmp_path.iterdir()) == []

    save(whole, folder, SECRETS)
    before = all_text(folder)
    with pytest.raises(SecretFoundError):
        save(leaky, folder, SECRETS)
    assert all_text(folder) == before
    assert [path.name for path in tmp_path.iterdir()] == ["rec"]


# On disk


def test_a_recording_is_replaced_as_a_whole_or_stays(
    whole: Recording, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, contract: Contract
) -> None:
    folder = tmp_path / "rec"
    save(whole, folder, SECRETS)
    later = replace(whole, at=NOW + timedelta(days=1), answers={"n.maximum": whole.answers["n.maximum"]})
    written: list[Path] = []

    def fail(self: Path, *arguments: Any, **options: Any) -> int:
        written.append(self)
        if len(written) > 1:
            raise OSError(28, "No space left on device")
        return 1

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", fail)
        with pytest.raises(OSError, match="No space"):
            save(later, folder, SECRETS)
    assert load(folder, contract) == whole
    assert [path.name for path in tmp_path.iterdir()] == ["rec"]

    moved: list[Path] = []
    rename = Path.rename

    def fail_to_rename(self: Path, to: Path) -> Path:
        moved.append(self)
        if len(moved) == 2:
            raise OSError(13, "Permission denied")
        return rename(self, to)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", fail_to_rename)
        with pytest.raises(OSError, match="Permission"):
            save(later, folder, SECRETS)
    assert load(folder, contract) == whole
    assert [path.name for path in tmp_path.iterdir()] == ["rec"]

    save(later, folder, SECRETS)
    assert load(folder, contract) == later
    assert [path.name for path in tmp_path.iterdir()] == ["rec"]
    assert sorted(path.name for path in folder.iterdir()) == ["n.maximum.json", "recording.json"]


def test_other_files_are_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(BrokenRecordingError, match=r"notes\.txt"):
        check_folder(tmp_path)
    (tmp_path / "notes.txt").rename(tmp_path / "notes.json")
    with pytest.raises(BrokenRecordingError, match="no recording"):
        check_folder(tmp_path)
    with pytest.raises(BrokenRecordingError, match="is a file"):
        check_folder(tmp_path / "notes.json")
    check_folder(tmp_path / "new" / "folder")


def test_it_is_old_after_90_days(whole: Recording) -> None:
    assert not whole.is_old(NOW + timedelta(days=90))
    assert whole.is_old(NOW + timedelta(days=91))


def broken(name: str, change: Callable[[str], str]) -> Callable[[Path], None]:
    def apply_to(folder: Path) -> None:
        (folder / name).write_text(change((folder / name).read_text()))

    return apply_to


def swapped(old: str, new: str) -> Callable[[Path], None]:
    """Put another text into the file of one rule."""
    return broken("n.maximum.json", lambda text: text.replace(old, new))


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda folder: (folder / "recording.json").unlink(), "has no recording.json"),
        (broken("recording.json", lambda _: "[]"), "recording.json: no JSON object"),
        (broken("recording.json", lambda text: text.replace('"format": 1', '"format": 2')), "its format is 2"),
        (broken("recording.json", lambda text: text.replace("cometapi", "kling")), "of the contract 'kling'"),
        (broken("recording.json", lambda text: text.replace("+00:00", "")), "'at' is no time with a zone"),
        (broken("recording.json", lambda text: text.replace("2026", "soon")), "'at' is no time with a zone"),
        (broken("n.maximum.json", lambda text: text[:40]), "n.maximum.json: no JSON, "),
        (broken("n.maximum.json", lambda text: text.replace('"n.maximum"', '"n.minimum"')), "its rule is 'n.minimum'"),
        (broken("n.maximum.json", lambda text: text.replace('"http": 400', '"http": "400"')), "'http' must be a whole"),
        (broken("n.maximum.json", lambda text: text.replace('"http": 400', '"http": true')), "'http' must be a whole"),
        (broken("n.maximum.json", lambda text: text.replace('"sent"', '"send"')), "has 'send'"),
        (
            broken("n.maximum.json", lambda text: text.replace('"answers"', '"answer"')),
            "'answers' must be a JSON object",
        ),
        (lambda folder: (folder / "n.maximum.json").write_bytes(b"\xff{}"), "no JSON in UTF-8"),
        (lambda folder: (folder / "n.maximum.json").write_bytes(b" " * (16 * 2**20 + 1)), "larger than 16 MB"),
        *(
            (swapped("400", number), words)
            for number, words in [
                ("0", "'http' must be a status from 200 to 599"),
                ("-400", "'http' must be a status from 200 to 599"),
                ("99", "'http' must be a status from 200 to 599"),
                ("101", "'http' must be a status from 200 to 599"),
                ("700", "'http' must be a status from 200 to 599"),
                ("400.5", "'http' must be a whole number"),
                ("1" + "0" * 30, "has a whole number beyond 9223372036854775807"),
                ("1" + "0" * 5000, "no JSON that can be read, Exceeds the limit"),
                ("null", "'http' must be a whole number"),
            ]
        ),
        *(
            (swapped('"code": 1201', f'"code": {code}'), words)
            for code, words in [
                ("1e999", "1e999 is no number of JSON, or larger than any"),
                ("NaN", "NaN is no number of JSON, or larger than any"),
                ("1" + "0" * 30, "has a whole number beyond 9223372036854775807"),
                ("[" * 70 + "]" * 70, "nested too deep"),
                ('"\\ud800"', "has a text with half of a surrogate pair"),
                (json.dumps("x" * 2_000_000), "has a text of 2000000 characters; 10000 is the most"),
            ]
        ),
        (
            broken("n.maximum.json", lambda text: text.replace('"n.maximum/one-too-high"', json.dumps("x" * 10**6))),
            "has a text of 1000000 characters",
        ),
        *(
            (
                swapped('"content-type"', f'{header}, "content-type"'),
                "'headers' has what no header can be",
            )
            for header in ('"a": "b\\r\\nc: d"', '"a\\nb": "c"', '"": "x"', '"a b": "c"')
        ),
        (
            broken("recording.json", lambda text: re.sub('"at": "[^"]*"', '"at": "9999-12-31T23:59:59-14:00"', text)),
            "'at' is no time with a zone",
        ),
        (
            broken("recording.json", lambda text: re.sub('"target": "[^"]*"', f'"target": "{"x" * 10**5}"', text)),
            "has a text of 100000 characters",
        ),
        (lambda folder: (folder / "n.maximum.json").write_text("[" * 100_000), "no JSON"),
    ],
)
def test_a_broken_recording_is_named_with_what_is_wrong(
    damage: Callable[[Path], None], words: str, whole: Recording, tmp_path: Path, contract: Contract
) -> None:
    folder = tmp_path / "rec"
    save(whole, folder, SECRETS)
    damage(folder)

    with pytest.raises(BrokenRecordingError) as caught:
        load(folder, contract)

    assert words in str(caught.value)
    assert str(folder) in str(caught.value)
    for command in (("drift", "simulator", str(folder)), ("serve", "--recording", str(folder), "--port", "0")):
        result = run(*command)
        assert result.exit_code == 2
        assert words in result.stderr.splitlines()[-1]


ODD: dict[str, st.SearchStrategy[Any]] = {
    "http": st.one_of(st.integers(), st.integers(190, 610), st.booleans(), st.none(), st.floats(), st.text()),
    "code": st.one_of(st.integers(), st.floats(), st.text(), st.booleans(), st.none(), st.lists(st.text())),
    "message": st.one_of(
        st.text(), st.sampled_from(["{", "{value}", "{0.x}", "<run>", "%s", "\r\nX: y", "\x1b[2J", "*"])
    ),
    "value": st.one_of(st.text(), st.sampled_from(["10", "n", "{", "be"])),
}


@settings(max_examples=60)
@given(odd=st.fixed_dictionaries({}, optional=ODD), case=st.sampled_from(["n.maximum", "authorization.bearer"]))
def test_whatever_stands_in_a_recording_is_refused_or_answered_with(
    odd: dict[str, Any], case: str, whole: Recording, tmp_path: Path, contract: Contract
) -> None:
    folder = tmp_path / "rec"
    save(whole, folder, SECRETS)
    file = folder / f"{case}.json"
    content = json.loads(file.read_text())
    for entry in content["answers"].values():
        inner = entry["body"].get("error", entry["body"])
        entry |= {name: value for name, value in odd.items() if name in {"http", "value"}}
        inner |= {name: value for name, value in odd.items() if name in {"code", "message"}}
    file.write_text(json.dumps(content))
    try:
        load(folder, contract)
    except BrokenRecordingError:
        return
    request = Request("POST", PATH, body(n=10), authorization="Bearer {key}" if case == "n.maximum" else None)

    reply = in_process_target(recording=str(folder)).send(request)

    assert isinstance(reply.body, dict)
    assert reply.http in {odd.get("http"), 400, 401}


def test_a_status_without_a_body_and_a_value_that_no_text_can_quote_are_not_answered_with(
    whole: Recording, contract: Contract
) -> None:
    recorded = changed(whole, "n.maximum/one-too-high", http=204)
    bearer = next(iter(whole.answers["authorization.bearer"].values()))
    recorded = changed(recorded, bearer.case, value="token")

    made, problems = apply(recorded, contract)

    assert problems == ["n.maximum/one-too-high: an answer of status 204 has no body"]
    assert made.rules["authorization.bearer"].text() == contract.rules["authorization.bearer"].text()


def test_what_a_service_says_that_nobody_could_read_again_is_masked(tmp_path: Path, contract: Contract) -> None:
    """Half of a surrogate pair, long texts, numbers beyond 64 bits, deep lists."""
    odd = iter([10**30, "\ud800", "x" * 10**6, json.loads("[" * 60 + "]" * 60), "a" * 5000 + "@", -(10**4000)])

    def change(exchange: AlteredExchange) -> None:
        if exchange.body.get("code") == 1201 and (value := next(odd, None)) is not None:
            exchange.answer({**exchange.body, "code": value, "message": value, "request_id": value})

    recording = recording_of(wrong_target(change))
    assert next(odd, None) is None
    save(recording, tmp_path / "rec", SECRETS)

    assert load(tmp_path / "rec", contract) == recording


# In the simulator


def changed(recording: Recording, case_id: str, **fields: Any) -> Recording:
    """The recording with another answer to one case."""
    answers = {
        place: {key: replace(answer, **fields) if answer.case == case_id else answer for key, answer in found.items()}
        for place, found in recording.answers.items()
    }
    assert answers != recording.answers
    return replace(recording, answers=answers)


def test_its_texts_and_codes_are_those_of_the_rules(whole: Recording, contract: Contract) -> None:
    kling = {"code": 1200, "request_id": "<request id: UUID>"}
    recorded = changed(whole, "n.maximum/one-too-high", http=422, body={**kling, "message": "n of {10} is too much"})
    gateway = {"message": "who? (request id: <gateway request id>)", "type": "comet_api_error", "code": "no_key"}
    for label in ("missing", "query", "scheme", "empty", "bare", "unknown-key"):
        recorded = changed(recorded, f"authorization.bearer/{label}", http=403, body={"error": gateway})
    siblings = [(ratio, ratio) for ratio in ("5:4", "4:5", "2:1", "9:21", "auto")]
    for label, value in (("unknown", "klingkit"), ("space", "16:9 "), ("empty", ""), *siblings):
        text = f"{value} is no aspect_ratio"
        recorded = changed(recorded, f"aspect_ratio.enum/{label}", body={**kling, "message": text})

    made, problems = apply(recorded, contract)

    assert problems == []
    rule = made.rules["n.maximum"]
    assert rule.text(value=10) == "n of {10} is too much"
    assert rule.error
    assert (rule.error.http, rule.error.code) == (422, 1200)
    assert {(known.source, known.note, known.date) for known in rule.aspects.values()} == {
        ("recording", "simulator", "2026-11-25")
    }
    assert made.request.rules[("n",), "maximum"] is rule
    assert made.rules["aspect_ratio.enum"].text(value="5:4") == "5:4 is no aspect_ratio"
    bearer = made.rules["authorization.bearer"]
    assert bearer.error
    assert (bearer.text(), bearer.error.http, bearer.error.code) == ("who?", 403, "no_key")
    assert contract.rules["n.maximum"].text() == "n: must be less than or equal to 9"


def test_what_cannot_be_applied_is_said(whole: Recording, contract: Contract) -> None:
    accepted = next(iter(whole.answers["accepted"].values()))
    recorded = changed(whole, "n.maximum/one-too-high", http=200, body=accepted.body, task=accepted.task)
    pixels = "scence_image.pixels/too-small"
    recorded = changed(recorded, pixels, task=accepted.task)
    recorded = changed(recorded, "accepted/2", http=400, body={"code": 1201, "message": "no"}, task=[])
    recorded = changed(recorded, "n.minimum/negative", body={"code": 1201, "message": "less", "request_id": "x"})
    quoting = {"code": 1201, "message": "as <task of accepted/1>", "request_id": "x"}
    recorded = changed(recorded, "style_image.maxBytes/one-byte-too-many", body=quoting)
    recorded = replace(recorded, answers={**recorded.answers, "n.maximun": {}})

    made, problems = apply(recorded, contract)

    said = "; ".join(problems)
    assert "n.maximum/one-too-high: the contract refuses it, and the recording has accepted, then succeed" in said
    assert f"{pixels}: the contract lets its task fail, and the recording has accepted, then succeed" in said
    assert "accepted/2: it was refused, which this contract does not know; 400/1201 'no'" in said
    assert re.search(r"n\.minimum/\S+: recorded with another answer than other cases of n\.minimum", said)
    assert "style_image.maxBytes/one-byte-too-many: its text holds what is another each time" in said
    assert "unknown rule n.maximun; the nearest are n.maximum" in said
    assert len(problems) == 6
    assert made.rules["n.maximum"] is contract.rules["n.maximum"]


@pytest.fixture(scope="module")
def recorded_server(whole: Recording, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Running, Path]]:
    folder = tmp_path_factory.mktemp("recorded") / "rec"
    text = {"code": 1200, "message": "n is too much", "request_id": "<request id: UUID>"}
    accepted = next(iter(whole.answers["accepted"].values()))
    recorded = changed(whole, "n.maximum/one-too-high", http=422, body=text)
    recorded = changed(recorded, "prompt.maxLength/one-too-long", http=200, body=accepted.body, task=accepted.task)
    save(recorded, folder, SECRETS)
    with serving("--instant", KLINGKIT_RECORDING=str(folder)) as running:
        yield running, folder


def test_the_server_answers_as_recorded(recorded_server: tuple[Running, Path]) -> None:
    running, folder = recorded_server
    answer = requests.post(f"{running.url}{PATH}", json=body(n=10), headers={"Authorization": "Bearer any"}, timeout=10)

    assert answer.status_code == 422
    assert (answer.json()["code"], answer.json()["message"]) == (1200, "n is too much")
    rule = 'n.maximum; spec="#/components/schemas/CreateRequest/properties/n/maximum"; evidence=recorded'
    assert answer.headers["Klingkit-Rule"] == rule

    drift = run("drift", running.url, str(folder), "--only", "n.maximum", "--key", "any-1", "--budget", "1")
    assert drift.exit_code == 0, drift.output
    (line,) = (line for line in running.stop().splitlines() if "cannot be applied" in line)
    assert "prompt.maxLength/one-too-long: the contract refuses it, and the recording has accepted" in line


# The command


@pytest.fixture(scope="module")
def small() -> Iterator[Running]:
    """A server that says otherwise what is wrong with an item."""
    with serving("--instant", "--assume", "item-types=code-1200") as running:
        yield running


def test_record_keeps_answers_that_drift_compares(small: Running, tmp_path: Path) -> None:
    out = tmp_path / "deep" / "rec"
    made = run("record", small.url, "--out", str(out), "--key", "record-me-please")
    assert made.exit_code == 0, made.output
    told = re.match(rf"{re.escape(str(out))}: (\d+) answers of {small.url}; \d+ creates, 0 USD", made.stdout)
    assert told
    answers = int(told[1])
    assert answers > 30

    again = run("record", small.url, "--out", str(out), "--key", "record-me-please", "--only", "n.maximum")
    assert again.exit_code == 2
    assert f"holds {answers} answers that this run would not ask for" in again.stderr

    drift = run("drift", "simulator", str(out), "--json")
    assert drift.exit_code == 1
    found = json.loads(drift.stdout)["differences"]
    assert {row["rule"] for row in found} == {"subject_image_list.items.type"}
    assert run("drift", "simulator", str(out), "--only", "prompt.maxLength").exit_code == 0


def test_a_plan_sends_nothing_and_writes_nothing(tmp_path: Path) -> None:
    result = run(
        "record",
        "https://api.cometapi.com",
        "--out",
        str(tmp_path / "rec"),
        "--plan",
        "--key",
        "k" * 20,
        "--budget",
        "0.5",
    )
    assert result.exit_code == 0, result.output
    assert "of which 0 are drawn at random" in result.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["https://api.cometapi.com", "--key", "k" * 20], "say --real if you mean it"),
        (["https://api.cometapi.com", "--real", "--key", "short"], "a key so short cannot be told from ordinary text"),
        (["http://127.0.0.1:9", "--only", "n.maximun"], "unknown rule 'n.maximun'; the nearest are n.maximum"),
        (["http://127.0.0.1:9"], "nothing could be tested: http://127.0.0.1:9: nothing answers there"),
    ],
)
def test_what_cannot_be_recorded(arguments: list[str], words: str, tmp_path: Path) -> None:
    result = run("record", *arguments, "--out", str(tmp_path / "rec"))
    assert result.exit_code == 2
    assert words in result.stderr
    assert list(tmp_path.iterdir()) == []


def record_here(monkeypatch: pytest.MonkeyPatch, target: Any, *arguments: str, **options: Any) -> Result:
    """Run `klingkit record` against a target without a socket."""
    target.url = "http://127.0.0.1:8000"
    given = Options(KEY, OTHER_KEY, run="klingkit-0a1b2c", **options)
    monkeypatch.setattr(recording_commands, "prepare", lambda *_, **__: (target, given))
    return run("record", target.url, *arguments)


def test_a_secret_ends_the_command_with_1_and_is_not_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_SERVICE_TOKEN", "planted-value-77")
    target = wrong_target(lambda exchange: exchange.say("planted-value-77") if "n:" in exchange.text else None)
    result = record_here(monkeypatch, target, "--out", str(tmp_path / "rec"), only="n.maximum", budget=Decimal(1))

    assert result.exit_code == 1
    place = "n.maximum.json, case n.maximum/one-too-high: SOME_SERVICE_TOKEN stands in it"
    assert result.stderr == f"Error: nothing is written, since a secret would be: {place}\n"
    assert list(tmp_path.iterdir()) == []


def test_what_came_before_the_budget_ended_it_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, contract: Contract
) -> None:
    def lenient(exchange: AlteredExchange) -> None:
        if len(str(exchange.sent.get("prompt"))) > 2500:
            exchange.raw = json.dumps({**exchange.sent, "prompt": ""}).encode()

    out = tmp_path / "rec"
    result = record_here(monkeypatch, wrong_target(before=lenient), "--out", str(out))
    assert result.exit_code == 3
    missing = result.stderr.count("missing: ")
    assert missing > 20
    assert re.search(
        f"incomplete: {missing} cases were not tested that were to be; the first was not sent, since "
        r"prompt.maxLength/one-too-long may cost money: it was answered 200, task \d{18}\n\Z",
        result.stderr,
    )
    kept = load(out, contract)
    assert kept.answers["prompt.maxLength"]

    before = all_text(out)
    result = record_here(monkeypatch, wrong_target(before=lenient), "--out", str(out))
    assert result.exit_code == 3
    assert all_text(out) == before
    assert load(tmp_path / "rec-incomplete", contract).answers == kept.answers


def test_a_recording_of_nothing_is_not_written(small: Running, tmp_path: Path) -> None:
    result = run("record", small.url, "--out", str(tmp_path / "rec"), "--only", "n.maximum")

    assert result.exit_code == 2
    assert "Error: there is nothing to keep; not tested: 1 case, which " in result.output
    assert "may cost money, since its refusal is an assumption" in result.output
    assert not (tmp_path / "rec").exists()


def test_what_an_empty_account_answers_is_not_kept(tmp_path: Path) -> None:
    with serving("--instant", "--balance", "0.05") as poor:
        result = run("record", poor.url, "--out", str(tmp_path / "rec"), "--budget", "0.5", "--key", "any-key-of-mine")

    assert result.exit_code == 3
    assert "needs another account: 429/1102 'Account balance not enough'" in result.stderr
    assert "Account balance" not in all_text(tmp_path / "rec")


def test_a_run_that_keeps_costs_no_more_than_one_that_verifies(contract: Contract) -> None:
    report = report_of(wrong_target())
    assert report.creates <= 120
    # 109 creates; and twelve tasks, which the cases follow to their end, are polled some 35 times each.
    assert report.requests < 600
    twice = [result for result in report.results if result.again]
    assert 3 <= len(twice) <= 5
    assert {result.case.request.method for result in twice} == {"GET"}
