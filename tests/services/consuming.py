"""A consumer at work: messages in memory, real tables, and ways to wait for what it does."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from scheduler.queues.memory import MemoryBroker, MemoryQueue
from scheduler.queues.protocol import Delivery, MessageQueue, QueueOptions
from scheduler.services.consumer import Consumer
from scheduler.services.consumers import Consumers
from scheduler.services.options import ConsumerOptions
from scheduler.services.wakeups import Wakeups
from scheduler.store.messages import Messages
from scheduler.store.session import Session
from tests.services.line import PATIENCE_SECONDS
from tests.store.tables import Tables

QUEUE = "orders"


class Broker:
    """Queues in memory, and what is done with them."""

    def __init__(self, options: QueueOptions | None = None) -> None:
        self.options, self._broker = options or QueueOptions(), MemoryBroker()
        self.queue = self.open()

    def open(self, name: str = QUEUE) -> MemoryQueue:
        return MemoryQueue(name, self.options, broker=self._broker)

    async def publish(self, *ids: str, body: Any = None) -> None:
        for id_ in ids:
            await self.queue.publish(json.dumps({"id": id_} if body is None else body).encode(), id=id_)

    async def until_empty(self) -> None:
        """Wait until everything has been acked, or has gone to the dead letters."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while (stats := await self.queue.stats()).waiting + stats.delayed + stats.in_flight:  # noqa: ASYNC110
                await asyncio.sleep(0.002)

    async def dead(self) -> dict[str, str]:
        """The reasons, by id."""
        return {letter.id: letter.reason for letter in await self.open().dead_letters()}


class Wrapped(MemoryQueue):
    """A queue of which a test replaces methods; they find its own as `_queue`."""

    def __init__(self, queue: MemoryQueue) -> None:
        self.__dict__.update(vars(queue))
        self._queue = queue


class Foreign(Wrapped):
    """Everything comes without an id, as from a list that others push into: a new one is made up each time."""

    async def receive(self, limit: int, *, wait: float) -> list[Delivery]:
        found = await self._queue.receive(limit, wait=wait)
        return [
            Delivery(
                f"{each.id}-{each.deliveries}", each.body, each.deliveries, None, foreign=True, receipt=each.receipt
            )
            for each in found
        ]


@asynccontextmanager
async def consuming(
    tables: Tables,
    queue: MessageQueue,
    *options: ConsumerOptions,
    fits: Callable[[str], object] = json.loads,
    others: Sequence[MessageQueue] = (),
) -> AsyncIterator[Consumers]:
    """Consumers with their loops; stopped at the end."""
    session = Session(tables.url, "public", "scheduler test")
    found = options or (ConsumerOptions("c", QUEUE, "h"),)
    queues = {each.name: each for each in (queue, *others)}
    consumers = Consumers(found, queues, Messages(session), {each.handler: fits for each in found}, Wakeups())
    tasks = [asyncio.create_task(loop.forever()) for loop in consumers.loops()]
    try:
        yield consumers
        async with asyncio.timeout(PATIENCE_SECONDS):
            await consumers.stop()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await session.close()


def one_of(consumers: Consumers, name: str = "c") -> Consumer:
    return consumers._consumers[name]


async def until_resting(consumers: Consumers) -> None:
    """Wait until none of them has anything to read, or room for it."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not await consumers.rest():
            pass
