"""Why a run sends nothing more, or no more of one kind: what its threads find out together."""

from __future__ import annotations

import threading

AT_DEVIATION = "comes after the first deviation, at which the run has stopped"
INTERRUPTED = "was not tested to the end before the run was interrupted"
MAX_SILENCES = 3
"""Cases without an answer after which the target is given up, if nothing at all was answered since the first of them was sent."""


class Stopping:
    """What has stopped a run so far. Any thread may find a reason; the first stays, but for a Ctrl-C."""

    def __init__(self, target_name: str) -> None:
        self.reason = ""
        """Why nothing more is sent; empty while the run goes on."""
        self.broke = ""
        """Why nothing more is sent that is to be accepted: the account cannot pay, or the service has no room."""
        self.silent = ""
        """Why the target was given up, if it was."""
        self._target_name = target_name
        self._answers = 0
        self._silences = 0
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

    def interrupt(self) -> None:
        """Send nothing more, whatever else there was."""
        with self._lock:
            self.reason = INTERRUPTED

    def stop_paying(self, reason: str) -> None:
        """Send nothing more that is to be accepted."""
        with self._lock:
            self.broke = self.broke or reason

    # With several threads, answers come between the silences of others, or just before them; so "in a row" is not told by the
    # order in which the cases end. A silence counts if the target has answered nobody from the sending of its case to its end.

    def before_sending(self) -> int:
        """Return what `note_silence` needs to know of the moment at which a case is sent."""
        with self._lock:
            return self._answers

    def note_answer(self) -> None:
        """Note that the target has answered somebody."""
        with self._lock:
            self._answers += 1
            self._silences = 0

    def note_silence(self, sent: int, error: Exception) -> None:
        """Note that a case got no answer; `sent` is what `before_sending` had returned. Too many give the target up."""
        with self._lock:
            if sent != self._answers:
                return
            self._silences += 1
            if self._silences >= MAX_SILENCES and not self.silent:
                self.silent = f"{self._target_name} stopped answering: {error}"
                self.reason = self.reason or f"was not tested before {self.silent}"
