"""`max_length`, `ttl_seconds`, an operator's purge, and a queue that is closed."""

import asyncio

import pytest

from scheduler.errors import BrokerError, QueueFullError
from scheduler.queues.protocol import Delivery, QueueStats
from tests.queues.contract.adapter import Broker
from tests.queues.contract.conftest import Open
from tests.queues.contract.waiting import receive, until


@pytest.mark.needs("max_length")
async def test_a_full_queue_takes_no_more(open_queue: Open) -> None:
    queue = open_queue(max_length=3)
    for number in range(3):
        await queue.publish(b"%d" % number)
    with pytest.raises(QueueFullError, match="max_length of 3"):
        await queue.publish(b"3")
    await receive(queue)
    await queue.publish(b"3")
    with pytest.raises(QueueFullError):
        await queue.publish(b"4")


@pytest.mark.needs("ttl")
async def test_what_nobody_received_in_time_is_dropped(open_queue: Open, moment: float) -> None:
    queue = open_queue(ttl_seconds=2 * moment)
    await queue.publish(b"1")

    async def dropped() -> bool:
        return await queue.stats() == QueueStats(0, 0, 0, 0)

    await until(dropped)
    assert await queue.receive(1, wait=0.0) == []


@pytest.mark.needs("ttl")
async def test_what_was_received_once_is_not_dropped(open_queue: Open, moment: float) -> None:
    queue = open_queue(ttl_seconds=2 * moment)
    found: list[Delivery] = []
    while not found:  # a machine that sleeps meanwhile proves nothing
        await queue.publish(b"1")
        found = await queue.receive(1, wait=moment)
    await queue.nack(found[0], delay=3 * moment)
    [again] = await receive(queue)
    assert (again.id, again.deliveries) == (found[0].id, 2)


@pytest.mark.needs("purge")
async def test_a_purge_takes_what_waits_and_nothing_else(open_queue: Open, broker: Broker, name: str) -> None:
    queue = open_queue()
    for number in range(5):
        await queue.publish(b"%d" % number)
    held = await receive(queue, 2)
    await broker.purge(name)
    published = {await queue.publish(b"after") for _ in range(2)}
    after = await receive(queue, 2)
    await queue.ack(held)  # of before, and nobody else's
    for delivery in after:
        await queue.nack(delivery)
    again = await receive(queue, 2)
    assert {delivery.id for delivery in after} == {delivery.id for delivery in again} == published


async def test_a_closed_queue_says_so(open_queue: Open) -> None:
    queue = open_queue()
    await queue.publish(b"1")
    await queue.close()
    await queue.close()
    with pytest.raises(BrokerError, match="closed"):
        await queue.publish(b"2")
    with pytest.raises(BrokerError, match="closed"):
        await queue.receive(1, wait=0.0)


async def test_who_waits_is_not_left_waiting_by_close(open_queue: Open) -> None:
    queue = open_queue()
    await queue.stats()
    waiting = asyncio.create_task(queue.receive(1, wait=3600.0))
    await asyncio.sleep(0.05)
    await queue.close()
    try:
        assert await waiting == []
    except BrokerError as error:
        assert "closed" in str(error)  # noqa: PT017 - either is fine


async def test_what_a_closed_handle_held_comes_again(open_queue: Open, moment: float) -> None:
    leaving, staying = open_queue(visibility_seconds=moment), open_queue()
    published = await leaving.publish(b"1")
    await receive(leaving)
    await leaving.close()
    [again] = await receive(staying)
    assert (again.id, again.deliveries) == (published, 2)
