"""The accounts of the control API: settings, money and slots."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ..callbacks import check_secret
from ..clock import parse_duration
from ..clocks import SERVER
from ..progressions import PROGRESSIONS
from ..scenario_arguments import check_known
from ..scenario_choice import parse_for
from ..store import TooManyError
from .asking import ControlError, check_reaches_an_account, contracts_of, paging

if TYPE_CHECKING:
    from ..simulator import Simulator


def get_account(simulator: Simulator, account: str | None) -> dict[str, Any]:
    """Return settings, money and slots."""
    store, machine = simulator.store, simulator.clocks.machine()
    settings = store.settings(account or "")
    now = simulator.clocks.now(account or SERVER)
    spent = store.spent(account, machine)
    used = spent if account else Decimal(0)
    return {
        "account": account,
        "contract": contracts_of(simulator, account)[0].name,
        "plain_generation": settings.plain_generation,
        "assume": dict(settings.assume),
        "balance": None if settings.balance is None else _text(settings.balance - used),
        "quota": None if settings.quota is None else _text(settings.quota - used),
        "spent": _text(spent),
        "currency": " and ".join(dict.fromkeys(found.currency for found in contracts_of(simulator, account))),
        "concurrency": settings.concurrency,
        "slots_held": store.slots(account, machine),
        "requests": settings.requests,
        "requests_used": store.requests_used(account, now) if account else None,
        "window": f"{settings.window_ms}ms",
        "disabled": settings.disabled,
        "expired": settings.expired,
        "progression": settings.progression,
        "scenario": settings.scenario.text if settings.scenario else None,
        "query_scenario": settings.query_scenario.text if settings.query_scenario else None,
        "callback_secret": settings.callback_secret is not None,
        "callback_retries": settings.callback_retries,
        "tasks": store.count_tasks(account),
        "own": sorted(name.removesuffix("_ms") for name in store.own_settings(account)) if account else [],
        "own_clock": bool(account) and store.clock(account or SERVER)[0] != SERVER,
    }


def list_accounts(simulator: Simulator, account: str | None, **page: Any) -> list[dict[str, Any]]:
    """Return a page of the accounts that have made a task or have settings of their own; of one account itself."""
    with paging("account"):
        names = [account] if account else simulator.store.accounts(**page)
    return [get_account(simulator, name) for name in names]


def set_account(simulator: Simulator, account: str | None, **changes: Any) -> dict[str, Any]:
    """Change settings."""
    try:
        for name in changes.keys() & {"balance", "quota"}:
            changes[name] = None if changes[name] is None else _amount(name, changes[name])
        if "window" in changes:
            changes["window_ms"] = parse_duration(changes.pop("window"))
            if not changes["window_ms"]:
                raise ValueError("window: a window of no time limits nothing; give a second or more")  # noqa: TRY301
        for name, operation_id in (("scenario", "create_task"), ("query_scenario", "get_task")):
            if changes.get(name) is not None:
                changes[name] = parse_for(changes[name], contracts_of(simulator, account), operation_id)
        if changes.get("contract") is not None:
            simulator.contracts.check_own(changes["contract"])
        if "assume" in changes:
            changes["assume"] = tuple(sorted(changes["assume"].items()))
            simulator.contracts.check_assume(changes["assume"])
            if account is not None:
                check_reaches_an_account(simulator, dict(changes["assume"]))
        own = simulator.store.settings(account or "")
        if changes.keys() & {"plain_generation", "assume"} and changes.get("plain_generation", own.plain_generation):
            simulator.contracts.check_plain(changes.get("assume", own.assume))
        check_known("progression", changes.get("progression", "time"), PROGRESSIONS)
        check_known(
            "callback_retries",
            changes.get("callback_retries", "default"),
            simulator.contract.callbacks.retry_after_ms,
        )
        if changes.get("callback_secret") is not None:
            check_secret(changes["callback_secret"])
        simulator.store.configure(account, changes, simulator.clocks.now(account or SERVER))
    except (ValueError, TooManyError) as error:
        raise ControlError(str(error)) from None
    return get_account(simulator, account)


def _text(amount: Decimal) -> str:
    """Return an amount as text, the same one wherever it was added up."""
    return f"{amount.normalize():f}"


def _amount(name: str, value: str | float) -> Decimal:
    amount = Decimal(str(value))
    if amount != round(amount, 6):
        raise ValueError(f"{name}: {value} has more than six decimals")
    return amount
