"""What each account has: settings, money and slots. Each function does its part of somebody's transaction.

Whoever changes what an account has takes its row first, and so is alone with it until the end of the transaction.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import Integer, bindparam, delete, exists, func, select, update
from sqlalchemy.dialects.postgresql import insert  # SQLite says ON CONFLICT in the same words

from ...account_settings import AccountSettings, changed
from ...clock import ClockState
from ..store import RefusedError, TooManyError
from . import copies, totals
from .codec import fields_from_json, fields_to_json
from .driver import Hot
from .idle_accounts import remember
from .tables import accounts, clocks, past, state, tasks

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

    from ...account_settings import Changes
    from ...tasks import Task

MILLION = 1_000_000
"""Money is kept as a whole number of millionths, which every database adds up exactly."""
SOME = 1000
"""Tasks that give back at a time."""


class Held(NamedTuple):
    """What an account has paid and holds; money in millionths."""

    charged: int
    refunded: int
    slots: int
    made: int
    ever: int
    own_clock: bool


def millionths(amount: Decimal) -> int:
    """Return an amount as a number of millionths."""
    return int(amount * MILLION)


def amount(number: int) -> Decimal:
    """Return a number of millionths as an amount."""
    return Decimal(number) / MILLION


# Settings

_settings = select(accounts.c.settings).where(accounts.c.account == bindparam("account"))


def settings(connection: Connection, account: str) -> dict[str, Any]:
    """Return what an account has of its own."""
    return fields_from_json(AccountSettings, connection.execute(_settings, {"account": account}).scalar())


def configure(connection: Connection, account: str, changes: Changes, now: int, most: int) -> None:
    """Set what holds for an account. Raises TooManyError."""
    row = take(connection, account)
    before = settings(connection, account)
    if not before and _configured(connection) >= most:
        raise TooManyError(f"{most} accounts have settings of their own; a reset makes room")
    row = give_back(connection, account, now, row)
    changes = changed(changes, before)
    # Kept as the sum paid in, of which everything spent is taken away.
    spent = amount(row.charged - row.refunded)
    paid_in = {name: changes[name] + spent for name in ("balance", "quota") if changes.get(name) is not None}
    text_of_it = fields_to_json({**before, **changes, **paid_in})
    connection.execute(update(accounts).where(accounts.c.account == account).values(settings=text_of_it, listed=True))
    copies.change(connection)


def configure_server(connection: Connection, changes: Changes) -> None:
    """Set what holds for every account without a setting of its own."""
    copies.change(connection)  # the row of the state is taken first, so that no change is lost
    before = fields_from_json(AccountSettings, connection.execute(select(state.c.settings)).scalar())
    connection.execute(update(state).values(settings=fields_to_json({**before, **changed(changes, before)})))


def _configured(connection: Connection) -> int:
    return connection.execute(
        select(func.count()).select_from(accounts).where(accounts.c.settings.is_not(None))
    ).scalar_one()


def names(connection: Connection, after: str, limit: int) -> list[str]:
    """Return the names of at most `limit` accounts that have made a task or have settings of their own, after one."""
    found = select(accounts.c.account).where(accounts.c.listed, accounts.c.account > after)
    return list(connection.execute(found.order_by(accounts.c.account).limit(limit)).scalars())


def followers(connection: Connection, most: int) -> int:
    """Return how many of these go by the server's clock, counted up to so many."""
    found = select(accounts.c.account).where(accounts.c.listed, ~accounts.c.own_clock, accounts.c.account > "")
    return len(connection.execute(found.order_by(accounts.c.account).limit(most)).all())


def is_listed(connection: Connection, account: str) -> bool:
    """Tell whether an account is one of these."""
    return connection.execute(select(accounts.c.listed).where(accounts.c.account == account)).scalar() is True


# Money and slots

_columns = (
    accounts.c.charged,
    accounts.c.refunded,
    accounts.c.slots,
    accounts.c.made,
    accounts.c.ever,
    accounts.c.own_clock,
)
_held = select(*_columns).where(accounts.c.account == bindparam("account"))
_task = bindparam("task", type_=Integer)
_ever = func.coalesce(
    select(past.c.ever).where(past.c.account == bindparam("account")).scalar_subquery(),
    select(state.c.most_ever).scalar_subquery(),
)
_new = insert(accounts).values(
    account=bindparam("account"),
    listed=_task > 0,
    charged=bindparam("charged"),
    refunded=0,
    slots=bindparam("slots"),
    tasks=_task,
    made=_task,
    ever=_ever + _task,
    own_clock=False,
    idle=0,
)
_take = Hot(
    _new.on_conflict_do_update(
        index_elements=["account"],
        set_={name: accounts.c[name] + _new.excluded[name] for name in ("charged", "slots", "tasks", "made")}
        | {"ever": accounts.c.ever + _new.excluded.tasks, "listed": accounts.c.listed | _new.excluded.listed},
    ).returning(*_columns)
)


def take(connection: Connection, account: str) -> Held:
    """Take the row of an account, which is made where there is none."""
    return Held(*_take.rows(connection, {"account": account, "charged": 0, "slots": 0, "task": 0})[0])


def take_for(connection: Connection, task: Task) -> Callable[[], Held]:
    """Take the row of the account of a new task, which pays for it and holds its slots; return what tells how it is then."""
    values = {"account": task.account, "charged": millionths(task.cost), "slots": task.n, "task": 1}
    answer = _take.later(connection, values)
    return lambda: Held(*answer.rows()[0])


def has_limits(settings: AccountSettings) -> bool:
    """Whether what an account has matters to what it may do."""
    return not (settings.quota is None and settings.balance is None and settings.concurrency is None)


def check_limits(connection: Connection, task: Task, row: Held, limits: AccountSettings, now: int) -> None:
    """Raise RefusedError if an account may not have what it has taken for a task. What has ended by now gives back before."""
    row = give_back(connection, task.account, now, row)
    total = amount(row.charged - row.refunded)
    if limits.quota is not None and total > limits.quota:
        raise RefusedError("account.quota")
    if limits.balance is not None and total > limits.balance:
        raise RefusedError("account.balance")
    if limits.concurrency is not None and row.slots > limits.concurrency:
        raise RefusedError("account.concurrency")


_has_ended = (
    tasks.c.clock == bindparam("whom"),
    tasks.c.ends_at <= bindparam("now"),
    tasks.c.account == bindparam("whose"),
    tasks.c.holds,
)
_ended = update(tasks).where(*_has_ended).values(holds=False).returning(tasks.c.slots, tasks.c.refund)


def give_back(connection: Connection, account: str, now: int, row: Held) -> Held:
    """Let the tasks of an account that have ended by now give back what they held; its row is taken already."""
    clock = account if row.own_clock else ""
    ended = connection.execute(_ended, {"whose": account, "whom": clock, "now": now}).all()
    if not ended:
        return row
    slots, money = sum(task.slots for task in ended), sum(task.refund for task in ended)
    add(connection, account, slots=-slots, refunded=money)
    totals.add(connection, {"slots": -slots, "refunded": money})
    return row._replace(slots=row.slots - slots, refunded=row.refunded + money)


def add(connection: Connection, account: str, **changes: int) -> None:
    """Add to columns of an account."""
    values = {name: accounts.c[name] + change for name, change in changes.items()}
    connection.execute(update(accounts).where(accounts.c.account == account).values(values))


def held(connection: Connection, account: str) -> Held | None:
    """Return what an account has paid and holds, as far as anybody has looked; None for one that has nothing."""
    row = connection.execute(_held, {"account": account}).first()
    return Held(*row) if row else None


def kept_tasks(connection: Connection, account: str) -> int:
    """Return how many tasks of an account are kept."""
    return connection.execute(select(accounts.c.tasks).where(accounts.c.account == account)).scalar() or 0


_anything_ended = select(tasks.c.number).where(*_has_ended).limit(1)


def has_ended(connection: Connection, account: str, clock: str, now: int) -> bool:
    """Tell whether tasks of an account have ended that have not given back yet."""
    return connection.execute(_anything_ended, {"whose": account, "whom": clock, "now": now}).first() is not None


def settle(connection: Connection, account: str, now: int) -> None:
    """Let the tasks of an account that have ended by now give back what they held."""
    give_back(connection, account, now, take(connection, account))


_ending_clocks = select(clocks.c.owner, clocks.c.standing, clocks.c.offset).where(
    clocks.c.owner != "",
    exists().where(
        tasks.c.clock == clocks.c.owner,
        tasks.c.holds,
        tasks.c.ends_at <= func.coalesce(clocks.c.standing, clocks.c.offset + bindparam("machine")),
    ),
)


def clocks_of_ended(connection: Connection, machine: int) -> list[tuple[str, int]]:
    """Return owner and time of each clock of an account's own by which tasks have ended that have not given back yet."""
    found = connection.execute(_ending_clocks, {"machine": machine}).all()
    return [(row.owner, ClockState(row.standing, row.offset).at(machine)) for row in found]


_any_ending = (
    select(tasks.c.number)
    .where(tasks.c.clock == bindparam("whose"), tasks.c.holds, tasks.c.ends_at <= bindparam("now"))
    .limit(1)
)


def have_ended(connection: Connection, clock: str, now: int) -> bool:
    """Tell whether tasks that go by a clock have ended that have not given back yet."""
    return connection.execute(_any_ending, {"whose": clock, "now": now}).first() is not None


def settle_some(connection: Connection, clock: str, now: int) -> bool:
    """The same for all accounts that follow a clock, a part at a time; tell whether there may be more."""
    due = (
        select(tasks.c.number, tasks.c.account)
        .where(tasks.c.clock == clock, tasks.c.holds, tasks.c.ends_at <= now)
        .order_by(tasks.c.ends_at)
        .limit(SOME)
    )
    found = connection.execute(due).all()
    for account in sorted({row.account for row in found}):  # in one order, so that no two wait for each other
        settle(connection, account, now)
    return len(found) == SOME


def forget(connection: Connection, account: str, most: int) -> None:
    """Forget an account, of which no task is kept, but for how many it has made. Its row is taken already."""
    row = connection.execute(
        delete(accounts)
        .where(accounts.c.account == account)
        .returning(accounts.c.charged, accounts.c.refunded, accounts.c.ever)
    ).one()
    remember(connection, account, row.ever, most)
    totals.add(connection, {"charged": -row.charged, "refunded": -row.refunded})


def set_clock(connection: Connection, account: str, *, own: bool) -> None:
    """Note whether an account has a clock of its own."""
    connection.execute(update(accounts).where(accounts.c.account == account).values(own_clock=own))
