"""plan: due cron jobs become executions, and ticks that won't run become SKIPPED rows that say why.

One transaction: the due rows are locked (SKIP LOCKED, so planners share the work without a leader), their ticks are
inserted, and the cursors `next_run_at` and `planned_until` move. A unique index makes each tick happen once.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from scheduler import failpoints
from scheduler.messages import log
from scheduler.model import CatchUp, CronJob, OverlapPolicy, Plan, Span
from scheduler.rules import catch_up, overlap
from scheduler.rules.instants import EVER
from scheduler.rules.overlap import Decision
from scheduler.rules.schedule import Schedule, anchor, parse, tzdata_version
from scheduler.rules.unplanned import Unplanned, unplanned
from scheduler.store import cron_jobs as store
from scheduler.store.cron_jobs import Cursor, SkippedTicks, Tick, Unfinished
from scheduler.store.session import RowRefused, Session, Transaction

BATCH = 500
TICKS = 20_000
"""A look takes no further cron job once it has found so many ticks; one alone may have 10,000 to catch up on."""
_EARLIEST = EVER[0].timestamp()
"""As far back as `@every` may count from, also for a person."""
_CLOCK_TOLERANCE = timedelta(days=1)
_NOTHING = Unfinished()

OpenNow = Mapping[str, Unfinished]
"""What isn't final, by concurrency key."""


@dataclass(frozen=True, slots=True)
class Report:
    """What one look did."""

    cron_jobs: int
    executions: int
    more: bool
    """The look was full: there may be more that is due."""


@dataclass(frozen=True, slots=True)
class _Due:
    """A cron job and its schedule, and what is to be written for it."""

    cron_job: CronJob
    policy: OverlapPolicy
    schedule: Schedule
    plan: Plan
    unplanned: Sequence[Unplanned]
    key: str | None


@dataclass(frozen=True, slots=True)
class _Planned:
    due: _Due
    decision: Decision
    missed: Sequence[SkippedTicks]
    """What was too old, or taken by a pause or an edit."""


async def plan(session: Session) -> Report:
    """Plan what is due now, or a part of it; a row that the database refuses is set aside alone."""
    async with session.transaction() as transaction:
        seconds, rows = await store.lock_due(transaction, BATCH)
        now = datetime.fromtimestamp(seconds, UTC)
        looked, due = await _look(transaction, rows, now)
        planned = await _write(transaction, due)
        if failpoints.armed:
            failpoints.hit("before_plan_commit")
    executions = sum(len(each.decision.run) for each in planned)
    _log(planned, executions)
    return Report(looked, executions, more=looked < len(rows) or len(rows) == BATCH)


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
    planned = [_Planned(d, _decide(d, open_now), list(_missed(d))) for d in due]
    replaced = [each.due.key for each in planned if each.due.key is not None and each.decision.replaces]
    await store.replace_unfinished(transaction, replaced)
    ids = await store.insert_ticks(transaction, [tick for each in planned for tick in _ticks(each)])
    await store.insert_skipped(transaction, [span for each in planned for span in _skipped(each, open_now, ids)])
    await store.advance(transaction, [_cursor(each) for each in planned], tzdata_version())
    return planned


def _log(planned: Sequence[_Planned], executions: int) -> None:
    for each in planned:
        for missed in each.missed:
            log("planner.skipped", name=each.due.cron_job.name, reason=missed.because)
    if executions:
        log("planner.planned", count=executions, cron_jobs=len(planned))


async def _refuse(transaction: Transaction, row: CronJob, reason: str) -> None:
    log("planner.refused", name=row.name, reason=reason)
    await store.refuse(transaction, row.id, reason)


async def _look(transaction: Transaction, rows: Sequence[CronJob], now: datetime) -> tuple[int, list[_Due]]:
    """How many of the rows were looked at, and what is to be written for those that make sense."""
    found: list[_Due] = []
    ticks = 0
    for looked, row in enumerate(rows):
        if ticks >= TICKS:
            return looked, found
        if due := await _look_at(transaction, row, now):
            found.append(due)
            ticks += len(due.plan.due)
    return len(rows), found


async def _look_at(transaction: Transaction, row: CronJob, now: datetime) -> _Due | None:
    try:
        return _due(row, now)
    except Exception as error:  # whatever a hand has written there, it is this row's alone
        await _refuse(transaction, row, str(error))
        return None


def _due(row: CronJob, now: datetime) -> _Due:
    starts_at, ends_at = _instant(row.starts_at, _EARLIEST), _instant(row.ends_at)
    created_at = _instant(row.created_at) or now
    schedule = parse(row.cron_expression, row.timezone, anchor=anchor(starts_at, created_at, now))
    planned = catch_up.plan(
        schedule,
        planned_until=_planned_until(row, created_at, now),
        now=now,
        catch_up=CatchUp(row.catch_up),
        catch_up_limit=row.catch_up_limit,
        starts_at=starts_at,
        ends_at=ends_at,
    )
    policy = OverlapPolicy(row.overlap_policy)
    taken = unplanned(row.unplanned, min(created_at, now))
    return _Due(row, policy, schedule, planned, taken, overlap.concurrency_key(policy, row.id))


def _instant(seconds: float | None, least: float = 0.0) -> datetime | None:
    """Unix seconds as a datetime; what no datetime can hold is as far away as one can be."""
    if seconds is None or math.isnan(seconds):
        return None
    return datetime.fromtimestamp(min(max(seconds, least), 253_000_000_000.0), UTC)


def _planned_until(row: CronJob, created_at: datetime, now: datetime) -> datetime:
    """The cursor. One from before the row existed, or far ahead though nobody skipped so far, is brought back."""
    cursor = _instant(row.planned_until) or now
    if cursor > now + _CLOCK_TOLERANCE:
        return max(now, min(cursor, _instant(row.skipped_until) or now))
    return max(cursor, min(created_at, now))


def _decide(due: _Due, open_now: OpenNow) -> Decision:
    open_key = _open(due, open_now)
    return overlap.decide(
        due.policy,
        due.plan.due,
        waiting=open_key.waiting,
        running=open_key.running,
        limit=due.cron_job.catch_up_limit,
    )


def _open(due: _Due, open_now: OpenNow) -> Unfinished:
    return open_now.get(due.key, _NOTHING) if due.key is not None else _NOTHING


def _missed(due: _Due) -> Iterator[SkippedTicks]:
    """What nobody planned in time, oldest first."""
    for taken in due.unplanned:
        yield _told(due, taken.span, taken.why)
    if due.plan.skipped is not None:
        yield _told(due, due.plan.skipped, f"fell due while nothing was planning (catch_up '{due.cron_job.catch_up}')")


def _told(due: _Due, span: Span, why: str) -> SkippedTicks:
    count = f"more than {span.count} ticks" if span.more else "1 tick" if span.count == 1 else f"{span.count} ticks"
    return SkippedTicks(due.cron_job.id, span.first, span.last, span.count, f"skipped {count} that {why}")


def _ticks(planned: _Planned) -> Iterator[Tick]:
    due = planned.due
    for tick in planned.decision.run:
        yield Tick(due.cron_job.id, tick, tick + _put_off(due, tick), due.key)


def _skipped(planned: _Planned, open_now: OpenNow, ids: Mapping[tuple[int, datetime], int]) -> Iterator[SkippedTicks]:
    """The SKIPPED rows of one cron job: for what it missed, and for what is in an execution's way."""
    due, decision = planned.due, planned.decision
    yield from planned.missed
    if decision.skipped:
        open_key = _open(due, open_now)
        newest = ids.get((due.cron_job.id, decision.run[-1])) if decision.run else None
        reason = overlap.because(
            due.policy,
            execution_id=newest if decision.replaces else open_key.blocking_id or newest,
            waiting=open_key.waiting + len(decision.run),
            limit=due.cron_job.catch_up_limit,
        )
        yield SkippedTicks(due.cron_job.id, decision.skipped[0], decision.skipped[-1], len(decision.skipped), reason)


def _put_off(due: _Due, tick: datetime) -> timedelta:
    row = due.cron_job
    if row.jitter_seconds <= 0:
        return timedelta()
    return timedelta(seconds=catch_up.jitter(row.id, tick, row.jitter_seconds, due.schedule.next(tick)))


def _cursor(planned: _Planned) -> Cursor:
    due, run = planned.due, planned.decision.run
    return Cursor(due.cron_job.id, due.plan.next_run_at, due.plan.planned_until, run[-1] if run else None)
