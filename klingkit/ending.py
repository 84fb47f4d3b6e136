"""How a command ends that sends cases: by itself, by a signal, or by a bug of klingkit; what came until then is told in each case."""

from __future__ import annotations

import errno
import os
import signal
import sys
import threading
from contextlib import contextmanager
from functools import wraps
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BUG = 70
"""Exit code when klingkit itself fails."""
ENDING = [signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]
"""What ends a run as Ctrl-C does."""
CLOSED = {errno.EPIPE, errno.EIO}
"""Errors of a stream that nobody reads any more: a pipe, and a terminal."""
FULL = {errno.ENOSPC, errno.EFBIG, errno.EDQUOT}
"""Errors of a stream that goes to a file for which there is no room."""


class ReportedBug(click.ClickException):
    """klingkit itself has failed; the message is a line that can be reported."""

    exit_code = BUG


class Signals:
    """The first signal of a command: it ends a run that is on, and leaves alone what is done after it."""

    def __init__(self) -> None:
        self.number = 0
        self.armed = False

    def take(self, number: int, _: object) -> None:
        """Take a signal."""
        first, self.number = not self.number, self.number or number
        if first and self.armed:
            raise KeyboardInterrupt(number)

    @contextmanager
    def heard(self) -> Iterator[None]:
        """Take the signals that end a command, but for those that it was started to ignore, as by nohup."""
        if threading.current_thread() is not threading.main_thread():  # no other can
            yield
            return
        usual = {number: signal.getsignal(number) for number in ENDING}
        taken = {number: handler for number, handler in usual.items() if handler is not signal.SIG_IGN}
        for number in taken:
            signal.signal(number, self.take)
        try:
            yield
        finally:
            for number, handler in taken.items():
                signal.signal(number, handler)

    @contextmanager
    def ending_this(self) -> Iterator[None]:
        """Let a signal raise KeyboardInterrupt, with its number, also one that came just before."""
        self.armed = True
        try:
            if self.number:
                raise KeyboardInterrupt(self.number)
            yield
        finally:
            self.armed = False


def ends_well(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command `signals`, and let a bug end it with one line."""

    @wraps(command)
    def run(**given: Any) -> None:
        from klingkit.contract.bug import bug_line

        signals = Signals()
        with signals.heard():
            try:
                command(signals=signals, **given)
            except (click.ClickException, click.exceptions.Exit, click.Abort):
                raise
            except OSError as error:
                if is_of_output(error):
                    raise  # to `cli`, as of any command
                raise ReportedBug(bug_line(error)) from None
            except KeyboardInterrupt as interrupt:  # nothing was sent yet
                raise click.exceptions.Exit(128 + next(iter(interrupt.args), signal.SIGINT)) from None
            except Exception as error:  # noqa: BLE001 - one line, whatever it is
                raise ReportedBug(bug_line(error)) from None

    return run


def say(text: str, *, err: bool = False, nl: bool = True) -> str:
    """Print a text, and return why it could not be written; if nobody can read it any more, the files and the exit code still tell."""
    try:
        click.echo(text, err=err, nl=nl)
    except OSError as error:
        give_up("stderr" if err else "stdout")
        return unwritten(error)
    return ""


def is_of_output(error: OSError) -> bool:
    """Tell whether an error came of printing: it is about no file by name, and a stream can have it."""
    return error.filename is None and error.errno in {*CLOSED, *FULL}


def unwritten(error: OSError) -> str:
    """Say why an output could not be written; nothing if nobody reads it any more."""
    return "" if error.errno in CLOSED else f"the output cannot be written: {error.strerror}"


def give_up(name: str) -> None:
    """Print no more to `stdout` or `stderr`: what is left in its buffer would fail again when Python ends."""
    setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - for the rest of the process
