"""`scheduler cron add`."""

import shlex
from typing import TYPE_CHECKING, Annotated

import typer

from scheduler.cli import completion
from scheduler.cli.cron import options
from scheduler.cli.cron.ticks import HOW_MANY, print_ticks
from scheduler.cli.moments import parsed
from scheduler.cli.options import AsJson
from scheduler.cli.printable import printable
from scheduler.cli.project import connected, warn_of_handler, warn_of_unserved_queue
from scheduler.cli.values import json_text
from scheduler.errors import ConflictError
from scheduler.model import Backoff, CatchUp, OverlapPolicy

if TYPE_CHECKING:
    from scheduler.operations.cron_job_page import CronJob
    from scheduler.operations.cron_jobs import CronJobDefinition
    from scheduler.store.session import SyncSession


def add(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="A name that no other cron job has.")],
    expression: Annotated[str, typer.Argument(help="When, such as '30 2 * * *', '@daily' or '@every 90s'.")],
    handler: Annotated[
        str, typer.Argument(help="The name of the handler that runs.", autocompletion=completion.handlers)
    ],
    timezone: Annotated[str, options.ZONE] = "UTC",
    params: Annotated[str, options.PARAMS] = "{}",
    queue: Annotated[str, options.QUEUE] = "default",
    priority: Annotated[int, options.PRIORITY] = 0,
    timeout: Annotated[float | None, options.TIMEOUT] = None,
    max_retry: Annotated[int | None, options.MAX_RETRY] = None,
    retry_backoff: Annotated[Backoff | None, options.RETRY_BACKOFF] = None,
    retry_delay: Annotated[float | None, options.RETRY_DELAY] = None,
    overlap: Annotated[OverlapPolicy, options.OVERLAP] = OverlapPolicy.SKIP,
    catch_up: Annotated[CatchUp, options.CATCH_UP] = CatchUp.LATEST,
    catch_up_limit: Annotated[int, options.CATCH_UP_LIMIT] = 100,
    jitter: Annotated[float, options.JITTER] = 0,
    expected_duration: Annotated[float | None, options.EXPECTED_DURATION] = None,
    max_start_delay: Annotated[float | None, options.MAX_START_DELAY] = None,
    starts_at: Annotated[str | None, options.STARTS_AT] = None,
    ends_at: Annotated[str | None, options.ENDS_AT] = None,
    description: Annotated[str | None, options.DESCRIPTION] = None,
    paused: Annotated[bool, typer.Option("--paused", help="Without ticks, until it is resumed.")] = False,
    as_json: AsJson = False,
) -> None:
    """Add a cron job; running planners see it at once.

    Example: scheduler cron add nightly '30 2 * * *' report --tz Europe/Berlin --params '{"largest": 20}'

    Example: scheduler cron add poll '@every 90s' sync --overlap skip --timeout 60
    """
    from scheduler.operations.cron_jobs import CronJobDefinition

    options.refuse_unquoted(context)
    new = CronJobDefinition(
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
        retry_backoff=retry_backoff,
        retry_delay_seconds=retry_delay,
        overlap_policy=overlap,
        catch_up=catch_up,
        catch_up_limit=catch_up_limit,
        jitter_seconds=jitter,
        expected_duration_seconds=expected_duration,
        max_start_delay_seconds=max_start_delay,
        starts_at=parsed(starts_at, "--starts-at") if starts_at is not None else None,
        ends_at=parsed(ends_at, "--ends-at") if ends_at is not None else None,
        enabled=not paused,
    )
    with connected() as (project, session):
        added = _added(session, new)
        warn_of_handler(project, handler, new.handler_params)
        warn_of_unserved_queue(project, session, queue)
    if as_json:
        from scheduler.cli.cron.show import as_object
        from scheduler.cli.tables import print_json

        print_json(as_object(added))
    else:
        _tell(added)


def _added(session: "SyncSession", new: "CronJobDefinition") -> "CronJob":
    from scheduler.operations.cron_job_page import find
    from scheduler.operations.cron_jobs import add

    try:
        add(session, new)
    except ConflictError:
        raise ConflictError(_already_there(find(session, new.name).definition, new)) from None
    return find(session, new.name)


def _already_there(there: "CronJobDefinition", new: "CronJobDefinition") -> str:
    from scheduler.operations.cron_jobs import differences

    wanted = differences(there, new)
    said = f"A cron job named {new.name!r} is already there"
    if not wanted:
        return f"{said}, and it is just like this one: `scheduler cron show {shlex.quote(new.name)}` tells how it does."
    how = ", ".join(f"{it.column} {options.in_words(it.column, it.one)}" for it in wanted)
    return f"{said}, with {how}. To change it:\n  {options.edit_command(new.name, wanted)}"


def _tell(added: "CronJob") -> None:
    from scheduler.operations.preview import preview

    typer.echo(f"Added cron job {added.name!r} with the id {added.id}.", nl=False)
    if not added.enabled:
        typer.echo(printable(f" It is paused: `scheduler cron resume {shlex.quote(added.name)}` starts it."))
        return
    start = max(added.created_at, added.anchor)
    ticks = preview(
        added.cron_expression,
        added.timezone,
        after=start,
        until=added.ends_at,
        count=HOW_MANY,
        anchor=added.anchor,
    ).ticks
    typer.echo(" Its next ticks:" if ticks else " It will never tick: its end comes first.")
    if ticks:
        print_ticks(ticks, added.created_at)
