"""Statements on cron_jobs that the planner uses; all but the looks run in its one transaction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from scheduler.model import CronJob, Status
from scheduler.store.session import Session, Transaction


@dataclass(frozen=True, slots=True)
class TickRow:
    """A row to insert for a tick: an execution, or a SKIPPED span with its reason."""

    cron_job: CronJob
    scheduled_at: datetime
    available_at: datetime
    concurrency_key: str | None = None
    skipped_count: int | None = None
    skipped_until: datetime | None = None
    error: str | None = None

    @property
    def status(self) -> Status:
        return Status.PENDING if self.error is None else Status.SKIPPED


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far a cron job is planned."""

    cron_job_id: int
    next_run_at: datetime | None
    planned_until: datetime
    last_run_at: datetime | None


@dataclass(frozen=True, slots=True)
class Unfinished:
    """Executions of one cron job that aren't final."""

    waiting: int = 0
    running: int = 0
    blocking_id: int | None = None


class CronJobs:
    def __init__(self, session: Session) -> None:
        self.session = session

    async def next_tick(self) -> float | None:
        """Seconds until the next cron job is due; None when none is."""
        rows = await self.session.run("next_tick", {})
        return None if not rows or rows[0][0] is None else float(rows[0][0])

    async def recompute_zones(self, tzdata_version: str) -> None:
        """Have ticks computed anew that were computed with other time zone data."""
        await self.session.run("recompute_zones", {"tzdata_version": tzdata_version})


async def lock_due(transaction: Transaction, n: int) -> tuple[float, list[CronJob]]:
    """The database's time (Unix seconds) and up to `n` due cron jobs, locked against other planners."""
    rows = await transaction.run("lock_due", {"n": n})
    (now,) = (await transaction.run("now", {}))[0]
    return now, [CronJob(*row) for row in rows]


async def unfinished(transaction: Transaction, keys: Sequence[str]) -> Mapping[str, Unfinished]:
    """What isn't final, by concurrency key; keys without any are left out."""
    if not keys:
        return {}
    rows = await transaction.run("unfinished", {"keys": list(keys)})
    return {row[0]: Unfinished(waiting=row[1], running=row[2], blocking_id=row[3]) for row in rows}


async def insert_ticks(transaction: Transaction, ticks: Sequence[TickRow]) -> None:
    """Insert them all, each tick once whoever plans it."""
    if not ticks:
        return
    jobs = [tick.cron_job for tick in ticks]
    await transaction.run(
        "insert_ticks",
        {
            "cron_job_ids": [j.id for j in jobs],
            "handler_names": [j.handler_name for j in jobs],
            "handler_params": [j.handler_params for j in jobs],
            "queues": [j.queue for j in jobs],
            "priorities": [j.priority for j in jobs],
            "timeouts": [j.timeout_seconds for j in jobs],
            "max_retries": [j.max_retry for j in jobs],
            "backoffs": [j.retry_backoff for j in jobs],
            "retry_delays": [j.retry_delay_seconds for j in jobs],
            "statuses": [t.status.value for t in ticks],
            "scheduled_ats": [t.scheduled_at for t in ticks],
            "available_ats": [t.available_at for t in ticks],
            "concurrency_keys": [t.concurrency_key for t in ticks],
            "skipped_counts": [t.skipped_count for t in ticks],
            "skipped_untils": [t.skipped_until for t in ticks],
            "errors": [t.error for t in ticks],
        },
    )


async def advance(transaction: Transaction, cursors: Sequence[Cursor], tzdata_version: str) -> None:
    if not cursors:
        return
    await transaction.run(
        "advance",
        {
            "ids": [c.cron_job_id for c in cursors],
            "next_run_ats": [c.next_run_at for c in cursors],
            "planned_untils": [c.planned_until for c in cursors],
            "last_run_ats": [c.last_run_at for c in cursors],
            "tzdata_version": tzdata_version,
        },
    )


async def refuse(transaction: Transaction, cron_job_id: int, reason: str) -> None:
    """Mark a row that can't be planned, until somebody edits it."""
    await transaction.run("refuse", {"id": cron_job_id, "reason": reason})


async def replace_unfinished(transaction: Transaction, keys: Sequence[str]) -> None:
    """Cancel what waits under these keys, and ask what runs to stop."""
    if keys:
        await transaction.run("replace_unfinished", {"keys": list(keys)})
