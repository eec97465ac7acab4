"""Message queues in the memory of one process: for tests, for one program's own use, and to begin with.

A queue is a few collections behind a lock, so that threads and event loops share it. What a method does, it does
without waiting; only `receive` waits, for an event of its own loop that whoever changes the queue sets.
"""

import asyncio
import heapq
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from math import inf
from threading import Lock

from scheduler.clock import monotonic
from scheduler.errors import BrokerError, QueueFullError
from scheduler.queues.payload import check_size, message_id
from scheduler.queues.protocol import DeadLetter, Delivery, QueueOptions, QueueStats, never_acked

_FEW = 64


@dataclass(slots=True)
class _Message:
    id: str
    body: bytes
    published: datetime
    expires: float
    deliveries: int = 0


@dataclass(slots=True)
class _Taken:
    message: _Message
    until: float
    max_deliveries: int


@dataclass(slots=True)
class _Contents:
    """What a queue holds. The methods of a queue look at it only under `lock`."""

    lock: Lock = field(default_factory=Lock)
    ready: deque[_Message] = field(default_factory=deque)
    delayed: list[tuple[float, int, _Message]] = field(default_factory=list)
    taken: dict[int, _Taken] = field(default_factory=dict)
    deadlines: list[tuple[float, int]] = field(default_factory=list)
    """When to look after what is taken: a heap that may also name what was acked or extended since."""
    dead: list[DeadLetter] = field(default_factory=list)
    waiting: set["_Waiter"] = field(default_factory=set)
    numbers: Iterator[int] = field(default_factory=count)

    def settle(self, now: float) -> None:
        """Let come back what is due, and drop what nobody received in time."""
        while self.delayed and self.delayed[0][0] <= now:
            self.ready.append(heapq.heappop(self.delayed)[2])
        late = []
        while self.deadlines and self.deadlines[0][0] <= now:
            until, receipt = heapq.heappop(self.deadlines)
            if receipt in self.taken and self.taken[receipt].until == until:
                late.append(self.taken.pop(receipt))
        for taken in reversed(late):  # so that the first of them is the first again
            self._give_back(taken)
        while self.ready and self.ready[0].expires <= now:
            self.ready.popleft()

    def next_change(self) -> float:
        """When something may come back by itself."""
        return min(self.delayed[0][0] if self.delayed else inf, self.deadlines[0][0] if self.deadlines else inf)

    def take(self, message: _Message, until: float, max_deliveries: int) -> int:
        """Into the hands of a receiver; the receipt."""
        receipt = next(self.numbers)
        self.taken[receipt] = _Taken(message, until, max_deliveries)
        self.hold(receipt, until)
        return receipt

    def hold(self, receipt: int, until: float) -> None:
        self.taken[receipt].until = until
        heapq.heappush(self.deadlines, (until, receipt))
        if len(self.deadlines) > 2 * len(self.taken) + _FEW:
            self.deadlines = [(taken.until, receipt) for receipt, taken in self.taken.items()]
            heapq.heapify(self.deadlines)

    def put(self, message: _Message, available: float, now: float) -> None:
        if available > now:
            heapq.heappush(self.delayed, (available, next(self.numbers), message))
        else:
            self.ready.append(message)

    def _give_back(self, taken: _Taken) -> None:
        if taken.message.deliveries >= taken.max_deliveries:
            self.bury(taken.message, never_acked(taken.message.deliveries))
        else:
            self.ready.appendleft(taken.message)

    def bury(self, message: _Message, reason: str) -> None:
        self.dead.append(DeadLetter(message.id, message.body, message.deliveries, reason))

    def wake(self) -> None:
        for waiter in self.waiting:
            waiter.wake()
        self.waiting.clear()


class _Waiter:
    """A receiver that waits, in whichever loop it runs."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._event = asyncio.Event()

    def wake(self) -> None:
        with suppress(RuntimeError):  # its loop is closed, and nobody waits in it
            self._loop.call_soon_threadsafe(self._event.set)

    async def wait(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._event.wait()


class MemoryBroker:
    """Queues that are found by their names; a process may have several such brokers, and shares one by default."""

    def __init__(self) -> None:
        self._contents: dict[str, _Contents] = {}
        self._lock = Lock()

    def contents(self, name: str) -> _Contents:
        with self._lock:
            return self._contents.setdefault(name, _Contents())


PROCESS = MemoryBroker()
"""The broker of a queue that names none."""


class MemoryQueue:
    """A message queue that lives as long as this process, or the broker it was given.

    Queues of one name and broker are the same queue, whichever thread or event loop opened them. `max_length` and
    `ttl_seconds` are those of who publishes, `visibility_seconds` and `max_deliveries` those of who receives.
    """

    def __init__(self, name: str, options: QueueOptions | None = None, *, broker: MemoryBroker = PROCESS) -> None:
        self.name = name
        self._options = options or QueueOptions()
        self._contents = broker.contents(name)
        self._closed = False

    async def publish(self, body: bytes, *, id: str | None = None, delay: float = 0.0) -> str:  # noqa: A002 - the message's
        check_size(body)
        named = message_id(id)
        now = self._now()
        available = now + max(delay, 0.0)
        ttl, room = self._options.ttl_seconds, self._options.max_length
        message = _Message(named, body, datetime.now(UTC), inf if ttl is None else available + ttl)
        contents = self._contents
        with contents.lock:
            contents.settle(now)
            if room is not None and len(contents.ready) + len(contents.delayed) >= room:
                raise QueueFullError(f"Message queue {self.name!r} is full: its max_length of {room} messages wait.")
            contents.put(message, available, now)
            contents.wake()
        return named

    async def receive(self, limit: int, *, wait: float) -> list[Delivery]:
        deadline = self._now() + wait
        while True:
            with self._contents.lock:
                now = self._now()
                found = self._take(limit, now)
                if found or now >= deadline:
                    return found
                waiter = _Waiter()
                self._contents.waiting.add(waiter)
                pause = min(deadline, self._contents.next_change()) - now
            try:
                await waiter.wait(pause)
            finally:
                with self._contents.lock:
                    self._contents.waiting.discard(waiter)
            if self._closed:
                return []

    async def ack(self, deliveries: Sequence[Delivery]) -> None:
        self._now()
        with self._contents.lock:
            for delivery in deliveries:
                self._contents.taken.pop(_receipt(delivery), None)

    async def nack(self, delivery: Delivery, *, delay: float = 0.0, dead: str | None = None) -> None:
        now = self._now()
        contents = self._contents
        with contents.lock:
            taken = contents.taken.pop(_receipt(delivery), None)
            if taken is None:
                return
            message = taken.message
            if dead is not None:
                contents.bury(message, dead)
            elif message.deliveries >= self._options.max_deliveries:
                contents.bury(message, never_acked(message.deliveries))
            elif delay > 0:
                contents.put(message, now + delay, now)
            else:
                contents.ready.appendleft(message)
            contents.wake()

    async def extend(self, deliveries: Sequence[Delivery]) -> None:
        until = self._now() + self._options.visibility_seconds
        with self._contents.lock:
            for delivery in deliveries:
                if _receipt(delivery) in self._contents.taken:
                    self._contents.hold(_receipt(delivery), until)

    async def stats(self) -> QueueStats:
        contents = self._contents
        with contents.lock:
            contents.settle(self._now())
            return QueueStats(len(contents.ready), len(contents.delayed), len(contents.taken), len(contents.dead))

    async def health(self) -> list[str]:
        self._now()
        return []

    async def dead_letters(self, limit: int = 100) -> list[DeadLetter]:
        """The oldest `limit` messages that were given up."""
        with self._contents.lock:
            self._contents.settle(self._now())
            return self._contents.dead[:limit]

    async def close(self) -> None:
        self._closed = True
        with self._contents.lock:
            self._contents.wake()

    def _take(self, limit: int, now: float) -> list[Delivery]:
        contents = self._contents
        found: list[Delivery] = []
        contents.settle(now)
        while contents.ready and len(found) < limit:
            message = contents.ready.popleft()
            if message.expires <= now:
                continue
            message.expires = inf
            message.deliveries += 1
            receipt = contents.take(message, now + self._options.visibility_seconds, self._options.max_deliveries)
            found.append(Delivery(message.id, message.body, message.deliveries, message.published, False, receipt))
        return found

    def _now(self) -> float:
        """Of a queue that is open; its methods ask for it first."""
        if self._closed:
            raise BrokerError(f"Message queue {self.name!r} was closed: open it again.")
        return monotonic()


def _receipt(delivery: Delivery) -> int:
    assert isinstance(delivery.receipt, int)
    return delivery.receipt
