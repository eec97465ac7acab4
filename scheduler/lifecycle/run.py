"""run: call the handler under its timeout, and say how it ended.

Touches no queue and writes no row, except by a handler whose own transaction carries its SUCCESS. Callbacks instead of
a task per attempt: what a handler costs is its own. The outcome is told once, on time, even when the handler won't
stop; the slot is free only when it really ended.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, Protocol

from scheduler.clock import monotonic
from scheduler.errors import (
    CancelExecution,
    ControlFlow,
    FailPermanently,
    HandlerNotFoundError,
    ParamsError,
    RetryLater,
    Snooze,
)
from scheduler.handlers import ExecutionContext, HandlerRegistry, clean_text, describe_error, encode_result
from scheduler.handlers.faults import UNTELLABLE, shown
from scheduler.handlers.results import SettledResult
from scheduler.isolation import Isolation, Running
from scheduler.lifecycle.batch import Batch
from scheduler.messages import log
from scheduler.model import Claim, Outcome, OutcomeKind

ARM_SECONDS = 0.1
"""Timeouts up to this are armed when the attempt begins, longer ones by whoever began it."""
UNKNOWN_HANDLER_DELAY_SECONDS = 30.0
"""A row whose handler nobody has yet waits at least this long, so that a rolling deploy heals itself."""


class Watcher(Protocol):
    """Who started the attempt."""

    def reported(self, attempt: "Attempt", outcome: Outcome) -> None:
        """The outcome, exactly once, unless the attempt was abandoned."""

    def ended(self, attempt: "Attempt") -> None:
        """The handler has really ended and its slot is free; after `reported`."""


class Attempt:
    """One claim being run."""

    __slots__ = (
        "_began",
        "_entered",
        "_grace",
        "_running",
        "_stopping",
        "_timer",
        "_watcher",
        "batch",
        "claim",
        "context",
        "over",
        "overdue",
        "settles_itself",
        "silent",
    )

    def __init__(self, claim: Claim, watcher: Watcher) -> None:
        self.claim = claim
        self._watcher = watcher
        self._began = monotonic()
        self.context = ExecutionContext(claim, self._began + claim.timeout_seconds)
        self._running: Running | None = None
        self._entered = False
        self._grace = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._stopping: OutcomeKind | None = None
        self.batch: Batch | None = None
        """The call that it shares with others."""
        self.over = False
        """The outcome is decided."""
        self.overdue = False
        """The outcome was told and the handler still runs."""
        self.settles_itself = False
        """Its row may be final before it has ended: a transaction of the handler's carries its SUCCESS."""
        self.silent = False
        """Abandoned: whatever the handler does now is told to nobody."""

    @property
    def seconds(self) -> float:
        """How long it has run."""
        return monotonic() - self._began

    @property
    def begun(self) -> bool:
        """Whether any of the handler's code may have run."""
        return self._entered if self._running is None else self._running.begun

    @property
    def leads(self) -> bool:
        """It has its slot alone, or is the first of a batch."""
        return self.batch is None or self.batch.members[0].context is self.context

    def begin(self, handlers: HandlerRegistry, isolations: dict[str, Isolation]) -> None:
        """Start the handler; a suspect's in a process of its own. A row that names none ends at once."""
        try:
            spec = handlers.get(self.claim.handler_name)
        except HandlerNotFoundError as error:
            self._tell(Outcome(OutcomeKind.FAILURE, error=str(error), min_delay=UNKNOWN_HANDLER_DELAY_SECONDS))
            self._watcher.ended(self)
            return
        if self.claim.timeout_seconds <= ARM_SECONDS:
            self.arm()
        self.settles_itself = bool(spec.transactional)
        isolation = isolations["process" if self.claim.suspect else spec.run_in]
        self._entered = True
        self._follow(isolation.start(spec, self.context), isolation.grace_seconds)

    def _follow(self, running: Running, grace_seconds: float) -> None:
        self._running, self._grace = running, grace_seconds
        if running.future.done():
            self._done(running.future)
        else:
            running.future.add_done_callback(self._done)

    @staticmethod
    def begin_together(
        attempts: "Sequence[Attempt]", handlers: HandlerRegistry, isolations: dict[str, Isolation]
    ) -> None:
        """Start several as one call of their batch handler. Their timeouts are the same, and none is a suspect."""
        spec = handlers.get(attempts[0].claim.handler_name)
        isolation = isolations[spec.run_in]
        deadline = attempts[0].context.deadline
        for attempt in attempts:
            attempt.context.deadline = deadline
            if attempt.claim.timeout_seconds <= ARM_SECONDS:
                attempt.arm()
            attempt._entered = True
        batch = Batch(spec, [attempt.context for attempt in attempts], isolation)
        for attempt, member in zip(attempts, batch.members, strict=True):
            attempt.batch = batch
            attempt._follow(member, isolation.grace_seconds)

    def arm(self) -> None:
        """Have the timeout strike. To be called within `ARM_SECONDS`: most attempts end before they need a timer."""
        if self._timer is None and not self.over:
            left = max(0.0, self.context.deadline - monotonic())
            self._timer = asyncio.get_running_loop().call_later(left, self._timed_out)

    def ask_to_stop(self, reason: str) -> None:
        """Somebody cancelled the execution: success still wins, every other outcome becomes CANCELLED."""
        if not self.over and self._stopping is None:
            self._stop(OutcomeKind.CANCELLED, reason)

    def warn(self, reason: str) -> None:
        """Let the handler see `cancelled`, so that it may finish early; nothing is interrupted."""
        self.context.cancel(reason)
        if self._running is not None:
            self._running.warn(reason)

    def hand_back(self, reason: str) -> None:
        """Interrupt it: unless it ends with success, it goes back without using up a try, or fails if it starts once.

        One whose time was up before that is on its way out already, and stays a timeout.
        """
        if not self.over and self._stopping is not OutcomeKind.TIMEOUT:
            self._stop(OutcomeKind.HANDED_BACK, reason)

    def end(self) -> None:
        """It was asked to stop and has not: end it by force, where it runs in a process."""
        if self._running is not None:
            self._running.end()

    def give_up_waiting(self) -> None:
        """It was handed back and would not stop: tell the outcome without it."""
        if not self.over:
            self.overdue = True
            self._tell(self._handed_back())

    def abandon(self, reason: str) -> None:
        """The lease is lost: stop it, and tell nobody. Whoever rescued the row has recorded the attempt."""
        self.silent = True
        self._stop(OutcomeKind.LOST, reason)

    def _stop(self, kind: OutcomeKind, reason: str) -> None:
        self._stopping = kind
        self.context.cancel(reason)
        if self._running is not None:
            self._running.stop(reason)

    def _timed_out(self) -> None:
        self._timer = None
        if self._running is not None and self._running.preparing:
            self.context.deadline = monotonic() + self.claim.timeout_seconds
        if self.context.remaining() > 0:  # its process had to be started first
            self.arm()
            return
        self._timer = asyncio.get_running_loop().call_later(self._grace, self._overdue)
        self._stop(OutcomeKind.TIMEOUT, f"timed out after {self.claim.timeout_seconds:g} s")

    def _overdue(self) -> None:
        self.overdue = True
        self._tell(self._timeout(None))

    def _done(self, future: asyncio.Future[Any]) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._tell(self._looked_at(future))
        self._watcher.ended(self)

    def _tell(self, outcome: Outcome) -> None:
        if self.over:
            return
        self.over = True
        outcome.seconds = self.seconds
        if not self.silent:
            self._watcher.reported(self, outcome)

    def _looked_at(self, future: asyncio.Future[Any]) -> Outcome:
        try:
            return self._outcome(future)
        except BaseException:  # attributes and types of what the handler left are its code too, and may raise anything
            kind = OutcomeKind.TIMEOUT if self._stopping is OutcomeKind.TIMEOUT else OutcomeKind.FAILURE
            return Outcome(kind, error=UNTELLABLE)

    def _outcome(self, future: asyncio.Future[Any]) -> Outcome:
        error = asyncio.CancelledError() if future.cancelled() else future.exception()
        if error is None:
            in_time = self._stopping is not OutcomeKind.TIMEOUT or isinstance(future.result(), SettledResult)
            return self._success(future.result()) if in_time else self._timeout(None)
        if self._stopping is OutcomeKind.TIMEOUT:
            return self._timeout(error)
        if isinstance(error, ControlFlow):
            return _asked_for(error)
        if self._stopping is OutcomeKind.HANDED_BACK:
            return self._handed_back()
        if self._stopping is OutcomeKind.CANCELLED:
            return Outcome(OutcomeKind.CANCELLED, error=self.context.cancel_reason, traceback=_story(error))
        if isinstance(error, asyncio.CancelledError):
            if self.context.cancelled:  # it was warned, before it had begun maybe
                return self._handed_back()
            return Outcome(OutcomeKind.FAILURE, error="CancelledError: the handler cancelled its own task.")
        text, traceback = describe_error(error)
        return Outcome(OutcomeKind.FAILURE, error=text, traceback=traceback, permanent=isinstance(error, ParamsError))

    def _success(self, returned: object) -> Outcome:
        result, changed = encode_result(returned)
        if changed and not (self.over or self.silent):
            log("execution.result_changed", id=self.claim.id, handler=self.claim.handler_name)
        return Outcome(OutcomeKind.SUCCESS, result=result, settled=isinstance(returned, SettledResult))

    def _handed_back(self) -> Outcome:
        return Outcome(OutcomeKind.HANDED_BACK, error=self.context.cancel_reason, begun=self.begun)

    def _timeout(self, error: BaseException | None) -> Outcome:
        text = f"Timed out after {self.claim.timeout_seconds:g} s."
        return Outcome(OutcomeKind.TIMEOUT, error=text, traceback=_story(error))


def _story(error: BaseException | None) -> str | None:
    """How a handler that had to stop ended: by which steps, and where it was; None if it did as it was told."""
    return None if error is None or isinstance(error, asyncio.CancelledError) else describe_error(error)[1]


def _asked_for(decision: ControlFlow) -> Outcome:
    """A handler's own decision as an outcome."""
    reason = clean_text(shown(getattr(decision, "reason", "")))
    match decision:
        case RetryLater():
            return Outcome(OutcomeKind.FAILURE, error=reason, delay=_seconds(decision.delay))
        case FailPermanently():
            return Outcome(OutcomeKind.FAILURE, error=reason, permanent=True)
        case Snooze():
            return Outcome(OutcomeKind.SNOOZED, delay=_seconds(decision.delay))
        case CancelExecution():
            return Outcome(OutcomeKind.CANCELLED, error=reason)
        case _:
            return Outcome(OutcomeKind.FAILURE, error=describe_error(decision)[0])


def _seconds(delay: float) -> float:
    """A delay that the database can add to a time: 0 to a year; what is no number waits for nothing."""
    return min(delay, 31_622_400.0) if delay > 0 else 0.0
