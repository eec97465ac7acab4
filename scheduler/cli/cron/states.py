"""`scheduler cron pause`, `resume` and `remove`."""

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from scheduler.cli import completion, pausing
from scheduler.cli.cron import options
from scheduler.cli.moments import relative
from scheduler.cli.options import AsJson
from scheduler.cli.printable import one_line, printable
from scheduler.cli.project import connected

if TYPE_CHECKING:
    from scheduler.operations.cron_job_page import CronJob
    from scheduler.store.session import SyncSession

Names = Annotated[
    list[str] | None,
    typer.Argument(metavar="NAME", help="As `cron list` prints them.", autocompletion=completion.cron_jobs),
]
All = Annotated[bool, typer.Option("--all", help="Every cron job there is.")]


def pause(
    names: Names = None,
    everything: All = False,
    reason: pausing.Reason = None,
    for_: pausing.For = None,
    until: pausing.Until = None,
    as_json: AsJson = False,
) -> None:
    """Pause cron jobs: nothing more is planned, and what falls into the pause is never caught up.

    With --for or --until they resume by themselves; a tick at that very moment runs.

    Example: scheduler cron pause nightly weekly

    Example: scheduler cron pause nightly --reason "the source is down" --for 2h

    Example: scheduler cron pause --all
    """
    from scheduler.cli.tables import print_json
    from scheduler.operations.cron_job_changes import pause as pause_them
    from scheduler.operations.overview import database_time

    asked = pausing.AskedEnd.parsed(for_, until)
    with connected() as (_, session):
        now = database_time(session)
        end = asked.after(now)
        chosen = _chosen(session, names, everything)
        paused = dict.fromkeys(pause_them(session, chosen, reason=reason, resume_at=end))
    if as_json:
        already = [name for name in chosen if name not in paused]
        print_json({"paused": list(paused), "already_paused": already, "paused_reason": reason, "resume_at": end})
        return
    lasting = "" if end is None else f" {pausing.until_in_words(end, now)}"
    changed = lasting or ("" if reason is None else " for another reason")
    for name in chosen:
        said = f"is paused{lasting}. What is planned already still runs."
        before = f"was paused already{f', and is now{changed}' if changed else ''}."
        typer.echo(one_line(f"Cron job {name!r} {said if name in paused else before}"))


def resume(names: Names = None, everything: All = False, as_json: AsJson = False) -> None:
    """Resume cron jobs: they tick again from now on, and what fell into the pause is not made up for.

    Example: scheduler cron resume nightly
    """
    from scheduler.cli.tables import print_json
    from scheduler.operations.cron_job_changes import resume as resume_them
    from scheduler.operations.cron_jobs import due_next
    from scheduler.operations.overview import database_time

    with connected() as (_, session):
        chosen = _chosen(session, names, everything)
        resumed = dict.fromkeys(resume_them(session, chosen))
        now = database_time(session)
        next_ticks = due_next(session, chosen)
    if as_json:
        print_json({"resumed": list(resumed), "not_paused": [name for name in chosen if name not in resumed]})
        return
    for name in chosen:
        said, next_tick = "is enabled again" if name in resumed else "was not paused", next_ticks.get(name)
        tick = f": its next tick is {relative(next_tick, now)}" if next_tick else ", but has no next tick"
        hint = "" if next_tick else f": `scheduler cron show {shlex.quote(name)}` tells why"
        typer.echo(one_line(f"Cron job {name!r} {said}{tick}{hint}."))


def remove(
    names: Annotated[
        list[str],
        typer.Argument(metavar="NAME", help="As `cron list` prints them.", autocompletion=completion.cron_jobs),
    ],
    as_json: AsJson = False,
) -> None:
    """Remove cron jobs. Their executions stay, and those that wait still run.

    Prints the command line that brings each of them back; of one that is declared, that is `scheduler cron apply`.

    Example: scheduler cron remove nightly
    """
    from scheduler.cli.tables import print_json
    from scheduler.operations.cron_job_changes import remove as remove_them

    with connected() as (_, session):
        removed = remove_them(session, names)
    if as_json:
        print_json([{"id": job.id, "name": job.name, "undo": _undo(job)} for job in removed])
        return
    for job in removed:
        typer.echo(one_line(f"Removed cron job {job.name!r}; its executions stay{_unfinished(job)}."), nl=False)
        typer.echo(" To bring it back:")
        typer.echo(printable(f"  {_undo(job)}"))


def _chosen(session: "SyncSession", names: list[str] | None, everything: bool) -> Sequence[str]:
    from scheduler.operations import cron_jobs

    if bool(names) == everything:
        raise typer.BadParameter("say which: either names, or --all.", param_hint="NAME")
    if names:
        return list(dict.fromkeys(names))
    known = list(cron_jobs.names(session))
    if not known:
        typer.echo("There is no cron job yet: `scheduler cron add --help` shows how to add one.", err=True)
    return known


def _undo(job: "CronJob") -> str:
    """A row of its own would be nobody's: what is declared comes back by its declaration."""
    from dataclasses import replace

    if job.managed_by is not None:
        return "scheduler cron apply"

    interval = job.cron_expression.lstrip().lower().startswith("@every")
    # A new row would count from its own making: the old phase is kept.
    return options.add_command(replace(job.definition, starts_at=job.anchor) if interval else job.definition)


def _unfinished(job: "CronJob") -> str:
    parts = [f"{count} {what}" for count, what in ((job.running, "still running"), (job.waiting, "waiting")) if count]
    return f", {' and '.join(parts)}" if parts else ""
