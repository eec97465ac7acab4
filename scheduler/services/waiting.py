"""waiting: claims until there is a slot for them. Those of a batch handler gather, and take one slot together."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable

from scheduler.clock import monotonic
from scheduler.handlers import HandlerRegistry
from scheduler.model import Claim

Kind = tuple[str, float]
"""Handler and timeout: what the executions of a batch have in common."""


class Group(list[Claim]):
    """A batch that more may join until it is full or begins."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self.ready = False


class Waiting:
    def __init__(self, handlers: HandlerRegistry, on_ready: Callable[[], None]) -> None:
        """`on_ready` is called when something has become ready by itself."""
        self._batching = {spec.name: spec.batching for spec in handlers if spec.batching is not None}
        self._on_ready = on_ready
        self._ready: deque[Claim | Group] = deque()
        self._open: dict[Kind, Group] = {}
        self.since = 0.0
        """Since when something has been ready without a break, on the monotonic clock."""

    def __len__(self) -> int:
        """How many slots what is ready would take."""
        return len(self._ready)

    def add(self, claims: Iterable[Claim]) -> None:
        """Suspects begin alone, in a process of their own."""
        if not self._batching:
            self._put(claims)
            return
        for claim in claims:
            if claim.suspect or claim.handler_name not in self._batching:
                self._put([claim])
            else:
                self._gather(claim)

    def pop(self) -> "Claim | Group":
        """What takes the next slot: one claim, or a batch."""
        first = self._ready.popleft()
        if isinstance(first, Group) and self._open.get(first.kind) is first:
            del self._open[first.kind]
        return first

    def clear(self) -> list[Claim]:
        """Let nothing of it begin; what that was."""
        gathering = [group for group in self._open.values() if not group.ready]
        claims = [one for one in self._ready if not isinstance(one, Group)]
        claims += [claim for group in (*self._ready, *gathering) if isinstance(group, Group) for claim in group]
        self._ready.clear()
        self._open.clear()
        return claims

    def _gather(self, claim: Claim) -> None:
        kind = claim.handler_name, claim.timeout_seconds
        batching = self._batching[claim.handler_name]
        group = self._open.get(kind)
        if group is None:
            group = self._open[kind] = Group(kind)
            asyncio.get_running_loop().call_later(batching.wait_seconds, self._waited, group)
        group.append(claim)
        if len(group) >= batching.size:
            del self._open[kind]
            self._make_ready(group)

    def _waited(self, group: Group) -> None:
        if self._open.get(group.kind) is group:
            self._make_ready(group)
            self._on_ready()

    def _make_ready(self, group: Group) -> None:
        if not group.ready:
            group.ready = True
            self._put([group])

    def _put(self, ready: "Iterable[Claim | Group]") -> None:
        if not self._ready:
            self.since = monotonic()
        self._ready.extend(ready)
