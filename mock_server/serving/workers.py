"""Several worker processes that serve one listening socket, and the parent that holds it and replaces those that die.

uvicorn has such a parent too: it restarts a dead worker without a pause, however often, takes SIGHUP for a wish to restart, and
leaves its workers behind when it is killed itself. The workers are forked, so that each begins with everything imported and the
contract read; they talk to nobody but the store.
"""

from __future__ import annotations

import gc
import logging
import multiprocessing
import os
import signal
import sys
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from typing import TYPE_CHECKING

from ..counts import Counts, shared_memory
from ..simulator import Simulator
from ..store import StoreUnavailableError, UnusableStateError
from .server import BACKLOG, SIGNALS, STOP_SECONDS, serve_one

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator
    from mmap import mmap
    from multiprocessing.context import ForkProcess

    from ..settings import Settings

QUICK_S = 1.0
"""A worker that dies sooner after its start will soon do it again."""
FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 5.0
"""Before a worker is started in place of one that died quickly, as several before it; the pause doubles from one to the next."""
KILL_SECONDS = STOP_SECONDS + 3
"""Time for workers to end in order, before they are killed."""

log = logging.getLogger("klingkit")


@dataclass(slots=True)
class Place:
    """The place of one worker, which another one takes when it dies."""

    process: ForkProcess | None = None
    started: float = 0.0
    quick: int = 0
    """How many in a row died quickly."""
    due: float = 0.0
    """When the next one is started; times are of the monotonic clock."""
    counted: mmap = field(default_factory=shared_memory)
    """What its workers have counted for the metrics."""

    def note_death(self, now: float) -> float:
        """Return the s until the next one is started."""
        self.quick = self.quick + 1 if now - self.started < QUICK_S else 0
        pause = min(FIRST_PAUSE_S * 2 ** (self.quick - 1), LONGEST_PAUSE_S) if self.quick else 0.0
        self.process, self.due = None, now + pause
        return pause


class Workers:
    """The parent of `settings.workers` processes. It has no thread, no simulator and no database of its own."""

    def __init__(self, settings: Settings, listener: socket.socket) -> None:
        self._settings = settings
        self._listener = listener
        self._began = time.monotonic()
        self._places = [Place() for _ in range(settings.workers)]
        self._serving = 0
        """Workers that have said so, until all have."""
        self._ready, self._say_ready = os.pipe()
        os.set_blocking(self._ready, False)
        self._parent_lives, self._lifeline = os.pipe()
        """A pipe that nobody writes to: it ends for every worker when the parent does, however that dies."""

    def run(self, greet: Callable[[], None]) -> str:
        """Serve until a signal, whose name is returned; greet when all workers serve for the first time."""
        self._listener.listen(BACKLOG)  # who comes while a worker is replaced waits for the next one
        gc.collect()
        gc.freeze()  # else the collector writes to all that the workers share with the parent
        with _signals() as signals:
            while not (ended_by := _read_signal(signals)):
                self._start_those_due()
                wait([signals, self._ready, *self._sentinels()], self._pause())
                self._note_deaths()
                self._note_ready(greet)
            self._listener.close()
            self._end(signals)
        return signal.Signals(ended_by).name

    def _start_those_due(self) -> None:
        now = time.monotonic()
        for place in self._places:
            if place.process is None and place.due <= now:
                place.started = now
                try:
                    place.process = self._start(place)
                except OSError as error:  # too many processes, or no memory
                    log.warning("no worker can be started, again in %.1f s: %s", place.note_death(now), error)

    def _start(self, place: Place) -> ForkProcess:
        process = multiprocessing.get_context("fork").Process(target=self._work, args=(place,), daemon=True)
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)  # the child would take one that comes now for the parent's
        try:
            process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        return process

    def _sentinels(self) -> list[int]:
        return [place.process.sentinel for place in self._places if place.process]

    def _pause(self) -> float | None:
        due = [place.due for place in self._places if place.process is None]
        return max(0.0, min(due) - time.monotonic()) if due else None

    def _note_deaths(self) -> None:
        for place in self._places:
            if (process := place.process) and process.exitcode is not None:
                pause = place.note_death(time.monotonic())
                when = f"in {pause:.1f} s" if pause else "at once"
                log.warning(
                    "worker %d %s; another one takes its place %s", process.pid, _how_it_ended(process.exitcode), when
                )
                process.close()

    def _note_ready(self, greet: Callable[[], None]) -> None:
        with suppress(BlockingIOError):
            before = self._serving
            self._serving += len(os.read(self._ready, 1000))
            if before < len(self._places) <= self._serving:
                greet()

    def _end(self, signals: int) -> None:
        """End the workers in order; those that take too long, or all after one more Ctrl-C, at once."""
        due = time.monotonic() + KILL_SECONDS
        living = [place.process for place in self._places if place.process]
        for process in living:
            process.terminate()
        while running := [process.sentinel for process in living if process.exitcode is None]:
            wait([signals, *running], due - time.monotonic())
            if _read_signal(signals) == signal.SIGINT or time.monotonic() >= due:
                for process in living:
                    process.kill()
        for process in living:
            process.join()

    def _work(self, place: Place) -> None:
        """Be a worker."""
        signal.set_wakeup_fd(-1)
        for number in SIGNALS:  # a Ctrl-C reaches all processes of a terminal: the parent ends the others
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, signal.SIG_DFL if number == signal.SIGTERM else signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        os.close(self._lifeline)
        threading.Thread(target=self._end_with_the_parent, name="parent", daemon=True).start()
        counts = Counts(place.counted, [each.counted for each in self._places])
        try:
            simulator = Simulator(self._settings, counts=counts)
        except (StoreUnavailableError, UnusableStateError) as error:
            log.error("worker %d cannot serve: %s", os.getpid(), error)  # noqa: TRY400 - a line is enough
            sys.exit(1)
        simulator.started = self._began
        serve_one(simulator, self._listener, self._say_it_serves)
        logging.shutdown()  # writes the lines that wait: a worker does nothing else of what Python does at its end

    def _say_it_serves(self) -> None:
        os.write(self._say_ready, b".")

    def _end_with_the_parent(self) -> None:
        os.read(self._parent_lives, 1)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(KILL_SECONDS)
        os._exit(1)


@contextmanager
def _signals() -> Iterator[int]:
    """Give a file descriptor from which the signals that end a server are read, but for those that it was started to ignore."""
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    os.set_blocking(writer, False)
    caught = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, lambda *_: None) for number in caught}
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    try:
        yield reader
    finally:
        signal.set_wakeup_fd(-1)
        for number, handler in before.items():
            signal.signal(number, handler)


def _read_signal(signals: int) -> int:
    """Return the first signal that came since; 0 if none did."""
    with suppress(BlockingIOError):
        return next(iter(number for number in os.read(signals, 100) if number in SIGNALS), 0)
    return 0


def _how_it_ended(code: int) -> str:
    return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with {code}"
