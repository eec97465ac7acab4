"""Rows that name a handler which this project doesn't have."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from scheduler.errors import HandlerNotFoundError, did_you_mean, nearest
from scheduler.operations.doctor.bench import Bench
from scheduler.operations.doctor.finding import Code, Finding, literal
from scheduler.operations.words import count_of


def unknown_handlers(bench: Bench) -> Iterator[Finding]:
    """Cron jobs, executions that wait, and those that failed for it within a day."""
    known = bench.facts.handlers
    if known is None:
        yield Finding.unchecked(
            Code.UNKNOWN_HANDLERS, "Whether rows name handlers that exist: the project's own can't be imported."
        )
        return
    cron_jobs = bench.ask("doctor_cron_handlers", known=list(known))
    waiting = bench.ask("doctor_waiting_handlers", known=list(known))
    dead = bench.ask("doctor_failed_handlers", beginning=HandlerNotFoundError.BEGINNING)
    failed = [row for row in dead if row["handler"] not in known]
    yield from (_cron_job(bench, row, known) for row in cron_jobs)
    named = {row["handler"] for row in cron_jobs}
    yield from (_execution(bench, "wait for", row, known) for row in waiting if row["handler"] not in named)
    named |= {row["handler"] for row in waiting}
    yield from (_execution(bench, "failed for want of", row, known) for row in failed if row["handler"] not in named)
    if not cron_jobs and not waiting and not failed:
        yield Finding.fine(Code.UNKNOWN_HANDLERS, "Every row names a handler of this project.")


def _cron_job(bench: Bench, row: Mapping[str, Any], known: Sequence[str]) -> Finding:
    handler = row["handler"]
    others = f" and {row['count'] - 1} more name" if row["count"] > 1 else " names"
    table = bench.table("cron_jobs")
    return Finding.warning(
        Code.UNKNOWN_HANDLERS,
        f"Cron job {row['example']!r}{others} the handler {handler!r}, which this project doesn't have."
        f"{did_you_mean(handler, known)}",
        "Correct the row, or write the handler, unless another project's worker has it.",
        [
            f"UPDATE {table} SET handler_name = {literal(near)} WHERE handler_name = {literal(handler)};"
            for near in nearest(handler, known)
        ],
    )


def _execution(bench: Bench, verb: str, row: Mapping[str, Any], known: Sequence[str]) -> Finding:
    return Finding.warning(
        Code.UNKNOWN_HANDLERS,
        f"{count_of(row['count'], 'execution')} {verb} the handler {row['handler']!r}, which this project doesn't "
        f"have.{did_you_mean(row['handler'], known)}",
        f"Write the handler, or cancel what names it (`scheduler jobs show {row['example']}` is one), unless another "
        "project's worker has it.",
        [
            f"UPDATE {bench.table('job_executions')} SET handler_name = {literal(near)} "
            f"WHERE handler_name = {literal(row['handler'])} AND status = 'PENDING';"
            for near in nearest(row["handler"], known)
            if verb == "wait for"
        ],
    )
