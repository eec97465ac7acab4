"""Which of the ticks that came due since the last look still run, and when exactly a tick becomes available."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from hashlib import blake2b
from itertools import chain, takewhile
from typing import assert_never

from scheduler.model import CatchUp, Plan, Span
from scheduler.rules.instants import INSTANT
from scheduler.rules.schedule import Schedule

FRESH = timedelta(seconds=10)
"""Ticks at most this old run whatever the policy says."""
COUNTED = 10_000
"""Counting the ticks of a span stops here."""

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
    opens = planned_until + INSTANT if starts_at is None else max(planned_until + INSTANT, starts_at)
    stale_until = now - FRESH if ends_at is None else min(now - FRESH, ends_at)
    ticks = _before(ends_at, schedule.iterate(opens - INSTANT))
    first = next(ticks, None)
    if first is None:
        return Plan(planned_until=settled, next_run_at=None)
    if first >= stale_until:
        fresh, next_run_at = _split(chain((first,), ticks), settled)
        return Plan(planned_until=settled, next_run_at=next_run_at, due=fresh)
    fresh, next_run_at = _split(_before(ends_at, schedule.iterate(stale_until - INSTANT)), settled)
    revived = schedule.newest(_revivable(catch_up, catch_up_limit, bool(fresh)), first, stale_until)
    return Plan(
        planned_until=settled,
        next_run_at=next_run_at,
        due=(*revived, *fresh),
        skipped=span(schedule, first, revived[0] if revived else stale_until),
    )


def span(schedule: Schedule, start: datetime, end: datetime) -> Span | None:
    """The ticks in [start, end), counted to `COUNTED`; None if there are none."""
    newest = schedule.newest(1, start, end)
    if not newest:
        return None
    count = schedule.count(start, end, at_most=COUNTED + 1)
    first = next(schedule.between(start, end))
    return Span(first=first, last=newest[0], count=min(count, COUNTED), more=count > COUNTED)


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


def _before(ends_at: datetime | None, ticks: Iterator[datetime]) -> Iterator[datetime]:
    return ticks if ends_at is None else takewhile(lambda tick: tick < ends_at, ticks)


def _split(ticks: Iterator[datetime], settled: datetime) -> tuple[tuple[datetime, ...], datetime | None]:
    """The ticks up to `settled`, and the one after them."""
    due: list[datetime] = []
    for tick in ticks:
        if tick > settled:
            return tuple(due), tick
        due.append(tick)
    return tuple(due), None
