"""`scheduler jobs …`."""

from typing import TYPE_CHECKING, Annotated

import typer

from scheduler.cli import values
from scheduler.cli.moments import duration, parsed, relative
from scheduler.cli.project import connected, warn_of_unknown_handler

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from scheduler.operations.executions import ExecutionLine

group = typer.Typer(no_args_is_help=True, help="Executions: enqueue, list, show.")

_HEADERS = ("id", "handler", "status", "queue", "cron job", "attempt", "scheduled", "took", "error")


@group.command()
def enqueue(
    handler: Annotated[str, typer.Argument(help="The name of the handler that runs.")],
    params: Annotated[str, typer.Argument(metavar="PARAMS_JSON", help="What the handler is given.")] = "{}",
    queue: Annotated[str, typer.Option(help="The queue that it waits under.")] = "default",
    priority: Annotated[int, typer.Option(min=-9, max=9, help="Higher runs first.")] = 0,
    delay: Annotated[float, typer.Option(metavar="SECONDS", min=0, help="Not before so many seconds from now.")] = 0,
    at: Annotated[
        str | None, typer.Option(metavar="TIME", help="Not before this; ISO 8601, in UTC where it names no offset.")
    ] = None,
    unique_key: Annotated[
        str | None, typer.Option(help="Only if none with this key waits or runs; else the id of that one is printed.")
    ] = None,
    timeout: Annotated[
        float | None, typer.Option(help="Seconds an attempt may take.  [default: the handler's]")
    ] = None,
    max_retry: Annotated[
        int | None, typer.Option(min=0, help="How often it may fail in all.  [default: the handler's]")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Enqueue one execution and print its id.

    Example: scheduler jobs enqueue email '{"to": "a@example.com"}' --delay 60
    """
    from scheduler.cli.tables import print_json
    from scheduler.operations import executions

    if at is not None and delay:
        raise typer.BadParameter("give either --delay or --at.", param_hint="--at")
    new = executions.NewExecution(
        handler_name=handler,
        handler_params=values.json_text(params, "PARAMS_JSON"),
        queue=queue,
        priority=priority,
        delay_seconds=delay,
        available_at=parsed(at, "--at") if at is not None else None,
        timeout_seconds=timeout,
        max_retry=max_retry,
        unique_key=unique_key,
    )
    with connected() as (project, session):
        enqueued = executions.enqueue(session, new)
        warn_of_unknown_handler(project, handler)
    if as_json:
        print_json({"id": enqueued})
    else:
        typer.echo(enqueued)


@group.command("list")
def list_executions(
    status: Annotated[str | None, typer.Option(help="Only those, such as FAILED.")] = None,
    handler: Annotated[str | None, typer.Option(help="Only those of this handler.")] = None,
    queue: Annotated[str | None, typer.Option(help="Only those of this queue.")] = None,
    cron: Annotated[str | None, typer.Option(metavar="NAME", help="Only those of this cron job.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many at most.")] = 20,
    before: Annotated[
        int | None, typer.Option(metavar="ID", help="Only those older than this id: the next page.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show executions, the newest first.

    Example: scheduler jobs list --status failed --handler email
    """
    from scheduler.cli.tables import print_json, print_table
    from scheduler.operations.executions import Selection, newest
    from scheduler.operations.overview import database_time

    selection = Selection(
        status=values.status(status) if status is not None else None,
        handler_name=handler,
        queue=queue,
        cron_job=cron,
        before=before,
        limit=limit,
    )
    with connected() as (_, session):
        found, now = newest(session, selection), database_time(session)
    if as_json:
        print_json(found)
    elif found:
        print_table(_HEADERS, (_cells(line, now) for line in found), long="error")
    else:
        typer.echo("No execution is like that.", err=True)
    if len(found) == limit and not as_json:
        typer.echo(f"Older ones: --before {found[-1].id}", err=True)


@group.command("show")
def show_execution(
    id: Annotated[int, typer.Argument(help="As `jobs enqueue` and `jobs list` print it.")],  # noqa: A002 - its name in --help
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show everything about one execution, its failed attempts with their tracebacks included.

    Example: scheduler jobs show 42
    """
    from scheduler.cli.execution_page import print_execution
    from scheduler.cli.tables import print_json
    from scheduler.operations.executions import show
    from scheduler.operations.overview import database_time

    with connected() as (_, session):
        execution, now = show(session, id), database_time(session)
    if as_json:
        print_json(execution)
    else:
        print_execution(execution, now)


def _cells(line: "ExecutionLine", now: "datetime") -> "Sequence[object]":
    told = line.id, line.handler_name, line.status, line.queue, line.cron_job, line.attempt
    return *told, relative(line.scheduled_at, now), duration(line.started_at, line.finished_at), line.error
