"""Backfill: an execution for each tick of a time that lies behind, however often it is asked for.

From Python, with a session of the project's job database:

    session = Project.open(Path.cwd()).session("backfill of May")
    ahead = prepare(session, Wanted(cron_job="nightly", start=may, end=june))
    for done in enqueue(session, ahead):
        print(done.enqueued, "of", ahead.count)

Each batch is a transaction of its own. What is there stays, so that the same again goes on where the last one ended.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from scheduler import failpoints
from scheduler.errors import ConflictError, NotFoundError, RefusedError
from scheduler.model import OverlapPolicy
from scheduler.operations.audit import write
from scheduler.operations.cron_jobs import names, unknown
from scheduler.operations.preview import Tick
from scheduler.rules.instants import INSTANT
from scheduler.rules.overlap import KEY_LIMIT, concurrency_key
from scheduler.rules.schedule import IntervalSchedule, Schedule, anchor, parse
from scheduler.store.asking import ask
from scheduler.store.session import SyncSession

BATCH = 2_000
"""Ticks of one transaction."""
AT_MOST = 1_000_000
"""Ticks of one backfill."""

_LOWEST = -9


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What somebody asks for."""

    cron_job: str
    """Its name."""
    start: datetime
    """Aware; the first instant that counts."""
    end: datetime
    """Aware; the first one that doesn't. Not in the future."""
    max_parallel: int | None = None
    """How many run at once, from 1 on; None: one. More only where executions of the cron job may overlap."""
    queue: str | None = None
    """None: the cron job's own."""
    priority: int | None = None
    """-9 to 9; None: one below the cron job's own, so that its ticks go first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ahead:
    """What a backfill comes to. Times in UTC."""

    cron_job_id: int
    cron_job: str
    schedule: Schedule
    start: datetime
    end: datetime
    """Ticks in [start, end): what was asked for, within the cron job's own window and what is planned."""
    count: int
    first: Tick | None
    last: Tick | None
    left_to_planner: int
    """Ticks that were asked for and that the planner has not come to yet; counted up to 10,000."""
    queue: str
    priority: int
    concurrency_key: str
    at_once: int
    delays_ticks: bool
    """The cron job's own ticks will wait behind it: they share its key, and have no higher priority."""
    version: str
    """Of what the ticks are computed from."""


@dataclass(frozen=True, slots=True)
class Done:
    """How far it is."""

    ticks: int = 0
    enqueued: int = 0

    @property
    def there_already(self) -> int:
        return self.ticks - self.enqueued


def prepare(session: SyncSession, wanted: Wanted) -> Ahead:
    """Look, and write nothing.

    Raises NotFoundError, RefusedError for a time or a number that can't be, and ScheduleError for a schedule.
    """
    row = _row(session, wanted.cron_job)
    _require_past(wanted, row["now"])
    start, end = _window(wanted, row)
    schedule = _schedule(row, start)
    planned = min(end, row["planned_until"] + INSTANT) if row["planned"] else end
    count = schedule.count(start, planned, at_most=AT_MOST + 1)
    if count > AT_MOST:
        raise RefusedError(f"These are more than {AT_MOST:,} ticks: backfill a shorter time, and then the next.")
    first, last = next(schedule.between(start, planned), None), schedule.newest(1, start, planned)
    priority = max(_LOWEST, row["priority"] - 1) if wanted.priority is None else wanted.priority
    key, at_once = _parallelism(wanted, row)
    return Ahead(
        cron_job_id=row["id"],
        cron_job=wanted.cron_job,
        schedule=schedule,
        start=start,
        end=planned,
        count=count,
        first=Tick.of(schedule, first) if first is not None else None,
        last=Tick.of(schedule, last[0]) if last else None,
        left_to_planner=schedule.count(max(start, planned), end, at_most=10_000),
        queue=wanted.queue or row["queue"],
        priority=priority,
        concurrency_key=key,
        at_once=at_once,
        delays_ticks=row["overlap_policy"] != OverlapPolicy.ALLOW and priority >= row["priority"],
        version=row["version"],
    )


def enqueue(session: SyncSession, ahead: Ahead) -> Iterator[Done]:
    """Write it, a batch after the other; how far it is after each.

    Raises ConflictError if the schedule is edited meanwhile, NotFoundError if the cron job is removed: the batches that
    were told of are written.
    """
    done = Done()
    asked = {"start": ahead.start, "end": ahead.end, "ticks": ahead.count, "queue": ahead.queue}
    write(session, "cron_job.backfill", ahead.cron_job, asked)
    for ticks in _batches(ahead):
        (row,) = ask(
            session,
            "backfill_ticks",
            cron_job_id=ahead.cron_job_id,
            version=ahead.version,
            ticks=ticks,
            queue=ahead.queue,
            priority=ahead.priority,
            concurrency_key=ahead.concurrency_key,
            concurrency_limit=ahead.at_once,
        )
        if not row["unchanged"]:
            raise _changed(session, ahead.cron_job)
        done = Done(done.ticks + len(ticks), done.enqueued + row["enqueued"])
        yield done
        if failpoints.armed:
            failpoints.hit("after_backfill_batch")


def rehearse(session: SyncSession, ahead: Ahead) -> Iterator[Done]:
    """What `enqueue` would do, without doing it."""
    done = Done()
    for ticks in _batches(ahead):
        (row,) = ask(session, "backfilled_ticks", cron_job_id=ahead.cron_job_id, ticks=ticks)
        done = Done(done.ticks + len(ticks), done.enqueued + len(ticks) - row["count"])
        yield done


def _row(session: SyncSession, name: str) -> Mapping[str, Any]:
    rows = ask(session, "cron_job_to_backfill", name=name)
    if not rows:
        raise NotFoundError(unknown(name, names(session)))
    return rows[0]


def _require_past(wanted: Wanted, now: datetime) -> None:
    if wanted.end > now:
        raise RefusedError(
            f"The end, {wanted.end.isoformat()}, lies in the future, which is the planner's: write a time up to now."
        )
    if wanted.start >= wanted.end:
        raise RefusedError(
            f"The start, {wanted.start.isoformat()}, is not before the end, {wanted.end.isoformat()}: write an earlier "
            "start, or a later end."
        )


def _window(wanted: Wanted, row: Mapping[str, Any]) -> tuple[datetime, datetime]:
    return max(wanted.start, row["starts_at"] or wanted.start), min(wanted.end, row["ends_at"] or wanted.end)


def _schedule(row: Mapping[str, Any], start: datetime) -> Schedule:
    """As the planner has it; and `@every` goes on in both directions, in its own phase."""
    expression, timezone = row["cron_expression"], row["timezone"]
    counted_from = anchor(row["starts_at"], row["created_at"], row["now"])
    schedule = parse(expression, timezone, anchor=counted_from)
    if isinstance(schedule, IntervalSchedule) and start < counted_from:
        interval: timedelta = schedule.trigger.interval
        return parse(expression, timezone, anchor=counted_from + (start - counted_from) // interval * interval)
    return schedule


def _parallelism(wanted: Wanted, row: Mapping[str, Any]) -> tuple[str, int]:
    """The concurrency key of each execution, and its limit."""
    if wanted.max_parallel is not None and wanted.max_parallel < 1:
        raise RefusedError(f"{wanted.max_parallel} at once can't be: write 1 or more.")
    key = concurrency_key(OverlapPolicy(row["overlap_policy"]), row["id"])
    if key is None:
        return f"backfill:{row['id']}", wanted.max_parallel or 1
    if wanted.max_parallel not in (None, KEY_LIMIT):
        raise RefusedError(
            f"Of cron job {wanted.cron_job!r} only one execution runs at a time (overlap_policy "
            f"'{row['overlap_policy']}'), and its backfill keeps to that: ask for no more than one, or change the "
            "policy to 'allow'."
        )
    return key, KEY_LIMIT


def _batches(ahead: Ahead) -> Iterator[Sequence[datetime]]:
    ticks = ahead.schedule.between(ahead.start, ahead.end)
    while batch := list(islice(ticks, BATCH)):
        yield batch


def _changed(session: SyncSession, name: str) -> ConflictError | NotFoundError:
    known = names(session)
    if name not in known:
        return NotFoundError(unknown(name, known))
    return ConflictError(f"The schedule of cron job {name!r} was edited meanwhile: look again which ticks are wanted.")
