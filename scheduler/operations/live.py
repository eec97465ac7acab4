"""Everything that goes on now, at a glance: what `scheduler top` shows."""

from dataclasses import dataclass
from datetime import datetime

from scheduler.operations.overview import UpcomingTick, WorkerStatus, database_time, upcoming, workers
from scheduler.operations.queues import QueueStatus, statuses
from scheduler.store.asking import ask
from scheduler.store.session import SyncSession


@dataclass(frozen=True, slots=True)
class RunningLine:
    """An execution that runs."""

    id: int
    handler_name: str
    queue: str
    cron_job: str | None
    """Its name."""
    attempt: int
    age_seconds: float | None
    """Since the claim; None: a row by hand doesn't say."""
    left_seconds: float | None
    """Until its timeout; negative: it is overdue. None: as above."""
    progress: float | None
    """0 to 1, as its handler says; None: it says nothing."""
    progress_message: str | None
    worker: str | None
    cancelling: bool
    """It is asked to stop."""


@dataclass(frozen=True, slots=True)
class FailureLine:
    """An execution that used up its tries. Times in UTC."""

    id: int
    handler_name: str
    queue: str
    status: str
    finished_at: datetime
    failures: int
    error: str | None
    """Its first line."""


@dataclass(frozen=True, slots=True)
class AlertLine:
    rule: str
    message: str
    opened_at: datetime


@dataclass(frozen=True, slots=True)
class Snapshot:
    now: datetime
    """By the database's clock."""
    queues: list[QueueStatus]
    running: list[RunningLine]
    """The oldest first."""
    workers: list[WorkerStatus]
    failures: list[FailureLine]
    """The newest first."""
    ticks: list[UpcomingTick]
    alerts: list[AlertLine]
    """Those that are open."""


def snapshot(session: SyncSession, *, limit: int = 50) -> Snapshot:
    """At most so many of each, but queues and workers."""
    return Snapshot(
        database_time(session),
        statuses(session),
        [RunningLine(**row) for row in ask(session, "live_running", limit=limit)],
        workers(session),
        [FailureLine(**row) for row in ask(session, "live_failures", limit=limit)],
        upcoming(session, limit),
        [AlertLine(**row) for row in ask(session, "live_alerts", limit=limit)],
    )
