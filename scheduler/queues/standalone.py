"""A message queue used on its own: blocking `put` and `get` for threads, over any driver."""

import os
from abc import ABC, abstractmethod
from asyncio import Task, current_task, gather, sleep
from collections.abc import Callable, Coroutine, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from math import inf
from random import uniform
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar

from scheduler.clock import monotonic
from scheduler.errors import BrokerError, MalformedMessageError, QueueClosedError, QueueEmptyError, QueueFullError
from scheduler.messages import log
from scheduler.queues import background
from scheduler.queues.nouns import MAX_RETRIES, QueueConfig, QueueItem
from scheduler.queues.payload import decode, encode, message_id
from scheduler.queues.protocol import DeadLetter, Delivery, MessageQueue, QueueOptions, QueueStats

if TYPE_CHECKING:
    from scheduler.queues.working import Working

T = TypeVar("T")

SPARE_DELIVERIES = 5
"""How often a message may come back from workers that died or stopped, beyond the tries that its errors have."""
_LONGEST_LOOK = 5.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.005, 0.25


class Driver(MessageQueue, Protocol):
    """What a queue on its own needs of its driver."""

    async def dead_letters(self, limit: int = 100) -> list[DeadLetter]: ...


class StandaloneQueue(ABC):
    """What InMemoryQueue, RedisQueue, AmqpQueue and SqsQueue have in common. All methods are for any thread.

    A broker is connected to when it is first needed, once in each process: a forked child connects anew. Whatever
    speaks to it may raise BrokerError, and QueueClosedError after `close()`.
    """

    def __init__(self, name: str, config: QueueConfig | None) -> None:
        self.name = name
        self.config = config or QueueConfig()
        self._driver = self._connect(_options(self.config))
        self._process = os.getpid()
        self._drivers_of_parents: list[Driver] = []
        self._closed = False
        self._waiting: set[Task[Any]] = set()
        self.workers: set[Working] = set()
        """Those that run now, in this process."""

    @abstractmethod
    def _connect(self, options: QueueOptions) -> Driver:
        """A driver that connects when it is first used."""

    def put(self, payload: Any, block: bool = True, timeout: float | None = None, *, delay: float = 0.0) -> QueueItem:
        """Put one JSON value in, to be received after `delay` seconds at the earliest; safely stored when this returns.

        Waits for room for `timeout` seconds (None: the config's `default_timeout`), or not at all unless `block`.
        Raises QueueFullError (also a `queue.Full`) when there is none in time, MalformedMessageError for what isn't
        JSON, MessageTooLargeError above 256 KiB. After a BrokerError it may be stored or not.
        """
        body, given = encode(payload), message_id(None)
        self._store(body, given, delay, self._deadline(block, timeout))
        return QueueItem(given, payload, 0, datetime.now(UTC))

    def get(self, block: bool = True, timeout: float | None = None) -> QueueItem:
        """The oldest message, which is gone from the queue when this returns: at most once.

        A Worker acks after its handler's success instead: at least once. Waits for `timeout` seconds (None: the
        config's `default_timeout`), or not at all unless `block`; then raises QueueEmptyError (also a `queue.Empty`).
        What isn't JSON goes to the dead letter queue.
        """
        return self._fetch(self._deadline(block, timeout))

    def put_nowait(self, payload: Any) -> QueueItem:
        return self.put(payload, block=False)

    def get_nowait(self) -> QueueItem:
        return self.get(block=False)

    def __iter__(self) -> Iterator[QueueItem]:
        """Get one after the other, waiting as long as it takes, until the queue is closed."""
        with suppress(QueueClosedError):
            while True:
                yield self.get(timeout=inf)

    def qsize(self) -> int:
        """Messages that wait, delayed ones included; as exact as the broker tells."""
        stats = self.stats()
        return stats.waiting + stats.delayed

    def __len__(self) -> int:
        """As `qsize`; 0 of a closed queue, which gives nothing more, and of one that is closed meanwhile."""
        with suppress(QueueClosedError):
            return self.qsize()
        return 0

    def __bool__(self) -> bool:
        """Always true: an empty queue is a queue."""
        return True

    def empty(self) -> bool:
        return self.qsize() == 0

    def full(self) -> bool:
        return self.config.max_size is not None and self.qsize() >= self.config.max_size

    def stats(self) -> QueueStats:
        return self._ask(lambda driver: driver.stats())

    def dead_letters(self, limit: int = 100) -> list[DeadLetter]:
        """The oldest `limit` messages that were given up, each with the reason."""
        return self._ask(lambda driver: driver.dead_letters(limit))

    def health(self) -> list[str]:
        """What is to be mended at the broker, a sentence each."""
        return self._ask(lambda driver: driver.health())

    def join(self, timeout: float | None = None) -> None:
        """Wait until no message waits, is delayed, or is in somebody's hands.

        Raises TimeoutError after `timeout` seconds; None: waits as long as it takes.
        """
        self._run(self._worked_off(inf if timeout is None else monotonic() + timeout))

    def close(self) -> None:
        """End whoever waits in `get`, `put` or an iteration, stop the workers, and disconnect. Again: does nothing.

        Workers finish what they handle, for their `shutdown_timeout`; the rest goes back to the queue. From within a
        handler it returns at once, and the queue is closed when the handler has returned.
        """
        if self._closed or self._process != os.getpid():
            self._closed = True
            return
        self._closed = True
        within = background.is_here() or any(working.is_own_thread() for working in tuple(self.workers))
        closing = background.spawn(self._close())
        if not within:
            closing.result()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def open(self) -> Driver:
        """The driver of this process; speak to it on the background loop only. Raises QueueClosedError."""

        async def reach() -> Driver:
            return self._reach()

        return self._run(reach())

    def _reach(self) -> Driver:
        if self._closed:
            raise self._closed_error()
        if self._process != os.getpid():
            self._begin_anew()
        return self._driver

    def _begin_anew(self) -> None:
        """In a forked child: connections of the parent are left alone, and never collected."""
        self._drivers_of_parents.append(self._driver)
        self._driver = self._connect(_options(self.config))
        self._waiting, self.workers, self._process = set(), set(), os.getpid()

    def _store(self, body: bytes, given: str, delay: float, deadline: float) -> None:
        self._run(self._publish(body, given, delay, deadline))

    def _fetch(self, deadline: float) -> QueueItem:
        return self._run(self._take(deadline))

    def _deadline(self, block: bool, timeout: float | None) -> float:
        if timeout is not None and timeout < 0:
            raise ValueError("'timeout' must be a non-negative number")
        chosen = self.config.default_timeout if timeout is None else timeout
        if not block:
            return monotonic()
        return inf if chosen is None else monotonic() + chosen

    def _closed_error(self) -> QueueClosedError:
        return QueueClosedError(f"Queue {self.name!r} is closed: make a new one.")

    def _ask(self, question: Callable[[Driver], Coroutine[Any, Any, T]]) -> T:
        async def ask() -> T:
            return await question(self._reach())

        return self._run(ask())

    def _run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return background.run(self._until_closed(coroutine))

    # On the background loop

    async def _until_closed(self, work: Coroutine[Any, Any, T]) -> T:
        task = current_task()
        assert task is not None
        self._waiting.add(task)
        try:
            return await work
        except BaseException as error:
            if self._closed:
                raise self._closed_error() from error
            raise
        finally:
            self._waiting.discard(task)

    async def _publish(self, body: bytes, given: str, delay: float, deadline: float) -> None:
        pause = _FIRST_PAUSE
        while True:
            try:
                await self._reach().publish(body, id=given, delay=delay)
            except QueueFullError:
                left = deadline - monotonic()
                if left <= 0:
                    raise
                await sleep(min(left, pause * uniform(0.5, 1.0)))
                pause = min(pause * 2, _LONGEST_PAUSE)
            else:
                return

    async def _take(self, deadline: float) -> QueueItem:
        while True:
            driver = self._reach()
            left = max(0.0, deadline - monotonic())
            for delivery in await driver.receive(1, wait=min(left, _LONGEST_LOOK)):
                try:
                    item = read(delivery)
                except MalformedMessageError as error:
                    log("standalone.dead", id=delivery.id, queue=self.name, error=str(error))
                    await driver.nack(delivery, dead=str(error))
                    continue
                await driver.ack([delivery])
                return item
            if left <= 0:
                raise QueueEmptyError(f"Queue {self.name!r} is empty: no message came in time.")

    async def _worked_off(self, deadline: float) -> None:
        pause = _FIRST_PAUSE
        while True:
            stats = await self._reach().stats()
            left = stats.waiting + stats.delayed + stats.in_flight
            if not left:
                return
            if monotonic() >= deadline:
                raise TimeoutError(f"Queue {self.name!r} is not worked off: {left} messages are left.")
            await sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    async def _close(self) -> None:
        for task in tuple(self._waiting):
            task.cancel()
        for working in tuple(self.workers):
            working.stop(working.config.shutdown_timeout)
        await gather(*(working.ended.wait() for working in tuple(self.workers)))
        with suppress(BrokerError):
            await self._driver.close()


def _options(config: QueueConfig) -> QueueOptions:
    """Who works on a queue of its own decides itself when a message is given up: the driver does only after that."""
    return QueueOptions(
        durable=config.durable,
        max_length=config.max_size,
        ttl_seconds=config.ttl_seconds,
        max_deliveries=1 + MAX_RETRIES + 2 * SPARE_DELIVERIES,
        visibility_seconds=config.visibility_seconds,
    )


def read(delivery: Delivery) -> QueueItem:
    """What a delivery holds. Raises MalformedMessageError."""
    return QueueItem(delivery.id, decode(delivery.body), delivery.deliveries, delivery.enqueued_at)
