"""The commands that use a service: submit a task, show it, wait for it."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .command_errors import CommandFailed, TimedOut, WrongUsage, finite
from .service_options import ServiceOptions, as_options, connected, service_options

if TYPE_CHECKING:
    from collections.abc import Iterator

    from klingkit.client import KlingClient, Task


def wait_options(command: Any) -> Any:
    """Add the options of a command that waits."""
    timeout = click.option(
        "--timeout",
        default=600.0,
        type=click.FloatRange(min=0),
        callback=finite,
        show_default=True,
        help="Seconds to wait.",
    )
    out = click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Folder for the pictures.")
    return timeout(out(command))


@click.command(short_help="Submit a task.")
@click.argument("pictures", nargs=-1, required=True, metavar="PICTURE...")
@click.option("--prompt", help="What the picture should show.")
@click.option("--n", type=int, help="Number of pictures.")
@click.option("--aspect-ratio", help="Width to height, such as 1:1.")
@click.option("--scene", help="Scene picture.")
@click.option("--style", help="Style picture.")
@click.option("--model", help="Model name.")
@click.option("--negative-prompt", help="What it should not show; not with the contract cometapi.")
@click.option(
    "--watermark/--no-watermark",
    default=None,
    help="With each picture a second one with a watermark; not with the contract cometapi.",
)
@click.option("--external-task-id", help="An id of your own, unique per account.")
@click.option("--callback-url", help="Where the service posts status changes.")
@click.option("--wait", "waits", is_flag=True, help="Wait until the task ends.")
@wait_options
@service_options
def submit(
    pictures: tuple[str, ...],
    *,
    scene: str | None,
    style: str | None,
    model: str | None,
    timeout: float,
    out: Path | None,
    service: ServiceOptions,
    waits: bool,
    as_json: bool,
    **fields: Any,
) -> None:
    """Submit a task; each PICTURE, scene and style is a file or a URL."""
    if out and not waits:
        raise WrongUsage("--out needs --wait: there are no pictures before the end")
    make_folder(out)
    with connected(service) as client, one_line_errors(as_json=as_json):
        task = client.create(
            [picture(text) for text in pictures],
            scene_image=picture(scene) if scene else None,
            style_image=picture(style) if style else None,
            model_name=model,
            **fields,
        )
        if waits:
            finish(client, task, timeout, out, as_json=as_json)
        else:
            print_task(task, as_json=as_json)


@click.command(short_help="Show a task.")
@click.argument("task_id", required=False)
@click.option("--external-id", help="Instead of TASK_ID: the id that you gave it; with the contract kling.")
@service_options
def get(task_id: str | None, external_id: str | None, service: ServiceOptions, *, as_json: bool) -> None:
    """Show a task as it stands."""
    if (task_id is None) == (external_id is None):
        raise WrongUsage("pass a TASK_ID, or --external-id, and not both")
    with connected(service) as client, one_line_errors(as_json=as_json):
        task = client.get(task_id, external_task_id=external_id)
        print_task(task, as_json=as_json)
    if task.failed:
        raise click.exceptions.Exit(CommandFailed.exit_code)


@click.command(short_help="Wait for a task to end.")
@click.argument("task_id")
@wait_options
@service_options
def wait(task_id: str, timeout: float, out: Path | None, service: ServiceOptions, *, as_json: bool) -> None:
    """Wait for a task to end, and save its pictures with --out."""
    make_folder(out)
    with connected(service) as client, one_line_errors(as_json=as_json):
        finish(client, task_id, timeout, out, as_json=as_json)


@click.command("list", short_help="List tasks.")
@click.option("--page", default=1, show_default=True, help="1 to 1000.")
@click.option("--page-size", default=30, show_default=True, help="1 to 500.")
@service_options
def list_tasks(page: int, page_size: int, service: ServiceOptions, *, as_json: bool) -> None:
    """List the tasks of an account, a page of them; the contract kling alone has a list."""
    with connected(service) as client, one_line_errors(as_json=as_json):
        tasks = client.list(page, page_size)
    if as_json:
        print_json({"tasks": [asdict(task) for task in tasks]})
    else:
        for task in tasks:
            print_line(f"task {task.task_id}: {task.status}  {task.external_task_id}".rstrip())


@contextmanager
def one_line_errors(*, as_json: bool) -> Iterator[None]:
    """Turn what the client raises into one line and an exit code."""
    from klingkit.client import InputError, KlingError, TaskFailedError, WaitTimeoutError

    try:
        yield
    except (TaskFailedError, WaitTimeoutError) as error:
        if as_json and error.task:
            print_task(error.task, as_json=True)
        raise (TimedOut if isinstance(error, WaitTimeoutError) else CommandFailed)(str(error)) from None
    except InputError as error:
        raise WrongUsage(as_options(str(error))) from None
    except (KlingError, OSError) as error:
        raise CommandFailed(str(error)) from None


def make_folder(out: Path | None) -> None:
    """Make the folder for pictures before anything is asked for that could not be saved."""
    if out:
        try:
            out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise WrongUsage(f"--out {out}: {error.strerror}") from None


def picture(text: str) -> str | Path:
    """Return a URL as it is and everything else as a file."""
    return text if text.lower().startswith(("http://", "https://")) else Path(text)


def finish(client: KlingClient, task: Task | str, timeout: float, out: Path | None, *, as_json: bool) -> None:
    """Wait with a display that fits the output, save the pictures, and print the task."""
    from rich.console import Console
    from rich.text import Text

    from klingkit.client import KlingError
    from klingkit.contract.printable import printable

    console = Console(stderr=True)
    task_id = task if isinstance(task, str) else task.task_id
    display = console.status(Text(printable(f"task {task_id}"))) if console.is_terminal else nullcontext()
    with display as spinner:

        def show(current: Task) -> None:
            if spinner:
                spinner.update(Text(printable(f"task {task_id}: {current.status}")))
            elif not as_json:
                click.echo(printable(f"{task_id} {current.status}"), err=True)

        try:
            ended = client.wait(task, timeout, on_change=show)
        except KeyboardInterrupt:
            raise CommandFailed(f"interrupted; task {task_id} goes on: klingkit wait {task_id}") from None
        try:
            files = client.save(ended, out) if out else []
        except (KlingError, OSError):
            print_task(ended, as_json=as_json)
            raise
    print_task(ended, files, as_json=as_json)


def print_task(task: Task, files: list[Path] | None = None, *, as_json: bool) -> None:
    """Print a task to stdout: as JSON, or a line for each thing known of it."""
    saved = [str(file) for file in files or []]
    if as_json:
        print_json({**asdict(task), "files": saved})
        return
    print_line(f"task {task.task_id}: {task.status}")
    units = task.final_unit_deduction and f"units taken: {task.final_unit_deduction}"
    shown = saved or [*task.image_urls, *(f"with a watermark: {url}" for url in task.watermark_urls if url)]
    for line in (task.message, units, *shown):
        if line:
            print_line(f"  {line}")


def print_json(said: dict[str, Any]) -> None:
    """Print one JSON object in one line, escaped where the output could not show it."""
    from klingkit.contract.printable import printable

    text = json.dumps(said, ensure_ascii=False)
    as_it_is = printable(text) == text and sys.stdout.encoding.lower() == "utf-8"
    click.echo(text if as_it_is else json.dumps(said))


def print_line(text: str) -> None:
    """Print a line that a terminal can take; a folder's name may have what its encoding cannot express."""
    from klingkit.contract.printable import printable

    encoding = sys.stdout.encoding
    click.echo(printable(text).encode(encoding, "backslashreplace").decode(encoding))
