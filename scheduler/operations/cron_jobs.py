"""Cron jobs: what one is made of, add one, and see how all of them do."""

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any

from scheduler.errors import ConflictError, NotFoundError, RefusedError, ScheduleError, did_you_mean
from scheduler.model import Backoff, CatchUp, OverlapPolicy
from scheduler.operations.json_values import same_json
from scheduler.rules.instants import HORIZON
from scheduler.rules.schedule import anchor, parse
from scheduler.store.asking import ask, database_time
from scheduler.store.schema import metadata
from scheduler.store.session import SyncSession


@dataclass(frozen=True, slots=True, kw_only=True)
class CronJobDefinition:
    """What a person says about a cron job; what isn't said is what the table's defaults say, and None the handler's."""

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
    retry_backoff: Backoff | None = None
    retry_delay_seconds: float | None = None
    overlap_policy: OverlapPolicy = OverlapPolicy.SKIP
    catch_up: CatchUp = CatchUp.LATEST
    catch_up_limit: int = 100
    jitter_seconds: float = 0.0
    expected_duration_seconds: float | None = None
    max_start_delay_seconds: float | None = None
    starts_at: datetime | None = None
    """Aware; no tick before it."""
    ends_at: datetime | None = None
    """Aware; no tick at it or after."""
    enabled: bool = True


MEANINGS: Mapping[str, str] = {column.name: column.comment or "" for column in metadata.tables["cron_jobs"].columns}
"""What each column means, as `\\d+ cron_jobs` says it."""


@dataclass(frozen=True, slots=True)
class Change:
    """Of a column, from one definition to the other."""

    column: str
    one: Any
    other: Any


@dataclass(frozen=True, slots=True)
class AddedCronJob:
    id: int
    name: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which cron jobs to list; None and False take all."""

    handler_name: str | None = None
    queue: str | None = None
    text: str | None = None
    """Text that the name or the description holds, in any case."""
    enabled: bool | None = None
    invalid: bool = False
    failing: bool = False
    """Only those whose newest finished execution failed."""


@dataclass(frozen=True, slots=True)
class CronJobStatus:
    """One cron job at a glance. Times in UTC."""

    id: int
    name: str
    description: str | None
    cron_expression: str
    timezone: str
    handler_name: str
    queue: str
    enabled: bool
    paused_reason: str | None
    resume_at: datetime | None
    """When the pause ends by itself; None: it isn't paused, or somebody has to resume it."""
    invalid_reason: str | None
    """Why it isn't planned; None: nothing is wrong with it."""
    managed_by: str | None
    """Who declares it; None: written by hand."""
    next_run_at: datetime | None
    """None: never again, or not while it is paused or invalid."""
    last_run_at: datetime | None
    last_status: str | None
    """Of the newest execution that ended; skipped ticks don't count."""
    last_finished_at: datetime | None
    last_error: str | None
    failures_in_a_row: int
    """Up to 100."""


def add(session: SyncSession, new: CronJobDefinition) -> AddedCronJob:
    """Insert the row; planners see it at once.

    Raises ScheduleError for an expression or zone that can't be, ConflictError if the name is taken, and RefusedError.
    """
    parse(new.cron_expression, new.timezone, anchor=database_time(session))
    require_window(new)
    added = ask(session, "add_cron_job", **asdict(new))
    if not added:
        raise ConflictError(taken(new.name))
    return AddedCronJob(name=new.name, **added[0])


def statuses(
    session: SyncSession, selection: Selection | None = None, *, after: str | None = None, limit: int | None = None
) -> list[CronJobStatus]:
    """Those of the selection, or all, by name; only the first `limit`, only those whose names come after `after`."""
    now = database_time(session)
    chosen = asdict(selection or Selection())
    return [_status(row, now) for row in ask(session, "cron_job_statuses", **chosen, after=after, limit=limit)]


def in_use(session: SyncSession) -> tuple[set[str], set[str]]:
    """The handlers and the queues that cron jobs name."""
    rows = ask(session, "cron_jobs_use")
    return {row["handler_name"] for row in rows}, {row["queue"] for row in rows}


def names(session: SyncSession) -> Mapping[str, bool]:
    """Of all cron jobs, in order; whether each is enabled."""
    return {row["name"]: row["enabled"] for row in ask(session, "cron_job_names")}


def due_next(session: SyncSession, chosen: Collection[str]) -> Mapping[str, datetime | None]:
    """The next tick of each that is there; None: never again, or not while it is paused or invalid."""
    now = database_time(session)
    rows = ask(session, "next_ticks_of_cron_jobs", names=list(chosen))
    return {row["name"]: next_planned(row, now) for row in rows}


def id_of(session: SyncSession, name: str) -> int:
    """Raises NotFoundError."""
    found = ask(session, "cron_jobs_named", names=[name])
    if not found:
        raise NotFoundError(unknown(name, names(session)))
    return int(found[0]["id"])


def unknown(name: str, known: Mapping[str, Any]) -> str:
    """The sentence about a name that no cron job has."""
    if not known:
        return f"No cron job is named {name!r}: there is none yet. `scheduler cron add` makes one."
    return f"No cron job is named {name!r}.{did_you_mean(name, known)} `scheduler cron list` shows all of them."


def taken(name: str) -> str:
    """The sentence about a name that another one has."""
    return f"A cron job named {name!r} is already there: choose another name, or change that one."


def require_window(definition: CronJobDefinition) -> None:
    """Raises RefusedError if it ends before it starts."""
    starts_at, ends_at = definition.starts_at, definition.ends_at
    if starts_at is not None and ends_at is not None and ends_at <= starts_at:
        raise RefusedError(
            f"ends_at ({ends_at.isoformat()}) has to be later than starts_at ({starts_at.isoformat()}): "
            "no tick would ever be between them."
        )


def differences(one: CronJobDefinition, other: CronJobDefinition) -> list[Change]:
    """Column by column; params differ only if they mean something else."""
    pairs = ((field.name, getattr(one, field.name), getattr(other, field.name)) for field in fields(CronJobDefinition))
    return [Change(column, left, right) for column, left, right in pairs if not _same(column, left, right)]


def next_tick(row: Mapping[str, Any], now: datetime) -> datetime | None:
    """Of a row with its schedule: what a planner has computed, or else would."""
    if not row["uncomputed"]:
        computed: datetime | None = row["next_run_at"]
        return computed
    starts_at, ends_at = row["starts_at"], row["ends_at"]
    try:
        schedule = parse(row["cron_expression"], row["timezone"], anchor=anchor(starts_at, row["created_at"], now))
        return next(schedule.between(max(now, starts_at or now), ends_at or HORIZON), None)
    except (ScheduleError, ValueError, OverflowError):
        return None  # the planner will say why in `invalid_reason`


def next_planned(row: Mapping[str, Any], now: datetime) -> datetime | None:
    """Likewise; None while it is paused or invalid."""
    planned = row["enabled"] and row["invalid_reason"] is None
    return next_tick(row, now) if planned else None


def _status(row: Mapping[str, Any], now: datetime) -> CronJobStatus:
    told = {field.name: row[field.name] for field in fields(CronJobStatus)}
    return CronJobStatus(**{**told, "next_run_at": next_planned(row, now)})


def _same(column: str, one: Any, other: Any) -> bool:
    if column != "handler_params" or one == other:
        return bool(one == other)
    try:
        return same_json(one, other)
    except (ValueError, RecursionError):
        return False
