"""RabbitMQ is killed amid work, and runs short of memory."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import TypeVar
from uuid import uuid4

import pytest

from scheduler.errors import BrokerError
from scheduler.queues.amqp import AmqpMessageQueue, link
from scheduler.queues.protocol import QueueOptions
from tests.queues.contract.waiting import receive, until, until_done
from tests.queues.servers.shared import SharedRabbit

MESSAGES = 200
T = TypeVar("T")


class Traffic:
    """A publisher and two receivers, who try again after each BrokerError. Every tenth message is delayed once."""

    def __init__(self, url: str) -> None:
        self._url, self._name = url, _name()
        self.acked: set[str] = set()
        self.errors = 0

    async def __call__(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._publish())
            group.create_task(self._receive())
            group.create_task(self._receive())

    async def is_in_full_swing(self) -> bool:
        return any(acked.endswith("0") for acked in self.acked)

    async def _publish(self) -> None:
        async with _opened(self._url, self._name) as queue:
            for number in range(MESSAGES):
                await self._patiently(partial(queue.publish, b"1", id=str(number)))

    async def _receive(self) -> None:
        async with _opened(self._url, self._name, max_deliveries=1000) as queue:
            while len(self.acked) < MESSAGES:
                for delivery in await self._patiently(partial(queue.receive, 5, wait=0.2)):
                    if delivery.deliveries == 1 and delivery.id.endswith("0"):
                        await self._patiently(partial(queue.nack, delivery, delay=0.2))
                    else:
                        await self._patiently(partial(queue.ack, [delivery]))
                        self.acked.add(delivery.id)

    async def _patiently(self, attempt: Callable[[], Awaitable[T]]) -> T:
        async def counted() -> T:
            try:
                return await attempt()
            except BrokerError:
                self.errors += 1
                raise

        return await until_done(counted, BrokerError)


async def test_a_node_killed_amid_work_loses_only_what_is_not_durable(breakable_rabbit: SharedRabbit) -> None:
    traffic = Traffic(breakable_rabbit.url)
    running = asyncio.create_task(traffic())
    await until(traffic.is_in_full_swing)
    async with _opened(breakable_rabbit.url, _name(), durable=False) as fleeting:
        await fleeting.publish(b"1")
        assert (await fleeting.stats()).waiting == 1
        await _kill_and_restart(breakable_rabbit)
        assert await until_done(partial(fleeting.receive, 1, wait=0.0), BrokerError) == []
    await running
    assert traffic.acked == {str(number) for number in range(MESSAGES)}
    assert traffic.errors, "nobody has noticed that the node was killed"


async def test_a_node_short_of_memory_delays_nobody_for_long(
    breakable_rabbit: SharedRabbit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link, "ANSWER_SECONDS", 2.0)
    async with _opened(breakable_rabbit.url, _name()) as queue:
        await queue.publish(b"1")
        normal = breakable_rabbit.allow_memory("0.0001")
        try:
            with pytest.raises(BrokerError, match="memory or disk is short"):
                for _ in range(100):  # the node may take a moment to notice
                    await queue.publish(b"2")
            await queue.ack(await receive(queue))
        finally:
            breakable_rabbit.allow_memory(normal)
        await until_done(partial(queue.publish, b"3"), BrokerError)


async def _kill_and_restart(rabbit: SharedRabbit) -> None:
    killed = rabbit.facts["pid"]
    rabbit.kill()
    await asyncio.to_thread(rabbit.until_up_again, killed)


@asynccontextmanager
async def _opened(url: str, name: str, **options: object) -> AsyncIterator[AmqpMessageQueue]:
    queue = AmqpMessageQueue(url, name, QueueOptions(**options))  # type: ignore[arg-type]  # as QueueOptions has them
    try:
        yield queue
    finally:
        await queue.close()


def _name() -> str:
    return f"queue-{uuid4().hex}"
