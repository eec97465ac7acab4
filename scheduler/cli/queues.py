"""`scheduler queues …`."""

from datetime import timedelta
from shlex import quote
from typing import TYPE_CHECKING, Annotated

import typer

from scheduler.cli import completion, pausing
from scheduler.cli.limits import in_words
from scheduler.cli.messages import look, print_messages, publish
from scheduler.cli.moments import relative
from scheduler.cli.options import AsJson
from scheduler.cli.printable import one_line
from scheduler.cli.project import connected
from scheduler.errors import NotFoundError
from scheduler.operations.words import span

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from scheduler.operations.queues import QueueStatus
    from scheduler.store.session import SyncSession

group = typer.Typer(no_args_is_help=True, help="Queues: list, pause, resume, limit; publish a message.")

_HEADERS = (
    "queue", "state", "waiting", "oldest", "delayed", "running", "workers", "per minute", "limits", "reached", "until",
    "reason",
)  # fmt: skip

Name = Annotated[str, typer.Argument(metavar="NAME", help="The queue.", autocompletion=completion.queues)]


@group.command("list")
def list_queues(
    messages: Annotated[
        bool, typer.Option("--messages", help="Show only the message queues and consumers of the settings.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show each queue: what waits and for how long, what runs, who serves it, its limits, and whether it is paused.

    `waiting` could start now, `delayed` waits for a later time; `per minute` is what its workers finish, over all of
    their queues. `reached` names the limits that hold something up now.

    Message queues and consumers of the settings follow, with what their brokers tell; with --json, they are what
    --messages prints.

    Example: scheduler queues list

    Example: scheduler queues list --messages --json
    """
    from scheduler.cli.tables import print_json, print_table
    from scheduler.operations.overview import database_time
    from scheduler.operations.queues import statuses

    with connected() as (project, session):
        found, now = statuses(session), database_time(session)
        told, consumers = look(project, session) if messages or not as_json else ([], [])
    if as_json:
        print_json({"message_queues": told, "consumers": consumers} if messages else found)
        return
    if messages:
        if not told:
            typer.echo("No message queue is named in the settings: write one under queues:.", err=True)
    elif found:
        print_table(_HEADERS, (_cells(queue, now) for queue in found), long="reason", spare=("per minute", "limits"))
    else:
        typer.echo("No queue is in use yet: a worker or an execution that names one makes it.", err=True)
    print_messages(told, consumers)


group.command()(publish)


@group.command()
def pause(
    name: Name,
    reason: pausing.Reason = None,
    for_: pausing.For = None,
    until: pausing.Until = None,
    new: Annotated[bool, typer.Option("--new", help="Also a queue that nothing names so far.")] = False,
    as_json: AsJson = False,
) -> None:
    """Claim nothing more from a queue, until it is resumed or the pause ends; what runs goes on.

    Example: scheduler queues pause mail --reason "the provider is down" --for 2h
    """
    from scheduler.cli.tables import print_json
    from scheduler.operations import queues
    from scheduler.operations.overview import database_time

    asked = pausing.AskedEnd.parsed(for_, until)
    with connected() as (project, session):
        now = database_time(session)
        end = asked.after(now)
        if not new:
            _require(session, name, project.settings.worker.queues)
        queues.pause(session, name, reason=reason, resume_at=end)
    if as_json:
        print_json({"name": name, "paused": True, "paused_reason": reason, "resume_at": end})
    elif end is not None:
        typer.echo(f"Queue {name!r} is paused {pausing.until_in_words(end, now)}. What runs goes on.")
    else:
        again = f"`scheduler queues resume {quote(name)}`"
        typer.echo(one_line(f"Queue {name!r} is paused, until {again}. What runs goes on."))


@group.command()
def resume(name: Name, as_json: AsJson = False) -> None:
    """End the pause of a queue.

    Example: scheduler queues resume mail
    """
    from scheduler.cli.tables import print_json
    from scheduler.operations import queues

    with connected() as (_, session):
        was_paused = queues.resume(session, name)
    if as_json:
        print_json({"name": name, "paused": False, "was_paused": was_paused})
    else:
        typer.echo(f"Queue {name!r} is resumed." if was_paused else f"Queue {name!r} was not paused.")


@group.command()
def limit(
    name: Name,
    max_running: Annotated[
        str | None, typer.Option(metavar="N", help="So many run at once, over all workers; or none, which lifts it.")
    ] = None,
    rate: Annotated[
        str | None, typer.Option(metavar="N/TIME", help="So many begin in any such time: 100/1s, 10/m; or none.")
    ] = None,
    max_pending: Annotated[
        str | None, typer.Option(metavar="N", help="So many may wait before enqueueing is refused; or none.")
    ] = None,
    key_limit: Annotated[
        str | None, typer.Option(metavar="N", help="So many of a concurrency key run at once, if a row says nothing.")
    ] = None,
    pause_after: Annotated[
        str | None, typer.Option(metavar="N", help="It pauses itself after so many failures in a row; or none.")
    ] = None,
    pause_for: Annotated[
        str | None, typer.Option(metavar="DURATION", help="How long such a pause lasts, such as 5m; or none.")
    ] = None,
    aging: Annotated[
        str | None, typer.Option(metavar="DURATION", help="What has waited for so long goes up by a level; or none.")
    ] = None,
    keep_days: Annotated[
        str | None,
        typer.Option(metavar="DAYS", help="How long what is over is kept; forever; or none: as the settings say."),
    ] = None,
    keep_last: Annotated[
        str | None, typer.Option(metavar="N", help="How many of what is over are kept; or none: as the settings say.")
    ] = None,
    new: Annotated[bool, typer.Option("--new", help="Also a queue that nothing names so far.")] = False,
    as_json: AsJson = False,
) -> None:
    """Set limits of a queue, lift them with none, or show them; those not named stay as they are.

    They hold over all workers, from the next claim on.

    Example: scheduler queues limit mail --max-running 7 --rate 100/1s

    Example: scheduler queues limit mail --rate none

    Example: scheduler queues limit mail --aging 10m --keep-days 7 --keep-last 10000
    """
    from scheduler.cli.limits import aging_in_words, as_object, breaker_in_words, parsed_limits, retention_in_words
    from scheduler.cli.tables import print_json
    from scheduler.operations import queues

    changes = parsed_limits(
        max_running=max_running, rate=rate, max_pending=max_pending, key_limit=key_limit, pause_after=pause_after,
        pause_for=pause_for, aging=aging, keep_days=keep_days, keep_last=keep_last,
    )  # fmt: skip
    with connected() as (project, session):
        if not new:
            _require(session, name, project.settings.worker.queues, "limits")
        limits = queues.limit(session, name, changes) if changes else queues.limits_of(session, name)
    if as_json:
        print_json(as_object(limits))
        return
    typer.echo(one_line(f"Queue {name!r}: {in_words(limits) or 'no limits'}."))
    for more in filter(None, (breaker_in_words(limits), aging_in_words(limits), retention_in_words(limits))):
        typer.echo(f"It {more}.")


def _require(session: "SyncSession", name: str, configured: "Sequence[str]", acts: str = "pauses") -> None:
    """A mistyped pause must not look like one that worked. Raises NotFoundError."""
    from scheduler.operations.queues import require

    try:
        require(session, name, configured)
    except NotFoundError as error:
        raise NotFoundError(f"{error} --new {acts} it all the same.") from None


def _cells(queue: "QueueStatus", now: "datetime") -> "Sequence[object]":
    q = queue
    oldest = None if q.oldest_waiting_seconds is None else span(timedelta(seconds=q.oldest_waiting_seconds))
    until = relative(q.resume_at, now) if q.paused else None
    pace = None if q.per_minute is None else round(q.per_minute)
    counts = q.waiting, oldest, q.delayed, q.running, q.workers
    state, reason = ("paused", q.paused_reason) if q.paused else ("open", None)
    return q.name, state, *counts, pace, in_words(q), q.reached, until, reason
