"""Every error of the product in one file. The docstring says when it is raised; the message says what to do next.

SchedulerError
├── ConfigurationError           a setting, file or variable is wrong; exit code 2
│   ├── SchemaError              the tables are not there, or are of another version
│   └── RightsError              the role of the job database's url lacks a right
├── EmbeddedPostgresError        the server under .scheduler/ can't be started
├── NotFoundError                nothing of that name or id
│   └── HandlerNotFoundError     no handler is registered under the name of a row
├── ConflictError                something of that name is already there
├── RefusedError                 a value that no row may hold
├── QueueFullError               as much waits in a queue as its max_pending, or its broker, allows
├── QueueEmptyError              no message came in time
├── QueueClosedError             a message queue is used after its close()
├── MessageTooLargeError         a message is larger than any broker takes
├── MalformedMessageError        a message is not the JSON that its reader expects
├── BrokerError                  a message broker can't be reached, or refuses
├── ScheduleError                a cron expression or its zone is refused
├── ParamsError                  an execution's params don't fit its handler
├── ExecutionFailedError         what call() waited for ended otherwise than with SUCCESS
├── ShutdownTimeoutError         a queue worker or a thread pool did not end in time
├── WaitTimeoutError             what a client waits for isn't final in time
│   └── CallTimeoutError         nor is what call() enqueued
├── ForbiddenTargetError         an alert would be sent where it may not
├── UndeliveredError             a target did not take an alert
├── BenchmarkError               a measurement of `scheduler bench` failed, or left something behind
├── LeaseLostError               the fence refused a write: the row is no longer ours
└── DatabaseError
    ├── ConnectionPoolExhaustedError
    ├── QueryExecutionError
    └── TransactionError
        ├── CommitUnknownError
        └── PartialCommitError

ControlFlow                      raised by a handler to say how its attempt ends; not faults
├── RetryLater   ├── FailPermanently   ├── Snooze   └── CancelExecution
"""

import queue
from collections.abc import Collection, Iterable, Sequence
from datetime import timedelta
from difflib import get_close_matches
from typing import Any, Final


def did_you_mean(given: str, known: Iterable[str]) -> str:
    """`" Did you mean 'x'?"` with the nearest known name, or an empty string."""
    near = nearest(given, known)
    return f" Did you mean {near[0]!r}?" if near else ""


def nearest(given: str, known: Iterable[str]) -> list[str]:
    """The known name that was probably meant; empty where none is near."""
    return get_close_matches(given, list(known), n=1, cutoff=0.6)


class SchedulerError(Exception):
    """Base of every error raised by this package."""


class ConfigurationError(SchedulerError):
    """A setting, file or variable is wrong. The message names it and says what to write instead."""


class SchemaError(ConfigurationError):
    """The scheduler's tables are missing or of another version. The message names `scheduler migrate`."""


class RightsError(ConfigurationError):
    """The role of the job database's url lacks a right. The message names `scheduler db roles`."""


class EmbeddedPostgresError(SchedulerError):
    """The embedded server can't be started, or refuses to, so that no data is lost."""


class NotFoundError(SchedulerError):
    """Nothing is stored or registered under that name or id."""


class HandlerNotFoundError(NotFoundError):
    """A row names a handler that this worker doesn't have.

    The attempt fails and the next one waits at least 30 s, so that a rolling deploy heals itself.
    """

    BEGINNING: Final = "No handler is registered as "
    """Of its message, and so of the error of an execution that failed for it."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        names = sorted(known)
        self.name = name
        listed = ", ".join(names[:10]) + (", …" if len(names) > 10 else "") if names else "none"
        super().__init__(
            f"{self.BEGINNING}{name!r}.{did_you_mean(name, names)} This worker has: {listed}. "
            "A new one is there once `scheduler run` has been started again."
        )


class ConflictError(SchedulerError):
    """Something of that name is already there."""


class RefusedError(SchedulerError):
    """The job database refuses a row for a value in it. The message says what is allowed."""


class QueueFullError(SchedulerError, queue.Full):
    """As much waits in a queue as its `max_pending`, or its broker, allows: nothing was enqueued. Try later."""

    SQLSTATE: Final = "QFULL"
    """By which enqueue_job() says so."""


class QueueEmptyError(SchedulerError, queue.Empty):
    """No message came in time."""


class QueueClosedError(SchedulerError):
    """A message queue is used after its `close()`, or was closed while somebody waited for it."""


class MessageTooLargeError(SchedulerError):
    """A message is larger than any broker takes. Store the thing elsewhere and send a reference."""


class MalformedMessageError(SchedulerError):
    """A message is not the JSON that its reader expects, and belongs into the dead letter queue; or can't be sent."""


class BrokerError(SchedulerError):
    """A message broker can't be reached, or refuses. The message says what to mend; what was not acked comes back."""


class ScheduleError(SchedulerError):
    """A cron expression, interval or time zone is refused. The message says which field and why."""


class ParamsError(SchedulerError):
    """An execution's params don't fit what its handler declares."""


class ExecutionFailedError(SchedulerError):
    """What was waited for ended, and not with SUCCESS."""

    def __init__(self, id: int, handler_name: str, status: str, error: str | None, traceback: str | None) -> None:  # noqa: A002 - the column's name
        self.id, self.handler_name, self.status, self.error, self.traceback = id, handler_name, status, error, traceback
        first = (error or "it says nothing more").partition("\n")[0]
        super().__init__(f"Execution {id} ({handler_name}) is {status}: {first}")


class ShutdownTimeoutError(SchedulerError, TimeoutError):
    """A queue worker or a thread pool did not end in time. `unfinished` holds its QueueItems or TaskRecords."""

    def __init__(self, name: str, unfinished: Sequence[Any], seconds: float, fate: str) -> None:
        """`fate`: what becomes of them."""
        self.unfinished: tuple[Any, ...] = tuple(unfinished)
        super().__init__(f"{name} did not end within {seconds:g} s: {len(self.unfinished)} unfinished, and {fate}.")


class WaitTimeoutError(SchedulerError, TimeoutError):
    """What is waited for is not final in time; it goes on. `ids` names it."""

    def __init__(self, ids: Collection[int], seconds: float) -> None:
        self.ids = tuple(ids)
        some = ", ".join(map(str, self.ids[:5])) + (", …" if len(self.ids) > 5 else "")
        which = f"execution {some} is" if len(self.ids) == 1 else f"{len(self.ids)} executions ({some}) are"
        super().__init__(f"After {seconds:g} s {which} not final. Wait longer, or cancel what nobody needs.")


class CallTimeoutError(WaitTimeoutError):
    """`call()` has waited long enough; the execution is there and goes on. `ids` holds its id."""


class ForbiddenTargetError(SchedulerError):
    """An alert would be sent to an address that is not public, or without encryption."""


class UndeliveredError(SchedulerError):
    """A target did not take an alert: it can't be reached, is too slow, or refuses."""


class BenchmarkError(SchedulerError):
    """A measurement of `scheduler bench` failed, or its schema could not be dropped. The message says what to do."""


class LeaseLostError(SchedulerError):
    """A fenced write changed no row: the worker's lease is lost and somebody else may own the execution."""


class DatabaseError(SchedulerError):
    """Base of errors about the databases that handlers use."""


class ConnectionPoolExhaustedError(DatabaseError):
    """No connection became free within the pool's timeout. Logged as a warning."""


class QueryExecutionError(DatabaseError):
    """A statement failed; the driver's error is the cause."""


class TransactionError(DatabaseError):
    """A transaction could not be opened, joined or committed, or a connection was asked for outside of one."""


class CommitUnknownError(TransactionError):
    """No answer to COMMIT came, and until now nobody could be asked whether it was done."""

    def __init__(self, database: str, reason: str) -> None:
        self.database = database
        self.lost = f"The connection to database {database!r} was lost during COMMIT ({reason})."
        super().__init__(
            f"{self.lost} Whether it was committed is not known: "
            "look before this work runs again, or make it idempotent."
        )


class PartialCommitError(TransactionError):
    """With `atomicity: best_effort`, one database committed and a later one failed: its cause ends the message."""

    def __init__(self, committed: Sequence[str], failed: Sequence[str]) -> None:
        self.committed, self.failed = tuple(committed), tuple(failed)
        super().__init__(
            f"Committed in {', '.join(self.committed) or 'none'}, failed in {', '.join(self.failed)}: "
            "the databases now differ. Repair by hand, and make the handler idempotent before it runs again."
        )

    def __str__(self) -> str:
        cause = str(self.__cause__ or "").partition("\n")[0]
        return f"{super().__str__()} {cause}".rstrip()


class ControlFlow(Exception):  # noqa: N818 - a handler's decision, not an error
    """Base of what a handler raises to say how its attempt ends."""


class RetryLater(ControlFlow):
    """A failed attempt whose next try waits `delay` instead of the backoff: seconds or a timedelta, up to a year."""

    def __init__(self, delay: float | timedelta, reason: str = "The handler asked for a later retry.") -> None:
        self.delay, self.reason = _seconds(delay), reason
        super().__init__(reason)


class FailPermanently(ControlFlow):
    """FAILED at once, whatever `max_retry` says."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class Snooze(ControlFlow):
    """Back to PENDING for `delay`, seconds or a timedelta up to a year, without using up a try."""

    def __init__(self, delay: float | timedelta) -> None:
        self.delay = _seconds(delay)
        super().__init__(f"snoozed for {self.delay:g} s")


class CancelExecution(ControlFlow):
    """CANCELLED, with the reason."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


def _seconds(delay: float | timedelta) -> float:
    return delay.total_seconds() if isinstance(delay, timedelta) else float(delay)
