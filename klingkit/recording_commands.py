"""The commands that keep what a service answered, and compare two services."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .command_errors import CommandFailed, WrongUsage
from .ending import BUG, ends_well, say
from .run_options import INCOMPLETE, INTERRUPTED, prepare, print_plan, run, run_options

if TYPE_CHECKING:
    from klingkit.contract import Contract
    from klingkit.contract.recordings.recording import Recording
    from klingkit.contract.recordings.secret import Secret
    from klingkit.contract.targets.target import Target
    from klingkit.contract.verify.results import Report
    from klingkit.contract.verify.selection import Options

    from .ending import Signals

SIMULATOR = "simulator"


@click.command(short_help="Keep what a service really answers.")
@click.argument("url")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder for the recording.")
@run_options
@ends_well
def record(url: str, *, contract: Contract, out: Path, plan: bool, real: bool, signals: Signals, **given: Any) -> None:
    """Send the cases to the service at URL and keep its answers, without keys and private data.

    Exits with 0 when they are kept; 1 if a secret would have been; 2 if there is nothing to keep; 3 if there is less than was
    asked for, and names what is missing; 70 if klingkit itself has failed; 130, 143 or 129 after a Ctrl-C, SIGTERM or SIGHUP.
    """
    from klingkit.contract.printable import printable
    from klingkit.contract.recordings.files import BrokenRecordingError, SecretFoundError, check_folder, load, save
    from klingkit.contract.recordings.from_run import record as keep
    from klingkit.contract.targets.target import SHORTEST_SECRET
    from klingkit.contract.verify.results import SKIPPED
    from klingkit.contract.verify.told import not_tested

    target, options = prepare(url, contract, real=real or plan, **given)
    options = replace(options, keep=True)
    if plan:
        print_plan(contract, options, target.url)
        return
    if not target.local and len(options.key) < SHORTEST_SECRET:
        raise WrongUsage("a key so short cannot be told from ordinary text, so nothing is recorded with it")
    try:
        check_folder(out)
        old = load(out, contract) if (out / "recording.json").exists() else None
    except BrokenRecordingError as error:
        raise WrongUsage(f"--out {error}") from None
    if old:
        refuse_loss(old, contract, options, out)
    report = run(target, contract, options, signals)
    recording = keep(report, datetime.now(UTC))
    if not any(recording.answers.values()):
        nothing = options.without_keys("; ".join(["there is nothing to keep", *not_tested(report)]))
        if report.interrupted or report.bug:  # it came too early to keep anything
            say(printable(nothing), err=True)
            raise click.exceptions.Exit(ended_early(report))
        raise WrongUsage(nothing)
    if old and report.incomplete:
        out = out.with_name(f"{out.name}-incomplete")  # what was paid for is not thrown away
    try:
        save(recording, out, secrets(options))
    except SecretFoundError as error:
        raise CommandFailed(f"nothing is written, since a secret would be: {error}") from None
    except OSError as error:
        raise CommandFailed(f"{out} cannot be written: {error.strerror}") from None
    count = sum(map(len, recording.answers.values()))
    say(f"{out}: {count} answers of {target.url}; {report.creates} creates, {report.spent} {contract.currency}")
    for result in report.results:
        if result.state == SKIPPED and not result.planned:
            say(printable(f"missing: {result.case.id}, which {options.without_keys(result.reason)}"), err=True)
    if report.incomplete:
        say(printable(f"incomplete: {options.without_keys(report.incomplete)}"), err=True)
        raise click.exceptions.Exit(ended_early(report))


def ended_early(report: Report) -> int:
    """Return the exit code of a run in which not all was answered."""
    if report.interrupted:
        return INTERRUPTED + report.signal
    return BUG if report.bug else INCOMPLETE


def refuse_loss(old: Recording, contract: Contract, options: Options, out: Path) -> None:
    """Refuse to replace answers, which may have cost money, by a run that will not ask for them again."""
    from klingkit.contract.cases.catalogue import build_cases
    from klingkit.contract.recordings.recording import key_of, section_of
    from klingkit.contract.verify.selection import select_cases, why_not

    asked = {case.id for case in select_cases(contract, options) if not why_not(case, options)}
    lost = [
        case.id
        for case in build_cases(contract, options.run)
        if case.id not in asked and old.find(section_of(case), key_of(case, options.run))
    ]
    if lost:
        raise WrongUsage(
            f"--out {out} holds {len(lost)} answers that this run would not ask for, such as {lost[0]}, and a recording is "
            "replaced as a whole: choose another folder, or give the --budget, --other-key and --only that it was made with"
        )


def secrets(*options: Options) -> list[Secret]:
    """Return what must not be written or shown."""
    from klingkit.contract.recordings.secret import Secret, secrets_of

    keys = [
        Secret(name, value)
        for given in options
        for name, value in (
            ("the key", given.key),
            ("the other key", given.other_key),
            ("the secret key", given.pair and given.pair[1]),
        )
        if value
    ]
    return [*keys, *secrets_of(os.environ)]


@click.command(short_help="Compare the answers of two services.")
@click.argument("a")
@click.argument("b")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@run_options
@ends_well
def drift(
    a: str, b: str, *, contract: Contract, as_json: bool, plan: bool, real: bool, signals: Signals, **given: Any
) -> None:
    """Send the same cases to A and B, and say where they answer differently, as Markdown.

    A and B each are a URL, `simulator`, or the folder of a recording. What a URL may cost counts for both together.

    Exits with 0 if there is no drift; 1 if there is; 2 if nothing could be compared; 3 if there was less to compare than was
    asked for; 70 if klingkit itself has failed; 130, 143 or 129 after a Ctrl-C, SIGTERM or SIGHUP.
    """
    from klingkit.contract.printable import printable
    from klingkit.contract.recordings import drift_report as forms
    from klingkit.contract.recordings.drift import compare
    from klingkit.contract.recordings.from_run import record as keep
    from klingkit.contract.recordings.secret import find_secret

    sides = [side(text, real=real or plan, contract=contract, given=given) for text in (a, b)]
    asked = [service for service in sides if isinstance(service, Asked) and not service.free]
    if plan:
        plan_of_drift(contract, asked, given["budget"])
        return
    now = datetime.now(UTC)
    recordings: list[Recording] = []
    early, budget = "", given["budget"]
    for name, chosen in zip((a, b), sides, strict=True):
        if not isinstance(chosen, Asked):
            warn_of_age(chosen, name, now)
            recordings.append(chosen)
            continue
        report = chosen.ask(contract, budget, signals)
        if report.interrupted or report.bug:
            say(f"{report.incomplete}: {report.total} at most", err=True)
            raise click.exceptions.Exit(ended_early(report))
        recordings.append(keep(report, now))
        if not chosen.free:
            budget = max(budget - report.spent, Decimal(0))
            early = early or report.options.without_keys(report.incomplete)
    first, second = recordings
    found = compare(first, second, contract, given["only"])
    text = forms.as_json(found) if as_json else forms.as_markdown(found)
    if secret := find_secret([text], secrets(*(service.options for service in asked))):
        raise CommandFailed(f"the comparison is not shown, since {secret} stands in it")
    click.echo(text, nl=as_json)
    if early:
        click.echo(printable(f"incomplete: {early}"), err=True)
    if found.rows:
        raise click.exceptions.Exit(CommandFailed.exit_code)
    if early:
        raise click.exceptions.Exit(INCOMPLETE)
    if not found.compared:
        raise WrongUsage("nothing could be compared: no case was answered by both")


@dataclass(frozen=True)
class Asked:
    """One of the two sides, where it is a target that has to be asked."""

    target: Target
    options: Options
    free: bool = False
    """Whether nothing that it does can cost money."""

    def ask(self, contract: Contract, budget: Decimal, signals: Signals) -> Report:
        """Send the cases, within a budget if they can cost money."""
        options = self.options if self.free else replace(self.options, budget=budget)
        return run(self.target, contract, options, signals)


def side(text: str, *, real: bool, contract: Contract, given: dict[str, Any]) -> Asked | Recording:
    """Return one side of a comparison."""
    from klingkit.contract.recordings.files import BrokenRecordingError, load
    from klingkit.contract.verify.selection import Options, check_requirement

    try:
        if given["only"] is not None:
            check_requirement(contract, given["only"])
        if text == SIMULATOR:
            from klingkit.contract.cases.builder import PAIR
            from klingkit.mock_server.serving.in_process import in_process_target

            key, other_key = f"{SIMULATOR}-key", f"{SIMULATOR}-other-key"
            pair = PAIR if contract.jwt else None
            keys = frozenset({key, other_key})
            simulator = in_process_target(contract, keys=keys, access_keys=(pair,) if pair else (), seed=given["seed"])
            simulator.callback_url = None  # the cases are to be the same on both sides
            budget = Decimal(10**6)
            ample = Options(key, other_key, budget, only=given["only"], seed=given["seed"], keep=True, pair=pair)
            return Asked(simulator, ample, free=True)
        if "://" in text:
            target, options = prepare(text, contract, real=real, **given)
            return Asked(target, replace(options, keep=True))
        return load(Path(text), contract)
    except BrokenRecordingError as error:
        raise WrongUsage(f"{error}; give a URL, `{SIMULATOR}` or the folder of a recording") from None
    except ValueError as error:
        raise WrongUsage(str(error)) from None


def plan_of_drift(contract: Contract, asked: list[Asked], budget: Decimal) -> None:
    """Say what would be sent to each service, and what it would cost in all."""
    for service in asked:
        print_plan(contract, replace(service.options, budget=budget), service.target.name)
    if not asked:
        click.echo("no service is asked: nothing is sent, and nothing costs money")
    elif len(asked) > 1:
        click.echo(f"both together: at most {budget} {contract.currency}")


def warn_of_age(recording: Recording, name: str, now: datetime) -> None:
    """Warn of answers that may no longer be given."""
    if recording.is_old(now):
        days = (now - recording.at).days
        click.echo(f"warning: {name} was recorded {days} days ago; record it anew", err=True)
