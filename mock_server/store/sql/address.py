"""Which database keeps the state: the URL of `--state`, read and shown."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from ..store import UnusableStateError

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

SQLITE = "sqlite"
POSTGRES = "postgresql+psycopg"
EXAMPLES = f"give {SQLITE}:///kling.db or {POSTGRES}://user@host/db"


def read_url(text: str) -> URL:
    """Return the URL of a database that can keep the state. Raises UnusableStateError, which shows no password."""
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise UnusableStateError(f"that is no URL of a database: {EXAMPLES}") from None
    if url.drivername in {"postgres", "postgresql"}:
        raise UnusableStateError(f"the URL begins with {url.drivername}://: let it begin with {POSTGRES}://")
    if url.drivername not in {SQLITE, POSTGRES}:
        raise UnusableStateError(f"{url.drivername[:60]!r} keeps no state: {EXAMPLES}")
    if url.drivername == SQLITE and (
        url.host or url.query or not url.database or url.database.startswith((":", "file:"))
    ):
        raise UnusableStateError(
            f"that names no file: give {SQLITE}:///kling.db, or {SQLITE}:////var/lib/kling.db for an absolute path"
        )
    if url.drivername == POSTGRES and not url.database:
        raise UnusableStateError(f"{shown(url)} names no database: give {POSTGRES}://user@host/db")
    return url


def shown(url: URL) -> str:
    """Return a URL as it may be shown: parameters may hold a password too."""
    return url.set(password=None, query={}).render_as_string()


def is_local(url: URL) -> bool:
    """Tell whether a database is on this machine, by its address, which PostgreSQL may have from the environment."""
    if url.drivername == SQLITE:
        return True
    host = url.query.get("hostaddr") or url.host or url.query.get("host") or os.environ.get("PGHOST")
    return not host or str(host).startswith(("/", "127.")) or host in {"localhost", "::1"}


def make_file(url: URL) -> None:
    """Make the file of a SQLite database that nobody but its owner can read, if there is none. Raises UnusableStateError."""
    path = Path(url.database or "")
    try:
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except OSError as error:
        raise UnusableStateError(f"{path} cannot be made: {error.strerror}; give a path that can be written") from None
    if path.is_dir():
        raise UnusableStateError(f"{path} is a folder: give the path of a file")
    if not os.access(path, os.R_OK | os.W_OK):
        raise UnusableStateError(f"{path} cannot be read and written; give a path that can")
