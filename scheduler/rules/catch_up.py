"""Which of the ticks that came due since the last look still run, and when exactly a tick becomes available."""

from datetime import datetime, timedelta
from hashlib import blake2b
from typing import assert_never

from scheduler.model import CatchUp, Plan, Span
from scheduler.rules.schedule import Schedule

FRESH = timedelta(seconds=10)
"""Ticks at most this old run whatever the policy says."""
COUNTED = 10_000
"""Counting the ticks of a span stops here."""

_INSTANT = timedelta(microseconds=1)
_DAY = timedelta(days=1)


def plan(
    schedule: Schedule,
    *,
    planned_until: datetime,
    now: datetime,
    catch_up: CatchUp,
    catch_up_limit: int,
    starts_at: datetime | None = None,
    ends_at: datetime | None = None,
) -> Plan:
    """Account for every tick in (planned_until, now] for which starts_at <= tick < ends_at.

    Fresh ones are due. Of the stale, `latest` revives the newest unless there is a fresh one, `all` the newest
    `catch_up_limit`, `skip` none; the others share one span. A database clock that went back plans nothing twice:
    `planned_until` never does.
    """
    settled = max(planned_until, now)
    opens = planned_until + _INSTANT if starts_at is None else max(planned_until + _INSTANT, starts_at)
    closes = settled + _INSTANT if ends_at is None else min(settled + _INSTANT, ends_at)
    stale_until = min(closes, now - FRESH)
    fresh = list(schedule.between(max(opens, stale_until), closes))
    revived = schedule.newest(_revivable(catch_up, catch_up_limit, bool(fresh)), opens, stale_until)
    return Plan(
        planned_until=settled,
        next_run_at=_next_run_at(schedule, max(opens, settled + _INSTANT), ends_at),
        due=(*revived, *fresh),
        skipped=_span(schedule, opens, revived[0] if revived else stale_until),
    )


def jitter(cron_job_id: int, tick: datetime, jitter_seconds: float, next_tick: datetime | None) -> float:
    """Seconds by which this tick is put off: 0 <= delay < `jitter_seconds`, and always short of the next tick.

    A hash of cron job and tick, so every planner finds the same. Without a next tick it is less than a day.
    """
    room = _DAY if next_tick is None else next_tick - tick
    # The comparison is false for a NaN, which a row written by hand may hold.
    microseconds = int(min(jitter_seconds, room.total_seconds()) * 1_000_000) if jitter_seconds > 0 else 0
    if microseconds < 1:
        return 0.0
    digest = blake2b(f"{cron_job_id} {tick.timestamp()}".encode(), digest_size=8).digest()
    return int.from_bytes(digest) % microseconds / 1_000_000


def _revivable(catch_up: CatchUp, limit: int, has_fresh: bool) -> int:
    match catch_up:
        case CatchUp.SKIP:
            return 0
        case CatchUp.LATEST:
            return 0 if has_fresh else 1
        case CatchUp.ALL:
            return max(0, limit)
        case _:
            assert_never(catch_up)


def _next_run_at(schedule: Schedule, start: datetime, ends_at: datetime | None) -> datetime | None:
    tick = schedule.next(start - _INSTANT)
    return tick if tick is not None and (ends_at is None or tick < ends_at) else None


def _span(schedule: Schedule, start: datetime, end: datetime) -> Span | None:
    first = next(schedule.between(start, end), None)
    if first is None:
        return None
    count = schedule.count(first, end, at_most=COUNTED + 1)
    (last,) = schedule.newest(1, first, end)
    return Span(first=first, last=last, count=min(count, COUNTED), more=count > COUNTED)
