"""Work that doesn't move: executions without a worker, past their time, or waiting where nobody looks."""

from collections.abc import Iterator, Mapping, Sequence
from shlex import quote
from typing import Any

from scheduler.errors import did_you_mean
from scheduler.operations.doctor.bench import Bench
from scheduler.operations.doctor.finding import Code, Finding, literal
from scheduler.operations.words import listed, span

_RESCUED_SECONDS = 60
_OVERDUE_SECONDS = 60
_UNSERVED_SECONDS = 60
_BACKLOG_SECONDS = 900
_PAUSED_SECONDS = 3_600
_OPTIONS = {"max_running": "--max-running", "rate_limit": "--rate", "max_pending": "--max-pending"}


def running(bench: Bench) -> Iterator[Finding]:
    """What runs has a worker that lives, and is within its time."""
    abandoned = bench.ask("doctor_abandoned", seconds=_RESCUED_SECONDS)
    overdue = bench.ask("doctor_overdue", seconds=_OVERDUE_SECONDS)
    if abandoned:
        yield Finding.error(
            Code.RUNNING_ABANDONED,
            "Executions are RUNNING under a worker that is gone, and nobody rescues them: "
            f"{listed(map(_told, abandoned))}.",
            "Start a worker, which returns them to their queues: `scheduler run`.",
        )
    if overdue:
        late = ", ".join(f"{row['id']} ({row['handler_name']}, by {span(row['over'])})" for row in overdue[:5])
        yield Finding.warning(
            Code.RUNNING_OVERDUE,
            f"Executions run past their timeout: {late}, at {listed(sorted({row['worker'] for row in overdue}))}.",
            "Restart that worker if its event loop is blocked; its log names the place.",
        )
    if not abandoned and not overdue:
        yield Finding.fine(Code.RUNNING_OVERDUE, "What runs has a live worker and is within its timeout.")


def queues(bench: Bench) -> Iterator[Finding]:
    """What waits is in a queue that somebody works on, and not for long."""
    waiting = {row["queue"]: row for row in bench.ask("doctor_waiting")}
    paused = {row["queue"]: row for row in bench.ask("doctor_paused")}
    limited = {row["queue"]: row["limits"] for row in bench.ask("doctor_limits")}
    served = {queue for process in bench.alive for queue in process.queues}
    findings = [
        finding
        for queue in sorted(waiting.keys() | paused.keys())
        for finding in _queue(queue, waiting.get(queue), paused.get(queue), limited.get(queue, ()), served, bench)
    ]
    yield from findings
    if not findings:
        yield Finding.fine(Code.QUEUES, "Nothing waits for long.")


def _queue(
    queue: str,
    waiting: Mapping[str, Any] | None,
    paused: Mapping[str, Any] | None,
    limits: Sequence[str],
    served: set[str],
    bench: Bench,
) -> Iterator[Finding]:
    age = waiting["age"] if waiting else 0.0
    plain_age = (waiting["unkeyed_age"] if waiting else None) or 0.0
    if paused:
        yield from _paused(queue, age, paused, bench)
    elif age > _UNSERVED_SECONDS and queue not in served:
        known = served or set(bench.facts.queues)
        yield Finding.error(
            Code.QUEUE_UNSERVED,
            f"Work has been waiting in the queue {queue!r} for {span(age)}, and no live worker looks there."
            f"{did_you_mean(queue, known - {queue})}",
            f"Add it to worker.queues of a worker and restart that, or start one of its own: "
            f"`SCHEDULER_WORKER__QUEUES={quote(queue)} scheduler run`.",
        )
    elif limits and plain_age > _BACKLOG_SECONDS:
        options = " ".join(f"{_OPTIONS[limit.split()[0]]} …" for limit in limits)
        yield Finding.warning(
            Code.QUEUE_LIMITED,
            f"The queue {queue!r} is at its limits ({', '.join(limits)}), and work has been waiting in it for "
            f"{span(plain_age)}.",
            f"See what runs (`SELECT * FROM job_running`); raise or lift what is too low: "
            f"`scheduler queues limit {quote(queue)} {options}`.",
        )
    elif plain_age > _BACKLOG_SECONDS:
        yield Finding.warning(
            Code.QUEUE_BACKLOG,
            f"Work has been waiting in the queue {queue!r} for {span(plain_age)}: its workers don't keep up.",
            "Start more workers, or raise worker.pool_size.",
        )


def _paused(queue: str, age: float, paused: Mapping[str, Any], bench: Bench) -> Iterator[Finding]:
    reason = f" ({paused['reason']})" if paused["reason"] else ""
    until = f" until {paused['resume_at']:%Y-%m-%d %H:%M} UTC" if paused["resume_at"] else ""
    if age <= _PAUSED_SECONDS:
        yield Finding.fine(Code.QUEUE_PAUSED, f"The queue {queue!r} is paused{reason}{until}.")
        return
    yield Finding.warning(
        Code.QUEUE_PAUSED,
        f"The queue {queue!r} is paused{reason}{until}, and work has been waiting in it for {span(age)}.",
        f"Resume it when the reason is over: `scheduler queues resume {quote(queue)}`.",
        [f"SELECT {bench.table('resume_queue')}({literal(queue)});"],
    )


def _told(row: Mapping[str, Any]) -> str:
    return f"{row['id']} ({row['handler_name']}, for {span(row['age'])})"
