"""plan: due cron jobs become executions, and ticks that won't run become SKIPPED rows that say why.

One transaction: the due rows are locked (SKIP LOCKED, so planners share the work without a leader), their ticks are
inserted, and the cursors `next_run_at` and `planned_until` move. A unique index makes each tick happen once.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from scheduler import failpoints
from scheduler.errors import ScheduleError
from scheduler.messages import log
from scheduler.model import CatchUp, CronJob, OverlapPolicy, Plan
from scheduler.rules import catch_up, overlap
from scheduler.rules.schedule import Schedule, parse, tzdata_version
from scheduler.store import cron_jobs as store
from scheduler.store.cron_jobs import Cursor, TickRow, Unfinished
from scheduler.store.session import RowRefused, Session, Transaction

BATCH = 500
_CLOCK_TOLERANCE = timedelta(days=1)
_NOTHING = Unfinished()


@dataclass(frozen=True, slots=True)
class Report:
    """What one look did."""

    cron_jobs: int
    executions: int
    more: bool
    """The look was full: there may be more that is due."""


@dataclass(frozen=True, slots=True)
class _Due:
    cron_job: CronJob
    schedule: Schedule
    plan: Plan
    key: str | None


_Planned = tuple[_Due, list[TickRow]]


async def plan(session: Session) -> Report:
    """Plan what is due now, at most `BATCH` cron jobs of it; a row that the database refuses is set aside alone."""
    async with session.transaction() as transaction:
        seconds, rows = await store.lock_due(transaction, BATCH)
        now = datetime.fromtimestamp(seconds, UTC)
        due = [d for row in rows if (d := await _look_at(transaction, row, now))]
        planned = await _write(transaction, due)
        if failpoints.armed:
            failpoints.hit("before_plan_commit")
    executions = sum(tick.error is None for _, ticks in planned for tick in ticks)
    _log(planned, executions)
    return Report(len(rows), executions, more=len(rows) == BATCH)


async def _write(transaction: Transaction, due: Sequence[_Due]) -> list[_Planned]:
    """Write what is due. If the database refuses it, then in halves, until the row to blame is set aside alone."""
    if not due:
        return []
    try:
        async with transaction.savepoint():
            return await _write_all(transaction, due)
    except RowRefused as error:
        if len(due) == 1:
            await _refuse(transaction, due[0].cron_job, str(error).partition("\n")[0])
            return []
    middle = len(due) // 2
    return await _write(transaction, due[:middle]) + await _write(transaction, due[middle:])


async def _write_all(transaction: Transaction, due: Sequence[_Due]) -> list[_Planned]:
    open_now = await store.unfinished(transaction, [d.key for d in due if d.key is not None and d.plan.due])
    await store.replace_unfinished(transaction, [d.key for d in due if d.key is not None and _replaces(d, open_now)])
    planned = [(d, list(_ticks(d, open_now))) for d in due]
    await store.insert_ticks(transaction, [tick for _, ticks in planned for tick in ticks])
    await store.advance(transaction, [_cursor(d, ticks) for d, ticks in planned], tzdata_version())
    return planned


def _log(planned: Sequence[_Planned], executions: int) -> None:
    for due, ticks in planned:
        if due.plan.skipped is not None:
            log("planner.skipped", name=due.cron_job.name, reason=ticks[0].error)
    if executions:
        log("planner.planned", count=executions, cron_jobs=len(planned))


async def _refuse(transaction: Transaction, row: CronJob, reason: str) -> None:
    log("planner.refused", name=row.name, reason=reason)
    await store.refuse(transaction, row.id, reason)


async def _look_at(transaction: Transaction, row: CronJob, now: datetime) -> _Due | None:
    try:
        return _due(row, now)
    except (ScheduleError, ValueError, OverflowError) as error:
        await _refuse(transaction, row, str(error))
        return None


def _due(row: CronJob, now: datetime) -> _Due:
    starts_at, ends_at = _instant(row.starts_at), _instant(row.ends_at)
    created_at = _instant(row.created_at) or now
    schedule = parse(row.cron_expression, row.timezone, anchor=starts_at or min(created_at, now))
    planned = catch_up.plan(
        schedule,
        planned_until=_planned_until(row, created_at, now),
        now=now,
        catch_up=CatchUp(row.catch_up),
        catch_up_limit=row.catch_up_limit,
        starts_at=starts_at,
        ends_at=ends_at,
    )
    key = overlap.concurrency_key(OverlapPolicy(row.overlap_policy), row.id)
    return _Due(row, schedule, planned, key)


def _instant(seconds: float | None) -> datetime | None:
    """Unix seconds as a datetime; what no datetime can hold is as far away as one can be."""
    if seconds is None or math.isnan(seconds):
        return None
    return datetime.fromtimestamp(min(max(seconds, 0.0), 253_000_000_000.0), UTC)


def _planned_until(row: CronJob, created_at: datetime, now: datetime) -> datetime:
    """The cursor; one that a hand has put far into the future, or before the row existed, is brought back."""
    cursor = _instant(row.planned_until) or now
    if cursor > now + _CLOCK_TOLERANCE:
        return now
    return max(cursor, min(created_at, now))


def _replaces(due: _Due, open_now: Mapping[str, Unfinished]) -> bool:
    return due.cron_job.overlap_policy == OverlapPolicy.REPLACE and bool(due.plan.due) and due.key in open_now


def _ticks(due: _Due, open_now: Mapping[str, Unfinished]) -> Iterator[TickRow]:
    """The rows for one cron job: its missed span, then each due tick as an execution or a SKIPPED row."""
    row, planned = due.cron_job, due.plan
    if planned.skipped is not None:
        span = planned.skipped
        count = f"more than {span.count} ticks" if span.more else "1 tick" if span.count == 1 else f"{span.count} ticks"
        reason = f"skipped {count} that fell due while nothing was planning (catch_up '{row.catch_up}')"
        yield TickRow(row, span.first, span.first, skipped_count=span.count, skipped_until=span.last, error=reason)
    open_key = open_now.get(due.key, _NOTHING) if due.key is not None else _NOTHING
    decisions = overlap.decide_all(
        OverlapPolicy(row.overlap_policy),
        planned.due,
        unfinished=open_key.waiting + open_key.running,
        waiting=open_key.waiting,
        limit=row.catch_up_limit,
        blocking_id=open_key.blocking_id,
    )
    for tick, decision in zip(planned.due, decisions, strict=True):
        if decision.skipped_because is not None:
            yield TickRow(row, tick, tick, skipped_count=1, skipped_until=tick, error=decision.skipped_because)
        else:
            yield TickRow(row, tick, tick + _put_off(due, tick), concurrency_key=due.key)


def _put_off(due: _Due, tick: datetime) -> timedelta:
    row = due.cron_job
    if row.jitter_seconds <= 0:
        return timedelta()
    return timedelta(seconds=catch_up.jitter(row.id, tick, row.jitter_seconds, due.schedule.next(tick)))


def _cursor(due: _Due, ticks: list[TickRow]) -> Cursor:
    last = max((tick.scheduled_at for tick in ticks if tick.error is None), default=None)
    return Cursor(due.cron_job.id, due.plan.next_run_at, due.plan.planned_until, last)
