"""Skip: the next ticks of a cron job don't run, and one SKIPPED row says until when and at whose request.

It moves the planner's cursor past them, in the transaction that writes the row. An edit of the schedule, a pause and a
resume move the cursor back to now, and so end a skip: the row goes, and of its ticks that are past the planner writes a
new one. From Python:

    skip(session, "nightly", monday)      # again with a later or an earlier time: longer, shorter
    end_skip(session, "nightly")          # the ticks to come run again
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from scheduler.errors import ConflictError, NotFoundError, RefusedError
from scheduler.model import Span
from scheduler.operations.audit import write
from scheduler.operations.cron_jobs import names, unknown
from scheduler.operations.preview import Tick
from scheduler.rules.catch_up import span
from scheduler.rules.instants import HORIZON, INSTANT
from scheduler.rules.schedule import Schedule, anchor, parse, tzdata_version
from scheduler.store.asking import ask, one_transaction
from scheduler.store.session import SyncSession

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Skip:
    """What is skipped now. Times in UTC."""

    cron_job_id: int
    cron_job: str
    until: datetime
    """The first instant whose tick runs again."""
    count: int
    """Ticks before it that don't run; counting stops at 10,000, and then `more` is True."""
    more: bool
    first: Tick | None
    last: Tick | None
    execution_id: int | None
    """The SKIPPED row that stands for them."""
    given_back: int
    """Ticks that were to be skipped until now, and will run; counted likewise."""
    next_tick: Tick | None
    """The first one that runs; None: never again, or not while it is paused."""


def skip(session: SyncSession, name: str, until: datetime) -> Skip:
    """Let no tick before `until` (aware) run that isn't planned yet; those that were skipped beyond it run again.

    Raises NotFoundError, RefusedError for a time that is past, ScheduleError for a schedule that can't be, and
    ConflictError for a cron job that is paused.
    """
    with one_transaction(session):
        row = _locked(session, name)
        _require_ticks_to_come(row, until)
        write(session, "cron_job.skip", name, {"until": until})
        return _skip_until(session, row, until, _in_force(session, row))


def end_skip(session: SyncSession, name: str) -> Skip:
    """Let the ticks to come run again; without a skip, nothing happens. Raises NotFoundError and ScheduleError."""
    with one_transaction(session):
        row = _locked(session, name)
        if row["planned_until"] <= row["now"]:
            return _told(row, row["now"])
        write(session, "cron_job.skip", name, {"until": None})
        return _skip_until(session, row, row["now"], _in_force(session, row))


def _locked(session: SyncSession, name: str) -> Row:
    rows = ask(session, "cron_job_to_skip", name=name)
    if not rows:
        raise NotFoundError(unknown(name, names(session)))
    return rows[0]


def _require_ticks_to_come(row: Row, until: datetime) -> None:
    if until <= row["now"]:
        raise RefusedError(f"{until.isoformat()} is past, and what was due then is planned: write a time to come.")
    if not row["enabled"]:
        raise ConflictError(f"Cron job {row['name']!r} is paused: it has no ticks to skip until it is resumed.")
    if row["invalid_reason"] is not None:
        raise RefusedError(f"Cron job {row['name']!r} has no ticks to skip. {row['invalid_reason']}")


def _in_force(session: SyncSession, row: Row) -> Row | None:
    """The row of a skip whose last tick is still to come."""
    if row["planned_until"] < row["now"]:
        return None
    return next(iter(ask(session, "skip_in_force", cron_job_id=row["id"])), None)


def _skip_until(session: SyncSession, row: Row, until: datetime, old: Row | None) -> Skip:
    schedule = _schedule(row)
    start = min(row["planned_until"], row["now"]) + INSTANT if old is None else old["first"]
    skipped = span(schedule, *_window(row, start, until))
    execution_id = _record(session, row, skipped, until, old)
    if skipped is not None or old is not None or row["planned_until"] > row["now"]:
        ask(
            session,
            "plan_from",
            cron_job_id=row["id"],
            planned_until=until - INSTANT,
            next_run_at=_next(schedule, row, until),
            tzdata_version=tzdata_version(),
        )
    given_back = None if old is None else span(schedule, *_window(row, until, old["last"] + INSTANT))
    return _told(row, until, skipped, execution_id, given_back)


def _schedule(row: Row) -> Schedule:
    counted_from = anchor(row["starts_at"], row["created_at"], row["now"])
    return parse(row["cron_expression"], row["timezone"], anchor=counted_from)


def _window(row: Row, start: datetime, end: datetime) -> tuple[datetime, datetime]:
    """[start, end), as far as the cron job's own window goes."""
    return max(start, row["starts_at"] or start), min(end, row["ends_at"] or end)


def _next(schedule: Schedule, row: Row, start: datetime) -> datetime | None:
    return next(schedule.between(*_window(row, start, HORIZON)), None)


def _record(session: SyncSession, row: Row, skipped: Span | None, until: datetime, old: Row | None) -> int | None:
    """Write, change or delete the SKIPPED row; its id, if there is one now."""
    if skipped is None:
        if old is not None:
            ask(session, "take_skip_back", id=old["id"])
        return None
    reason = f"skipped until {until.isoformat(sep=' ', timespec='seconds')} by request of {row['role']}"
    told = {"count": skipped.count, "last": skipped.last, "reason": reason}
    if old is not None:
        (written,) = ask(session, "change_skip", id=old["id"], **told)
    else:
        (written,) = ask(session, "write_skip", cron_job_id=row["id"], first=skipped.first, **told)
    return int(written["id"])


def _told(
    row: Row,
    until: datetime,
    skipped: Span | None = None,
    execution_id: int | None = None,
    given_back: Span | None = None,
) -> Skip:
    schedule = _schedule(row)
    next_tick = _next(schedule, row, until) if row["enabled"] else None
    return Skip(
        cron_job_id=row["id"],
        cron_job=row["name"],
        until=until,
        count=0 if skipped is None else skipped.count,
        more=skipped is not None and skipped.more,
        first=None if skipped is None else Tick.of(schedule, skipped.first),
        last=None if skipped is None else Tick.of(schedule, skipped.last),
        execution_id=execution_id,
        given_back=0 if given_back is None else given_back.count,
        next_tick=None if next_tick is None else Tick.of(schedule, next_tick),
    )
