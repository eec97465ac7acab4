"""`scheduler cron backfill`."""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from scheduler.cli import completion
from scheduler.cli.agreement import agree
from scheduler.cli.cron.ticks import tick_json
from scheduler.cli.failures import FAILED
from scheduler.cli.moments import before_now, in_zone, parsed_ago
from scheduler.cli.options import AsJson
from scheduler.cli.printable import one_line
from scheduler.cli.progress import bar
from scheduler.cli.project import connected
from scheduler.clock import monotonic
from scheduler.operations.words import count_of

if TYPE_CHECKING:
    from scheduler.operations.backfill import Ahead, Done

ASKED = 10_000
"""Nobody is asked about fewer ticks."""
LINE_SECONDS = 5.0
"""How often progress is told where there is no terminal."""


def backfill(
    name: Annotated[str, typer.Argument(help="As `cron list` prints it.", autocompletion=completion.cron_jobs)],
    start: Annotated[
        str, typer.Option("--from", metavar="TIME", help="The first instant that counts; or how long ago, as 7d.")
    ],
    end: Annotated[
        str | None, typer.Option("--to", metavar="TIME", help="The first instant that doesn't.  [default: now]")
    ] = None,
    max_parallel: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="How many run at once, where they may overlap.  [default: 1]"),
    ] = None,
    queue: Annotated[
        str | None,
        typer.Option(help="The queue they wait under.  [default: the cron job's]", autocompletion=completion.queues),
    ] = None,
    priority: Annotated[
        int | None, typer.Option(min=-9, max=9, help="Higher runs first.  [default: one below the cron job's]")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help=f"Don't ask, however many: from {ASKED:,} on.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be done.")] = False,
    as_json: AsJson = False,
) -> None:
    """Enqueue an execution for each tick of a cron job in a time that lies behind.

    Ticks that have an execution are left alone, so the same command can be given again, and goes on where it was
    interrupted; those that were skipped get one. Ticks from before the cron job existed count, but none outside of its
    starts_at and ends_at. The cron job's own ticks go first, and never do two of its executions run at once unless its
    overlap policy is 'allow'. A TIME is ISO 8601, in UTC where it names no offset.

    Example: scheduler cron backfill nightly --from 2026-02-01 --to 2026-03-01 --dry-run

    Example: scheduler cron backfill poll --from 7d --max-parallel 4
    """
    from scheduler.operations.backfill import Wanted, enqueue, prepare, rehearse
    from scheduler.operations.overview import database_time

    first, last = parsed_ago(start, "--from"), None if end is None else parsed_ago(end, "--to")
    with connected() as (_, session):
        now = database_time(session)
        wanted = Wanted(
            cron_job=name,
            start=before_now(first, now),
            end=now if last is None else before_now(last, now),
            max_parallel=max_parallel,
            queue=queue,
            priority=priority,
        )
        ahead = prepare(session, wanted)
        if not (dry_run or yes or ahead.count < ASKED):
            _agree(ahead)
        done = _follow(ahead, rehearse(session, ahead) if dry_run else enqueue(session, ahead), quiet=dry_run)
    _tell(ahead, done, dry_run=dry_run, as_json=as_json)


def _agree(ahead: "Ahead") -> None:
    typer.echo(one_line(f"{count_of(ahead.count, 'tick')} of cron job {ahead.cron_job!r}{_between(ahead)}."), err=True)
    agree("Enqueue an execution for each?", "add --yes to enqueue them, or --dry-run to count them.")


def _follow(ahead: "Ahead", steps: "Iterable[Done]", *, quiet: bool) -> "Done":
    """Show how far it is. Ctrl-C ends it between two batches, or undoes the one under way."""
    from scheduler.operations.backfill import Done

    done = Done()
    try:
        with _progress(ahead.count) as advance:
            for step in steps:
                done = step
                advance(done.ticks)
    except BaseException as error:
        if not quiet and done.ticks:
            typer.echo(
                f"{done.enqueued:,} enqueued so far, for {done.ticks:,} of {count_of(ahead.count, 'tick')}.", err=True
            )
        if not isinstance(error, KeyboardInterrupt):
            raise
        typer.echo("Interrupted: the same command goes on from there.", err=True)
        raise typer.Exit(FAILED) from None
    return done


@contextmanager
def _progress(total: int) -> Iterator[Callable[[int], None]]:
    """A bar on a terminal, elsewhere a line now and then."""
    told = monotonic()

    def tell(done: int) -> None:
        nonlocal told
        if monotonic() - told >= LINE_SECONDS:
            told = monotonic()
            typer.echo(f"{done:,} of {count_of(total, 'tick')}", err=True)

    with bar("backfill", total) as advance:
        yield advance if sys.stderr.isatty() else tell


def _tell(ahead: "Ahead", done: "Done", *, dry_run: bool, as_json: bool) -> None:
    if as_json:
        from scheduler.cli.tables import print_json

        print_json(
            {
                "cron_job": ahead.cron_job,
                "dry_run": dry_run,
                "ticks": ahead.count,
                "enqueued": done.enqueued,
                "there_already": done.there_already,
                "left_to_planner": ahead.left_to_planner,
                "first": tick_json(ahead.first),
                "last": tick_json(ahead.last),
                "queue": ahead.queue,
                "priority": ahead.priority,
                "max_parallel": ahead.at_once,
            }
        )
    elif ahead.count:
        for line in _words(ahead, done, dry_run=dry_run):
            typer.echo(one_line(line))
    for note in _notes(ahead, done):
        typer.echo(one_line(f"note: {note}"), err=True)


def _words(ahead: "Ahead", done: "Done", *, dry_run: bool) -> Iterator[str]:
    there = f"; {done.there_already:,} {_were(done.there_already)} there already" if done.there_already else ""
    yield f"{count_of(ahead.count, 'tick')} of cron job {ahead.cron_job!r}{_between(ahead)}."
    if dry_run:
        yield f"{done.enqueued:,} would be enqueued{there}. Nothing was done: --dry-run."
    else:
        yield f"{done.enqueued:,} enqueued{there}."
    if done.enqueued:
        yield f"They run {_at_once(ahead.at_once)}, in queue {ahead.queue!r} with priority {ahead.priority}."


def _notes(ahead: "Ahead", done: "Done") -> Iterator[str]:
    if not ahead.count:
        yield f"No tick of cron job {ahead.cron_job!r} that is planned already falls into that time."
    if ahead.left_to_planner:
        yield (
            f"{count_of(ahead.left_to_planner, 'tick')} at the end of that time {_were(ahead.left_to_planner)} left "
            "to the planner, which has not come to them yet."
        )
    if ahead.delays_ticks and done.enqueued:
        yield (
            "The cron job's own ticks wait behind them, having no higher priority: `scheduler cron edit --priority` "
            "gives them one."
        )


def _were(count: int) -> str:
    return "was" if count == 1 else "were"


def _between(ahead: "Ahead") -> str:
    if ahead.first is None or ahead.last is None:
        return ""
    if ahead.count == 1:
        return f": {in_zone(ahead.first.local)}"
    return f", from {in_zone(ahead.first.local)} to {in_zone(ahead.last.local)}"


def _at_once(number: int) -> str:
    return "one at a time" if number == 1 else f"up to {number:,} at once"
