"""Queues: how they do, pause one, resume one, limit one."""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from scheduler.errors import NotFoundError, did_you_mean
from scheduler.store.asking import ask
from scheduler.store.session import SyncSession


@dataclass(frozen=True, slots=True)
class QueueStatus:
    """A queue at a glance. Times in UTC."""

    name: str
    paused: bool
    paused_reason: str | None
    resume_at: datetime | None
    """When the pause ends by itself; None: when somebody resumes it."""
    waiting: int
    """Available now."""
    delayed: int
    """Available later."""
    running: int
    oldest_waiting_seconds: float | None
    workers: int
    """How many serve it."""
    per_minute: float | None
    """What these finish, over all queues of theirs."""
    max_running: int | None
    key_limit: int | None
    rate_limit: int | None
    rate_period_seconds: float | None
    max_pending: int | None
    aging_seconds: float | None
    reached: str | None
    """The limits that are reached now, by name."""


@dataclass(frozen=True, slots=True)
class Pause:
    reason: str | None
    resume_at: datetime | None


@dataclass(frozen=True, slots=True)
class Limits:
    """Columns of job_queues, where they are described; None: no such limit."""

    max_running: int | None = None
    key_limit: int | None = None
    rate_limit: int | None = None
    rate_period_seconds: float | None = None
    max_pending: int | None = None
    pause_after_failures: int | None = None
    pause_seconds: float | None = None
    aging_seconds: float | None = None
    keep_days: float | None = None
    """Infinite: for ever; None: as the setting `retention` says."""
    keep_last: int | None = None


def statuses(session: SyncSession) -> list[QueueStatus]:
    """Every queue that anything names, by name."""
    return [QueueStatus(**row) for row in ask(session, "queue_statuses")]


def names(session: SyncSession) -> list[str]:
    """Of queues that have settings, workers, cron jobs, or executions that wait, run or are among the newest."""
    return [row["name"] for row in ask(session, "queue_names")]


def require(session: SyncSession, name: str, configured: Iterable[str] = ()) -> None:
    """Raises NotFoundError for a queue that nothing names, and that isn't among the `configured` ones either."""
    known = {*names(session), *configured}
    if name not in known:
        raise NotFoundError(
            f"No worker, cron job or recent execution names a queue {name!r}.{did_you_mean(name, known)} "
            "`scheduler queues list` shows all of them."
        )


def pause_of(session: SyncSession, name: str) -> Pause | None:
    """None: it isn't paused, or the pause has ended by itself."""
    found = ask(session, "queue_pause", name=name)
    return Pause(found[0]["paused_reason"], found[0]["resume_at"]) if found else None


def pause(session: SyncSession, name: str, *, reason: str | None = None, resume_at: datetime | None = None) -> None:
    """Nothing more is claimed from it until it is resumed, or until `resume_at`; what runs goes on.

    Paused again, it has the new reason and end. Raises RefusedError for a name that no queue may have, or an end that
    is past.
    """
    ask(session, "pause_queue", name=name, reason=reason, resume_at=resume_at)


def resume(session: SyncSession, name: str) -> bool:
    """Claim from it again; whether it was paused. Raises NotFoundError for a queue that nothing names."""
    if pause_of(session, name) is None:
        require(session, name)
        return False
    ask(session, "resume_queue", name=name)
    return True


def limits_of(session: SyncSession, name: str) -> Limits:
    """Those of any queue, also of one that nothing names."""
    found = ask(session, "queue_limits", name=name)
    return Limits(**found[0]) if found else Limits()


def limit(session: SyncSession, name: str, changes: Mapping[str, float | None]) -> Limits:
    """Set these limits, by the names of `Limits`, and lift those that are None; all that it has now.

    They hold from the next claim on, or enqueueing or pruning; what runs goes on. Raises RefusedError for a value that
    no limit may have, or a name that no queue may have.
    """
    values = {column: str(value) if value == math.inf else value for column, value in changes.items()}
    ask(session, "limit_queue", name=name, limits=json.dumps(values))
    return limits_of(session, name)
