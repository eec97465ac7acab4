"""Statements on cron_jobs that the planner uses; all but the looks run in its one transaction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from scheduler.model import CronJob
from scheduler.store.session import Session, Transaction


@dataclass(frozen=True, slots=True)
class Tick:
    """A tick that becomes an execution; all else is read from the row of its cron job, which the planner holds."""

    cron_job_id: int
    scheduled_at: datetime
    available_at: datetime
    concurrency_key: str | None


@dataclass(frozen=True, slots=True)
class SkippedTicks:
    """Ticks that share a SKIPPED row: `count` of them from `first` to `last`."""

    cron_job_id: int
    first: datetime
    last: datetime
    count: int
    because: str


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
        """Seconds until the next cron job is due, or resumes; None when none does."""
        rows = await self.session.run("next_tick", {})
        return None if not rows or rows[0][0] is None else float(rows[0][0])

    async def resume_ended(self, n: int) -> list[str]:
        """Resume up to `n` cron jobs whose pause was to end by now; their names."""
        return [name for (name,) in await self.session.run("resume_ended", {"n": n})]

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


async def insert_ticks(transaction: Transaction, ticks: Sequence[Tick]) -> Mapping[tuple[int, datetime], int]:
    """Insert each tick once, whoever plans it. Ids by cron job and tick, of those that weren't there already."""
    if not ticks:
        return {}
    rows = await transaction.run(
        "insert_ticks",
        {
            "cron_job_ids": [t.cron_job_id for t in ticks],
            "scheduled_ats": [t.scheduled_at for t in ticks],
            "available_ats": [t.available_at for t in ticks],
            "concurrency_keys": [t.concurrency_key for t in ticks],
        },
    )
    return {(cron_job_id, scheduled_at): id_ for cron_job_id, scheduled_at, id_ in rows}


async def insert_skipped(transaction: Transaction, spans: Sequence[SkippedTicks]) -> None:
    """Write why these ticks did not run."""
    if not spans:
        return
    await transaction.run(
        "insert_skipped",
        {
            "cron_job_ids": [s.cron_job_id for s in spans],
            "firsts": [s.first for s in spans],
            "lasts": [s.last for s in spans],
            "counts": [s.count for s in spans],
            "reasons": [s.because for s in spans],
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
