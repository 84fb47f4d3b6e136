"""The commands around the contract: what it says, and whether a service keeps it."""

from __future__ import annotations

import json
import os
import secrets
import sys
import time
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click

from .common import CommandFailed, WrongUsage, money
from .environment import environment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from klingkit.contract import Contract
    from klingkit.contract.results import Report, Result
    from klingkit.contract.selection import Options
    from klingkit.contract.targets import HttpTarget, Target

INCOMPLETE = 3
"""Exit code of a run in which not all was tested that was to be."""
INTERRUPTED = 130
"""Exit code after a Ctrl-C, as of any command."""
SAY_AGAIN_S = 15.0
"""How often a run that is not watched says what it waits for."""
STORAGE = "HYPOTHESIS_STORAGE_DIRECTORY"
FORMATS = ("junit", "md", "json")
EVIDENCE = ("documented", "recorded", "inferred")


@click.command(short_help="List what is not known of the real service.")
def assumptions() -> None:
    """List the open questions about the real service, what the simulator does meanwhile, and what would settle each."""
    from rich.console import Console
    from rich.padding import Padding
    from rich.text import Text

    from klingkit.contract import load_contract

    console = Console(highlight=False)
    for entry in load_contract().assumptions:
        console.print(f"[bold]{entry.id}[/] ({entry.evidence})")
        for label, text in (("question", entry.question), ("default", entry.default), ("probe", entry.probe)):
            console.print(Padding(Text(f"{label}: {text}"), (0, 0, 0, 2)))


@click.command(short_help="List the rules that a request must satisfy.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
def rules(*, as_json: bool) -> None:
    """List every rule: what a violation of it answers, where it stands in openapi.yaml, and how well the answer is known."""
    from klingkit.contract import load_contract

    rows = [
        {
            "id": rule.id,
            "place": f"#{rule.pointer}",
            "phase": rule.phase,
            "http": rule.error.http if rule.error else 200,
            "code": rule.error.code if rule.error else 0,
            "text": rule.template,
            "evidence": rule.evidence,
        }
        for rule in load_contract().rules.values()
    ]
    if as_json:
        click.echo(json.dumps(rows))
        return
    for row in rows:
        answer = f"{row['http']}/{row['code']}" if row["code"] != "" else str(row["http"])
        text = "an HTML page" if "<html>" in str(row["text"]) else row["text"]
        click.echo(f"{row['id']}\n  {row['phase']}, {answer}, {row['evidence']}: {text}\n  {row['place']}")


@click.command(short_help="List the cases that test the rules.")
@click.argument("case_id", required=False, metavar="[CASE]")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
def cases(case_id: str | None, *, as_json: bool) -> None:
    """List the cases: what each sends, which rule it breaks, and what it costs. With CASE, print the body that it sends."""
    from klingkit.contract import load_contract
    from klingkit.contract.cases import build_cases

    found = build_cases(load_contract())
    if case_id is not None:
        chosen = next((case for case in found if case.id == case_id), None)
        if chosen is None:
            raise WrongUsage(unknown("case", case_id, [case.id for case in found]))
        sys.stdout.buffer.write(chosen.request.data)
        return
    rows = [
        {
            "id": case.id,
            "method": case.request.method,
            "path": case.request.path,
            "breaks": case.rule.id if case.rule else "",
            "expected": "accepted" if case.accepted else "refused",
            "cost": case.cost,
            "tries": [boundary_name(each.place, each.label) for each in case.covers],
        }
        for case in found
    ]
    if as_json:
        click.echo(json.dumps(rows))
        return
    for row in rows:
        tries = f"\n  {', '.join(row['tries'])}" if row["tries"] else ""
        click.echo(
            f"{row['id']}\n  {row['method']} {row['path']}: {row['expected']}, costs {COSTS[str(row['cost'])]}{tries}"
        )


COSTS = {
    "never": "nothing",
    "may": "perhaps: its refusal is an assumption",
    "pictures": "its pictures",
    "fails": "nothing: its task fails on its input",
}


def boundary_name(place: tuple[Any, ...], label: str) -> str:
    """Name what a pack tries: field and boundary."""
    return f"{place[0]} {label}" if place else label


def unknown(what: str, name: str, valid: list[str]) -> str:
    """Say that there is no such thing, and what there is that comes near."""
    import difflib

    near = difflib.get_close_matches(name, valid, n=3, cutoff=0.3)
    hint = f"; the nearest are {', '.join(near)}" if near else ""
    return f"unknown {what} {name!r}{hint}"


def run_options(command: Any) -> Any:
    """Add the options of a command that sends cases, which can cost money."""
    for option in (
        click.option("--key", envvar="COMETAPI_KEY", show_envvar=True, help="On this machine any will do."),
        click.option(
            "--other-key",
            envvar="KLINGKIT_OTHER_KEY",
            show_envvar=True,
            help="Of another account, to test their isolation.",
        ),
        click.option("--budget", type=money, metavar="USD", default="0", show_default=True, help="What may be spent."),
        click.option("--plan", is_flag=True, help="Say what would be sent and what it costs, and send nothing."),
        click.option("--real", is_flag=True, help="Needed for anything that is not on this machine."),
        click.option("--only", metavar="RULE", help="Only the cases of one rule."),
        click.option("--seed", type=int, default=0, show_default=True, help="What is drawn at random follows from it."),
    ):
        command = option(command)
    return command


@click.command(short_help="Verify that a service keeps the contract.")
@click.argument("url")
@click.option(
    "--report",
    "reports",
    multiple=True,
    metavar="FORMAT=FILE",
    help="Write a report: junit=FILE, md=FILE or json=FILE; repeat for more.",
)
@click.option(
    "--fail-on",
    type=click.Choice(EVIDENCE),
    default="inferred",
    show_default=True,
    help="Which deviations count: those from what is at least so well known.",
)
@run_options
def verify(url: str, *, reports: tuple[str, ...], fail_on: str, plan: bool, real: bool, **given: Any) -> None:
    """Verify that the service at URL keeps the contract.

    Exits with 0 if it does, 1 if it breaks a rule, 2 if nothing could be tested, 3 if not all could that was to be, 130 after
    a Ctrl-C.
    """
    from klingkit.contract import load_contract
    from klingkit.contract import report as forms

    keep_this_folder_clean()
    files = report_files(reports)
    contract = load_contract()
    target, options = prepare(url, real=real or plan, **given)
    if plan:
        print_plan(contract, options, target.url)
        return
    with receiver(target):
        report = run(target, contract, options)
    click.echo(forms.as_text(report))
    deviations = [each for result in report.results for each in result.deviations]
    if len(report.counted(fail_on)) < len(deviations):
        click.echo(f"--fail-on {fail_on}: {len(report.counted(fail_on))} of {len(deviations)} deviations count")
    now = datetime.now(UTC)
    for kind, file in files:
        text = {"junit": forms.as_junit, "md": forms.as_markdown, "json": forms.as_json}[kind](report, now)
        try:
            file.write_text(text, encoding="utf-8")
        except OSError as error:
            raise CommandFailed(f"--report {kind}={file} cannot be written: {error.strerror}") from None
    raise click.exceptions.Exit(exit_code(report, fail_on))


def keep_this_folder_clean() -> None:
    """Let Hypothesis keep its files with the user's others: it would make a folder wherever a command is run."""
    if STORAGE not in os.environ:
        folder = Path(click.get_app_dir("klingkit")) / "hypothesis"
        click.get_current_context().with_resource(environment(**{STORAGE: str(folder)}))


def exit_code(report: Report, fail_on: str) -> int:
    """Return the exit code for a report."""
    if report.interrupted:
        return INTERRUPTED
    if report.counted(fail_on):
        return CommandFailed.exit_code
    if report.incomplete:
        return INCOMPLETE
    only = report.options.only
    wanted = [each for each in report.results if only is None or each.case.is_about(only)] or report.results
    return 0 if any(each.state != "skipped" for each in wanted) else WrongUsage.exit_code


def prepare(
    url: str, *, real: bool, key: str | None, real_option: str = "--real", **given: Any
) -> tuple[HttpTarget, Options]:
    """Return target and options, if they can be used; `real_option` is what the user has to say for a real service."""
    from klingkit.contract import load_contract
    from klingkit.contract.selection import Options, check_subject
    from klingkit.contract.targets import HttpTarget

    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if usable and parts.username is not None:
        raise WrongUsage("leave user and password out of the URL, since it is shown: give the key with --key")
    if not usable:
        raise WrongUsage(f"{url!r} is not the URL of a service, such as http://127.0.0.1:8000")
    target = HttpTarget(url)
    if not target.local and not real:
        raise WrongUsage(f"{url} is not on this machine, and may cost money: say {real_option} if you mean it")
    if not target.local and not key:
        raise WrongUsage(f"no key for {url}: set COMETAPI_KEY, or pass --key")
    run = f"klingkit-{secrets.token_hex(6)}"
    for name, value in (("--key", key), ("--other-key", given["other_key"])):
        if value is not None and not (value and value.isascii() and value.isprintable() and " " not in value):
            raise WrongUsage(f"{name} is not a key: one word of ASCII characters")
    options = Options(key=key or f"{run}-key", run=run, any_key=target.local, **given)
    if options.other_key == options.key:
        raise WrongUsage("--other-key is the same key: give one of another account")
    price = load_contract().price_per_picture
    if 0 < options.budget < price:
        raise WrongUsage(f"a budget of {options.budget} pays for no picture, which costs {price}: give more, or none")
    try:
        if options.only is not None:
            check_subject(load_contract(), options.only)
    except ValueError as error:
        raise WrongUsage(str(error)) from None
    return target, options


def run(target: Target, contract: Contract, options: Options) -> Report:
    """Verify a target, and show how that goes on; one line says why, if it cannot be done."""
    from klingkit.contract.verify import UnusableTargetError
    from klingkit.contract.verify import verify as verify_target

    try:
        with progress() as (on_result, on_wait):
            return verify_target(target, contract, options, on_result, on_wait)
    except UnusableTargetError as error:
        raise WrongUsage(f"nothing could be tested: {error}") from None


@contextmanager
def receiver(target: HttpTarget) -> Iterator[None]:
    """Let a target on this machine call back."""
    from klingkit.contract.receiver import receiving

    with ExitStack() as stack:
        if target.local:
            target.callback_url = stack.enter_context(receiving(target.received))
        yield


@contextmanager
def progress() -> Iterator[tuple[Callable[[Result], object], Callable[[str], object]]]:
    """Show on a terminal which case came last, and what is waited for; elsewhere only the latter, now and then."""
    from rich.console import Console

    console = Console(stderr=True)
    if console.is_terminal:
        with console.status("asking") as status:
            yield (
                lambda result: status.update(f"{result.case.id}: {result.state}"),
                lambda what: status.update(f"waiting for {what}"),
            )
        return
    said = time.monotonic()

    def say(what: str) -> None:
        nonlocal said
        if time.monotonic() - said >= SAY_AGAIN_S:
            said = time.monotonic()
            click.echo(f"waiting for {what}", err=True)

    yield lambda _: None, say


def report_files(reports: tuple[str, ...]) -> list[tuple[str, Path]]:
    """Return format and file of each report, before anything is sent whose report could not be written."""
    files: list[tuple[str, Path]] = []
    for text in reports:
        kind, _, name = text.partition("=")
        if kind not in FORMATS or not name:
            raise WrongUsage(f"--report {text}: give junit=FILE, md=FILE or json=FILE")
        file = Path(name)
        if file in [other for _, other in files]:
            raise WrongUsage(f"--report {text}: another report goes to the same file")
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            is_new = not file.exists()
            with file.open("a"):
                pass
            if is_new:
                file.unlink()  # an empty report would be read as one
        except OSError as error:
            raise WrongUsage(f"--report {text}: {error.strerror}") from None
        files.append((kind, file))
    return files


def print_plan(contract: Contract, options: Options, where: str) -> None:
    """Say what a run would send, and what it would cost."""
    from klingkit.contract.money import make_plan
    from klingkit.contract.report import cases_for
    from klingkit.contract.selection import EXPLORED, select_cases, why_not

    chosen = select_cases(contract, options)
    sent = [case for case in chosen if not why_not(case, options)]
    plan = make_plan(contract, sent)
    drawn = EXPLORED if options.budget and options.only is None and not options.keep else 0
    worst = plan.worst + drawn * contract.price_per_picture
    click.echo(f"{where}: {plan.cases + drawn} cases, of which {drawn} are drawn at random")
    click.echo(f"requests: {plan.requests + drawn} or more, of which creates: {plan.creates + drawn}")
    if not options.budget:
        click.echo(
            f"cost: 0 {contract.currency}, since only what must be refused is sent, and the run stops at the first acceptance"
        )
    else:
        most = min(worst, options.budget)
        click.echo(
            f"cost: {min(plan.best, most)} {contract.currency} at best; at worst {most}, since no more than {options.budget} is ever "
            f"spent ({worst} if everything were accepted)"
        )
        if options.budget < plan.enough:
            click.echo(f"{options.budget} may be too little for some of these cases: {plan.enough} is enough for all")
    reasons: dict[str, int] = {}
    for case in chosen:
        if reason := why_not(case, options):
            reasons[reason] = reasons.get(reason, 0) + 1
    for reason, count in reasons.items():
        click.echo(f"not sent: {cases_for(reason, count)}")


@click.command(short_help="Test the contract kit with simulators that are wrong.")
@click.argument("names", nargs=-1, metavar="[MUTANT]...")
@click.option("--seed", type=int, default=0, show_default=True, help="What is drawn at random follows from it.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
def mutants(names: tuple[str, ...], *, seed: int, as_json: bool) -> None:
    """Run the contract kit against simulators, each wrong in one way, and print what it took to notice.

    Exits with 1 if one is not noticed, or its rule is not named.
    """
    from klingkit.mock_server.mutants import MUTANTS, hunt

    keep_this_folder_clean()
    table = {mutant.name: mutant for mutant in MUTANTS}
    for name in names:
        if name not in table:
            raise WrongUsage(unknown("mutant", name, list(table)))
    rows = []
    for found in hunt([table[name] for name in names] or None, seed=seed):
        rows.append(
            {
                "mutant": found.mutant.name,
                "wrong": found.mutant.wrong,
                "rule": found.mutant.guilty,
                "killed_by": found.case,
                "names_rule": found.named,
                "requests": found.requests,
                "creates": found.creates,
                "spent": str(found.spent),
            }
        )
        if not as_json:
            click.echo(mutant_line(rows[-1]))
    if as_json:
        click.echo(json.dumps(rows, indent=1))
    killed, named = (sum(bool(row[name]) for row in rows) for name in ("killed_by", "names_rule"))
    if not as_json:
        click.echo(f"killed: {killed} of {len(rows)}; guilty rule named: {named}")
    if killed < len(rows) or named < len(rows):
        raise click.exceptions.Exit(CommandFailed.exit_code)


def mutant_line(row: dict[str, Any]) -> str:
    """Return a line of the matrix."""
    if not row["killed_by"]:
        return f"{row['mutant']} SURVIVED: {row['wrong']} ({row['rule']})"
    named = row["rule"] if row["names_rule"] else f"NOT NAMED, which is {row['rule']}"
    cost = f"requests: {row['requests']}, creates: {row['creates']}, {row['spent']} USD"
    return f"{row['mutant']} killed by {row['killed_by']}, rule {named}; {cost}"
