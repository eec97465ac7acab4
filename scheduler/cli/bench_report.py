"""The figures of `scheduler bench` for people."""

from collections.abc import Iterator

import typer

from scheduler.app.bench import Report
from scheduler.cli.tables import print_fields, print_table
from scheduler.operations.words import count_of

_Row = tuple[str, str, str]


def print_report(report: Report) -> None:
    """What was measured where, a line for each measure, and what it comes to beside the server's own speed."""
    server, yardstick = report.server, report.yardstick
    print_fields(
        {
            "server": f"PostgreSQL {server.version}",
            "durability": f"fsync {server.fsync}, synchronous_commit {server.synchronous_commit}",
            "round trip": f"{_time(yardstick.round_trip)}; {_time(yardstick.insert)} to commit a bare INSERT",
        }
    )
    typer.echo()
    print_table(("measure", "result", "of"), _rows(report))
    if said := ", and ".join(_beside(report)):
        typer.echo(f"\nBeside a bare INSERT on this server: {said}.")


def _rows(report: Report) -> Iterator[_Row]:
    if e := report.enqueue:
        yield "enqueue", _rate(e.single_rate), f"{e.single_jobs:,} one after the other, each committed, by one client"
        yield "enqueue_many", _rate(e.bulk_rate), f"{e.bulk_jobs:,} in one transaction"
    if d := report.drain:
        by = count_of(report.processes, "process", "processes")
        yield "drain", _rate(d.rate), f"{d.jobs:,} no-ops by {by}, {_time(d.cpu)} of CPU each"
    if found := report.latency:
        yield "pick-up", _p50(found.p50, found.p99), f"{found.count:,}, from commit to handler, on an idle worker"
    if c := report.cron:
        skipped = f", {c.not_run:,} skipped" if c.not_run else ""
        of = f"{count_of(c.late.count, 'tick')} of {c.cron_jobs} cron jobs, every second{skipped}"
        yield "cron lateness", _p50(c.late.p50, c.late.p99), of


def _beside(report: Report) -> Iterator[str]:
    insert = report.yardstick.insert
    if e := report.enqueue:
        yield f"one enqueue takes {1 / e.single_rate / insert:.1f} times as long"
    if d := report.drain:
        yield f"{d.rate * insert:.1f} jobs are claimed, run and recorded in the time of one"


def _rate(rate: float) -> str:
    return f"{rate:,.0f} a second"


def _p50(p50: float, p99: float) -> str:
    return f"p50 {_time(p50)}, p99 {_time(p99)}"


def _time(seconds: float) -> str:
    """`41 µs`, `2.1 ms`, `1.2 s`."""
    for unit, factor in (("s", 1), ("ms", 1e3)):
        if (value := seconds * factor) >= 1:
            return f"{value:.3g} {unit}"
    return f"{seconds * 1e6:.3g} µs"
