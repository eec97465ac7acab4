"""What is waited for: which rows to look at now, and how long to pause. Both clients wait by it."""

from collections import deque
from collections.abc import Callable, Iterable, Sequence

from scheduler.client.nouns import Execution, Seen
from scheduler.client.questions import unknown
from scheduler.clock import monotonic
from scheduler.errors import WaitTimeoutError

_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 1.0
"""Seconds between two looks at everything: short for what is nearly done, and then longer."""
WATCHED_PAUSE = 0.5
"""The same for what is watched."""
_CHUNK = 10_000
"""Rows of one look."""


class Pending:
    """`hear` is for the listening thread; everything else belongs to whoever waits."""

    def __init__(
        self,
        ids: Iterable[int],
        timeout: float | None,
        ring: Callable[[], None],
        *,
        longest_pause: float = _LONGEST_PAUSE,
    ) -> None:
        """`ring` ends the pause; it is called in another thread."""
        self.ids = dict.fromkeys(ids)
        self._ring, self._longest_pause = ring, longest_pause
        self._timeout = timeout
        self._began = self._next = monotonic()
        self._step = _FIRST_PAUSE
        self._heard: deque[int | None] = deque()
        self._told: object = None

    def hear(self, id_: int | None) -> None:
        self._heard.append(id_)
        self._ring()

    def to_look_at(self) -> list[list[int]]:
        """In chunks: those that were heard of, or all of them where it is time for that."""
        now, heard = monotonic(), set[int | None]()
        while self._heard:
            heard.add(self._heard.popleft())
        if None in heard or now >= self._next:
            self._next, self._step = now + self._step, min(2 * self._step, self._longest_pause)
            wanted = list(self.ids)
        else:
            wanted = [id_ for id_ in heard if id_ in self.ids and id_ is not None]
        return [wanted[start : start + _CHUNK] for start in range(0, len(wanted), _CHUNK)]

    def ended(self, seen: Sequence[Seen]) -> list[Execution]:
        """Those that are final and not waited for any more. Raises NotFoundError for one that isn't there."""
        found = []
        for each in seen:
            if each.status is None:
                raise unknown(each.id)
            if each.execution is not None and each.execution.final:
                self.ids.pop(each.id, None)
                found.append(each.execution)
        return found

    def changed(self, seen: Sequence[Seen]) -> list[Execution]:
        """The one that is watched, if it is not as it was told last. Raises as `ended()`."""
        self.ended(seen)
        found = [each.execution for each in seen if each.execution is not None]
        before, self._told = self._told, [(e.status, e.attempt, e.progress, e.progress_message) for e in found]
        return [] if self._told == before else found

    def pause(self) -> float:
        """Seconds until the next look. Raises WaitTimeoutError when the time is over."""
        now = monotonic()
        left = self._next - now
        if self._timeout is not None:
            if now >= self._began + self._timeout:
                raise WaitTimeoutError(list(self.ids), self._timeout)
            left = min(left, self._began + self._timeout - now)
        return max(left, 0.0)
