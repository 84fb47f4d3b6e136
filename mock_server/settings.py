"""What can be chosen when a simulator starts."""

from __future__ import annotations

from dataclasses import dataclass, field

from .account_settings import AccountSettings

MEGABYTE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Settings:
    """Options of one simulator; sizes in bytes."""

    contract: str = "cometapi"
    """Which contract is served; `all`: the paths of each (`contracts.py`)."""
    assume: tuple[tuple[str, str], ...] = ()
    """Assumptions that are answered otherwise than by default: id and alternative."""
    speed: float = 10.0
    """Divides the durations of tasks and of callback retries; 1 gives the timings recorded of the real service."""
    instant: bool = False
    """A task ends at the moment of its submission."""
    seed: int = 0
    """Ids, timings and pictures follow from it."""
    keys: frozenset[str] = field(default=frozenset(), repr=False)
    """The keys that are accepted; empty: every key."""
    access_keys: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """Pairs of access key and secret key: whose JWT are accepted; none: every one that is well-formed."""
    max_body: int = 100 * MEGABYTE
    public_url: str | None = None
    """Base of result URLs; None: the host that the client used."""
    fetch_inputs: bool = False
    """Fetch pictures that are given by URL."""
    allow_fetch: frozenset[str] = frozenset()
    """Hosts to fetch from, besides loopback and private addresses."""
    allow_callback: frozenset[str] = frozenset()
    """Hosts to call back to, besides loopback and private addresses."""
    account: AccountSettings = field(default_factory=AccountSettings)
    """What holds for every account until the control API sets something else."""
    recording: str | None = None
    """Folder of a recording, whose answers stand in place of those of the contract."""
    control: bool = True
    """Whether there is a control API, and its page."""
    control_token: str | None = field(default=None, repr=False)
    """What the control API asks for in the header Klingkit-Token; None: nothing."""
    allow_host: frozenset[str] = frozenset()
    """Host names under which the control API answers, besides loopback, `bound_host` and that of `public_url`."""
    bound_host: str = "127.0.0.1"
    """Address on which the server listens."""
    log_format: str = "text"
    """Of the lines on stderr: `text` or `json`."""
    workers: int = 1
    """Processes that serve."""
    max_journal: int = 1000
    """Requests kept in the journal."""
    max_tasks: int = 10_000
    """Tasks kept; the oldest is dropped first."""
    max_memory: int = 256 * MEGABYTE
    """Of all that is kept together: journal, tasks, callbacks, accounts, queues and pictures (`store/memory.py` has the shares)."""
    state: str | None = field(default=None, repr=False)
    """URL of the database that keeps the state (`store/sql/address.py`), which may hold a password; None: memory."""
