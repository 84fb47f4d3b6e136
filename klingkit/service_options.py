"""The options that say which service a command uses, by which contract, and who asks; and the client that they make."""

from __future__ import annotations

import os
import re
import socket
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from functools import wraps
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click
from click.core import ParameterSource

from .command_errors import LOCAL, CommandFailed, WrongUsage
from .secret_options import secret_option

if TYPE_CHECKING:
    from collections.abc import Iterator

    from klingkit.client import KlingClient

CONTRACTS = ("cometapi", "cometapi-2026", "kling")


@dataclass(frozen=True, slots=True)
class ServiceOptions:
    """What the options say. The environment, which has its own variables for each contract, is read where they say nothing."""

    contract: str | None
    base_url: str | None
    access_key: str | None
    key: str | None = field(repr=False)
    secret_key: str | None = field(repr=False)

    @property
    def spoken(self) -> str:
        """The contract, which an access key names too."""
        paired = self.access_key is not None or self.secret_key is not None
        return self.contract or ("kling" if paired else "cometapi")

    @property
    def url(self) -> str:
        """The service: the simulator on this machine, unless another is named."""
        from klingkit.client.dialect import dialect_of

        variable = dialect_of(self.spoken).base_url_variable
        return os.environ.get(variable) or LOCAL if self.base_url is None else self.base_url

    @property
    def keyed(self) -> bool:
        """Somebody is named who asks."""
        by_kling = self.spoken == "kling"
        variables = ("KLING_ACCESS_KEY", "KLING_API_KEY") if by_kling else ("COMETAPI_KEY",)
        said = self.access_key or self.secret_key or self.key
        return bool(said) or (self.key is None and any(map(os.environ.get, variables)))

    @property
    def where_a_key_goes(self) -> str:
        """What to do without one."""
        if self.spoken == "kling":
            return "set KLING_ACCESS_KEY and KLING_SECRET_KEY, or KLING_API_KEY"
        return "set COMETAPI_KEY, or pass --key"


def service_options(command: Any) -> Any:
    """Add the options that choose contract, service and key; the command gets them as `service`."""

    @click.option(
        "--contract",
        type=click.Choice(CONTRACTS),
        help="What it speaks: cometapi, or kling where --access-key or --secret-key stands in the command; variables choose none.",
    )
    @click.option(
        "--base-url",
        envvar="COMETAPI_BASE_URL",
        show_envvar=True,
        default=LOCAL,
        show_default=True,
        help="The service; for the contract kling the variable is KLING_BASE_URL.",
    )
    @secret_option(
        "--key",
        variable="COMETAPI_KEY",
        help_text="For the contract kling: KLING_API_KEY. The simulator here takes any.",
    )
    @secret_option("--access-key", variable="KLING_ACCESS_KEY", help_text="With --secret-key, for the contract kling.")
    @secret_option("--secret-key", variable="KLING_SECRET_KEY", help_text="It signs tokens, and is not sent.")
    @click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
    @wraps(command)
    def with_service(**options: Any) -> Any:
        said = {entry.name: _typed(entry.name, options.pop(entry.name)) for entry in fields(ServiceOptions)}
        return command(service=ServiceOptions(**said), **options)

    return with_service


def _typed(name: str, value: str | None) -> str | None:
    """Return what stands on the command line; what the environment says depends on the contract, and is read by that."""
    source = click.get_current_context().get_parameter_source(name)
    return value if source is ParameterSource.COMMANDLINE else None


@contextmanager
def connected(service: ServiceOptions) -> Iterator[KlingClient]:
    """Give a client for a service; the simulator on this machine takes any key and must answer at once."""
    from klingkit.client import InputError, KlingClient

    url = service.url
    host, port = place(url)
    local = host in {"localhost", "::1"} or host.startswith("127.")
    if not service.keyed and not local:
        raise WrongUsage(f"no key for {host or url}: {service.where_a_key_goes}")
    try:
        client = KlingClient(
            service.key if service.keyed else "any",
            url,
            contract=service.spoken,
            access_key=service.access_key,
            secret_key=service.secret_key,
        )
    except InputError as error:
        raise WrongUsage(as_options(str(error))) from None
    if local:
        try:
            socket.create_connection((host, port), timeout=5).close()
        except (OSError, ValueError, OverflowError):  # the latter two for what is no host or port
            raise CommandFailed(f"nothing answers at {url}: start it with `klingkit serve`") from None
    with client:
        yield client


def as_options(message: str) -> str:
    """Return what the client says of its arguments in the words of the command line."""
    named = re.sub(r"\b([a-z_]+)=\.\.\.", lambda argument: "--" + argument[1].replace("_", "-"), message)
    return re.sub(r"ha(s|ve) it$", r"ha\1 it: choose one with --contract", named)


def place(url: str, option: str = "--base-url") -> tuple[str, int]:
    """Return host and port of a URL. Raises WrongUsage for what is none."""
    if not url.lower().startswith(("http://", "https://")):
        raise WrongUsage(f"{option} {url!r} does not begin with http:// or https://")
    try:
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        raise WrongUsage(f"{option} {url!r} is not a URL") from None
    if parts.username is not None:
        raise WrongUsage(f"leave user and password out of {option}, since it is shown: set a key instead")
    return parts.hostname or "", port
