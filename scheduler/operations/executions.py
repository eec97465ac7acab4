"""Executions: enqueue one, list the newest, and everything about one."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from scheduler.errors import NotFoundError
from scheduler.model import Status
from scheduler.operations.cron_jobs import id_of
from scheduler.store.asking import ask
from scheduler.store.session import SyncSession


@dataclass(frozen=True, slots=True, kw_only=True)
class NewExecution:
    """A row to be; None stands for the handler's own policy."""

    handler_name: str
    handler_params: str = "{}"
    """JSON."""
    queue: str = "default"
    priority: int = 0
    """-9 to 9; higher runs first."""
    delay_seconds: float = 0.0
    """Counted from `available_at`, or else from now."""
    available_at: datetime | None = None
    """Aware; None: now."""
    timeout_seconds: float | None = None
    max_retry: int | None = None
    unique_key: str | None = None
    """At most one execution with this key is waiting or running."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which executions to list; None takes all."""

    status: Status | None = None
    handler_name: str | None = None
    queue: str | None = None
    cron_job: str | None = None
    """A name."""
    before: int | None = None
    """Only ids below this one: the next page."""
    limit: int = 20


@dataclass(frozen=True, slots=True)
class ExecutionLine:
    """An execution in a list. Times in UTC."""

    id: int
    handler_name: str
    status: str
    queue: str
    cron_job: str | None
    attempt: int
    max_retry: int | None
    scheduled_at: datetime
    available_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    error: str | None
    """Its first line."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """An unsuccessful one, as `errors` tells it; a field that isn't there is None."""

    attempt: int | None
    outcome: str | None
    at: str | None
    """ISO 8601."""
    worker: str | None
    error: str | None
    traceback: str | None


@dataclass(frozen=True, slots=True)
class Execution:
    """Everything about one. Times in UTC; JSON that Python can't hold stays its text."""

    id: int
    source: str
    cron_job_id: int | None
    cron_job: str | None
    handler_name: str
    handler_params: Any
    queue: str
    priority: int
    status: str
    scheduled_at: datetime
    available_at: datetime
    timeout_seconds: float | None
    retry_count: int
    max_retry: int | None
    retry_backoff: str | None
    retry_delay_seconds: float | None
    attempt: int
    claimed_by: UUID | None
    worker: str | None
    started_at: datetime | None
    finished_at: datetime | None
    suspect: bool
    cancel_requested_at: datetime | None
    cancel_reason: str | None
    progress: float | None
    progress_message: str | None
    result: Any
    error: str | None
    errors: tuple[Attempt, ...]
    unique_key: str | None
    unique_until: str
    concurrency_key: str | None
    concurrency_limit: int | None
    skipped_count: int | None
    skipped_until: datetime | None
    created_at: datetime


def enqueue(session: SyncSession, new: NewExecution) -> int:
    """The id of the new row, or of the one that holds its unique key. Raises RefusedError."""
    (row,) = ask(
        session,
        "enqueue_execution",
        handler_name=new.handler_name,
        handler_params=new.handler_params,
        queue=new.queue,
        priority=new.priority,
        delay_seconds=new.delay_seconds,
        available_at=new.available_at,
        timeout_seconds=new.timeout_seconds,
        max_retry=new.max_retry,
        unique_key=new.unique_key,
    )
    return int(row["id"])


def newest(session: SyncSession, selection: Selection) -> list[ExecutionLine]:
    """The newest first. Raises NotFoundError for a cron job that isn't there."""
    rows = ask(
        session,
        "newest_executions",
        status=selection.status.value if selection.status is not None else None,
        handler_name=selection.handler_name,
        queue=selection.queue,
        cron_job_id=id_of(session, selection.cron_job) if selection.cron_job is not None else None,
        before=selection.before,
        limit=selection.limit,
    )
    return [ExecutionLine(**row) for row in rows]


def show(session: SyncSession, id: int) -> Execution:  # noqa: A002 - the column's name
    """Raises NotFoundError."""
    rows = ask(session, "one_execution", id=id)
    if not rows:
        raise NotFoundError(f"No execution has the id {id}: `scheduler jobs list` shows the newest.")
    row = rows[0]
    decoded = {name: _decoded(row[name]) for name in ("handler_params", "result")}
    return Execution(**{**row, **decoded, "errors": _attempts(row["errors"])})


def _attempts(text: str) -> tuple[Attempt, ...]:
    entries = _decoded(text)
    return tuple(_attempt(entry) for entry in entries) if isinstance(entries, list) else (_attempt(text),)


def _attempt(entry: Any) -> Attempt:
    """One that a hand wrote may hold anything."""
    known: Mapping[str, Any] = entry if isinstance(entry, dict) else {"error": entry}
    number = known.get("attempt")
    words = {name: _word(known.get(name)) for name in ("outcome", "at", "worker", "error", "traceback")}
    return Attempt(number if isinstance(number, int) else None, **words)


def _word(value: Any) -> str | None:
    return value if isinstance(value, str | None) else json.dumps(value)


def _decoded(text: str | None) -> Any:
    if text is None:
        return None
    try:
        return json.loads(text, parse_float=_finite)
    except (ValueError, RecursionError):
        return text


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(text)
    return number
