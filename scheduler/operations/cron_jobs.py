"""Cron jobs: add one, and see how all of them do."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any

from scheduler.errors import ConflictError, NotFoundError, ScheduleError, did_you_mean
from scheduler.model import CatchUp, OverlapPolicy
from scheduler.rules.schedule import parse
from scheduler.store.asking import ask, database_time
from scheduler.store.session import SyncSession

_FOR_EVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewCronJob:
    """A row to be; what isn't given is what the table's defaults say, and None the handler's own."""

    name: str
    cron_expression: str
    handler_name: str
    handler_params: str = "{}"
    """JSON."""
    description: str | None = None
    timezone: str = "UTC"
    queue: str = "default"
    priority: int = 0
    """-9 to 9; higher runs first."""
    timeout_seconds: float | None = None
    max_retry: int | None = None
    overlap_policy: OverlapPolicy = OverlapPolicy.SKIP
    catch_up: CatchUp = CatchUp.LATEST
    jitter_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class AddedCronJob:
    id: int
    name: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class CronJobStatus:
    """One cron job at a glance. Times in UTC."""

    id: int
    name: str
    description: str | None
    cron_expression: str
    timezone: str
    handler_name: str
    enabled: bool
    invalid_reason: str | None
    """Why it isn't planned; None: nothing is wrong with it."""
    next_run_at: datetime | None
    """None: never again, or not while it is paused or invalid."""
    last_run_at: datetime | None
    last_status: str | None
    """Of the newest execution that ended; skipped ticks don't count."""
    last_finished_at: datetime | None
    last_error: str | None
    failures_in_a_row: int
    """Up to 100."""


def add(session: SyncSession, new: NewCronJob) -> AddedCronJob:
    """Insert the row; planners see it at once.

    Raises ScheduleError for an expression or zone that can't be, ConflictError if the name is taken, and RefusedError.
    """
    parse(new.cron_expression, new.timezone, anchor=database_time(session))
    added = ask(
        session,
        "add_cron_job",
        name=new.name,
        description=new.description,
        cron_expression=new.cron_expression,
        timezone=new.timezone,
        handler_name=new.handler_name,
        handler_params=new.handler_params,
        queue=new.queue,
        priority=new.priority,
        timeout_seconds=new.timeout_seconds,
        max_retry=new.max_retry,
        overlap_policy=new.overlap_policy.value,
        catch_up=new.catch_up.value,
        jitter_seconds=new.jitter_seconds,
    )
    if not added:
        raise ConflictError(
            f"A cron job named {new.name!r} is already there: choose another name, or change that one with "
            "UPDATE cron_jobs."
        )
    return AddedCronJob(name=new.name, **added[0])


def statuses(session: SyncSession) -> list[CronJobStatus]:
    """All cron jobs, by name."""
    now = database_time(session)
    return [_status(row, now) for row in ask(session, "cron_job_statuses")]


def id_of(session: SyncSession, name: str) -> int:
    """Raises NotFoundError."""
    ids: dict[str, int] = {row["name"]: row["id"] for row in ask(session, "cron_job_names")}
    if name not in ids:
        raise NotFoundError(
            f"No cron job is named {name!r}.{did_you_mean(name, ids)} `scheduler cron list` shows all of them."
        )
    return ids[name]


def next_tick(row: Mapping[str, Any], now: datetime) -> datetime | None:
    """Of a row with its schedule: what a planner has computed, or else would."""
    if not row["uncomputed"]:
        computed: datetime | None = row["next_run_at"]
        return computed
    starts_at, ends_at = row["starts_at"], row["ends_at"]
    try:
        schedule = parse(row["cron_expression"], row["timezone"], anchor=starts_at or min(row["created_at"], now))
        return next(schedule.between(max(now, starts_at or now), ends_at or _FOR_EVER), None)
    except (ScheduleError, ValueError, OverflowError):
        return None  # the planner will say why in `invalid_reason`


def _status(row: Mapping[str, Any], now: datetime) -> CronJobStatus:
    told = {field.name: row[field.name] for field in fields(CronJobStatus)}
    planned = row["enabled"] and row["invalid_reason"] is None
    return CronJobStatus(**{**told, "next_run_at": next_tick(row, now) if planned else None})
