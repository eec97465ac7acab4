"""breaker: counts failures in a row, queue by queue, of what this worker runs; too many, and it is to pause."""

from collections.abc import Iterable, Mapping, Sequence

from scheduler.lifecycle.settle import Settled
from scheduler.model import Claim, OutcomeKind
from scheduler.store.executions import Pair

_FAILED = frozenset({OutcomeKind.FAILURE, OutcomeKind.TIMEOUT})


class Breaker:
    """Only queues that say after how many failures they pause are counted."""

    def __init__(self) -> None:
        self._most: Mapping[str, int] = {}
        self._queues: dict[Pair, str] = {}
        self._failures: dict[str, int] = {}

    def watch(self, most: Mapping[str, int]) -> None:
        """The queues that pause themselves, and after how many failures in a row."""
        self._most = most
        self._failures = {queue: count for queue, count in self._failures.items() if queue in most}

    def claimed(self, queue: str | None, claims: Iterable[Claim]) -> None:
        if queue is not None and queue in self._most:
            self._queues |= {(claim.id, claim.token): queue for claim in claims}

    def settled(self, batch: Sequence[Settled]) -> None:
        if not self._queues:
            return
        for one in batch:
            queue = self._queues.pop((one.claim.id, one.claim.token), None)
            if queue is None:
                continue
            if one.outcome.kind in _FAILED:
                self._failures[queue] = self._failures.get(queue, 0) + 1
            elif one.outcome.kind is OutcomeKind.SUCCESS:
                self._failures[queue] = 0

    def tripped(self) -> list[tuple[str, int]]:
        """Queues to pause, and how often they failed in a row.

        Each is told once, and again at its next failure unless it succeeds before: a queue that goes on is on trial.
        """
        found = [(queue, count) for queue, count in self._failures.items() if count >= self._most.get(queue, count + 1)]
        for queue, _ in found:
            self._failures[queue] = self._most[queue] - 1
        return found

    def forget(self) -> None:
        """The lease is lost: nothing more is heard of what was claimed."""
        self._queues.clear()
