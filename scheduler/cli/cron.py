"""`scheduler cron …`."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from scheduler.cli.moments import in_zone, parsed, relative
from scheduler.cli.project import connected, warn_of_unknown_handler
from scheduler.cli.values import json_text
from scheduler.model import CatchUp, OverlapPolicy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scheduler.operations.cron_jobs import CronJobStatus
    from scheduler.operations.preview import Tick

group = typer.Typer(no_args_is_help=True, help="Cron jobs: add, list, preview.")

_NEXT = 3
_HEADERS = ("name", "schedule", "zone", "handler", "next", "last", "failures in a row", "state", "reason")


# What a shell makes of an unquoted expression is refused by the commands, which know the remedy.
_TAKES_AN_EXPRESSION = {"allow_extra_args": True}


@group.command(context_settings=_TAKES_AN_EXPRESSION)
def add(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="A name that no other cron job has.")],
    expression: Annotated[str, typer.Argument(help="When, such as '30 2 * * *', '@daily' or '@every 90s'.")],
    handler: Annotated[str, typer.Argument(help="The name of the handler that runs.")],
    timezone: Annotated[str, typer.Option("--tz", metavar="ZONE", help="An IANA zone, such as Asia/Seoul.")] = "UTC",
    params: Annotated[str, typer.Option("--params", metavar="JSON", help="What the handler is given.")] = "{}",
    queue: Annotated[str, typer.Option(help="The queue that its executions wait under.")] = "default",
    priority: Annotated[int, typer.Option(min=-9, max=9, help="Higher runs first.")] = 0,
    timeout: Annotated[
        float | None, typer.Option(help="Seconds an attempt may take.  [default: the handler's]")
    ] = None,
    max_retry: Annotated[
        int | None, typer.Option(min=0, help="How often an execution may fail in all.  [default: the handler's]")
    ] = None,
    overlap: Annotated[
        OverlapPolicy, typer.Option(help="What a tick does while an earlier execution isn't final.")
    ] = OverlapPolicy.SKIP,
    catch_up: Annotated[CatchUp, typer.Option(help="Which missed ticks still run.")] = CatchUp.LATEST,
    jitter: Annotated[float, typer.Option(min=0, help="Seconds by which ticks are spread, at most.")] = 0,
    description: Annotated[str | None, typer.Option(help="What it is for.")] = None,
) -> None:
    """Add a cron job; running planners see it at once.

    Example: scheduler cron add nightly '30 2 * * *' report --tz Europe/Berlin --params '{"largest": 20}'
    """
    from scheduler.operations import cron_jobs
    from scheduler.operations.preview import preview

    _refuse_unquoted(context)
    new = cron_jobs.NewCronJob(
        name=name,
        cron_expression=expression,
        handler_name=handler,
        handler_params=json_text(params, "--params"),
        description=description,
        timezone=timezone,
        queue=queue,
        priority=priority,
        timeout_seconds=timeout,
        max_retry=max_retry,
        overlap_policy=overlap,
        catch_up=catch_up,
        jitter_seconds=jitter,
    )
    with connected() as (project, session):
        added = cron_jobs.add(session, new)
        warn_of_unknown_handler(project, handler)
    typer.echo(f"Added cron job {name!r} with the id {added.id}. Its next ticks:")
    _print_ticks(preview(expression, timezone, after=added.created_at, count=_NEXT).ticks, added.created_at)


@group.command("list")
def list_cron_jobs(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Show each cron job: its next tick, its last outcome, and what is wrong with it.

    Example: scheduler cron list
    """
    from scheduler.cli.tables import print_json, print_table
    from scheduler.operations.cron_jobs import statuses
    from scheduler.operations.overview import database_time

    with connected() as (_, session):
        found, now = statuses(session), database_time(session)
    if as_json:
        print_json(found)
    elif found:
        print_table(_HEADERS, (_cells(job, now) for job in found), long="reason")
    else:
        typer.echo("There is no cron job yet: `scheduler cron add --help` shows how to add one.", err=True)


@group.command("preview", context_settings=_TAKES_AN_EXPRESSION)
def preview_ticks(
    context: typer.Context,
    expression: Annotated[str, typer.Argument(metavar="EXPR", help="Such as '30 2 * * *' or '@every 90s'.")],
    timezone: Annotated[str, typer.Option("--tz", metavar="ZONE", help="An IANA zone, such as Asia/Seoul.")] = "UTC",
    after: Annotated[
        str | None, typer.Option(metavar="TIME", help="The first instant that counts.  [default: now]")
    ] = None,
    until: Annotated[str | None, typer.Option(metavar="TIME", help="The first instant that doesn't.")] = None,
    count: Annotated[
        int | None,
        typer.Option(min=1, help="Show at most so many ticks.  [default: 10, or 10,000 with --until]"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON list of objects with utc and local.")] = False,
) -> None:
    """Show when an expression is due, without a database.

    A TIME is ISO 8601, in UTC where it names no offset. '@every' counts from --after.

    Example: scheduler cron preview '30 2 * * *' --tz America/New_York --after 2026-03-07 --until 2026-03-10
    """
    from scheduler.cli.tables import print_json
    from scheduler.operations.preview import AT_MOST, preview

    _refuse_unquoted(context)
    now = datetime.now(UTC)
    start = parsed(after, "--after") if after is not None else now
    end = parsed(until, "--until") if until is not None else None
    if end is not None and end < start:
        raise typer.BadParameter(
            f"{until} is before --after, which is {after or 'now'}: write a later one, or an earlier --after.",
            param_hint="--until",
        )
    found = preview(expression, timezone, after=start, until=end, count=count)
    if as_json:
        print_json([{"utc": tick.utc.isoformat(), "local": tick.local.isoformat()} for tick in found.ticks])
    elif found.ticks:
        _print_ticks(found.ticks, now)
    else:
        typer.echo("No tick falls into that time.", err=True)
    if found.cut:
        typer.echo(f"note: These are the first {AT_MOST:,} ticks: ask for more with --count.", err=True)


def _refuse_unquoted(context: typer.Context) -> None:
    if context.args:
        context.fail(
            f"Got unexpected extra arguments ({' '.join(context.args)}). "
            "Put the expression in quotes, such as '30 2 * * *': the shell takes it apart."
        )


def _print_ticks(ticks: "Sequence[Tick]", now: datetime) -> None:
    from scheduler.cli.tables import print_table

    print_table(
        ("local", "UTC", "when"),
        ((in_zone(tick.local), f"{tick.utc:%Y-%m-%d %H:%M:%S}", relative(tick.utc, now)) for tick in ticks),
    )


def _cells(job: "CronJobStatus", now: datetime) -> "Sequence[object]":
    schedule = job.name, job.cron_expression, job.timezone, job.handler_name, relative(job.next_run_at, now)
    return *schedule, job.last_status, job.failures_in_a_row or None, _state(job), job.invalid_reason


def _state(job: "CronJobStatus") -> str:
    if not job.enabled:
        return "paused"
    return "enabled" if job.invalid_reason is None else "invalid"
