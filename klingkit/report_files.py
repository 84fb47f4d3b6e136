"""The files that reports of a run are written to."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from .command_errors import WrongUsage

if TYPE_CHECKING:
    from klingkit.contract.verify.results import Report

FORMATS = ("junit", "md", "json")


def report_files(reports: tuple[str, ...]) -> list[tuple[str, Path]]:
    """Return format and file of each report, before anything is sent whose report could not be written."""
    files: list[tuple[str, Path]] = []
    for text in reports:
        kind, _, name = text.partition("=")
        if kind not in FORMATS or not name:
            raise WrongUsage(f"--report {text}: give junit=FILE, md=FILE or json=FILE")
        file = Path(name)
        if file in [other for _, other in files]:
            raise WrongUsage(f"--report {text}: another report goes to the same file")
        check_writable(f"--report {text}", file)
        files.append((kind, file))
    return files


def check_writable(said: str, file: Path | None) -> None:
    """Make the folder of a file that is to be written when all is done. Raises WrongUsage, with what was said, if it cannot be."""
    if file is None:
        return
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        is_new = not file.exists()
        with file.open("a"):
            pass
        if is_new:
            file.unlink()  # an empty report would be read as one
    except OSError as error:
        raise WrongUsage(f"{said}: {error.strerror}") from None


def write_reports(report: Report, files: list[tuple[str, Path]]) -> list[str]:
    """Write what can be written, and return a line for each report that could not."""
    from klingkit.contract.bug import bug_line
    from klingkit.contract.verify import report as forms

    now, unwritten = datetime.now(UTC), []
    for kind, file in files:
        try:
            text = {"junit": forms.as_junit, "md": forms.as_markdown, "json": forms.as_json}[kind](report, now)
            file.write_text(text, encoding="utf-8")
        except OSError as error:
            unwritten.append(f"--report {kind}={file} cannot be written: {error.strerror}")
        except Exception as error:  # noqa: BLE001 - the other reports are written all the same
            unwritten.append(f"--report {kind}={file} cannot be written: {bug_line(error)}")
    return unwritten
