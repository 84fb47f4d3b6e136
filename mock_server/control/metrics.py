"""What `/_mock/metrics` shows, by the official client of Prometheus, which is imported when somebody asks."""

from __future__ import annotations

from collections import Counter, defaultdict
from contextlib import suppress
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from klingkit.contract.import_lock import importing

from ..counts import (
    ATTEMPTS,
    BOUNDS_S,
    CLASSES,
    CONNECTIONS,
    CREATED,
    DURATIONS,
    REFUSALS,
    REQUESTS,
    SECONDS,
    STORE_ERRORS,
)
from ..store import StoreUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from prometheus_client import Metric

    from ..counts import Key
    from ..simulator import Simulator

COUNTERS = {
    REQUESTS: ("klingkit_requests", "Requests of the API that were answered.", ["contract", "operation", "status"]),
    REFUSALS: (
        "klingkit_refusals",
        "Requests that were refused, by rule and error of the contract.",
        ["rule", "error"],
    ),
    CREATED: ("klingkit_tasks_created", "Tasks that were made.", ["contract"]),
    ATTEMPTS: ("klingkit_callback_attempts", "Attempts to deliver a callback, by what came of it.", ["outcome"]),
    STORE_ERRORS: ("klingkit_store_errors", "Requests for which the store was not available.", []),
}
"""Name, help and labels of each number that only grows."""


def exposition(simulator: Simulator, health: Callable[[], dict[str, Any]], accept: str) -> tuple[bytes, str]:
    """Return the metrics in the format that a header `Accept` asks for, with the type of its content."""
    with importing:
        from prometheus_client import CollectorRegistry  # noqa: PLC0415 - few servers are asked, and none at its start
        from prometheus_client.exposition import choose_encoder  # noqa: PLC0415

    class Shown:
        def collect(self) -> Iterable[Metric]:
            processes = list(simulator.counts.of_processes())
            counts: Counter[Key] = Counter()
            for _, numbers in processes:
                counts.update(numbers)
            yield from _counted(counts)
            with suppress(StoreUnavailableError):  # what this process has counted is all the more of interest then
                yield from _held(health(), simulator.store.journal.dropped)
            yield from _processes([pid for pid, _ in processes])

    registry = CollectorRegistry()
    registry.register(Shown())
    encode, content_type = choose_encoder(accept)
    return encode(registry), content_type


def _counted(counts: Counter[Key]) -> Iterator[Metric]:
    """Yield what has happened, and how many connections there are."""
    from prometheus_client.core import (  # noqa: PLC0415
        CounterMetricFamily,
        GaugeMetricFamily,
        HistogramMetricFamily,
    )

    counts.setdefault((STORE_ERRORS,), 0)
    counters = {what: CounterMetricFamily(*texts[:2], labels=texts[2]) for what, texts in COUNTERS.items()}
    durations: dict[str, list[float]] = defaultdict(lambda: [0.0] * len(CLASSES))
    for (what, *labels), number in counts.items():
        if what in counters:
            counters[what].add_metric(labels, number)
        elif what == DURATIONS:
            durations[labels[0]][int(labels[1])] = number
    yield from counters.values()
    histogram = HistogramMetricFamily(
        "klingkit_request_duration_seconds", "Time until an answer was ready to be sent.", labels=["operation"]
    )
    for operation, classes in durations.items():
        buckets = list(zip([*map(str, BOUNDS_S), "+Inf"], accumulate(classes), strict=True))
        histogram.add_metric([operation], buckets, counts[SECONDS, operation])
    yield histogram
    yield GaugeMetricFamily("klingkit_connections", "Connections that are open.", counts[CONNECTIONS,])


def _held(health: dict[str, Any], journal_dropped: int) -> Iterator[Metric]:
    """Yield what the store holds, which is the same for all servers that share it, and what the clock shows."""
    from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily  # noqa: PLC0415

    yield InfoMetricFamily(
        "klingkit", "What is simulated.", {name: str(health[name]) for name in ("version", "contract")}
    )
    for name, text, label, numbers in (
        ("klingkit_tasks", "Tasks that are kept, by status.", "status", health["tasks"]),
        ("klingkit_callbacks", "Callbacks of these tasks, by outcome.", "outcome", health["callbacks"]),
    ):
        family = GaugeMetricFamily(name, text, labels=[label])
        for value, number in numbers.items():
            family.add_metric([value], number)
        yield family
    clock = health["clock"]
    yield GaugeMetricFamily("klingkit_journal_dropped", "Requests that the journal keeps no more.", journal_dropped)
    yield GaugeMetricFamily("klingkit_clock_frozen", "1 if the server's clock stands still.", int(clock["frozen"]))
    yield GaugeMetricFamily("klingkit_account_clocks", "Accounts with a clock of their own.", clock["own_clocks"])
    yield GaugeMetricFamily(
        "klingkit_clock_moved_seconds", "By how much it is ahead of the machine's time.", clock["moved_ms"] / 1000
    )


def _processes(pids: list[int]) -> Iterator[Metric]:
    """Yield memory, CPU and open files of each process, as its client does for one."""
    from prometheus_client import ProcessCollector  # noqa: PLC0415

    families: dict[str, Metric] = {}
    for worker, pid in enumerate(pids):
        for family in ProcessCollector(pid=lambda pid=pid: pid, registry=None).collect():  # type: ignore[misc]
            shown = families.setdefault(family.name, family)
            samples = [sample._replace(labels={"worker": str(worker)}) for sample in family.samples]
            shown.samples = [*(shown.samples if shown is not family else []), *samples]
    yield from families.values()
