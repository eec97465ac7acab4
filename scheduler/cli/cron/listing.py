"""`scheduler cron list`."""

import shlex
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from scheduler.cli import completion
from scheduler.cli.moments import relative, until_due
from scheduler.cli.options import AsJson
from scheduler.cli.project import connected
from scheduler.errors import did_you_mean

if TYPE_CHECKING:
    from scheduler.operations.cron_job_page import CronJob
    from scheduler.operations.cron_jobs import CronJobStatus, Selection
    from scheduler.store.session import SyncSession

_HEADERS = (
    "name",
    "schedule",
    "zone",
    "handler",
    "next",
    "last",
    "ended",
    "streak",
    "state",
    "until",
    "managed by",
    "reason",
)
_SPARE = ("managed by", "ended", "streak", "zone")


def list_cron_jobs(
    handler: Annotated[
        str | None, typer.Option(help="Only those that run this handler.", autocompletion=completion.handlers)
    ] = None,
    queue: Annotated[
        str | None, typer.Option(help="Only those of this queue.", autocompletion=completion.queues)
    ] = None,
    text: Annotated[
        str | None,
        typer.Option("--search", metavar="TEXT", help="Only those whose name or description holds this, in any case."),
    ] = None,
    enabled: Annotated[
        bool | None, typer.Option("--enabled/--paused", help="Only those that tick, or only those that are paused.")
    ] = None,
    invalid: Annotated[bool, typer.Option("--invalid", help="Only those that the planner refuses.")] = False,
    failing: Annotated[bool, typer.Option("--failing", help="Only those that failed last.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many at most.")] = 100,
    after: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only those whose names come after this one: the next page.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show each cron job by its name: its next tick, its last outcome, and what is wrong with it.

    Example: scheduler cron list

    Example: scheduler cron list --failing --handler report
    """
    from scheduler.cli.tables import print_json, print_table
    from scheduler.operations.cron_jobs import Selection, statuses
    from scheduler.operations.overview import database_time

    selection = Selection(
        handler_name=handler, queue=queue, text=text, enabled=enabled, invalid=invalid, failing=failing
    )
    with connected() as (_, session):
        found, now = statuses(session, selection, after=after, limit=limit + 1), database_time(session)
        hint = "" if found else _nothing(session, selection, after)
    more, found = len(found) > limit, found[:limit]
    if as_json:
        print_json(found)
    elif found:
        print_table(_HEADERS, (_cells(job, now) for job in found), long="reason", usual={"zone": "UTC"}, spare=_SPARE)
    if more:
        typer.echo(f"More: --after {shlex.quote(found[-1].name)}", err=True)
    if hint and not as_json:
        typer.echo(hint, err=True)


def _nothing(session: "SyncSession", selection: "Selection", after: str | None) -> str:
    """What there is instead."""
    from scheduler.operations.cron_jobs import in_use

    handlers, queues = in_use(session)
    if not handlers:
        return "There is no cron job yet: `scheduler cron add --help` shows how to add one."
    if after is not None:
        return f"No cron job like that comes after {after!r}."
    hints = "".join(_hints(selection, handlers, queues))
    return f"No cron job is like that.{hints} `scheduler cron list` shows all of them."


def _hints(selection: "Selection", handlers: set[str], queues: set[str]) -> Iterator[str]:
    for what, name, known in (
        ("runs the handler", selection.handler_name, handlers),
        ("uses the queue", selection.queue, queues),
    ):
        if name is not None and name not in known:
            yield f" None {what} {name!r}.{did_you_mean(name, known)}"


def _cells(job: "CronJobStatus", now: datetime) -> "Sequence[object]":
    schedule = job.name, job.cron_expression, job.timezone, job.handler_name
    next_tick = None if job.next_run_at is None else until_due(job.next_run_at, now)
    outcome = job.last_status, relative(job.last_finished_at, now), job.failures_in_a_row or None
    until = relative(job.resume_at, now) or None
    return *schedule, next_tick, *outcome, state(job), until, job.managed_by, job.invalid_reason or job.paused_reason


def state(job: "CronJobStatus | CronJob") -> str:
    if not job.enabled:
        return "paused"
    return "enabled" if job.invalid_reason is None else "invalid"
