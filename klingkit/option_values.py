"""What the options of `serve` may be: sizes, hosts, keys, tokens; each is refused in one line."""

from __future__ import annotations

import re

import click

from .command_errors import WrongUsage

SIZES = {"": 1, "KB": 1024, "MB": 1024**2, "GB": 1024**3}


def parse_size(text: str) -> int:
    """Return the bytes that a text such as `1000000` or `100MB` means."""
    match = re.fullmatch(r"(\d{1,15})\s*(|KB|MB|GB)", text.strip().upper())
    if not match or not int(match[1]):
        raise click.BadParameter(f"{text!r} is not a size: give bytes, or a number with KB, MB or GB, such as 100MB")
    return int(match[1]) * SIZES[match[2]]


def parse_memory(text: str) -> int:
    """Return bytes as `parse_size` does, if they are enough to keep anything."""
    size = parse_size(text)
    if size < SIZES["MB"]:
        raise click.BadParameter(f"{text!r} is too little: give 1MB or more")
    return size


def size_text(number: int) -> str:
    """Return bytes as `parse_size` reads them, with the largest unit that leaves no rest."""
    unit = next(unit for unit in reversed(SIZES) if number % SIZES[unit] == 0)
    return f"{number // SIZES[unit]}{unit}"


def host_names(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> frozenset[str]:
    """Refuse what is no host name or address."""
    for value in values:
        if not re.fullmatch(r"[\w.:-]+", value):
            raise click.BadParameter(f"{value!r} is not a host: give a name or an address, such as example.com")
    return frozenset(values)


def accepted_keys(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse what no header can carry."""
    if not values:  # what nobody gave needs no check, whose import takes time
        return ()
    from klingkit.mock_server.auth import is_key

    for value in values:
        if not is_key(value):
            raise click.BadParameter("a key is one word of ASCII characters")  # and is not shown
    return values


def pairs(access_keys: tuple[str, ...], secret_keys: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Return each access key with its secret key."""
    if len(access_keys) != len(secret_keys):
        raise WrongUsage(
            f"each --access-key needs its --secret-key: {len(access_keys)} of the one were given, and {len(secret_keys)} of the other"
        )
    if len(set(access_keys)) < len(access_keys):
        raise WrongUsage("--access-key: one was given twice")
    return tuple(zip(access_keys, secret_keys, strict=True))


def not_empty(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    """Refuse a variable that was not set, where that would leave a door open."""
    if value is not None and not value.strip():
        raise click.BadParameter("it is empty")
    return value


def one_word(context: click.Context, option: click.Parameter, value: str | None) -> str | None:
    """Refuse a token that no header can carry."""
    from klingkit.mock_server.auth import is_key

    if not_empty(context, option, value) is not None and not is_key(value or ""):
        raise click.BadParameter("a token is one word of ASCII characters, so that a header can carry it")
    return value
