"""Text from outside, made fit for a header, a log line or a terminal: one line of visible ASCII, and not a long one."""

from __future__ import annotations

import logging

QUOTED = 200
"""Characters that are shown of a value from outside."""
HEADER = 1000
"""Characters of a header of ours; clients refuse long ones."""
LOG_LINE = 2000
"""Characters of a line in the log."""

BUG = "a bug in klingkit: please report it"


def plain(text: str, most: int = QUOTED) -> str:
    """Return a text of at most `most` characters, where whatever is not visible ASCII is escaped as in Python."""
    shown = text[:most]
    if not (shown.isascii() and shown.isprintable()):
        shown = "".join(char if " " <= char <= "~" else char.encode("unicode_escape").decode("ascii") for char in shown)
    return shown if len(shown) <= most and len(text) <= most else shown[: most - 3] + "..."


def header_value(*texts: str) -> str:
    """Return the value of a header of ours: the texts that fit, and how many more there are."""
    value = plain(texts[0], HEADER)
    for number, text in enumerate(texts[1:], 1):
        longer = f"{value}; {plain(text, HEADER)}"
        if len(longer) > HEADER - 20:  # leaves room for the number
            return f"{value[: HEADER - 20]}; and {len(texts) - number} more"
        value = longer
    return value


class OneLine(logging.Filter):
    """Makes each record one plain line, whoever wrote it and whichever handler shows it; only a bug has a trace below."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record pass, as it may be shown."""
        record.msg = plain(record.getMessage(), LOG_LINE)
        record.args = None
        if record.exc_info and not record.exc_text:
            trace = logging.Formatter().formatException(record.exc_info)
            record.exc_text = "\n".join(plain(line, LOG_LINE) for line in trace.split("\n"))
        return True


log = logging.getLogger("klingkit")
log.addFilter(OneLine())
