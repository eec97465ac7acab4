"""`scheduler workers …`."""

from typing import TYPE_CHECKING

import typer

from scheduler.cli.moments import relative
from scheduler.cli.options import AsJson
from scheduler.cli.project import connected
from scheduler.model import WorkerStatus as Status

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from scheduler.operations.overview import WorkerStatus

group = typer.Typer(no_args_is_help=True, help="Processes that claim and run.")

_HEADERS = ("name", "state", "queues", "running", "slots", "succeeded", "failed", "heartbeat", "started", "version")


@group.callback()
def about() -> None:
    """Keep `list` a command of its own, though it is the only one."""


@group.command("list")
def list_workers(
    as_json: AsJson = False,
) -> None:
    """Show the workers of the last five minutes.

    active: at work; inactive: silent for a minute; draining: it ends; lost: its lease ran out.

    stalled, where a worker is: the loop that has not succeeded for the longest time; --json tells the ages of all.

    Example: scheduler workers list
    """
    from scheduler import __version__
    from scheduler.cli.tables import print_json, print_table
    from scheduler.operations.overview import database_time, workers

    with connected() as (_, session):
        found, now = workers(session), database_time(session)
    if as_json:
        print_json(found)
    elif found:
        rows = [_cells(worker, now) for worker in found]
        headers: tuple[str, ...] = _HEADERS
        if any(worker.stalled for worker in found):
            headers, rows = (
                (*headers, "stalled"),
                [(*row, _oldest(worker)) for row, worker in zip(rows, found, strict=True)],
            )
        print_table(headers, rows, long="queues", usual={"version": __version__})
    else:
        typer.echo("No worker is there: start one with `scheduler run`.", err=True)


def _cells(worker: "WorkerStatus", now: "datetime") -> "Sequence[object]":
    w = worker
    counts = w.running_count, w.pool_size, w.succeeded_count, w.failed_count
    times = relative(w.heartbeat_at, now), relative(w.started_at, now)
    return w.name, _state(w), ", ".join(w.queues), *counts, *times, w.version


def _oldest(worker: "WorkerStatus") -> str | None:
    """`claim for 40 s, 2 more`."""
    from scheduler.operations.words import span

    if not worker.stalled:
        return None
    name, age = max(worker.stalled.items(), key=lambda loop: loop[1])
    more = f", {len(worker.stalled) - 1} more" if len(worker.stalled) > 1 else ""
    return f"{name} for {span(age)}{more}"


def _state(worker: "WorkerStatus") -> str:
    """What it says of itself, unless it has long said nothing."""
    return worker.state if worker.status == Status.ACTIVE else worker.status.lower()
