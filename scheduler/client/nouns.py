"""What a client hands out: plain values, from the JSON text that each statement of store/client.sql answers with."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any, Self
from uuid import UUID

from scheduler.model import FINAL, Status
from scheduler.rules.instants import EVER

_TIMES = frozenset({"scheduled_at", "available_at", "started_at", "finished_at", "cancel_requested_at", "created_at"})
_JSON = frozenset({"params", "result"})


@dataclass(frozen=True, slots=True)
class Execution:
    """One execution as it was when it was read. Times in UTC; stored JSON that Python can't hold stays its text."""

    id: int
    source: str
    cron_job_id: int | None
    handler_name: str
    params: Any
    queue: str
    priority: int
    status: Status
    scheduled_at: datetime
    available_at: datetime
    timeout_seconds: float | None
    attempt: int
    """How often it was claimed."""
    retry_count: int
    max_retry: int | None
    started_at: datetime | None
    finished_at: datetime | None
    cancel_requested_at: datetime | None
    progress: float | None
    """0 to 1; None: the handler said nothing."""
    progress_message: str | None
    result: Any
    error: str | None
    """The last one; its first line says it."""
    traceback: str | None
    """Of the last attempt that failed."""
    unique_key: str | None
    concurrency_key: str | None
    created_at: datetime

    @property
    def final(self) -> bool:
        """SUCCESS, FAILED, TIMEOUT, CANCELLED or SKIPPED."""
        return self.status in FINAL

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Self:
        return cls(**{name: _value(name, value) for name, value in row.items()})


@dataclass(frozen=True, slots=True)
class QueueStats:
    """A queue at a glance."""

    name: str
    paused: bool
    paused_reason: str | None
    waiting: int
    """Could run now."""
    delayed: int
    """Wait for their time."""
    running: int
    oldest_waiting_seconds: float | None
    workers: int
    """How many serve it."""
    per_minute: float | None
    """Attempts that these end, over all queues of theirs. None: no worker."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """What `claim()` took. `id` and `token` are what `complete()` and `fail()` need of it."""

    id: int
    token: UUID
    handler_name: str
    params: Any
    attempt: int
    timeout_seconds: float
    """End it within so many seconds."""
    scheduled_at: datetime

    @classmethod
    def of(cls, text: str) -> Self:
        row = json.loads(text)
        return cls(**{name: _value(name, value) for name, value in row.items()} | {"token": UUID(row["token"])})


@dataclass(frozen=True, slots=True)
class Seen:
    """One look at an execution; None: it isn't there, or was not asked for in full."""

    id: int
    status: Status | None
    execution: Execution | None

    @classmethod
    def of(cls, text: str) -> Self:
        row = json.loads(text)
        status, found = row["status"], row["execution"]
        return cls(
            row["id"], None if status is None else Status(status), None if found is None else Execution.of(found)
        )


def queue_stats_of(text: str) -> QueueStats:
    row = json.loads(text)
    return QueueStats(**{field.name: row[field.name] for field in fields(QueueStats)})


def _value(name: str, value: Any) -> Any:
    if value is None:
        return None
    if name in _TIMES:
        return _instant(value)
    if name in _JSON:
        return _decoded(value)
    return Status(value) if name == "status" else value


def _instant(text: str) -> datetime:
    """A time that no datetime can hold, infinity included, is as far away as one can be."""
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        return EVER[0] if text.startswith("-") or text.endswith("BC") else EVER[1]


def _decoded(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
