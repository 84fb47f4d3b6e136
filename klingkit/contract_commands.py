"""The commands around the contract: what it says, and whether a service keeps it."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .command_errors import CommandFailed, WrongUsage
from .completing import complete
from .contract_option import contract_option
from .ending import BUG, ends_well, say
from .environment import environment
from .report_files import report_files, write_reports
from .run_options import INCOMPLETE, INTERRUPTED, prepare, print_plan, receiver, run, run_options

if TYPE_CHECKING:
    from klingkit.contract import Contract
    from klingkit.contract.verify.results import Report

    from .ending import Signals

STORAGE = "HYPOTHESIS_STORAGE_DIRECTORY"
EVIDENCE = ("documented", "recorded", "inferred")


@click.command(short_help="List the rules that a request must satisfy.")
@contract_option
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
def rules(*, contract: Contract, as_json: bool) -> None:
    """List every rule: what a violation of it answers, where it stands in openapi.yaml, and how well each aspect of it is known."""
    from klingkit.contract.evidence import told

    rows = [
        {
            "id": rule.id,
            "place": f"#{rule.pointer}",
            "phase": rule.phase,
            "http": rule.error.http if rule.error else 200,
            "code": rule.error.code if rule.error else 0,
            "text": rule.template,
            "evidence": {name: asdict(known) for name, known in rule.aspects.items()},
        }
        for rule in contract.rules.values()
    ]
    if as_json:
        click.echo(json.dumps(rows))
        return
    for row in rows:
        answer = f"{row['http']}/{row['code']}" if row["code"] != "" else str(row["http"])
        text = "an HTML page" if "<html>" in str(row["text"]) else row["text"]
        known = told(contract.rules[str(row["id"])].aspects)
        click.echo(f"{row['id']}\n  {row['phase']}, {answer}, {known}: {text}\n  {row['place']}")


@click.command(short_help="List the cases that test the rules.")
@click.argument("case_id", required=False, metavar="[CASE]", shell_complete=complete("case"))
@contract_option
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
def cases(case_id: str | None, *, contract: Contract, as_json: bool) -> None:
    """List the cases: what each sends, which rule it breaks, and what it costs. With CASE, print the body that it sends."""
    from klingkit.contract.cases.catalogue import build_cases

    found = build_cases(contract)
    if case_id is not None:
        chosen = next((case for case in found if case.id == case_id), None)
        if chosen is None:
            raise WrongUsage(unknown("case", case_id, [case.id for case in found]))
        click.echo(chosen.request.data, nl=False)
        return
    rows = [
        {
            "id": case.id,
            "method": case.request.method,
            "path": case.request.path,
            "breaks": case.rule.id if case.rule else "",
            "expected": "accepted" if case.accepted else "refused",
            "cost": case.cost,
            "tries": [boundary_name(boundary.place, boundary.label) for boundary in case.covers],
        }
        for case in found
    ]
    if as_json:
        click.echo(json.dumps(rows))
        return
    for row in rows:
        tries = f"\n  {', '.join(row['tries'])}" if row["tries"] else ""
        click.echo(
            f"{row['id']}\n  {row['method']} {row['path']}: {row['expected']}, costs {COST_WORDS[str(row['cost'])]}{tries}"
        )


COST_WORDS = {
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
    from klingkit.contract.nearest import nearest

    return f"unknown {what} {name!r}{nearest(name, valid)}"


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
    default="recorded",
    show_default=True,
    help="Which deviations count: those from what is at least so well known; `inferred` counts what was learned too.",
)
@run_options
@ends_well
def verify(
    url: str,
    *,
    contract: Contract,
    reports: tuple[str, ...],
    fail_on: str,
    plan: bool,
    real: bool,
    signals: Signals,
    **given: Any,
) -> None:
    """Verify that the service at URL keeps the contract.

    Exits with 0 if it does; 1 if it breaks a rule; 2 if nothing could be tested; 3 if not all could that was to be, as when the
    service was unavailable, or a report could not be written; 70 if klingkit itself has failed; 130, 143 or 129 after a Ctrl-C,
    SIGTERM or SIGHUP. What was tested until then is reported in each case but 2.
    """
    keep_this_folder_clean()
    files = report_files(reports)
    target, options = prepare(url, contract, real=real or plan, **given)
    if plan:
        print_plan(contract, options, target.url)
        return
    from klingkit.contract.verify import report as forms

    with receiver(target):
        report = run(target, contract, options, signals)
    report.fail_on = fail_on
    unwritten = write_reports(report, files)
    if why := say(forms.as_text(report)):
        unwritten.append(why)
    for line in unwritten:
        say(f"Error: {line}", err=True)
    code = exit_code(report)
    if code == WrongUsage.exit_code:
        more = "" if options.budget else "; --budget N allows what costs money"
        raise WrongUsage(f"nothing of this could be tested, for the reasons above{more}")
    raise click.exceptions.Exit(code or (INCOMPLETE if unwritten else 0))


def keep_this_folder_clean() -> None:
    """Let Hypothesis keep its files with the user's others: it would make a folder wherever a command is run."""
    if STORAGE not in os.environ:
        folder = Path(click.get_app_dir("klingkit")) / "hypothesis"
        click.get_current_context().with_resource(environment(**{STORAGE: str(folder)}))


def exit_code(report: Report) -> int:
    """Return the exit code for a report."""
    if report.interrupted:
        return INTERRUPTED + report.signal
    if report.bug:
        return BUG
    if report.counted():
        return CommandFailed.exit_code
    if report.incomplete:
        return INCOMPLETE
    only = report.options.only
    wanted = [result for result in report.results if only is None or result.case.is_about(only)] or report.results
    return 0 if any(result.state != "skipped" for result in wanted) else WrongUsage.exit_code


@click.command(short_help="Test the contract kit with simulators that are wrong.")
@click.argument("names", nargs=-1, metavar="[MUTANT]...", shell_complete=complete("mutant"))
@contract_option
@click.option("--seed", type=int, default=0, show_default=True, help="What is drawn at random follows from it.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
def mutants(names: tuple[str, ...], *, contract: Contract, seed: int, as_json: bool) -> None:
    """Run the contract kit against simulators, each wrong in one way, and print what it took to notice.

    Exits with 1 if one is not noticed, or its rule is not named.
    """
    from klingkit.mock_server.mutants.hunt import hunt
    from klingkit.mock_server.mutants.table import mutants_of

    keep_this_folder_clean()
    table = {mutant.name: mutant for mutant in mutants_of(contract)}
    for name in names:
        if name not in table:
            raise WrongUsage(unknown("mutant", name, list(table)))
    rows = []
    for found in hunt([table[name] for name in names] or table.values(), contract=contract, seed=seed):
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
                "currency": contract.currency,
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
    cost = f"requests: {row['requests']}, creates: {row['creates']}, {row['spent']} {row['currency']}"
    return f"{row['mutant']} killed by {row['killed_by']}, rule {named}; {cost}"
