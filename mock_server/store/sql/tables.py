"""What is kept in the database, table by table. A change of any of it needs another VERSION."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    literal_column,
    text,
)

from ..delivery_queue import MAX_AT_ONCE

VERSION = 2
PREFIX = "klingkit_"
"""Of every table, since the database may be somebody else's too."""

metadata = MetaData()
Number = BigInteger().with_variant(Integer, "sqlite")  # only an INTEGER numbers the rows of SQLite
Name = String(collation="C").with_variant(String(), "sqlite")
"""Text that is compared byte by byte, whatever the language of the database."""

state = Table(
    f"{PREFIX}state",
    metadata,
    Column("version", Integer, nullable=False),
    Column("generation", BigInteger, nullable=False),  # goes up with whatever `copies.py` keeps a copy of
    Column("resets", BigInteger, nullable=False),
    Column("settings", Text),  # JSON of what was changed of the server's
    Column("seed", BigInteger, nullable=False),
    Column("first_seed", BigInteger, nullable=False),  # to which a reset goes back
    Column("queued", BigInteger, nullable=False),  # scenarios that wait
    Column(
        "most_ever", BigInteger, nullable=False
    ),  # the largest number of tasks of those that are forgotten altogether
)
"""One row."""

totals = Table(
    f"{PREFIX}totals",
    metadata,
    Column("shard", Integer, primary_key=True),
    Column("name", String, primary_key=True),
    Column("value", BigInteger, nullable=False),
)
"""Running sums, so that nothing has to be counted. A process of PostgreSQL adds to a shard of its own, since whoever adds to a row
holds it until its transaction ends; the sum is that of all shards."""

# Accounts

accounts = Table(
    f"{PREFIX}accounts",
    metadata,
    Column("account", Name, primary_key=True),
    Column("listed", Boolean, nullable=False),  # whether it has made a task or has settings of its own
    Column("settings", Text),  # JSON of what it has of its own
    Column("charged", BigInteger, nullable=False),  # money is in millionths
    Column("refunded", BigInteger, nullable=False),
    Column("slots", Integer, nullable=False),
    Column("tasks", Integer, nullable=False),  # that are kept
    Column("made", BigInteger, nullable=False),  # tasks, since its seed was set
    Column("ever", BigInteger, nullable=False),  # tasks
    Column("own_clock", Boolean, nullable=False),
    Column("idle", BigInteger, nullable=False),  # order in which they came to have nothing but a past
)
_idle = (accounts.c.tasks == 0) & accounts.c.settings.is_(None) & ~accounts.c.own_clock
Index(f"{PREFIX}accounts_idle", accounts.c.idle, sqlite_where=_idle, postgresql_where=_idle)
_configured = accounts.c.settings.is_not(None)
Index(f"{PREFIX}accounts_configured", accounts.c.account, sqlite_where=_configured, postgresql_where=_configured)

past = Table(
    f"{PREFIX}past",
    metadata,
    Column("number", Number, primary_key=True),
    Column("account", Name, nullable=False, unique=True),
    Column("ever", BigInteger, nullable=False),
)
"""How many tasks the accounts had made that are forgotten."""

chances = Table(
    f"{PREFIX}chances",
    metadata,
    Column("number", Number, primary_key=True),
    Column("account", Name, nullable=False, unique=True),
    Column("seed", BigInteger),  # its own; None: the server's
    Column("draws", BigInteger, nullable=False),  # how often it has left to chance what belongs to no task
)

windows = Table(
    f"{PREFIX}windows",
    metadata,
    Column("number", Number, primary_key=True),
    Column("account", Name, nullable=False, unique=True),
    Column("ends_at", BigInteger, nullable=False, index=True),
    Column("count", Integer, nullable=False),
)
"""In which requests are counted."""

queues = Table(
    f"{PREFIX}queues",
    metadata,
    Column("account", Name, primary_key=True),  # "" stands for all
    Column("operation", String, primary_key=True),
    Column("place", BigInteger, primary_key=True),
    Column("scenario", Text, nullable=False),
    Column("turns", BigInteger, nullable=False),
)

# Tasks

tasks = Table(
    f"{PREFIX}tasks",
    metadata,
    Column("number", Number, primary_key=True),  # order of creation
    Column("task_id", Name, nullable=False, unique=True),
    Column("account", Name, nullable=False),
    Column("path", String, nullable=False),
    Column("external", String),  # hash of its external id while that is taken; None: it has none, or let it go
    Column("data", Text, nullable=False),  # the task as JSON
    Column("clock", Name, nullable=False),  # whose clock it runs on: "" is the server's
    Column("status", String, nullable=False),  # under which it is counted
    Column("slots", Integer, nullable=False),
    Column("refund", BigInteger, nullable=False),  # what comes back at its end
    Column("holds", Boolean, nullable=False),  # whether it still holds both
    Column(
        "ends_at", BigInteger
    ),  # when it lets go of them; None: when a query or somebody's hand brings it to its end
    Column("polls", Integer, nullable=False),  # as far as they matter to it
    Column("end_seen", Boolean, nullable=False),
    Column("fetched", Boolean, nullable=False),
    Column("size", Integer, nullable=False),
)
_taken = tasks.c.external.is_not(None)
Index(
    f"{PREFIX}tasks_external",
    tasks.c.account,
    tasks.c.path,
    tasks.c.external,
    unique=True,
    sqlite_where=_taken,
    postgresql_where=_taken,
)
Index(f"{PREFIX}tasks_of_account", tasks.c.account, tasks.c.number, tasks.c.path)
Index(
    f"{PREFIX}tasks_holding",
    tasks.c.clock,
    tasks.c.ends_at,
    tasks.c.account,
    sqlite_where=text("holds = 1"),  # in the words of the queries: SQLite uses it for no others
    postgresql_where=tasks.c.holds,
)

agenda = Table(
    f"{PREFIX}agenda",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),  # of the task
    Column("step", Integer, primary_key=True, autoincrement=False),
    Column("clock", Name, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("kind", String, nullable=False),
    Column("by_polls", Boolean, nullable=False),  # a step that queries bring about
    Column("status", String),  # that begins then; None: it is counted already, or there is none
    sqlite_with_rowid=False,
)
"""What lies ahead of tasks. What has passed goes when it is counted."""
Index(f"{PREFIX}agenda_ahead", agenda.c.clock, agenda.c.by_polls, agenda.c.at, agenda.c.number, agenda.c.step)

inputs = Table(
    f"{PREFIX}inputs",
    metadata,
    Column("id", Number, primary_key=True),  # order in which they came
    Column("task_id", Name, nullable=False),
    Column("number", Integer, nullable=False),
    Column("size", Integer, nullable=False),
    Column("data", LargeBinary, nullable=False),
    UniqueConstraint("task_id", "number"),
)
"""Pictures that were sent as bytes."""

# Callbacks

deliveries = Table(
    f"{PREFIX}deliveries",
    metadata,
    Column("number", Number, primary_key=True),  # order in which they are made
    Column("id", Name, nullable=False, unique=True),
    Column("task_id", Name, nullable=False, index=True),
    Column("account", Name, nullable=False),
    Column("step", Integer, nullable=False),
    Column("trigger", Integer, nullable=False),
    Column("due_at", BigInteger),
    Column("status", String, nullable=False),
    Column("attempts", Text, nullable=False),  # as JSON
    Column("outcome", String, nullable=False),
    Column("head", Boolean, nullable=False),  # whether it is the first of its task that is pending
    Column("claimed", Boolean, nullable=False),
    Column("resend", Boolean, nullable=False),  # whether somebody asked for one more attempt
)
Index(f"{PREFIX}deliveries_of_account", deliveries.c.account, deliveries.c.number)
Index(f"{PREFIX}deliveries_of_outcome", deliveries.c.outcome, deliveries.c.number)
Index(
    f"{PREFIX}deliveries_due",
    deliveries.c.account,
    deliveries.c.claimed,
    deliveries.c.due_at,
    sqlite_where=text("head = 1"),  # as queries say it: SQLite compares word by word
    postgresql_where=deliveries.c.head,
)
Index(
    f"{PREFIX}deliveries_resent",
    deliveries.c.number,
    sqlite_where=text("resend = 1"),
    postgresql_where=deliveries.c.resend,
)

callers = Table(
    f"{PREFIX}callers",
    metadata,
    Column("account", Name, primary_key=True),
    Column("clock", Name, nullable=False),  # whose clock it follows
    Column("due_at", BigInteger),  # the first that nobody attempts
    Column("wake_at", BigInteger),  # the machine's time of that, by a clock of its own; None: it does not get there
    Column("attempts", Integer, nullable=False),  # under way
    *(Column(name, BigInteger, nullable=False) for name in ("pending", "delivered", "given_up", "refused")),
)
"""Accounts with callbacks. Whoever changes one of these changes their row, and so holds it until the end of the transaction."""
has_room = callers.c.attempts < literal_column(str(MAX_AT_ONCE))
"""Whether one more attempt may be made; in the same words in index and queries."""
Index(
    f"{PREFIX}callers_due",
    callers.c.clock,
    callers.c.due_at,
    sqlite_where=callers.c.due_at.is_not(None) & has_room,
    postgresql_where=callers.c.due_at.is_not(None) & has_room,
)
Index(
    f"{PREFIX}callers_wake",
    callers.c.wake_at,
    sqlite_where=callers.c.wake_at.is_not(None) & has_room,
    postgresql_where=callers.c.wake_at.is_not(None) & has_room,
)

leases = Table(
    f"{PREFIX}leases",
    metadata,
    Column("fence", Number, primary_key=True),  # goes up with each, whatever was given back since
    Column("name", Name, nullable=False, unique=True),
    Column("kind", String, nullable=False),
    Column("account", Name, nullable=False, index=True),
    Column("clock", Name, nullable=False),
    Column("holder", String, nullable=False),
    Column("ends_at", BigInteger, nullable=False),  # ms of the database's machine
    sqlite_autoincrement=True,
)
"""What one process does at a time: an attempt to deliver, a journey, a reset. Another one takes over what has come to its end."""

clocks = Table(
    f"{PREFIX}clocks",
    metadata,
    Column("owner", Name, primary_key=True),  # "" is the server's
    Column("standing", BigInteger),
    Column("offset", BigInteger, nullable=False),
)

moves = Table(
    f"{PREFIX}moves",
    metadata,
    Column("number", Number, primary_key=True),
    Column("owner", Name, nullable=False),
    Column("machine", BigInteger, nullable=False),
    Column("start", BigInteger, nullable=False),
    Column("end", BigInteger, nullable=False),
    Column("by", String, nullable=False),
)
"""What was done to the clocks."""
Index(f"{PREFIX}moves_of_owner", moves.c.owner, moves.c.number)

journal = Table(
    f"{PREFIX}journal",
    metadata,
    Column("number", Number, primary_key=True, autoincrement=False),
    Column("account", Name, nullable=False),
    Column("poll_of", Name),  # id of the task that it queries
    Column("at", BigInteger, nullable=False),
    Column("size", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("answer", LargeBinary, nullable=False),
    Column("rest", Text, nullable=False),  # of the entry, as JSON
    # as `journal_state`, when it was kept
    *(Column(name, BigInteger, nullable=False) for name in ("added", "kept", "bytes")),
)
Index(f"{PREFIX}journal_of_account", journal.c.account, journal.c.poll_of, journal.c.number)

journal_state = Table(
    f"{PREFIX}journal_state",
    metadata,
    Column("generation", BigInteger, nullable=False),  # how often the numbers began anew
    Column("last", BigInteger, nullable=False),  # number
    Column("added", BigInteger, nullable=False),  # that there have been
    Column("kept", BigInteger, nullable=False),
    Column("bytes", BigInteger, nullable=False),
)
"""One row. On PostgreSQL whoever adds an entry holds it until the entry can be seen, so that numbers come in order. On SQLite, where
one writes at a time anyway, the newest entry says it, unless the row has its number or a later one: one page less for each entry."""
