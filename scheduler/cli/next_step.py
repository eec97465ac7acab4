"""What comes next for an execution, as `scheduler jobs show` says it: when it runs, what it waits for, what to do."""

from datetime import datetime, timedelta
from shlex import quote

from scheduler.cli.moments import relative
from scheduler.model import Status
from scheduler.operations.executions import Execution
from scheduler.operations.words import span


def what_comes_next(execution: Execution, now: datetime) -> str | None:
    """None where nothing does."""
    match execution.status:
        case Status.PENDING:
            return _of_waiting(execution, now)
        case Status.RUNNING:
            return _of_running(execution, now)
        case Status.FAILED | Status.TIMEOUT:
            return f"{_why_no_try(execution)}: `scheduler jobs retry {execution.id}` gives it all of its tries again"
        case Status.CANCELLED:
            return f"nothing: `scheduler jobs retry {execution.id}` sends it back"
        case _:
            return None


def _of_waiting(e: Execution, now: datetime) -> str:
    """What is in the way, and before that when it may start at all."""
    if e.queue_paused:
        reason = f" ({e.queue_paused_reason})" if e.queue_paused_reason else ""
        end = f"for another {span(e.queue_resume_at - now)}, or until " if e.queue_resume_at else "until "
        return f"its queue is paused{reason}, {end}`scheduler queues resume {quote(e.queue)}`"
    tries = f" of {max(e.max_retry, 1)}" if e.max_retry is not None else ""
    start = f"try {e.retry_count + 1}{tries}" if e.attempt else "it starts"
    if e.available_at > now:
        nobody = "" if e.queue_workers else ", if a worker serves its queue by then"
        return f"{start} {relative(e.available_at, now)}{nobody}"
    if not e.queue_workers:
        return f"no worker serves the queue {e.queue!r}: start one with `scheduler run`"
    if e.held_by is not None:
        return f"{start} when execution {e.held_by} has ended, which holds its concurrency key"
    if e.queue_reached is not None:
        return f"{start} when its queue may run more: {e.queue_reached} is reached, see `scheduler queues list`"
    return f"{start} as soon as a worker is free"


def _of_running(e: Execution, now: datetime) -> str:
    if e.cancel_requested_at is not None:
        return f"its end, which was asked for {relative(e.cancel_requested_at, now)}"
    if e.started_at is None or e.timeout_seconds is None:
        return "its end"
    left = e.started_at + timedelta(seconds=e.timeout_seconds) - now
    if left > timedelta():
        return f"its end, or its timeout in {span(left)}"
    return "its timeout is over: its worker ends it, or another one if that is lost"


def _why_no_try(e: Execution) -> str:
    used_up = e.max_retry is None or e.retry_count >= e.max_retry
    return "no try left" if used_up else "no further try, as its handler said"
