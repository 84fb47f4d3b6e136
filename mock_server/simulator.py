"""The engine: what the service does with a request that the HTTP layer has read. It knows nothing of Flask."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from os import urandom
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from klingkit.contract import ApiError, Picture
from klingkit.contract.import_lock import importing

from .cache import Workshop
from .callbacks import Callbacks
from .chance import between, share, spread
from .clock import ClockState
from .clocks import SERVER, Clocks
from .contracts import Contracts, create_path
from .counts import Counts
from .foreign_text import log
from .ids import Ids
from .outbound import NotAllowedError, Outbound, OutboundError, host_and_path
from .picture_hints import why_it_fails
from .scenario_choice import find_marker, is_known
from .settings import Settings
from .store import MemoryStore, RefusedError, StaleChanceError, Store, TakenIdError
from .tasks import LONGEST_CALLBACK_URL, LONGEST_KEPT, Plan, Snapshot, Task, at_step, shortened, snapshot
from .thumbnails import Thumbnails
from .time_travel import Traveller

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from klingkit.contract import Contract, Rule
    from klingkit.contract.rules import RequestRules
    from klingkit.contract.spec import Lifecycle

    from .callbacks import SendCallback
    from .chance import ChanceState
    from .scenario import Scenario


FETCH_TIMEOUT_MS = 5000
DEFAULT_SCENARIO_SETTING = {"create_task": "scenario", "get_task": "query_scenario"}
"""By operation; others have no default."""
WATERMARKED = ("watermark",)
"""What is added to the key of a result with a watermark."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """The scenario that applies to a request."""

    scenario: Scenario
    source: str
    """`prefer`, `queue`, `prompt`, `account`, `server` or `task`."""
    owner: str = ""
    """Whose queue it was taken from."""


class Simulator:
    """One simulated service. Safe to call from many threads; lives as long as its server."""

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        contract: Contract | None = None,
        clock: ClockState | None = None,
        send: SendCallback | None = None,
        counts: Counts | None = None,
    ) -> None:
        self.counts = counts or Counts()
        self.settings = settings or Settings()
        self._start = clock or ClockState()
        self.store = _store(self.settings, self._start)
        self.clocks = Clocks(self.store)
        self._is_recorded = False
        self._of_no_use: Exception | None = None
        self.contracts = Contracts(self.settings.contract, contract, self._recorded, self.settings.assume)
        if self._of_no_use and not self._is_recorded:
            raise self._of_no_use
        self.contract = self.contracts.served[0]
        """By which a request is answered where nothing says another one."""
        self.secrets = dict(self.settings.access_keys)
        """Secret key by access key."""
        self.started = time.monotonic()
        self._seed = self.store.chance(SERVER).seed  # of a state that was kept, its own
        self.ids = Ids(
            self._seed,
            epoch_ms=self.contract.task_id_epoch_ms,
            shift=self.contract.task_id_shift,
            apart=urandom(16) if self.settings.state else b"",
        )
        self._workshop = Workshop()
        self.thumbnails = Thumbnails(self.store)
        self._warned_of_drops = False
        self.find_questions: Callable[[Contract, Mapping[str, Any]], tuple[str, ...]] | None = None
        """Names the open questions on which the answer to a body rests, for the journal; None: nobody wants to know, since it takes its time."""
        self.own_ports: set[int] = set()
        """Those on which it is served: it sends nothing to itself."""
        self._fetcher = self._outbound(self.settings.allow_fetch, "--allow-fetch")
        send = send or self._outbound(self.settings.allow_callback, "--allow-callback").post
        speed = self.settings.speed
        self.callbacks = Callbacks(self.store, self.clocks, self.contract_of, send, counts=self.counts, speed=speed)
        if self._start.standing is None:
            self.callbacks.run_in_background()
        self.traveller = Traveller(self.clocks, self.store, self.callbacks)

    def contract_of(self, task: Task) -> Contract:
        """Return the contract by which a task was made."""
        return self.contracts.by_text(task.contract) if task.contract else self.contract

    def choose(
        self, contract: Contract, operation_id: str, account: str, preferred: Scenario | None, prompt: object
    ) -> Chosen | None:
        """Return the scenario that applies to a request; the first that is chosen wins, and may leave it to chance.

        One that was chosen for another contract, and answers what this one has not, does not apply.
        """
        settings = self.store.settings(account)
        setting = DEFAULT_SCENARIO_SETTING.get(operation_id, "")
        default: Scenario | None = getattr(settings, setting) if setting else None
        chosen: Chosen | None = None
        if preferred:
            chosen = Chosen(preferred, "prefer")
        elif taken := self.store.take_scenario(account, operation_id):
            chosen = Chosen(taken[0], "queue", taken[1])
        elif isinstance(prompt, str) and "[[" in prompt and (marked := find_marker(prompt, contract)):
            chosen = Chosen(marked, "prompt")
        elif default:
            chosen = Chosen(default, "account" if setting in self.store.own_settings(account) else "server")
        if chosen and not is_known(chosen.scenario, contract):
            self.give_back(operation_id, chosen)
            return None
        if chosen and chosen.scenario.probability < 1 and not self._happens(account, chosen.scenario.probability):
            return None
        return chosen

    def _happens(self, account: str, probability: float) -> bool:
        return share(*self._draw(account)) < probability

    def spread(self, account: str, median: int) -> int:
        """Draw the ms of a fault that a request of an account meets."""
        return spread(median, *self._draw(account))

    def _draw(self, account: str) -> tuple[object, ...]:
        """Return from what something is drawn that belongs to no task."""
        chance = self.store.chance(account)
        return chance.seed, chance.account, "request", self.store.next_draw(account)

    def give_back(self, operation_id: str, chosen: Chosen) -> None:
        """Undo the use of a queued scenario: the request was refused, so that it did not come to pass."""
        if chosen.source == "queue":
            self.store.give_back_scenario(chosen.owner, operation_id, chosen.scenario)

    def create(
        self,
        account: str,
        body: dict[str, Any],
        base_url: str,
        *,
        contract: Contract | None = None,
        operation_id: str = "create_task",
        request_id: str = "",
        scenario: Scenario | None = None,
        progression: str | None = None,
        scenario_source: str = "",
    ) -> Snapshot:
        """Judge the request of an operation that creates, and submit its task; the answer always shows the first status.

        Raises ApiError for the first broken rule of the contract.
        """
        contract = contract or self.contract
        request = contract.requests[operation_id]
        violations, pictures = request.judge(body)
        if violations:
            raise violations[0].error
        pictures, failed_rule, why = self._look_at(pictures, scenario, contract, request)
        body = request.meant(body)
        settled = {
            "account": account,
            "prompt": body.get("prompt") or "",
            "n": body["n"],
            "aspect_ratio": body["aspect_ratio"],
            "pictures": tuple([_described(picture) for picture in pictures]),
            "external_task_id": shortened(body.get("external_task_id") or ""),
            "callback_url": (body.get("callback_url") or "")[: LONGEST_CALLBACK_URL + 1],
            "base_url": base_url,
            "cost": contract.price_per_picture * body["n"],
            "contract": contract.text,
            "request_id": request_id,
            "path": create_path(contract),
            "watermark": bool((body.get("watermark_info") or {}).get("enabled")),
            "progression": progression or self.store.settings(account).progression,
            "scenario": scenario,
            "scenario_source": scenario_source,
        }

        def drawn(now: int, chance: ChanceState, tries: int) -> Task:
            origin = chance.next_task
            plan = self._plan(contract, now, origin, scenario, (failed_rule, why))
            return Task(task_id=self.ids.of_task(account, chance, now, tries), plan=plan, chance=origin, **settled)

        task = self._submit(account, contract, drawn, pictures if failed_rule is None else [])
        return at_step(task, 0)

    def query(self, account: str, name: str, *, contract: Contract | None = None) -> Snapshot:
        """Return a task of the account as it stands now.

        It is named by an id that the contract takes. Raises ApiError if the account has no such task there: unknown, another
        account's, dropped, or not visible yet.
        """
        contract = contract or self.contract
        now = self.clocks.now(account)
        path = create_path(contract)
        task = self.store.poll(name, account, path, now)
        if task is None and "external_task_id" in contract.found_by:
            task_id = self.store.find(account, path, shortened(name))
            task = self.store.poll(task_id, account, path, now) if task_id else None
        if task is None:
            raise ApiError(contract.rules["task_id.exists"], value=name)
        if task.progression == "polls" and task.callback_url:
            self.callbacks.wake()
        return snapshot(task, now)

    def page(self, account: str, contract: Contract, query: Mapping[str, str]) -> list[Snapshot]:
        """Return a page of the account's tasks as they stand now. Raises ApiError for a page that there cannot be."""
        request = contract.requests["list_tasks"]
        values = request.read_query(query)
        paging = contract.takes("list-paging")
        if paging == "nearest":
            values = request.nearest(values)
        violations, _ = request.judge(values)
        if violations:
            raise violations[0].error
        values = {**request.defaults, **values}
        number, size = values["pageNum"], values["pageSize"]
        now = self.clocks.now(account)
        oldest_first = paging == "oldest-first"
        tasks = self.store.page(account, create_path(contract), (number - 1) * size, size, oldest_first=oldest_first)
        return [snapshot(task, now) for task in tasks]

    def picture(self, task_id: str, index: int, *, watermark: bool = False, by_client: bool = True) -> bytes | None:
        """Return result `index` of a task as PNG, rendered on the first call; None if there is no such result (yet).

        Whether `by_client` it is fetched matters to advice. Raises ResultExpiredError when it is no longer kept.
        """
        task = self.store.get(task_id)
        if task is None or not 0 <= index < task.n:
            return None
        lifecycle = self.contract_of(task).lifecycle
        now = self.clocks.now(task.account)
        if (view := snapshot(task, now)).status != lifecycle.succeeded:
            return None
        if by_client:
            self.store.mark_fetched(task_id)
        if now >= view.updated_at + task.plan.result_ms:
            raise ResultExpiredError
        if (cached := self.store.results.get((task_id, index, *WATERMARKED * watermark))) is not None:
            return cached
        # By the task itself: after a reset another one may have its id.
        return self._workshop.get(
            (id(task.plan), index, watermark), lambda: self._render(task, index, watermark=watermark)
        )

    def _render(self, task: Task, index: int, *, watermark: bool) -> bytes:
        with importing:
            from .pictures import render  # noqa: PLC0415 - start-up does not wait for Pillow

        results = self.store.results
        key = (task.task_id, index, *WATERMARKED * watermark)
        if (cached := results.get(key)) is not None:
            return cached
        inputs = [
            replace(picture, data=self.store.input(task.task_id, number))
            for number, picture in enumerate(task.pictures)
        ]
        data = render(task, index, inputs, watermark=watermark)
        results.put(key, data)
        return data

    def move(self, task_id: str) -> Snapshot | None:
        """Bring a task one step further by hand; None if there is no such task."""
        task = self.store.get(task_id)
        now = self.clocks.now(task.account) if task else 0
        task = self.store.move(task_id, now)
        if task is None:
            return None
        self.callbacks.wake()
        return snapshot(task, now)

    def reset(self, account: str | None = None) -> None:
        """Forget everything of an account, its clock and its seed too; without one of all, and put both back to where they began.

        Complete when it returns: a journey by a clock that is given back ends where it is, and attempts that have begun are waited
        for; of an account only its own.
        """
        with self.traveller.stopped(account):
            if account is not None:
                self.store.reset_account(account)
                return
            self.store.reset()
            if self._start.standing is None:
                self.ids.go_on()
            else:  # where it stood at the start: the same run again gives the same ids again
                self.ids.begin(self._seed)
            self._warned_of_drops = False

    def _recorded(self, contract: Contract) -> Contract:
        """Return a contract with the answers of the recording that was chosen, if it is one of this contract.

        Raises BrokenRecordingError.
        """
        if not self.settings.recording:
            return contract
        from klingkit.contract.recordings.files import OtherContractError  # noqa: PLC0415 - few simulators have one

        try:
            found = _with_recording(contract, self.settings.recording, self.clocks.now())
        except OtherContractError as error:
            self._of_no_use = self._of_no_use or error
            return contract
        self._is_recorded = True
        return found

    def close(self) -> None:
        """End everything that waits: the server stops."""
        self.traveller.close()
        self.callbacks.close()
        self.store.close()

    def _outbound(self, allowed: frozenset[str], option: str) -> Outbound:
        return Outbound(allowed, option, own_ports=self.own_ports, own_url=self.settings.public_url)

    def _look_at(
        self, pictures: list[Picture], scenario: Scenario | None, contract: Contract, request: RequestRules
    ) -> tuple[list[Picture], Rule | None, str]:
        """Return the pictures, fetched where that was chosen, the rule by which the task will fail, and why it does."""
        if self.settings.fetch_inputs and pictures:
            pictures, lost = self._fetch(pictures, request.limits.max_bytes)
        else:
            lost = self._unreachable(pictures)
        if scenario and scenario.settles_the_end:
            return pictures, contract.rules[scenario.rule] if scenario.rule else None, ""
        broken = [(lost, request.picture_rule(lost, "fetch"))] if lost else []
        broken += [(picture, rule) for picture in pictures if (rule := request.async_violation(picture))]
        if not broken:
            return pictures, None, ""
        return pictures, broken[0][1], why_it_fails(contract, *broken[0])

    def _submit(
        self,
        account: str,
        contract: Contract,
        drawn: Callable[[int, ChanceState, int], Task],
        pictures: list[Picture],
    ) -> Task:
        """Keep a task and return it. Raises ApiError if it is refused."""
        freed_by = contract.lifecycle.failed if contract.takes("external-id-after-failure") == "freed" else ""
        inputs = {number: picture.data for number, picture in enumerate(pictures) if picture.data is not None}
        with self.store.alone(account):
            task, dropped = self._kept(account, contract, drawn, freed_by, inputs)
        if dropped and not self._warned_of_drops:
            self._warned_of_drops = True
            number = self.store.count_tasks()
            log.warning("there is no room for more than %d tasks: from now on the oldest is dropped", number)
        if task.callback_url:
            self.callbacks.wake()
        return task

    def _kept(
        self,
        account: str,
        contract: Contract,
        drawn: Callable[[int, ChanceState, int], Task],
        freed_by: str,
        inputs: dict[int, bytes],
    ) -> tuple[Task, bool]:
        """Keep a task, drawn again if another one of the account was first, or its id is taken; tell whether an old one was dropped."""
        tries = 0
        while True:
            now, chance = self.clocks.now(account), self.store.chance(account)
            task = drawn(now, chance, tries)
            deliveries = self.callbacks.plan(task)
            try:
                return task, self.store.add(task, now, deliveries, freed_by=freed_by, inputs=inputs, expected=chance)
            except StaleChanceError:
                pass
            except TakenIdError:
                tries += 1
            except RefusedError as error:
                raise ApiError(contract.rules[error.rule_id], value=task.external_task_id) from None

    def _plan(
        self, contract: Contract, now: int, origin: int, scenario: Scenario | None, failure: tuple[Rule | None, str]
    ) -> Plan:
        """Return the plan of a task that is submitted now; what is left to chance is drawn from `origin`."""
        failed_rule, why = failure
        lifecycle = contract.lifecycle
        reason = scenario.reason if scenario else ""
        end = lifecycle.failed if failed_rule or reason else lifecycle.succeeded
        path = (scenario.path if scenario else ()) or (lifecycle.submitted, lifecycle.processing, end)
        slowdown = scenario.slowdown if scenario else 1
        steps = [(path[0], now)]
        for step, status in enumerate(path[1:], 1):
            ms = self._duration(lifecycle.timings[lifecycle.roles[status]], origin, step)
            steps.append((status, max(now + int(ms * slowdown), steps[-1][1])))
        failed_rule = failed_rule if path[-1] == lifecycle.failed and not reason else None
        return Plan(
            steps=tuple(steps),
            ends=not lifecycle.transitions[path[-1]],
            message=reason or (failed_rule.text() if failed_rule else ""),
            rule=failed_rule.id if failed_rule else "",
            result_ms=_result_ms(lifecycle, scenario) if path[-1] == lifecycle.succeeded else 0,
            why=why,
        )

    def _duration(self, limits: tuple[int, int], *origin: object) -> int:
        return 0 if self.settings.instant else int(between(*limits, *origin) / self.settings.speed)

    def _unreachable(self, pictures: list[Picture]) -> Picture | None:
        """Return a picture that nobody could fetch: no host is ever named `.invalid` (RFC 6761)."""
        return next((picture for picture in pictures if picture.url and _is_invalid(picture.url)), None)

    def _fetch(self, pictures: list[Picture], limit: int) -> tuple[list[Picture], Picture | None]:
        """Fetch the pictures given by URL, side by side; return them with the first that failed."""
        from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - only --fetch-inputs needs it

        with ThreadPoolExecutor(max_workers=len(pictures)) as pool:
            fetched = list(pool.map(lambda picture: self._fetch_one(picture, limit), pictures))
        failed = next((picture for picture, ok in fetched if not ok), None)
        return [picture for picture, _ in fetched], failed

    def _fetch_one(self, picture: Picture, limit: int) -> tuple[Picture, bool]:
        if picture.url is None:
            return picture, True
        try:
            data = self._fetcher.get(picture.url, max_bytes=limit, timeout_ms=FETCH_TIMEOUT_MS)
        except NotAllowedError as error:
            log.warning("%s: not fetched, %s", host_and_path(picture.url), error)
            return picture, True
        except OutboundError as error:
            log.warning("%s: could not be fetched, %s", host_and_path(picture.url), error)
            return picture, False
        return replace(picture, data=data), True


def _store(settings: Settings, start: ClockState) -> Store:
    """Return what keeps the state. Raises UnusableStateError."""
    if settings.state is None:
        return MemoryStore(settings, start)
    from .store.sql.opening import open_store  # noqa: PLC0415 - who keeps it in memory does not wait for SQLAlchemy

    return open_store(settings, start)


def _with_recording(contract: Contract, folder: str, now: int) -> Contract:
    """Return the contract with the answers of a recording; log what of them cannot be given. Raises BrokenRecordingError."""
    from klingkit.contract.recordings.files import load  # noqa: PLC0415
    from klingkit.contract.recordings.replay import apply  # noqa: PLC0415 - few simulators have one

    recording = load(Path(folder), contract)
    if recording.is_old(datetime.fromtimestamp(now / 1000, UTC)):
        log.warning("recording %s is of %s; record it anew", folder, recording.at.date())
    contract, problems = apply(recording, contract)
    if problems:
        log.warning("recording %s cannot be applied in everything: %s", folder, "; ".join(problems))
    return contract


def _result_ms(lifecycle: Lifecycle, scenario: Scenario | None) -> int:
    """Return for how long results are kept."""
    return scenario.url_life_ms if scenario and scenario.urls == "expired" else lifecycle.result_ms


def _described(picture: Picture) -> Picture:
    """Return what a task keeps of a picture; most are small URLs, and stay as they are."""
    if picture.data is None and picture.url and len(picture.url) <= LONGEST_KEPT:
        return picture
    return replace(picture, data=None, url=shortened(picture.url or "") or None)


def _is_invalid(url: str) -> bool:
    """Tell whether the host of a URL is named `.invalid`."""
    return ".invalid" in url.lower() and _host(url).endswith(".invalid")


def _host(url: str) -> str:
    """Return the host of a URL in lower case; empty for one that cannot be read."""
    try:
        return (urlsplit(url).hostname or "").rstrip(".")
    except ValueError:
        return ""


class ResultExpiredError(Exception):
    """A result picture is no longer kept."""
