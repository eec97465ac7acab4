"""`scheduler cron edit`: by options, or in an editor."""

import shlex
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scheduler.cli import completion
from scheduler.cli.cron import options
from scheduler.cli.cron.ticks import print_ticks
from scheduler.cli.moments import parsed
from scheduler.cli.options import AsJson
from scheduler.cli.printable import printable
from scheduler.cli.project import connected, warn_of_handler
from scheduler.cli.values import json_text
from scheduler.errors import did_you_mean
from scheduler.model import Backoff, CatchUp, OverlapPolicy

if TYPE_CHECKING:
    from scheduler.app import Project
    from scheduler.operations.cron_job_page import CronJob
    from scheduler.operations.cron_jobs import Change
    from scheduler.store.session import SyncSession


def edit(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="As `cron list` prints it.", autocompletion=completion.cron_jobs)],
    expression: Annotated[str | None, typer.Option("--expression", metavar="EXPR", help="When.")] = None,
    timezone: Annotated[str | None, options.ZONE] = None,
    handler: Annotated[
        str | None,
        typer.Option("--handler", metavar="NAME", help="Which handler runs.", autocompletion=completion.handlers),
    ] = None,
    params: Annotated[str | None, options.PARAMS] = None,
    queue: Annotated[str | None, options.QUEUE] = None,
    priority: Annotated[int | None, options.PRIORITY] = None,
    timeout: Annotated[float | None, options.TIMEOUT] = None,
    max_retry: Annotated[int | None, options.MAX_RETRY] = None,
    retry_backoff: Annotated[Backoff | None, options.RETRY_BACKOFF] = None,
    retry_delay: Annotated[float | None, options.RETRY_DELAY] = None,
    overlap: Annotated[OverlapPolicy | None, options.OVERLAP] = None,
    catch_up: Annotated[CatchUp | None, options.CATCH_UP] = None,
    catch_up_limit: Annotated[int | None, options.CATCH_UP_LIMIT] = None,
    jitter: Annotated[float | None, options.JITTER] = None,
    expected_duration: Annotated[float | None, options.EXPECTED_DURATION] = None,
    max_start_delay: Annotated[float | None, options.MAX_START_DELAY] = None,
    starts_at: Annotated[str | None, options.STARTS_AT] = None,
    ends_at: Annotated[str | None, options.ENDS_AT] = None,
    description: Annotated[str | None, options.DESCRIPTION] = None,
    enabled: Annotated[bool | None, typer.Option("--enabled/--paused", help="Whether it ticks.")] = None,
    rename: Annotated[str | None, typer.Option("--rename", metavar="NAME", help="Another name.")] = None,
    unset: Annotated[
        list[str] | None,
        typer.Option(
            "--unset",
            metavar="OPTION",
            help="Back to what `cron add` would make it, as in --unset timeout.",
            autocompletion=completion.columns,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Change a cron job; what isn't named stays as it is.

    On a terminal and without options, the whole row is opened in $VISUAL or $EDITOR. An edit of the schedule counts
    from now: what was due before it is not made up for.

    Example: scheduler cron edit nightly --expression '0 4 * * *' --unset timeout

    Example: scheduler cron edit nightly
    """
    options.refuse_unquoted(context)
    given: dict[str, Any] = {
        "name": rename,
        "cron_expression": expression,
        "timezone": timezone,
        "handler_name": handler,
        "handler_params": json_text(params, "--params") if params is not None else None,
        "queue": queue,
        "priority": priority,
        "timeout_seconds": timeout,
        "max_retry": max_retry,
        "retry_backoff": retry_backoff,
        "retry_delay_seconds": retry_delay,
        "overlap_policy": overlap,
        "catch_up": catch_up,
        "catch_up_limit": catch_up_limit,
        "jitter_seconds": jitter,
        "expected_duration_seconds": expected_duration,
        "max_start_delay_seconds": max_start_delay,
        "starts_at": parsed(starts_at, "--starts-at") if starts_at is not None else None,
        "ends_at": parsed(ends_at, "--ends-at") if ends_at is not None else None,
        "description": description,
        "enabled": enabled,
    }
    wanted = {column: value for column, value in given.items() if value is not None}
    wanted |= _unset(unset or (), wanted)
    if not wanted and not _on_a_terminal():
        context.fail("Say what to change, such as --expression '0 4 * * *'; or run it on a terminal to edit the row.")
    _edit(name, wanted, as_json=as_json)


def _edit(name: str, wanted: Mapping[str, Any], *, as_json: bool) -> None:
    from dataclasses import replace

    from scheduler.operations.cron_job_changes import edit
    from scheduler.operations.cron_job_page import find, show
    from scheduler.operations.overview import database_time

    with connected() as (project, session):
        seen = find(session, name)
        changes = edit(session, seen, replace(seen.definition, **wanted)) if wanted else _edit_as_text(session, seen)
        page = show(session, _renamed(changes, name))
        now = database_time(session)
        _warn(project, session, page.cron_job, changes)
    if as_json:
        from scheduler.cli.cron.show import as_object
        from scheduler.cli.tables import print_json

        told = {
            change.column: {"old": _told(change, change.one), "new": _told(change, change.other)} for change in changes
        }
        print_json({"changes": told, "cron_job": as_object(page.cron_job)})
        return
    _print_changes(name, changes)
    quoted = shlex.quote(page.cron_job.name)
    if page.ticks and changes:
        typer.echo("Its next ticks:")
        print_ticks(page.ticks, now)
    elif changes and not page.cron_job.enabled:
        typer.echo(printable(f"It is paused: `scheduler cron resume {quoted}` lets it tick again."))
    elif changes:
        typer.echo(printable(f"It has no next tick: `scheduler cron show {quoted}` tells why."))
    if changes and (owner := page.cron_job.managed_by) is not None:
        typer.echo(
            printable(
                f"note: {owner} declares it. The edit stays: `scheduler cron plan` shows it, and only "
                "`scheduler cron apply --overwrite-drift` writes over it."
            ),
            err=True,
        )


def _edit_as_text(session: "SyncSession", seen: "CronJob") -> "list[Change]":
    from scheduler.cli.cron import document
    from scheduler.cli.editor import edit_text
    from scheduler.operations.cron_job_changes import edit

    def apply(text: str) -> "list[Change]":
        return edit(session, seen, document.read(text, seen.definition))

    session.close()  # nobody's connection has to last while a person thinks
    return edit_text(document.written(seen), seen.name, apply) or []


def _unset(names: Sequence[str], given: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of these options with their defaults. Raises BadParameter."""
    defaults = options.defaults()
    columns = {option.removeprefix("--"): column for column, option in options.OPTIONS.items() if column in defaults}
    found: dict[str, Any] = {}
    for name in names:
        column = columns.get(name.removeprefix("--"))
        if column is None:
            hint = did_you_mean(name.removeprefix("--"), columns)
            raise typer.BadParameter(
                f"{name!r} can't be unset.{hint} Write {', '.join(columns)}.", param_hint="--unset"
            )
        if column in given:
            raise typer.BadParameter(f"either set {options.OPTIONS[column]} or unset it.", param_hint="--unset")
        found[column] = defaults[column]
    return found


def _told(change: "Change", value: Any) -> Any:
    """For JSON, in which params are no text either."""
    from scheduler.operations.json_values import decoded

    return decoded(value) if change.column == "handler_params" else value


def _renamed(changes: "Sequence[Change]", name: str) -> str:
    return next((change.other for change in changes if change.column == "name"), name)


def _warn(project: "Project", session: "SyncSession", job: "CronJob", changes: "Sequence[Change]") -> None:
    from scheduler.cli.project import warn_of_unserved_queue

    changed = {change.column for change in changes}
    if changed & {"handler_name", "handler_params"}:
        warn_of_handler(project, job.handler_name, job.handler_params)
    if "queue" in changed:
        warn_of_unserved_queue(project, session, job.queue)


def _print_changes(name: str, changes: "Sequence[Change]") -> None:
    from scheduler.cli.printable import one_line
    from scheduler.cli.tables import print_table

    if not changes:
        typer.echo(one_line(f"Nothing changed: cron job {name!r} is like that already."))
        return
    typer.echo(one_line(f"Changed cron job {name!r}:"))
    rows = ((it.column, options.in_words(it.column, it.one), options.in_words(it.column, it.other)) for it in changes)
    print_table(("column", "old", "new"), rows)


def _on_a_terminal() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty()
