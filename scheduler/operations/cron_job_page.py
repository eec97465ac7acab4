"""Everything about one cron job."""

from dataclasses import dataclass, fields
from datetime import datetime
from itertools import islice

from scheduler.errors import NotFoundError, RightsError, ScheduleError
from scheduler.model import Backoff, CatchUp, OverlapPolicy
from scheduler.operations.cron_jobs import CronJobDefinition, names, next_planned, unknown
from scheduler.operations.preview import Tick
from scheduler.rules.instants import HORIZON
from scheduler.rules.schedule import Schedule, anchor, parse
from scheduler.rules.words import in_words
from scheduler.store.asking import ask, database_time
from scheduler.store.session import SyncSession

_TICKS = 3
_EXECUTIONS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class CronJob(CronJobDefinition):
    """A row as it is stored, and how it does. Times in UTC."""

    id: int
    paused_reason: str | None
    resume_at: datetime | None
    """When the pause ends by itself; None: it isn't paused, or somebody has to resume it."""
    invalid_reason: str | None
    """Why it isn't planned; None: nothing is wrong with it."""
    next_run_at: datetime | None
    """None: never again, or not while it is paused or invalid."""
    last_run_at: datetime | None
    planned_until: datetime
    managed_by: str | None
    created_by: str
    created_at: datetime
    updated_at: datetime
    version: str
    """Changes with each edit."""
    last_status: str | None
    last_finished_at: datetime | None
    last_error: str | None
    failures_in_a_row: int
    running: int
    waiting: int
    params_hidden: bool
    """The role may not read handler_params, which is null here."""

    @property
    def definition(self) -> CronJobDefinition:
        return CronJobDefinition(**{field.name: getattr(self, field.name) for field in fields(CronJobDefinition)})

    @property
    def anchor(self) -> datetime:
        """Where `@every` counts from."""
        return anchor(self.starts_at, self.created_at, self.created_at)


@dataclass(frozen=True, slots=True)
class NewestExecution:
    """An execution of a cron job, or a span of skipped ticks. Times in UTC."""

    id: int
    source: str
    status: str
    scheduled_at: datetime
    skipped_count: int | None
    skipped_until: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    attempt: int
    error: str | None
    """Its first line."""


@dataclass(frozen=True, slots=True)
class CronJobPage:
    cron_job: CronJob
    words: str | None
    """The expression in English; None where it is refused."""
    refusal: str | None
    """Why it is refused: what the planner said, or would say."""
    ticks: tuple[Tick, ...]
    """The next ones; none while it is paused or invalid."""
    skipped_until: datetime | None
    """The last tick of a skip that is in force."""
    executions: tuple[NewestExecution, ...]
    """The newest first."""


def find(session: SyncSession, name: str, *, only_look: bool = False) -> CronJob:
    """Raises NotFoundError, and RightsError for params that the role may not read, which `only_look` hides."""
    rows = ask(session, "one_cron_job", name=name)
    if not rows:
        raise NotFoundError(unknown(name, names(session)))
    row = rows[0]
    row["next_run_at"] = next_planned(row, database_time(session))
    del row["uncomputed"]
    return CronJob(
        **{
            **row,
            **_params(session, row["id"], name, only_look),
            "retry_backoff": None if row["retry_backoff"] is None else Backoff(row["retry_backoff"]),
            "overlap_policy": OverlapPolicy(row["overlap_policy"]),
            "catch_up": CatchUp(row["catch_up"]),
        }
    )


def _params(session: SyncSession, id: int, name: str, may_be_hidden: bool) -> dict[str, object]:  # noqa: A002 - the column's name
    try:
        rows = ask(session, "cron_job_params", id=id)
    except RightsError:
        if not may_be_hidden:
            raise
        return {"handler_params": "null", "params_hidden": True}
    if not rows:
        raise NotFoundError(unknown(name, names(session)))
    return {"handler_params": rows[0]["handler_params"], "params_hidden": False}


def show(session: SyncSession, name: str) -> CronJobPage:
    """Raises NotFoundError."""
    job = find(session, name, only_look=True)
    executions = ask(session, "newest_of_cron_job", cron_job_id=job.id, limit=_EXECUTIONS)
    skip = ask(session, "skip_in_force", cron_job_id=job.id)
    schedule, refusal = _schedule(job)
    return CronJobPage(
        cron_job=job,
        words=None if schedule is None else in_words(schedule),
        refusal=job.invalid_reason or refusal,
        ticks=() if schedule is None else next_ticks(schedule, job),
        skipped_until=skip[0]["last"] if skip else None,
        executions=tuple(NewestExecution(**row) for row in executions),
    )


def next_ticks(schedule: Schedule, job: CronJob, count: int = _TICKS) -> tuple[Tick, ...]:
    """From `next_run_at` on, within its window; none where there is no next one."""
    if job.next_run_at is None:
        return ()
    found = islice(schedule.between(job.next_run_at, job.ends_at or HORIZON), count)
    return tuple(Tick.of(schedule, tick) for tick in found)


def _schedule(job: CronJob) -> tuple[Schedule | None, str | None]:
    try:
        return parse(job.cron_expression, job.timezone, anchor=job.anchor), None
    except ScheduleError as error:
        return None, str(error)
