"""Executions: enqueue one, and everything about one."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from time import sleep
from typing import Any
from uuid import UUID

from scheduler.clock import monotonic
from scheduler.errors import NotFoundError, QueueFullError, RightsError
from scheduler.model import NewExecution
from scheduler.operations.json_values import decoded
from scheduler.store.asking import ask
from scheduler.store.session import SyncSession


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
    lifted: int | None
    """How often it has gone up by a level because it waited for long; None: never."""
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
    queue_paused: bool
    queue_paused_reason: str | None
    queue_resume_at: datetime | None
    queue_reached: str | None
    """While it waits: the limit of its queue that is reached now, max_running or rate_limit."""
    queue_workers: int
    """How many workers with a lease serve its queue."""
    held_by: int | None
    """While it waits: an execution that runs under its concurrency key, where no more may."""
    contents_hidden: bool
    """The role may not read params, result and errors: here they are None, None and empty."""


@dataclass(frozen=True, slots=True)
class Enqueued:
    id: int
    existing: bool
    """It was there before, and holds the unique key."""


def enqueue(session: SyncSession, new: NewExecution, *, room_within: float = 0) -> Enqueued:
    """The new row, or the one that holds its unique key.

    Where the queue is full it waits up to `room_within` seconds for room. Raises RefusedError, QueueFullError.
    """
    deadline, pause = monotonic() + room_within, 0.05
    while True:
        try:
            return _enqueue(session, new)
        except QueueFullError:
            left = deadline - monotonic()
            if left <= 0:
                raise
            sleep(min(left, pause))
            pause = min(2 * pause, 1.0)


def _enqueue(session: SyncSession, new: NewExecution) -> Enqueued:
    (row,) = ask(session, "enqueue_execution", **asdict(new))
    return Enqueued(**row)


def show(session: SyncSession, id: int) -> Execution:  # noqa: A002 - the column's name
    """Raises NotFoundError."""
    rows = ask(session, "one_execution", id=id)
    if not rows:
        raise NotFoundError(unknown(id))
    return Execution(**rows[0], **_contents(session, id))


def params_text(session: SyncSession, id: int) -> str:  # noqa: A002 - the column's name
    """Its params as JSON for people, each number as it was written. Raises NotFoundError and RightsError."""
    rows = ask(session, "params_text", id=id)
    if not rows:
        raise NotFoundError(unknown(id))
    text: str = rows[0]["text"]
    return text


def unknown(id: int) -> str:  # noqa: A002 - the column's name
    """The sentence about an id that nothing has."""
    return f"No execution has the id {id}: `scheduler jobs list` shows the newest."


def _contents(session: SyncSession, id: int) -> dict[str, Any]:  # noqa: A002 - the column's name
    try:
        rows = ask(session, "execution_contents", id=id)
    except RightsError:
        return {"handler_params": None, "result": None, "errors": (), "contents_hidden": True}
    if not rows:
        raise NotFoundError(unknown(id))
    row = rows[0]
    workers = decoded(row["worker_names"]) or {}
    attempts = [replace(each, worker=workers.get(each.worker, each.worker)) for each in _attempts(row["errors"])]
    return {
        "handler_params": decoded(row["handler_params"]),
        "result": decoded(row["result"]),
        "errors": tuple(attempts),
        "contents_hidden": False,
    }


def _attempts(text: str) -> tuple[Attempt, ...]:
    entries = decoded(text)
    return tuple(_attempt(entry) for entry in entries) if isinstance(entries, list) else (_attempt(text),)


def _attempt(entry: Any) -> Attempt:
    """One that a hand wrote may hold anything."""
    known: Mapping[str, Any] = entry if isinstance(entry, dict) else {"error": entry}
    number = known.get("attempt")
    words = {name: _word(known.get(name)) for name in ("outcome", "at", "worker", "error", "traceback")}
    return Attempt(number if isinstance(number, int) else None, **words)


def _word(value: Any) -> str | None:
    return value if isinstance(value, str | None) else json.dumps(value)
