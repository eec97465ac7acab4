"""`scheduler jobs show`: everything about one execution, for people."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from scheduler.cli.moments import duration, parsed_or_none, when
from scheduler.cli.next_step import what_comes_next
from scheduler.cli.tables import pretty_json, print_fields
from scheduler.cli.values import HIDDEN
from scheduler.model import Status
from scheduler.operations.executions import Attempt, Execution
from scheduler.operations.words import count_of

_A_SECOND = timedelta(seconds=1)


def print_execution(execution: Execution, now: datetime) -> None:
    """In the order in which one asks: what and how is it, when, under which rules, what came out."""
    e = execution
    print_fields(
        {
            "execution": e.id,
            "handler": e.handler_name,
            "status": e.status,
            "error": e.error,
            "next": what_comes_next(e, now),
            "cron job": _cron_job(e),
            "source": e.source,
            "queue": e.queue + _priority(e),
            "attempt": _attempts_said(e) if e.attempt else None,
            "worker": e.worker or e.claimed_by,
            "progress": None if e.progress is None else f"{e.progress:.0%} {e.progress_message or ''}".rstrip(),
            **{name: when(moment, now) for name, moment in _moments(e)},
            "took": duration(e.started_at, e.finished_at),
            "timeout": None if e.timeout_seconds is None else f"{e.timeout_seconds:g} s",
            "backoff": None if e.retry_backoff is None else f"{e.retry_backoff}, from {e.retry_delay_seconds:g} s",
            "suspect": "its last worker was lost while holding it" if e.suspect else None,
            "cancel reason": e.cancel_reason,
            "unique key": None if e.unique_key is None else f"{e.unique_key} (until {e.unique_until})",
            "concurrency": None
            if e.concurrency_key is None
            else f"{e.concurrency_key}: {e.concurrency_limit or 1} at once",
            "skipped ticks": e.skipped_count,
            "params": HIDDEN if e.contents_hidden else pretty_json(e.handler_params),
            "result": HIDDEN if e.contents_hidden else None if e.result is None else pretty_json(e.result),
        }
    )
    for attempt in e.errors:
        print()
        _print_attempt(attempt, now)


def _print_attempt(attempt: Attempt, now: datetime) -> None:
    at = parsed_or_none(attempt.at)
    print_fields(
        {
            "attempt": attempt.attempt,
            "outcome": attempt.outcome,
            "at": attempt.at if at is None else when(at, now),
            "worker": attempt.worker,
            "error": attempt.error,
            "traceback": attempt.traceback and attempt.traceback.rstrip(),
        }
    )


def _attempts_said(e: Execution) -> str:
    failures = f"{e.retry_count} failed" + (f" of {max(e.max_retry, 1)} tries" if e.max_retry is not None else "")
    return f"{e.attempt} ({failures})"


def _priority(e: Execution) -> str:
    if e.lifted is None:
        return f", priority {e.priority}" if e.priority else ""
    return f", priority {e.priority} (lifted {count_of(e.lifted, 'time')} for having waited)"


def _cron_job(e: Execution) -> str | None:
    if e.cron_job_id is None:
        return None
    return e.cron_job or f"{e.cron_job_id}, which is gone"


def _moments(e: Execution) -> Iterator[tuple[str, datetime | None]]:
    """Those that tell something: nobody needs the same second twice."""
    yield "created", e.created_at
    if abs(e.scheduled_at - e.created_at) >= _A_SECOND:
        yield "scheduled", e.scheduled_at
    yield "skipped until", e.skipped_until
    if e.status == Status.PENDING and abs(e.available_at - e.created_at) >= _A_SECOND:
        yield "available", e.available_at
    yield "started", e.started_at
    yield "finished", e.finished_at
    yield "cancel asked", e.cancel_requested_at
