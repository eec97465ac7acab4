"""`scheduler jobs …`."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from scheduler.cli import acting, completion, values, waiting
from scheduler.cli.filters import (
    CronOption,
    DeadOption,
    ErrorOption,
    Filters,
    HandlerOption,
    QueueOption,
    SinceOption,
    StatusOption,
    UntilOption,
    tell_unknown_names,
    with_dead,
)
from scheduler.cli.moments import absolute, duration, parsed, parsed_span, relative
from scheduler.cli.options import AsJson
from scheduler.cli.project import connected, warn_of_handler, warn_of_unserved_queue
from scheduler.model import NewExecution, OnConflict, Status, UniqueUntil

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from scheduler.operations.search import ExecutionLine, Page

group = typer.Typer(no_args_is_help=True, help="Executions: enqueue, list, show, wait, cancel, retry.")

_HEADERS = ("id", "handler", "status", "queue", "cron job", "attempt", "scheduled", "took", "error")
_USUAL = {"queue": "default", "attempt": 1}
_SPARE = ("attempt", "queue", "took")
_PATIENCE = 5.0


_ON_CONFLICT: Mapping[str, OnConflict] = {
    "return": "return existing",
    "error": "error",
    "restart-delay": "restart delay",
}


@group.command()
def enqueue(
    handler: Annotated[
        str, typer.Argument(help="The name of the handler that runs.", autocompletion=completion.handlers)
    ],
    params: Annotated[str, typer.Argument(metavar="PARAMS_JSON", help="What the handler is given.")] = "{}",
    queue: Annotated[
        str, typer.Option(help="The queue that it waits under.", autocompletion=completion.queues)
    ] = "default",
    priority: Annotated[int, typer.Option(min=-9, max=9, help="Higher runs first.")] = 0,
    delay: Annotated[float, typer.Option(metavar="SECONDS", min=0, help="Not before so many seconds from now.")] = 0,
    at: Annotated[
        str | None, typer.Option(metavar="TIME", help="Not before this; ISO 8601, in UTC where it names no offset.")
    ] = None,
    unique_key: Annotated[
        str | None, typer.Option(help="Only if none with this key waits or runs; else the id of that one is printed.")
    ] = None,
    unique_until: Annotated[
        UniqueUntil | None, typer.Option(help="How long it holds that key.  [default: finished]")
    ] = None,
    on_conflict: Annotated[
        Literal["return", "error", "restart-delay"] | None,
        typer.Option(help="If another holds it: print that one, fail, or have that one wait anew.  [default: return]"),
    ] = None,
    concurrency_key: Annotated[
        str | None, typer.Option(help="No more of this key run at once than --concurrency-limit says.")
    ] = None,
    concurrency_limit: Annotated[
        int | None, typer.Option(min=1, help="How many of that key run at once.  [default: the queue's, else 1]")
    ] = None,
    timeout: Annotated[
        float | None, typer.Option(help="Seconds an attempt may take.  [default: the handler's]")
    ] = None,
    max_retry: Annotated[
        int | None, typer.Option(min=0, help="How often it may fail in all.  [default: the handler's]")
    ] = None,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait for its end, and tell it; exits 1 unless it is SUCCESS.")
    ] = False,
    at_most: waiting.AtMost = None,
    room_within: Annotated[
        str | None,
        typer.Option(metavar="DURATION", help="Wait so long for room in a full queue, such as 30s."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Enqueue one execution and print its id.

    Example: scheduler jobs enqueue email '{"to": "a@example.com"}' --delay 60

    Example: scheduler jobs enqueue report --wait

    Example: scheduler jobs enqueue index --unique-key docs --on-conflict restart-delay --delay 10
    """
    from scheduler.cli.tables import print_json
    from scheduler.operations import executions

    if at_most is not None and not wait:
        raise typer.BadParameter("it goes with --wait.", param_hint="--for")
    if at is not None and delay:
        raise typer.BadParameter("give either --delay or --at.", param_hint="--at")
    for option, needs, given in (
        ("--unique-until", "--unique-key", unique_until and not unique_key),
        ("--on-conflict", "--unique-key", on_conflict and not unique_key),
        ("--concurrency-limit", "--concurrency-key", concurrency_limit and not concurrency_key),
    ):
        if given:
            raise typer.BadParameter(f"it goes with {needs}.", param_hint=option)
    patience = 0.0 if room_within is None else parsed_span(room_within, "--room-within").total_seconds()
    new = NewExecution(
        handler_name=handler,
        handler_params=values.json_text(params, "PARAMS_JSON"),
        queue=queue,
        priority=priority,
        delay_seconds=delay,
        available_at=parsed(at, "--at") if at is not None else None,
        timeout_seconds=timeout,
        max_retry=max_retry,
        unique_key=unique_key,
        unique_until=unique_until or "finished",
        on_conflict=_ON_CONFLICT[on_conflict or "return"],
        concurrency_key=concurrency_key,
        concurrency_limit=concurrency_limit,
    )
    with connected() as (project, session):
        enqueued = executions.enqueue(session, new, room_within=patience)
        warn_of_handler(project, handler, new.handler_params)
        warn_of_unserved_queue(project, session, queue)
        if not as_json:
            typer.echo(enqueued.id)
        elif not wait:
            print_json(enqueued)
        if enqueued.existing:
            anew = ", and if it waits, its delay begins anew" if on_conflict == "restart-delay" else ""
            typer.echo(f"note: Execution {enqueued.id} holds that unique key: nothing was enqueued{anew}.", err=True)
        ended = waiting.wait_for(session, [enqueued.id], at_most) if wait else None
    if ended is not None:
        waiting.tell(ended, as_json=as_json, alone=True)


@group.command("list")
def list_executions(
    status: StatusOption = None,
    dead: DeadOption = False,
    handler: HandlerOption = None,
    queue: QueueOption = None,
    cron: CronOption = None,
    error: ErrorOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many at most.")] = 20,
    before: Annotated[
        int | None, typer.Option(metavar="ID", help="Only those with ids below this one: the next page.")
    ] = None,
    patience: Annotated[
        float, typer.Option(metavar="SECONDS", min=0, help="How long to look for what is rare among millions.")
    ] = _PATIENCE,
    as_json: AsJson = False,
) -> None:
    """Show executions, the newest first.

    `scheduled` is the tick or when it was asked for; of one that waits for a later time, that time.

    Example: scheduler jobs list --status failed --handler email

    Example: scheduler jobs list --dead --since 12h --error "timed out"
    """
    from dataclasses import replace

    from scheduler.cli.progress import live_line
    from scheduler.cli.tables import print_json, print_table
    from scheduler.operations.overview import database_time
    from scheduler.operations.search import Look, newest

    status = with_dead(status, dead)
    filters = Filters.of(status=status, handler=handler, queue=queue, cron=cron, error=error, since=since, until=until)
    with connected() as (project, session):
        now = database_time(session)
        with live_line() as show:

            def watch(look: Look) -> None:
                show(f"looking, {look.done:.0%}")

            look = filters.search(now)
            page = newest(session, look, limit=limit + 1, before=before, patience=patience, watch=watch)
        more, page = len(page.lines) > limit, replace(page, lines=page.lines[:limit])
        if as_json:
            print_json(page.lines)
        elif page.lines:
            print_table(_HEADERS, (_cells(line, now) for line in page.lines), long="error", usual=_USUAL, spare=_SPARE)
        elif page.below is None:
            _tell_none(filters, before)
            tell_unknown_names(project, session, filters)
    _tell_rest(page, more, now, patience, as_json=as_json)


@group.command("show")
def show_execution(
    id: Annotated[int, typer.Argument(help="As `jobs enqueue` and `jobs list` print it.")],  # noqa: A002 - its name in --help
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Follow its progress until it is final, and show it then.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show everything about one execution, its failed attempts with their tracebacks included.

    Example: scheduler jobs show 42

    Example: scheduler jobs show 42 -f
    """
    from scheduler.cli.execution_page import print_execution
    from scheduler.cli.tables import print_json
    from scheduler.operations.executions import show
    from scheduler.operations.overview import database_time

    with connected() as (_, session):
        if follow:
            waiting.follow(session, id)
        execution, now = show(session, id), database_time(session)
    if as_json:
        print_json(execution)
    else:
        print_execution(execution, now)


def _cells(line: "ExecutionLine", now: "datetime") -> "Sequence[object]":
    told = line.id, line.handler_name, line.status, line.queue, line.cron_job, line.attempt
    later = line.status == Status.PENDING and line.available_at > now
    scheduled = line.available_at if later else line.scheduled_at
    return *told, relative(scheduled, now), duration(line.started_at, line.finished_at), line.error


def _tell_none(filters: Filters, before: int | None) -> None:
    if filters.any or before is not None:
        typer.echo("No execution matches.", err=True)
    else:
        typer.echo(
            "There is no execution yet: `scheduler jobs enqueue --help` shows how to add one, and `scheduler cron add "
            "--help` one that comes again.",
            err=True,
        )


def _tell_rest(page: "Page", more: bool, now: "datetime", patience: float, *, as_json: bool) -> None:
    """How to see more, where there may be more; what a program must not mistake for all is told with --json too."""
    if page.below is not None:
        since = "" if page.back_to is None else f", created {relative(page.back_to, now)} ({absolute(page.back_to)})"
        typer.echo(
            f"note: In {patience:g} s all was seen down to id {page.below}{since}. Go on with --before {page.below}, "
            "look longer with --patience, or at less with --since.",
            err=True,
        )
    elif more and not as_json:
        typer.echo(f"Older ones: --before {page.lines[-1].id}", err=True)


group.command()(waiting.wait)
group.command()(acting.cancel)
group.command()(acting.retry)
