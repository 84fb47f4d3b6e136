"""The commands around the simulator. A command imports what it needs when it runs, so that each starts fast."""

from __future__ import annotations

import json
import os
import random
import re
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from klingkit.mock_server.settings import Settings

from .command_errors import CommandFailed, WrongUsage, finite, money
from .completing import complete
from .contract_option import contract_option
from .idle_options import refuse_idle
from .option_values import accepted_keys, host_names, not_empty, one_word, pairs, parse_memory, parse_size, size_text
from .secret_options import secret_option

if TYPE_CHECKING:
    from collections.abc import Callable
    from decimal import Decimal

    from klingkit.contract import Contract
    from klingkit.mock_server.account_settings import AccountSettings

DEFAULTS = Settings()
"""Of the server: an option takes its default from here, so that it is given once."""
PLAIN = "plain-generation"


def checked(
    account: AccountSettings, scenario: str | None, served: str, assume: tuple[tuple[str, str], ...]
) -> AccountSettings:
    """Return settings with a scenario, if all of them can be used by what is served."""
    from klingkit.mock_server.callbacks import check_secret
    from klingkit.mock_server.contracts import Contracts
    from klingkit.mock_server.progressions import PROGRESSIONS
    from klingkit.mock_server.scenario_arguments import check_known
    from klingkit.mock_server.scenario_choice import parse_for

    try:
        served_contracts = Contracts(served, assume=assume)
        contracts = served_contracts.served
        if account.plain_generation:
            served_contracts.check_plain(assume)
        check_known("progression", account.progression, PROGRESSIONS)
        check_known("retry schedule", account.callback_retries, contracts[0].callbacks.retry_after_ms)
        if account.callback_secret is not None:
            check_secret(account.callback_secret)
        return replace(account, scenario=parse_for(scenario, contracts) if scenario else None)
    except ValueError as error:
        raise WrongUsage(str(error)) from None


def serve_option(name: str, *names: str, **settings: Any) -> Callable[[Any], Any]:
    """Return an option that is also an environment variable: KLINGKIT_ and its name."""
    variable = "KLINGKIT_" + name.removeprefix("--").replace("-", "_").upper()
    return click.option(name, *names, envvar=variable, show_envvar=True, **settings)


@click.command(short_help="Run the simulator.")
@serve_option("--host", default=DEFAULTS.bound_host, show_default=True, help="Address to listen on.")
@serve_option("--port", default=8000, type=click.IntRange(0, 65535), show_default=True, help="0 takes a free one.")
@serve_option(
    "--workers",
    default=DEFAULTS.workers,
    type=click.IntRange(1, 64),
    show_default=True,
    help="Processes that serve; more than one needs --state. One that dies is replaced.",
)
@serve_option(
    "--contract",
    default=DEFAULTS.contract,
    show_default=True,
    metavar="NAME",
    shell_complete=complete("served"),
    help="What is served: cometapi, cometapi-2026, kling, or all of them, told apart by path; +plain-generation and +ID=ALTERNATIVE "
    "after the name are --plain-generation and --assume.",
)
@serve_option(
    "--plain-generation",
    is_flag=True,
    help="A create without subject pictures makes a plain picture, as on CometAPI, and is not refused.",
)
@serve_option(
    "--assume",
    multiple=True,
    metavar="ID=ALTERNATIVE",
    shell_complete=complete("assume"),
    help="Answer an open question so; repeat for more. `klingkit assumptions` lists them.",
)
@serve_option(
    "--answers",
    type=click.Path(exists=True, dir_okay=False),
    help="Answer the open questions as the service did that `klingkit probe` asked; what --assume says wins.",
)
@serve_option(
    "--speed",
    default=DEFAULTS.speed,
    type=click.FloatRange(min=0, min_open=True, max=1e6),
    callback=finite,
    show_default=True,
    help="How much faster than the real service; at 1 a task takes about 30 s. Retries of callbacks are faster too, with --instant as well.",
)
@serve_option("--instant", is_flag=True, help="Finish every task at once.")
@serve_option(
    "--seed",
    type=click.IntRange(-(2**63), 2**63 - 1),
    help="All random choices follow from it; a random one if not given.",
)
@secret_option(
    "--key",
    "keys",
    variable="KLINGKIT_KEY",
    multiple=True,
    callback=accepted_keys,
    help_text="Accept only this key; repeat for more, or give several words.",
)
@secret_option(
    "--access-key",
    "access_keys",
    variable="KLINGKIT_ACCESS_KEY",
    multiple=True,
    callback=accepted_keys,
    help_text="Accept tokens (JWT) of this access key, which --secret-key signs; repeat both for more, or give several words.",
)
@secret_option(
    "--secret-key",
    "secret_keys",
    variable="KLINGKIT_SECRET_KEY",
    multiple=True,
    callback=accepted_keys,
    help_text="The secret key of each access key, in their order.",
)
@serve_option(
    "--max-body",
    type=parse_size,
    metavar="SIZE",
    default=size_text(DEFAULTS.max_body),
    show_default=True,
    help="Largest body.",
)
@serve_option(
    "--max-memory",
    type=parse_memory,
    metavar="SIZE",
    default=size_text(DEFAULTS.max_memory),
    show_default=True,
    help="What is kept takes at most so much, beside 64 MB of the program itself and the bodies that are being read: journal, "
    "tasks, callbacks, accounts and pictures; the oldest goes first.",
)
@serve_option(
    "--state",
    metavar="URL",
    callback=not_empty,
    help="Keep the state in a database, so that it is there after a restart: sqlite:///kling.db, or "
    "postgresql+psycopg://user@host/db, better in the environment if it has a password. In memory if not given.",
)
@serve_option("--state-reset", is_flag=True, help="Forget the state that is kept there, and begin anew.")
@serve_option("--public-url", help="Begin result URLs with this, not with the host that the client used.")
@serve_option("--fetch-inputs", is_flag=True, help="Fetch pictures given by URL, from loopback and private addresses.")
@serve_option(
    "--allow-fetch",
    multiple=True,
    metavar="HOST",
    callback=host_names,
    help="Fetch from this host too; repeat for more.",
)
@serve_option(
    "--allow-callback",
    multiple=True,
    metavar="HOST",
    callback=host_names,
    help="Call back to this host too; repeat for more.",
)
@serve_option(
    "--scenario",
    shell_complete=complete("scenario"),
    help="Default scenario of creates; `klingkit scenarios` lists them.",
)
@serve_option(
    "--progression",
    default=DEFAULTS.account.progression,
    show_default=True,
    shell_complete=complete("progression"),
    help="What moves tasks along: time, polls or manual.",
)
@serve_option(
    "--balance",
    type=money,
    metavar="AMOUNT",
    help="What each account has, in USD, on kling in units; unlimited if not given.",
)
@secret_option(
    "--callback-secret", variable="KLINGKIT_CALLBACK_SECRET", help_text="Sign callbacks with it (whsec_...)."
)
@serve_option(
    "--callback-retries",
    default=DEFAULTS.account.callback_retries,
    show_default=True,
    shell_complete=complete("retry_schedule"),
    help="Retry schedule of callbacks.",
)
@serve_option(
    "--recording",
    type=click.Path(exists=True, file_okay=False, resolve_path=True),
    help="Answer with the texts of this recording, where there are any.",
)
@serve_option("--no-control", is_flag=True, help="No control API and no page; health and pictures stay.")
@secret_option(
    "--control-token",
    variable="KLINGKIT_CONTROL_TOKEN",
    callback=one_word,
    help_text="The control API asks for it in the header Klingkit-Token, the page once.",
)
@serve_option(
    "--allow-host",
    multiple=True,
    metavar="HOST",
    callback=host_names,
    help="Control API and page answer under this name too; repeat for more.",
)
@serve_option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    default=DEFAULTS.log_format,
    show_default=True,
    help="Each line of the log as text, or as one JSON object.",
)
def serve(
    *,
    host: str,
    port: int,
    workers: int,
    contract: str,
    plain_generation: bool,
    assume: tuple[str, ...],
    answers: str | None,
    seed: int | None,
    keys: tuple[str, ...],
    access_keys: tuple[str, ...],
    secret_keys: tuple[str, ...],
    public_url: str | None,
    scenario: str | None,
    progression: str,
    balance: Decimal | None,
    callback_secret: str | None,
    callback_retries: str,
    recording: str | None,
    no_control: bool,
    state: str | None,
    state_reset: bool,
    **options: Any,
) -> None:
    """Run the simulator on a port, until Ctrl-C. Log lines go to stderr."""
    from klingkit.mock_server.account_settings import AccountSettings
    from klingkit.mock_server.serving.listening import CannotListenError, bound
    from klingkit.mock_server.serving.serve import serve as run

    contract, *added = contract.split("+")
    assume = (*(each for each in added if each != PLAIN), *assume)
    both_keys = pairs(access_keys, secret_keys)
    refuse_idle(contract)
    if workers > 1:
        check_workers(workers, state)
    if public_url is not None and not re.match(r"https?://[^/?#\s]", public_url):
        raise WrongUsage(f"--public-url {public_url!r} does not begin with http:// or https:// and a host")
    account = AccountSettings(
        plain_generation=plain_generation or PLAIN in added,
        balance=balance,
        progression=progression,
        callback_secret=callback_secret,
        callback_retries=callback_retries,
    )
    taken = assumed(assume, answers, contract) if assume or answers else ()
    # What nobody chose needs no contract, which takes time to read.
    if (contract, scenario, account) != (DEFAULTS.contract, None, DEFAULTS.account):
        account = checked(account, scenario, contract, taken)
    if recording is not None:
        check_recording(recording, contract)
    settings = Settings(
        contract=contract,
        assume=taken,
        account=account,
        recording=recording,
        control=not no_control,
        bound_host=host,
        workers=workers,
        seed=random.SystemRandom().getrandbits(32) if seed is None else seed,
        keys=frozenset(keys),
        access_keys=both_keys,
        public_url=public_url.rstrip("/") if public_url else None,
        state=state,
        **options,
    )
    if state_reset and state is None:
        raise WrongUsage("--state-reset: there is no state to forget without --state")
    try:
        listener = bound(host, port)
    except CannotListenError as error:
        raise CommandFailed(str(error)) from error
    if state is not None:
        settings = replace(settings, seed=prepared(settings, anew=state_reset))
    run(settings, listener)


def prepared(settings: Settings, *, anew: bool) -> int:
    """See to it that there is a state that can be used, before any process does, and return its seed."""
    from klingkit.mock_server.clock import ClockState
    from klingkit.mock_server.store import UnusableStateError
    from klingkit.mock_server.store.sql.opening import prepare

    try:
        return prepare(settings, ClockState(), anew=anew)
    except UnusableStateError as error:
        raise WrongUsage(f"--state: {error}") from None


def check_workers(number: int, state: str | None) -> None:
    """Refuse several processes where they cannot be, or would not be one server."""
    if not hasattr(os, "fork"):
        raise WrongUsage(f"--workers {number}: this system cannot fork a process; serve with one")
    if state is None:
        raise WrongUsage(
            f"--workers {number}: what is kept in memory is of one process, so that a query would find a task in one and not in another; "
            "give them state that they share, such as --state sqlite:///kling.db"
        )


def assumed(assume: tuple[str, ...], answers: str | None, served: str) -> tuple[tuple[str, str], ...]:
    """Return what is assumed by a file of answers, and by options, which win, if it can be used."""
    from klingkit.contract.assumption_answers import load_answers
    from klingkit.contract.choice import parse_assumptions
    from klingkit.mock_server.contracts import Contracts

    try:
        found = dict(load_answers(Path(answers), served).assume) if answers else {}
        found |= dict(parse_assumptions(assume))
        Contracts(served, assume=tuple(found.items()))
    except ValueError as error:
        raise WrongUsage(str(error)) from None
    return tuple(found.items())


def check_recording(folder: str, served: str) -> None:
    """Refuse a broken recording, and one of a contract that is not served, before a worker process does."""
    from klingkit.contract.recordings.files import BrokenRecordingError, OtherContractError, load
    from klingkit.mock_server.contracts import Contracts

    others: list[str] = []
    for contract in Contracts(served).served:
        try:
            load(Path(folder), contract)
        except OtherContractError as error:
            others.append(str(error))
        except BrokenRecordingError as error:
            raise WrongUsage(f"--recording: {error}") from None
        else:
            return
    raise WrongUsage(f"--recording: {others[0]}")


@click.command(short_help="List the scenarios.")
@contract_option
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
def scenarios(*, contract: Contract, as_json: bool) -> None:
    """List the scenarios: what each does, and the argument that it takes."""
    from klingkit.mock_server.scenario_choice import CHOOSE
    from klingkit.mock_server.scenarios import scenario_table

    rows = scenario_table(contract).values()
    if as_json:
        from klingkit.mock_server.control.bodies import scenario_body

        click.echo(json.dumps([scenario_body(row, contract) for row in rows]))
        return
    width = max(len(row.name) for row in rows)
    for row in rows:
        argument = f" (ARGUMENT: {row.argument})" if row.argument else ""
        click.echo(f"{row.name:{width}}  {row.summary}{argument}")
    click.echo(f"\nIn the header `Prefer: scenario=NAME`, as [[NAME]] in the prompt, or by the control API; {CHOOSE}.")


@click.command(short_help="Receive and print callbacks.")
@click.option("--port", default=9000, type=click.IntRange(0, 65535), show_default=True, help="0 takes a free one.")
@secret_option(
    "--secret",
    variable="KLINGKIT_CALLBACK_SECRET",
    help_text="Verify the signature with it (whsec_...), as `serve` signs with it.",
)
@click.option("--fail", default=0, type=click.IntRange(0), show_default=True, help="Answer the first N with 500.")
def listen(port: int, secret: str | None, fail: int) -> None:
    """Receive callbacks on this machine, verify them with --secret, and print one line each, until Ctrl-C."""
    from klingkit.listen import Listener

    try:
        listener = Listener(port, secret, fail)
    except OSError as error:
        raise CommandFailed(f"cannot listen on port {port}: {error.strerror}; choose another with --port") from None
    except ValueError as error:
        raise WrongUsage(str(error)) from None
    click.echo(f"waiting for callbacks at {listener.url} (Ctrl-C stops)")
    with suppress(KeyboardInterrupt), listener:
        listener.serve_forever()
