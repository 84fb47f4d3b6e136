"""What all commands share that send cases to a service: their options, the target, the plan, and how a run shows how it goes on."""

from __future__ import annotations

import os
import secrets
import time
from contextlib import ExitStack, contextmanager, suppress
from functools import wraps
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click
from click.core import ParameterSource

from .command_errors import WrongUsage, money
from .completing import complete
from .contract_option import contract_option
from .ending import say
from .secret_options import secret_option
from .service_options import as_options

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from klingkit.contract import Contract
    from klingkit.contract.targets.target import HttpTarget, Target
    from klingkit.contract.verify.results import Report, Result
    from klingkit.contract.verify.selection import Options

    from .ending import Signals

INCOMPLETE = 3
"""Exit code of a run in which not all was tested that was to be."""
INTERRUPTED = 128
"""Exit code after a signal, to which its number is added, as of any command."""
SAY_AGAIN_S = 15.0
"""How often a run that is not watched says what it waits for."""


def run_options(command: Any) -> Any:
    """Add the options of a command that sends cases, which can cost money."""
    for option in (
        secret_option(
            "--other-key", variable="KLINGKIT_OTHER_KEY", help_text="Of another account, to test their isolation."
        ),
        click.option("--budget", type=money, metavar="USD", default="0", show_default=True, help="What may be spent."),
        click.option("--plan", is_flag=True, help="Say what would be sent and what it costs, and send nothing."),
        click.option("--real", is_flag=True, help="Needed for anything that is not on this machine."),
        click.option("--only", metavar="RULE", shell_complete=complete("rule"), help="Only the cases of one rule."),
        click.option("--seed", type=int, default=0, show_default=True, help="What is drawn at random follows from it."),
    ):
        command = option(command)
    return key_options(command)


def key_options(command: Any) -> Any:
    """Add the options that say by which contract a service is asked and with what; the command gets `contract`, `key` and `pair`."""
    for option in (
        contract_option,
        secret_option(
            "--key",
            variable="COMETAPI_KEY",
            help_text="For the contract kling: KLING_API_KEY. On this machine any will do.",
        ),
        secret_option(
            "--access-key", variable="KLING_ACCESS_KEY", help_text="With --secret-key, for the contract kling."
        ),
        secret_option("--secret-key", variable="KLING_SECRET_KEY", help_text="It signs tokens, and is not sent."),
    ):
        command = option(command)

    @wraps(command)
    def with_keys(*, key: str | None, access_key: str | None, secret_key: str | None, **options: Any) -> Any:
        typed = click.get_current_context().get_parameter_source
        given = {"key": key, "access_key": access_key, "secret_key": secret_key}
        said = {name: value for name, value in given.items() if typed(name) is ParameterSource.COMMANDLINE}
        return command(**options, **keys_of(options["contract"], **said))

    return with_keys


def keys_of(contract: Contract, **said: str | None) -> dict[str, Any]:
    """Return with what a service is asked: what is said, else what the environment has for its contract; no key goes to another service."""
    if contract.jwt is None:
        if said.get("access_key") or said.get("secret_key"):
            raise WrongUsage(f"the contract {contract.name} takes a key; --access-key and --secret-key are for kling")
        return {"key": said.get("key") or os.environ.get("COMETAPI_KEY"), "pair": None}
    if key := said.get("key"):
        return {"key": key, "pair": None}
    access_key = said.get("access_key") or os.environ.get("KLING_ACCESS_KEY") or ""
    secret_key = said.get("secret_key") or os.environ.get("KLING_SECRET_KEY") or ""
    if not (access_key or secret_key):
        return {"key": os.environ.get("KLING_API_KEY"), "pair": None}
    from klingkit.client import InputError
    from klingkit.client.credentials import SignedCredential

    try:
        return {"key": SignedCredential(access_key, secret_key, time.time).bearer(), "pair": (access_key, secret_key)}
    except InputError as error:
        raise WrongUsage(as_options(str(error))) from None


def prepare(
    url: str, contract: Contract, *, real: bool, key: str | None, real_option: str = "--real", **given: Any
) -> tuple[HttpTarget, Options]:
    """Return target and options, if they can be used; `real_option` is what the user has to say for a real service."""
    from klingkit.contract.targets.target import HttpTarget
    from klingkit.contract.verify.selection import Options, check_requirement
    from klingkit.mock_server.auth import is_key

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
        variables = "KLING_ACCESS_KEY and KLING_SECRET_KEY, or KLING_API_KEY" if contract.jwt else "COMETAPI_KEY"
        raise WrongUsage(f"no key for {url}: set {variables}, or pass --key")
    run = f"klingkit-{secrets.token_hex(6)}"
    for name, value in (("--key", key), ("--other-key", given["other_key"])):
        if value is not None and not is_key(value):
            raise WrongUsage(f"{name} is not a key: one word of ASCII characters")
    options = Options(key=key or f"{run}-key", run=run, any_key=target.local, **given)
    if options.other_key == options.key:
        raise WrongUsage("--other-key is the same key: give one of another account")
    price = contract.price_per_picture
    if 0 < options.budget < price:
        raise WrongUsage(f"a budget of {options.budget} pays for no picture, which costs {price}: give more, or none")
    try:
        if options.only is not None:
            check_requirement(contract, options.only)
    except ValueError as error:
        raise WrongUsage(str(error)) from None
    return target, options


def check_usable(target: Target, contract: Contract, options: Options) -> None:
    """Ask a service once, for nothing. Raises WrongUsage if it does not speak this contract, or refuses the key."""
    from klingkit.contract.verify.sending import Sender
    from klingkit.contract.verify.usable_target import UnusableTargetError, probe

    try:
        probe(Sender(target, contract, options), contract, options)
    except UnusableTargetError as error:
        raise WrongUsage(f"nothing could be asked: {error}") from None


def run(target: Target, contract: Contract, options: Options, signals: Signals) -> Report:
    """Verify a target until a signal ends it, and show how that goes on; one line says why, if it cannot be done."""
    from klingkit.contract.verify.run import verify as verify_target
    from klingkit.contract.verify.usable_target import UnusableTargetError

    try:
        with progress() as (on_result, on_wait), signals.ending_this():
            return verify_target(target, contract, options, on_result, on_wait)
    except UnusableTargetError as error:
        raise WrongUsage(f"nothing could be tested: {error}") from None


@contextmanager
def receiver(target: HttpTarget) -> Iterator[None]:
    """Let a target on this machine call back."""
    from klingkit.contract.targets.callback_receiver import receiving

    with ExitStack() as stack:
        if target.local:
            target.callback_url = stack.enter_context(receiving(target.received))
        yield


@contextmanager
def progress() -> Iterator[tuple[Callable[[Result], object], Callable[[str], object]]]:
    """Show on a terminal which case came last, and what is waited for; elsewhere only the latter, now and then."""
    from rich.console import Console
    from rich.text import Text

    from klingkit.contract.judge.deviation import clipped

    console = Console(stderr=True)
    if console.is_terminal:
        status = console.status("asking")

        def show(text: str) -> None:
            with suppress(OSError):  # a terminal that was closed
                status.update(Text(clipped(text)))

        status.start()
        try:
            yield lambda result: show(f"{result.case.id}: {result.state}"), lambda what: show(f"waiting for {what}")
        finally:
            with suppress(OSError):
                status.stop()
        return
    said = time.monotonic()

    def tell(what: str) -> None:
        nonlocal said
        if time.monotonic() - said >= SAY_AGAIN_S:
            said = time.monotonic()
            say(f"waiting for {clipped(what)}", err=True)

    yield lambda _: None, tell


def print_plan(contract: Contract, options: Options, where: str) -> None:
    """Say what a run would send, and what it would cost."""
    from klingkit.contract.verify.budget import make_plan
    from klingkit.contract.verify.selection import EXPLORED, select_cases, why_not
    from klingkit.contract.verify.told import cases_for

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
