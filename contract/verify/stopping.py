"""Why a run sends nothing more, or no more of one kind: what its threads find out together."""

from __future__ import annotations

import threading

AT_DEVIATION = "comes after the first deviation, at which the run has stopped"
INTERRUPTED = "was not tested to the end before the run was interrupted"
BROKEN = "was not tested to the end before klingkit itself failed"
MAX_SILENCES = 3
"""Cases without an answer in a row after which it is looked whether the service is down."""
MAX_SILENT_CREATES = 5
"""Creates without an answer in a row after which no more are sent, though the service answers queries."""


class Silence:
    """Counts cases that got no answer in a row.

    With several threads, answers come between the silences of others, or just before them; so "in a row" is not told by the
    order in which the cases end. A silence counts if nobody was answered from the sending of its case to its end.
    """

    def __init__(self) -> None:
        self.answers = 0
        self.length = 0

    def end(self) -> None:
        """Note that somebody was answered."""
        self.answers += 1
        self.length = 0

    def go_on(self, before: int) -> None:
        """Note that a case got no answer; `before` is what `answers` was when it was sent."""
        self.length += before == self.answers


class Stopping:
    """What has stopped a run so far. Any thread may find a reason; the first stays, but for a Ctrl-C or a bug of klingkit."""

    def __init__(self, target_name: str) -> None:
        self.reason = ""
        """Why nothing more is sent; empty while the run goes on."""
        self.broke = ""
        """Why nothing more is sent that is to be accepted: the account cannot pay."""
        self.no_creates = ""
        """Why no create is sent any more."""
        self.silent = ""
        """Why the target was given up, if it was."""
        self._target_name = target_name
        self._all, self._creates = Silence(), Silence()
        self._lock = threading.Lock()

    @property
    def planned(self) -> bool:
        """Whether the run was to stop there."""
        return self.reason == AT_DEVIATION

    @property
    def interrupted(self) -> bool:
        """Whether somebody has ended the run."""
        return self.reason == INTERRUPTED

    def stop(self, reason: str) -> None:
        """Send nothing more."""
        with self._lock:
            self.reason = self.reason or reason

    def end(self, reason: str) -> None:
        """Send nothing more, whatever else there was."""
        with self._lock:
            self.reason = reason

    def stop_paying(self, reason: str) -> None:
        """Send nothing more that is to be accepted."""
        with self._lock:
            self.broke = self.broke or reason

    def stop_creating(self, reason: str) -> None:
        """Send no create any more."""
        with self._lock:
            self.no_creates = self.no_creates or reason

    def give_up(self, said: str) -> None:
        """Send nothing more, since the target is down."""
        with self._lock:
            self.silent = self.silent or f"{self._target_name} stopped answering: {said}"
            self.reason = self.reason or f"was not tested before {self.silent}"

    def before_sending(self) -> tuple[int, int]:
        """Return what `note_silence` needs to know of the moment at which a case is sent."""
        with self._lock:
            return self._all.answers, self._creates.answers

    def note_answer(self, *, to_create: bool) -> None:
        """Note that the target has answered somebody."""
        with self._lock:
            self._all.end()
            if to_create:
                self._creates.end()

    def note_silence(self, sent: tuple[int, int], said: str, *, of_create: bool) -> bool:
        """Note that a case got no answer, and return whether the target may be down.

        `sent` is what `before_sending` had returned.
        """
        with self._lock:
            self._all.go_on(sent[0])
            if of_create:
                self._creates.go_on(sent[1])
            if self._creates.length >= MAX_SILENT_CREATES:
                self.no_creates = self.no_creates or f"was not sent, since creates got no answer any more: {said}"
            return self._all.length >= MAX_SILENCES
