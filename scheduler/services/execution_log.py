"""One line per settled execution; above 50 a second, one line a second for all of them."""

from collections.abc import Sequence

from scheduler.clock import monotonic
from scheduler.lifecycle.settle import Settled
from scheduler.messages import log
from scheduler.model import OutcomeKind, Status

LINES_PER_SECOND = 50


class ExecutionLog:
    def __init__(self) -> None:
        self._second = 0.0
        self._lines = 0
        self._succeeded = self._failed = self._retried = 0

    def settled(self, batch: Sequence[Settled]) -> None:
        self.pulse()
        self._lines += len(batch)
        if self._lines <= LINES_PER_SECOND:
            for one in batch:
                _line(one)
        else:
            self._count(batch)

    def pulse(self) -> None:
        """Once a second is over, write its summary and begin the next."""
        now = monotonic()
        if now - self._second >= 1.0:
            self.flush()
            self._second, self._lines = now, 0

    def flush(self) -> None:
        """Write the summary of what was only counted."""
        counted = self._succeeded + self._failed + self._retried
        if counted:
            log(
                "executions.summary",
                count=counted,
                seconds=round(max(1.0, monotonic() - self._second), 1),
                succeeded=self._succeeded,
                failed=self._failed,
                retried=self._retried,
            )
        self._succeeded = self._failed = self._retried = 0

    def _count(self, batch: Sequence[Settled]) -> None:
        for one in batch:
            if one.status is Status.SUCCESS:
                self._succeeded += 1
                continue
            match one.status:
                case Status.PENDING:
                    self._retried += 1
                case None:
                    _line(one)
                case _:
                    self._failed += 1


def _line(one: Settled) -> None:
    claim, outcome = one.claim, one.outcome
    handler, error = claim.handler_name, one.transition.error or outcome.error or ""
    match one.status:
        case None:
            log("execution.stale", id=claim.id, attempt=claim.attempt)
        case Status.SUCCESS:
            log("execution.succeeded", id=claim.id, handler=handler, seconds=round(outcome.seconds, 3))
        case Status.CANCELLED:
            log("execution.cancelled", id=claim.id, handler=handler, reason=error or "by request")
        case Status.PENDING if one.transition.records_error:
            log(
                "execution.retrying",
                id=claim.id,
                handler=handler,
                outcome=outcome.kind.value,
                attempt=claim.attempt,
                seconds=round(one.transition.delay, 1),
                error=error,
            )
        case Status.PENDING:
            log("execution.returned", id=claim.id, handler=handler, why=_why(outcome.kind, one.transition.delay))
        case _:
            log(
                "execution.failed",
                id=claim.id,
                handler=handler,
                status=one.status.value,
                attempt=claim.attempt,
                error=error,
            )


def _why(kind: OutcomeKind, delay: float) -> str:
    return f"{kind.value} for {delay:g} s" if kind is OutcomeKind.SNOOZED else kind.value
