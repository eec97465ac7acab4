"""meter: counts what becomes of a worker's executions, by handler and queue: few, for both come from settings."""

from collections import defaultdict
from collections.abc import Container, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from scheduler.clock import monotonic
from scheduler.lifecycle.settle import Settled
from scheduler.metrics import Tally
from scheduler.model import Claim, Outcome, OutcomeKind, Status

UNKNOWN: Final = "unknown"
"""What a row may name and nothing here does; and a queue that wasn't told with the answer to a claim."""
_FINAL_FAILURES: Final = frozenset({Status.FAILED, Status.TIMEOUT})
_LABELS: Final = {kind: kind.value.replace(" ", "_") for kind in OutcomeKind}
_MOST_TOKENS: Final = 10_000
"""More are not at work: what is handed back or lost leaves its token behind."""


@dataclass(slots=True)
class _Taken:
    token: UUID
    """Keeps its identity, by which it is found, from being that of another."""
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
        self._taken: dict[int, _Taken] = {}

    def claimed(self, queue: str | None, claims: Sequence[Claim]) -> None:
        """`queue` is None when they are from claims whose answers were lost."""
        name = self._only_queue or queue or UNKNOWN
        if self.database_clock is not None:
            now = self.database_clock + monotonic()
            self.tally.observe(
                "scheduler_wait_seconds", name, values=[max(0.0, now - claim.available_at) for claim in claims]
            )
        if self._only_queue is None:
            for claim in claims:
                taken = self._taken.get(id(claim.token))
                if taken is None:
                    taken = self._taken[id(claim.token)] = _Taken(claim.token, name, 0)
                taken.unsettled += 1
            while len(self._taken) > _MOST_TOKENS:
                del self._taken[next(iter(self._taken))]

    def settled(self, batch: Sequence[Settled]) -> None:
        """The database has answered for these."""
        groups: defaultdict[tuple[str, str], list[Outcome]] = defaultdict(list)
        for one in batch:
            queue = self._only_queue or self._queue_of(one.claim.token)
            if one.status is None:
                self.tally.count("scheduler_stale_outcomes_total")
                continue
            groups[one.claim.handler_name, queue].append(one.outcome)
            if one.status is not Status.SUCCESS and one.status in _FINAL_FAILURES:
                self.tally.count("scheduler_dead_letters_total", self._known(one.claim.handler_name), queue)
        for (handler, queue), outcomes in groups.items():
            self._count(self._known(handler), queue, outcomes)

    def _count(self, handler: str, queue: str, outcomes: Sequence[Outcome]) -> None:
        self.tally.observe("scheduler_run_seconds", handler, queue, values=[outcome.seconds for outcome in outcomes])
        kinds = [outcome.kind for outcome in outcomes]
        for kind, label in _LABELS.items():
            if kind in kinds:
                self.tally.count("scheduler_attempts_total", handler, queue, label, by=kinds.count(kind))

    def _known(self, handler: str) -> str:
        return handler if handler in self._handlers else UNKNOWN

    def lease_lost(self) -> None:
        self.tally.count("scheduler_lost_leases_total")

    def _queue_of(self, token: UUID) -> str:
        taken = self._taken.get(id(token))
        if taken is None:
            return UNKNOWN
        taken.unsettled -= 1
        if not taken.unsettled:
            del self._taken[id(token)]
        return taken.queue
