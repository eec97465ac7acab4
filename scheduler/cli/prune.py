"""`scheduler prune`."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from scheduler.cli import completion, values
from scheduler.cli.agreement import agree
from scheduler.cli.failures import FAILED
from scheduler.cli.moments import parsed_span
from scheduler.cli.options import AsJson
from scheduler.cli.printable import one_line
from scheduler.cli.progress import bar
from scheduler.cli.project import connected
from scheduler.clock import monotonic
from scheduler.model import FINAL
from scheduler.operations.words import count_of

if TYPE_CHECKING:
    from scheduler.app import Project
    from scheduler.rules.retention import Narrowed
    from scheduler.store.retention import Pruned
    from scheduler.store.session import SyncSession

LINE_SECONDS = 5.0
"""How often a log hears of it."""
_DAY_SECONDS = 86_400


def prune(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would go.")] = False,
    status: Annotated[
        list[str] | None,
        typer.Option(
            "--status",
            metavar="STATUS",
            help="Only executions that ended so, such as success; also dead (FAILED and TIMEOUT).",
            autocompletion=completion.ended,
        ),
    ] = None,
    queue: Annotated[
        str | None,
        typer.Option("--queue", metavar="NAME", help="Only those of this queue.", autocompletion=completion.queues),
    ] = None,
    older_than: Annotated[
        str | None,
        typer.Option(
            "--older-than", metavar="DURATION", help="Those that ended longer ago, such as 7d, whatever the rules say."
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Delete what retention no longer keeps, now: what a running scheduler does by itself, every few minutes.

    Without --status, --queue and --older-than also workers that have ended, and messages that nobody sends again. What
    waits or runs stays, whatever the rules say, and so does the newest outcome of each cron job.

    Example: scheduler prune --dry-run

    Example: scheduler prune --status success --queue mail --older-than 7d
    """
    from scheduler.operations.prune import require_queue
    from scheduler.rules.retention import Narrowed

    days = None if older_than is None else parsed_span(older_than, "--older-than").total_seconds() / _DAY_SECONDS
    statuses = values.statuses(status, FINAL) if status else FINAL
    narrowed = Narrowed(statuses=statuses, queue=queue, older_than_days=days)
    with connected() as (project, session):
        if queue is not None:
            require_queue(session, queue)
        if older_than is not None and not (dry_run or yes):
            found = _walk(session, project, narrowed, dry_run=True)
            if found.total:
                typer.echo(f"{count_of(found.total, 'execution')} ended longer than {older_than} ago.", err=True)
                agree("Delete them?", "add --yes to delete them, or --dry-run to see what they are.")
        pruned = _walk(session, project, narrowed, dry_run=dry_run)
    _tell(pruned, narrowed, dry_run=dry_run, as_json=as_json)


def _walk(session: "SyncSession", project: "Project", narrowed: "Narrowed", *, dry_run: bool) -> "Pruned":
    from scheduler.app.retention import rules_of
    from scheduler.operations.prune import prune
    from scheduler.store.retention import Pruned

    pruned = Pruned()
    try:
        with _progress("looking" if dry_run else "prune") as advance:
            for pruned in prune(session, rules_of(project.settings.retention), narrowed, dry_run=dry_run):
                advance(pruned)
    except KeyboardInterrupt:
        said = "found" if dry_run else "deleted"
        typer.echo(f"Interrupted: {count_of(pruned.total, 'execution')} {said} so far.", err=True)
        raise typer.Exit(FAILED) from None
    return pruned


@contextmanager
def _progress(title: str) -> "Iterator[Callable[[Pruned], None]]":
    """A bar on a terminal, elsewhere a line now and then."""
    told = monotonic()

    def tell(pruned: "Pruned") -> None:
        nonlocal told
        if monotonic() - told >= LINE_SECONDS:
            told = monotonic()
            typer.echo(f"{title}: {pruned.done:.0%}, {count_of(pruned.total, 'execution')}", err=True)

    with bar(title, 1) as advance:
        yield (lambda pruned: advance(pruned.done)) if sys.stderr.isatty() else tell


def _tell(pruned: "Pruned", narrowed: "Narrowed", *, dry_run: bool, as_json: bool) -> None:
    kinds = sorted(pruned.executions.items())
    oldest = {kind: datetime.fromtimestamp(at, UTC) for kind, at in pruned.oldest.items()}
    if as_json:
        from scheduler.cli.tables import print_json

        executions = [
            {"status": kind[0], "queue": kind[1], "count": count, "oldest": oldest[kind]} for kind, count in kinds
        ]
        rest = {
            "workers": pruned.workers,
            "messages": pruned.messages,
            "requests": pruned.requests,
            "audit": pruned.audit,
        }
        print_json({"dry_run": dry_run, "executions": executions, **rest, "unknown_cron_jobs": list(pruned.unknown)})
    else:
        if kinds:
            from scheduler.cli.tables import print_table

            rows = ((*kind, f"{count:,}", oldest[kind]) for kind, count in kinds)
            print_table(("status", "queue", "executions", "oldest"), rows)
        typer.echo(_words(pruned, narrowed, dry_run=dry_run))
    for name in pruned.unknown:
        typer.echo(one_line(f"note: retention.cron_jobs names {name!r}, and no cron job is named so."), err=True)


def _words(pruned: "Pruned", narrowed: "Narrowed", *, dry_run: bool) -> str:
    counts = [count_of(pruned.total, "execution")]
    if narrowed.all:
        counts += [count_of(pruned.workers, "worker"), count_of(pruned.messages, "message")]
        if pruned.requests:
            counts.append(count_of(pruned.requests, "request"))
        if pruned.audit:
            counts.append(count_of(pruned.audit, "line of the audit", "lines of the audit"))
    listed = " and ".join((", ".join(counts[:-1]), counts[-1])) if counts[1:] else counts[0]
    return f"{listed} would be deleted. Nothing was done: --dry-run." if dry_run else f"{listed} deleted."
