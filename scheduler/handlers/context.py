"""The execution that is running here: what a handler may know and say about its own attempt."""

import logging
from collections.abc import MutableMapping, Sequence
from contextvars import Context, ContextVar
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID

from scheduler.clock import monotonic
from scheduler.errors import SchedulerError
from scheduler.handlers.faults import clean_text
from scheduler.model import Claim

_MESSAGE_LIMIT = 1000


class Progress(NamedTuple):
    fraction: float
    message: str


class ExecutionContext:
    """One attempt as its handler sees it. Made for thousands of attempts a second: what costs is made when asked for.

    The worker writes `cancelled` and `cancel_reason` (through `cancel`), the handler reads them; progress goes the
    other way. Each attribute has one writing side, so that no lock is needed between a thread and its loop.
    """

    __slots__ = ("_flushed", "_progress", "cancel_reason", "cancelled", "claim", "deadline", "params")

    def __init__(self, claim: Claim, deadline: float) -> None:
        self.claim = claim
        self.deadline = deadline
        """When the timeout strikes, on the monotonic clock. Set anew if the attempt had to wait for a process."""
        self.params: Any = None
        """What the handler was given; None until its params are decoded."""
        self.cancelled = False
        """True as soon as the attempt should stop: cancelled, timed out, or the worker shuts down."""
        self.cancel_reason: str | None = None
        self._progress: Progress | None = None
        self._flushed: Progress | None = None

    @property
    def members(self) -> "Sequence[ExecutionContext]":
        """The attempts that this call of the handler is for: itself, or those of a batch."""
        return (self,)

    @property
    def id(self) -> int:
        return self.claim.id

    @property
    def handler_name(self) -> str:
        return self.claim.handler_name

    @property
    def attempt(self) -> int:
        """Which claim of the execution this is, from 1; hand-backs and snoozes count."""
        return self.claim.attempt

    @property
    def retry_count(self) -> int:
        """How many attempts have failed so far."""
        return self.claim.retry_count

    @property
    def cron_job_id(self) -> int | None:
        return self.claim.cron_job_id

    @property
    def token(self) -> UUID:
        """The claim token: (id, token) names this attempt and no other."""
        return self.claim.token

    @property
    def scheduled_at(self) -> datetime:
        """The tick, or when the execution was asked for; aware, in UTC."""
        return datetime.fromtimestamp(self.claim.scheduled_at, UTC)

    @property
    def logger(self) -> logging.LoggerAdapter[logging.Logger]:
        """The handler's own logger, `scheduler.handler.<name>`; its lines name the execution."""
        return _ExecutionLogger(self)

    def remaining(self) -> float:
        """Seconds until the deadline; 0.0 when it has passed."""
        return max(0.0, self.deadline - monotonic())

    def progress(self, fraction: float, message: str = "") -> None:
        """Report how far the work is; the worker writes the latest report into the row once in a while.

        Raises ValueError unless 0 ≤ fraction ≤ 1. The message is cut at 1,000 characters.
        """
        if not 0 <= fraction <= 1:
            raise ValueError(f"progress() takes a fraction from 0 to 1, and got {fraction!r}.")
        self._progress = Progress(float(fraction), clean_text(str(message), _MESSAGE_LIMIT))

    def take_progress(self) -> Progress | None:
        """The latest report, once; None when nothing new was said. For the worker."""
        latest = self._progress
        if latest is self._flushed:
            return None
        self._flushed = latest
        return latest

    def cancel(self, reason: str) -> None:
        """Tell the handler to stop. The first reason stays. For the worker."""
        if not self.cancelled:
            self.cancel_reason = reason
            self.cancelled = True


class BatchContext(ExecutionContext):
    """Several attempts that are one call of their handler; their deadlines are the same."""

    __slots__ = ("_members", "given")

    def __init__(self, members: Sequence[ExecutionContext]) -> None:
        super().__init__(members[0].claim, members[0].deadline)
        self._members = members
        self.given = members
        """Those whose params fit, in the order in which the handler has them."""

    @property
    def members(self) -> Sequence[ExecutionContext]:
        return self._members


class _ExecutionLogger(logging.LoggerAdapter[logging.Logger]):
    """Puts the execution before the line, and into the fields of a structured one."""

    def __init__(self, execution: ExecutionContext) -> None:
        super().__init__(logging.getLogger(f"scheduler.handler.{execution.handler_name}"), {})
        self.execution = execution

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[str, MutableMapping[str, Any]]:
        execution = self.execution
        values = {"id": execution.id, "handler": execution.handler_name, "attempt": execution.attempt}
        kwargs["extra"] = {**(kwargs.get("extra") or {}), "values": values}
        return f"Execution {execution.id} ({execution.handler_name}): {msg}", kwargs


_current: ContextVar[ExecutionContext] = ContextVar("scheduler_execution")

make_current = _current.set
"""Says which execution runs in this task or thread. For the code that calls handlers."""


def execution_in(variables: Context) -> ExecutionContext | None:
    """The execution that code with these context variables belongs to, if any."""
    return variables.get(_current)


def current_execution() -> ExecutionContext:
    """The execution that runs here. Raises SchedulerError outside of a handler.

    Tasks and `asyncio.to_thread` calls that a handler starts see it too; a bare `threading.Thread` doesn't.
    """
    context = _running("current_execution")
    if isinstance(context, BatchContext):
        raise SchedulerError("A batch is running here, not one execution: current_batch() lists its executions.")
    return context


def current_batch() -> Sequence[ExecutionContext]:
    """The executions that run here, in the order in which a batch handler was given their params.

    Of a handler without `batch_size` it is the one. Raises SchedulerError outside of a handler.
    """
    context = _running("current_batch")
    return context.given if isinstance(context, BatchContext) else context.members


def _running(asked: str) -> ExecutionContext:
    try:
        return _current.get()
    except LookupError:
        raise SchedulerError(
            f"No execution is running here: call {asked}() inside a handler, "
            "or in a task or asyncio.to_thread() call that the handler started."
        ) from None
