"""Waiting for executions to become final."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from time import sleep
from typing import Any

from scheduler.clock import monotonic
from scheduler.errors import NotFoundError
from scheduler.model import FINAL, Status
from scheduler.operations.executions import unknown
from scheduler.operations.json_values import decoded
from scheduler.store.asking import ask
from scheduler.store.session import SyncSession

_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 1.0
"""Seconds between two looks: short for what is nearly done, and then longer."""


@dataclass(frozen=True, slots=True)
class ExecutionState:
    """How far one is. Times in UTC."""

    id: int
    handler_name: str
    status: str
    attempt: int
    retry_count: int
    max_retry: int | None
    available_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    progress: float | None
    progress_message: str | None
    result: Any
    error: str | None
    queue: str
    served: bool
    """Whether a worker with a lease serves its queue."""
    paused: bool
    """Whether its queue is."""

    @property
    def final(self) -> bool:
        return self.status in FINAL

    @property
    def obstacle(self) -> str | None:
        """Why it waits, if it may do so in vain."""
        if self.status != Status.PENDING:
            return None
        if self.paused:
            return f"its queue {self.queue!r} is paused"
        if not self.served:
            return f"no worker serves its queue {self.queue!r}"
        return None if self.error is None else f"it failed before: {self.error.partition(chr(10))[0]}"


def states(session: SyncSession, ids: Sequence[int]) -> list[ExecutionState]:
    """In the order of `ids`. Raises NotFoundError for the first of them that isn't there."""
    rows = {row["id"]: row for row in ask(session, "execution_states", ids=list(ids))}
    for id_ in ids:
        if id_ not in rows:
            raise NotFoundError(unknown(id_))
    return [ExecutionState(**{**rows[id_], "result": decoded(rows[id_]["result"])}) for id_ in ids]


def wait(
    session: SyncSession,
    ids: Sequence[int],
    *,
    timeout: float | None = None,
    watch: Callable[[Sequence[ExecutionState]], None] = lambda states: None,
) -> list[ExecutionState]:
    """How they are when all of them are final, or after `timeout` seconds; `watch` is told at each look.

    Raises NotFoundError for an id that isn't there, also when it goes meanwhile.
    """
    end = None if timeout is None else monotonic() + timeout
    pause = _FIRST_PAUSE
    while True:
        found = states(session, ids)
        watch(found)
        left = pause if end is None else end - monotonic()
        if left <= 0 or all(state.final for state in found):
            return found
        sleep(min(pause, left))
        pause = min(2 * pause, _LONGEST_PAUSE)
