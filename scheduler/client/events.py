"""The ends that are heard of, from now on, for `events()`."""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from scheduler.client.nouns import Execution, Seen
from scheduler.clock import monotonic
from scheduler.errors import DatabaseError

_CHUNK: Final = 1_000
_PATIENCE_SECONDS: Final = 15.0


class Heard:
    """`hear` is for the listening thread; everything else belongs to whoever iterates."""

    def __init__(self, queue: str | None, ring: Callable[[], None]) -> None:
        """`ring` ends the pause; it is called in another thread."""
        self.listens = False
        """Somebody is listening: from now on each end is heard of."""
        self._queue, self._ring = queue, ring
        self._heard: deque[int] = deque()
        self._until = monotonic() + _PATIENCE_SECONDS

    def hear(self, id_: int | None) -> None:
        if id_ is None:
            self.listens = True
        else:
            self._heard.append(id_)
        self._ring()

    def to_look_at(self) -> list[list[int]]:
        ids = dict[int, None]()
        while self._heard:
            ids[self._heard.popleft()] = None
        wanted = list(ids)
        return [wanted[start : start + _CHUNK] for start in range(0, len(wanted), _CHUNK)]

    def ended(self, seen: Sequence[Seen]) -> list[Execution]:
        """Of the queue, those that are still there and final, the first to end first."""
        found = [each.execution for each in seen if each.execution is not None and each.execution.final]
        wanted = [each for each in found if self._queue is None or each.queue == self._queue]
        return sorted(wanted, key=lambda each: (each.finished_at or each.created_at, each.id))

    def pause(self) -> float:
        """Seconds for which to wait until somebody listens. Raises DatabaseError when that lasts too long."""
        left = self._until - monotonic()
        if left <= 0:
            raise DatabaseError(
                f"For {_PATIENCE_SECONDS:g} s no connection could LISTEN to the job database: look whether it can be "
                "reached, and has a connection left for this client."
            )
        return left
