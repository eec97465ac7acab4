"""meter: counts what becomes of a worker's executions, by handler and queue: few, for both come from settings."""

from collections.abc import Container, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from scheduler.clock import monotonic
from scheduler.lifecycle.settle import Settled
from scheduler.metrics import Tally
from scheduler.model import Claim, OutcomeKind, Status

UNKNOWN: Final = "unknown"
"""What a row may name and nothing here does; and a queue that wasn't told with the answer to a claim."""
_FINAL_FAILURES: Final = frozenset({Status.FAILED, Status.TIMEOUT})
_LABELS: Final = {kind: kind.value.replace(" ", "_") for kind in OutcomeKind}
_MOST_TOKENS: Final = 10_000
"""More are not at work: what is handed back or lost leaves its token behind."""


@dataclass(slots=True)
class _Taken:
    queue: str
    unsettled: int


class Meter:
    """Of one worker, in its event loop."""

    def __init__(self, handlers: Container[str], queues: Sequence[str]) -> None:
        self.tally = Tally()
        self.database_clock: float | None = None
        """The database's Unix time minus ours on the monotonic clock; None: not known yet, and no wait is told."""
        self._handlers = handlers
        self._only_queue = queues[0] if len(queues) == 1 else None
        self._taken: dict[UUID, _Taken] = {}

    def claimed(self, queue: str | None, claims: Sequence[Claim]) -> None:
        """`queue` is None when they are from claims whose answers were lost."""
        name = self._only_queue or queue or UNKNOWN
        if self.database_clock is not None:
            now = self.database_clock + monotonic()
            for claim in claims:
                self.tally.observe("scheduler_wait_seconds", name, value=max(0.0, now - claim.available_at))
        if self._only_queue is None:
            for claim in claims:
                self._taken.setdefault(claim.token, _Taken(name, 0)).unsettled += 1
            while len(self._taken) > _MOST_TOKENS:
                del self._taken[next(iter(self._taken))]

    def settled(self, batch: Sequence[Settled]) -> None:
        """The database has answered for these."""
        tally = self.tally
        for one in batch:
            queue = self._only_queue or self._queue_of(one.claim.token)
            if one.status is None:
                tally.count("scheduler_stale_outcomes_total")
                continue
            handler = one.claim.handler_name if one.claim.handler_name in self._handlers else UNKNOWN
            tally.count("scheduler_attempts_total", handler, queue, _LABELS[one.outcome.kind])
            tally.observe("scheduler_run_seconds", handler, queue, value=one.outcome.seconds)
            if one.status in _FINAL_FAILURES:
                tally.count("scheduler_dead_letters_total", handler, queue)

    def lease_lost(self) -> None:
        self.tally.count("scheduler_lost_leases_total")

    def _queue_of(self, token: UUID) -> str:
        taken = self._taken.get(token)
        if taken is None:
            return UNKNOWN
        taken.unsettled -= 1
        if not taken.unsettled:
            del self._taken[token]
        return taken.queue
