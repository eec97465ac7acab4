"""What is shown of a run, and what is left of it for who looks for the cause."""

from pathlib import Path
from typing import Any

import psycopg

from tests.chaos.checker import CLAIMS
from tests.chaos.run import Report
from tests.chaos.stage import Stage

TABLES = (
    "t_audit.ev", "job_executions", "cron_jobs", "job_workers", "job_transactions", "chaos.retried",
    "chaos.horizon", "paired",
)  # fmt: skip
ELSEWHERE = ("begun", "paired")
SHOWN = 5
"""Violations shown of each invariant."""


def rendered(report: Report) -> str:
    """For a person: the seed, what happened, what holds."""
    states = ", ".join(f"{number} {status}" for status, number in sorted(report.states.items()))
    exits = ", ".join(f"{number} × {status}" for status, number in sorted(report.exits.items()))
    lines = [f"\nseed {report.plan.seed}", "", "faults that took effect, of those tried:"]
    lines += [f"  {report.delivered[kind]:4} of {report.tried[kind]:3}  {kind}" for kind in report.plan.kinds]
    lines += [
        f"  {report.delivered.total():4} of {report.tried.total():3}  in all",
        "",
        f"zombies refused      {report.zombies} outcomes; {report.leases_lost} leases lost",
        f"executions finished  {report.finished} ({states})",
        f"processes ended      {exits or 'none'}",
        "",
    ]
    for verdict in report.verdicts:
        lines.append(f"  {'✓' if verdict.holds else '✗'} {verdict.invariant:4} {CLAIMS[verdict.invariant]}")
        lines += [f"         not so: {row}" for row in verdict.violations[:SHOWN]]
    lines += [f"  ✗ it never happened: {what}" for what in report.unproven]
    return "\n".join(lines)


def keep(stage: Stage, report: Report, folder: Path) -> None:
    """Its tables as CSV, its schedule, its report and the logs of all processes."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.txt").write_text(rendered(report) + "\n")
    strikes = [f"{each.at} {each.kind.name} pick={each.pick} extent={each.extent}" for each in report.plan.strikes]
    (folder / "schedule.txt").write_text("\n".join(strikes) + "\n")
    stage.save_logs(folder)
    for url, prefix, tables in ((stage.url, "", TABLES), (stage.business_url, "business.", ELSEWHERE)):
        with psycopg.connect(url, autocommit=True) as connection:
            for table in tables:
                _write(connection, table, folder / f"{prefix}{table}.csv")


def _write(connection: psycopg.Connection[Any], table: str, path: Path) -> None:
    whole = f"COPY (TABLE {table}) TO STDOUT (FORMAT csv, HEADER)"
    with path.open("wb") as file, connection.cursor().copy(whole.encode()) as copy:
        for data in copy:
            file.write(data)
