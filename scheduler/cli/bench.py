"""`scheduler bench`."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from scheduler.cli.agreement import agree
from scheduler.cli.failures import FAILED
from scheduler.cli.options import AsJson
from scheduler.cli.printable import one_line
from scheduler.cli.project import opened
from scheduler.operations.words import count_of

if TYPE_CHECKING:
    from scheduler.app import Project
    from scheduler.app.bench import Options, Place, Report

_COUNTED = 1_000


class Part(StrEnum):
    """What can be measured alone."""

    ENQUEUE = "enqueue"
    DRAIN = "drain"
    LATENCY = "latency"
    CRON = "cron"


def bench(
    jobs: Annotated[int, typer.Option(metavar="N", min=1, max=10_000_000, help="Executions of a backlog.")] = 20_000,
    seconds: Annotated[
        float,
        typer.Option(
            metavar="SECONDS",
            min=0.1,
            max=3_600,
            help="How long to enqueue one by one, to pick up, and to tick.",
        ),
    ] = 5.0,
    processes: Annotated[int, typer.Option(metavar="N", min=1, max=100, help="Worker processes.")] = 1,
    only: Annotated[
        list[Part] | None, typer.Option("--only", help="Measure this alone; may be given several times.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask, though the database is in use.")] = False,
    as_json: AsJson = False,
) -> None:
    """Measure on the job database: enqueue rates, drain rate, pick-up latency, lateness of cron jobs.

    It works in a schema of its own, scheduler_bench_…, with workers of its own whose handlers do nothing, and drops it
    at the end, also after Ctrl-C. Your rows stay as they are, but while it lasts it takes what the server can give: it
    asks first where work waits or workers run. The role needs CREATE on the database.

    Example: scheduler bench
    Example: scheduler bench --jobs 100000 --processes 2 --only drain
    Example: scheduler bench --yes --json
    """
    from scheduler.app.bench import Options, examine

    options = Options(jobs, seconds, processes, [part.value for part in only or Part])
    with opened() as project, _interrupted_by_sigterm():
        place = examine(project)
        _warn_of_left_over(place)
        if (use := _in_use(place)) and not yes:
            typer.echo(
                one_line(f'Database "{place.database}" is in use: {use}. All of it will be slower meanwhile.'), err=True
            )
            agree("Measure all the same?", "add --yes to measure all the same.")
        report = _measured(project, options)
    if as_json:
        from scheduler.cli.tables import print_json

        print_json(report)
    else:
        from scheduler.cli.bench_report import print_report

        print_report(report)


def _measured(project: "Project", options: "Options") -> "Report":
    from scheduler.app.bench import run
    from scheduler.cli.progress import live_bar

    try:
        with live_bar() as show:
            return run(project, options, show)
    except KeyboardInterrupt:
        typer.echo("Interrupted: the schema of the benchmark is dropped, and nothing is left.", err=True)
        raise typer.Exit(FAILED) from None


def _warn_of_left_over(place: "Place") -> None:
    from scheduler.app.bench import drop_statement

    for name in place.left_over:
        typer.echo(f"note: An earlier benchmark left a schema behind: {drop_statement(name)}", err=True)


def _in_use(place: "Place") -> str:
    """Empty where nobody is disturbed."""
    workers, waiting = place.use.workers, place.use.waiting
    said = []
    if workers:
        said.append(f"{count_of(workers, 'worker')} {'works' if workers == 1 else 'work'}")
    if waiting:
        more = "more than " if waiting > _COUNTED else ""
        counted = min(waiting, _COUNTED)
        said.append(f"{more}{count_of(counted, 'execution')} {'waits' if counted == 1 else 'wait'}")
    return " and ".join(said)


@contextmanager
def _interrupted_by_sigterm() -> Iterator[None]:
    """It ends like Ctrl-C, so that nothing is left behind."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
