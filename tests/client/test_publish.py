"""`publish`: a message in a message queue, by either client, with no database at all."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from scheduler import AsyncClient, Client, QueueRegistry
from scheduler.errors import (
    ConfigurationError,
    MalformedMessageError,
    MessageTooLargeError,
    NotFoundError,
    QueueFullError,
)
from scheduler.queues.memory import MemoryQueue
from scheduler.queues.opening import QueuePlace
from scheduler.queues.protocol import QueueOptions
from tests.client.either import Either


@pytest.fixture(params=[Client, AsyncClient])
async def client(request: pytest.FixtureRequest) -> Either:
    return Either(request.param())


@pytest.fixture
def queue(request: pytest.FixtureRequest) -> Iterator[MemoryQueue]:
    """A queue of this test alone, in memory, that takes two messages."""
    place = QueuePlace(request.node.name, "local", "memory", options=QueueOptions(max_length=2))
    QueueRegistry.configure([place], reads=True)
    yield MemoryQueue(place.name, place.options)
    QueueRegistry.configure([])


@dataclass
class Order:
    number: int


async def test_a_message_is_what_json_makes_of_it(client: Either, queue: MemoryQueue) -> None:
    given = await client.publish(queue.name, {"order": Order(7)}, id="order-7")
    made_up = await client.publish(queue.name, [1, "é"])
    await client.close()

    first, second = await queue.receive(2, wait=0)
    assert (given, first.id, first.body) == ("order-7", "order-7", b'{"order":{"number":7}}')
    assert (made_up, second.body) == (second.id, '[1,"é"]'.encode())


@pytest.mark.parametrize("delay", [3600, timedelta(hours=1)])
async def test_a_delay_holds_it_back(client: Either, queue: MemoryQueue, delay: Any) -> None:
    await client.publish(queue.name, {}, delay=delay)

    assert (await queue.stats()).delayed == 1


async def test_what_cannot_be_a_message_is_refused(client: Either, queue: MemoryQueue) -> None:
    for message, error in [(object(), MalformedMessageError), ("x" * 300_000, MessageTooLargeError)]:
        with pytest.raises(error):
            await client.publish(queue.name, message)
    for _ in range(2):
        await client.publish(queue.name, {})
    with pytest.raises(QueueFullError):
        await client.publish(queue.name, {})


async def test_a_queue_that_nothing_names_is_asked_back(client: Either, queue: MemoryQueue) -> None:
    with pytest.raises(NotFoundError, match="Did you mean"):
        await client.publish(queue.name[:-1], {})
    QueueRegistry.configure([])
    with pytest.raises(NotFoundError, match=r"QueueRegistry\.configure"):
        await client.publish(queue.name, {})


async def test_the_memory_of_another_process_is_out_of_reach(client: Either, queue: MemoryQueue) -> None:
    QueueRegistry.configure([QueuePlace(queue.name, "local", "memory")])

    with pytest.raises(ConfigurationError, match="memory of the process"):
        await client.publish(queue.name, {})


def test_a_client_serves_several_event_loops(queue: MemoryQueue) -> None:
    client = AsyncClient()
    for _ in range(2):
        asyncio.run(client.publish(queue.name, {}))

    assert asyncio.run(queue.stats()).waiting == 2


def test_a_url_tells_the_driver() -> None:
    try:
        QueueRegistry.configure({"orders": "rediss://cache/0", "mail": "amqp://broker"})
        assert [QueueRegistry.get(name).kind for name in QueueRegistry.names()] == ["redis", "amqp"]
        with pytest.raises(ConfigurationError, match=r"begins with none of redis://, .* amqps://"):
            QueueRegistry.configure({"orders": "http://cache"})
    finally:
        QueueRegistry.configure([])
