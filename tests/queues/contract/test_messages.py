"""What is put in comes out: order, ids, bodies, sizes, and who gets what."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from scheduler.errors import MalformedMessageError, MessageTooLargeError
from scheduler.queues.protocol import MAX_BODY_BYTES, MessageQueue, QueueStats
from tests.queues.contract.adapter import Broker
from tests.queues.contract.conftest import Open
from tests.queues.contract.waiting import receive, until

HOSTILE = {
    "empty object": b"{}",
    "escaped NUL": rb'{"a": "\u0000"}',
    "escaped lone surrogate": rb'{"a": "\ud800"}',
    "beyond the basic plane": '{"a": "😀"}'.encode(),
    "line ends": b'{"a":\r\n\t"b"}\n',
    "not JSON": b"DROP TABLE job_executions; --",
    "like an envelope": b"id\x1f0\x1f1",
}
BYTES = {
    "nothing": b"",
    "NUL": b"\x00",
    "control": b"\x1e\x1f\x1e",
    "begins as ours": b"\x1e1\x1e",
    "not UTF-8": b'{"a": "\xff\xfe"}',
    "1 MB": b"x" * 1_000_000,
}


async def test_a_message_comes_out_as_it_was_put_in(open_queue: Open) -> None:
    queue = open_queue()
    before = datetime.now(UTC)
    given = await queue.publish(b'{"n": 1}', id="order-1")
    made_up = await queue.publish(b'{"n": 2}')
    first, second = sorted(await receive(queue, 2), key=lambda delivery: delivery.body)
    assert (given, first.id, second.id) == ("order-1", "order-1", made_up)
    assert made_up not in ("", given)
    assert (first.body, second.body) == (b'{"n": 1}', b'{"n": 2}')
    assert (first.deliveries, first.foreign, second.foreign) == (1, False, False)
    assert first.enqueued_at is None or abs(first.enqueued_at - before) < timedelta(minutes=5)


@pytest.mark.needs("order")
async def test_the_oldest_comes_first(open_queue: Open) -> None:
    queue = open_queue()
    published = [await queue.publish(b"%d" % number) for number in range(25)]
    assert [delivery.id for delivery in await receive(queue, 25)] == published


async def test_no_more_than_asked_for(open_queue: Open) -> None:
    queue = open_queue()
    for number in range(5):
        await queue.publish(b"%d" % number)
    assert len(await queue.receive(3, wait=1.0)) <= 3


async def test_an_empty_queue_gives_nothing(open_queue: Open) -> None:
    queue = open_queue()
    assert await queue.receive(10, wait=0.0) == []
    assert await queue.receive(10, wait=0.1) == []


async def test_who_waits_is_woken(open_queue: Open) -> None:
    waiting, other = open_queue(), open_queue()
    received = asyncio.create_task(receive(waiting))
    await asyncio.sleep(0)
    published = await other.publish(b"1")
    assert [delivery.id for delivery in await received] == [published]


async def test_what_is_acked_is_gone(open_queue: Open) -> None:
    queue = open_queue()
    await queue.publish(b"1")
    deliveries = await receive(queue)
    await queue.ack(deliveries)
    await queue.ack(deliveries)
    await until(lambda: _holds(queue, QueueStats(0, 0, 0, 0)))


@pytest.mark.needs("once")
async def test_several_receivers_get_each_message_once(open_queue: Open) -> None:
    publisher, receivers = open_queue(), [open_queue() for _ in range(4)]
    published = {await publisher.publish(b"%d" % number) for number in range(200)}
    found: list[str] = []

    async def work(queue: MessageQueue) -> None:
        while len(found) < len(published):
            deliveries = await queue.receive(7, wait=0.2)
            found.extend(delivery.id for delivery in deliveries)
            await queue.ack(deliveries)

    await asyncio.gather(*map(work, receivers))
    assert sorted(found) == sorted(published)


async def test_a_cancelled_receive_loses_nothing(open_queue: Open) -> None:
    queue = open_queue()
    await _receive_in_vain(open_queue())
    published = {await queue.publish(b"%d" % number) for number in range(3)}
    assert {delivery.id for delivery in await receive(queue, 3)} == published


@pytest.mark.needs("once")
async def test_a_cancelled_receive_counts_for_nothing(open_queue: Open) -> None:
    queue = open_queue()
    await _receive_in_vain(open_queue())
    for number in range(3):
        await queue.publish(b"%d" % number)
    await asyncio.sleep(0.05)  # for what was left behind, if anything was, to take them
    assert {delivery.deliveries for delivery in await receive(queue, 3)} == {1}


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE)
async def test_a_body_is_nobodys_business(open_queue: Open, body: bytes) -> None:
    queue = open_queue()
    await queue.publish(body)
    assert [delivery.body for delivery in await receive(queue)] == [body]


@pytest.mark.needs("foreign")
@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE)
async def test_other_programs_send_what_they_like(open_queue: Open, broker: Broker, name: str, body: bytes) -> None:
    queue = open_queue()
    await queue.stats()
    await broker.push(name, body)
    [delivery] = await receive(queue)
    assert (delivery.body, delivery.foreign, delivery.deliveries) == (body, True, 1)
    assert delivery.id


@pytest.mark.needs("foreign", "bytes")
@pytest.mark.parametrize("body", BYTES.values(), ids=BYTES)
async def test_other_programs_send_any_bytes(open_queue: Open, broker: Broker, name: str, body: bytes) -> None:
    queue = open_queue()
    await queue.stats()
    await broker.push(name, body)
    [delivery] = await receive(queue)
    assert (delivery.body, delivery.foreign) == (body, True)
    await queue.nack(delivery, dead="not JSON")
    await until(lambda: _holds(queue, QueueStats(0, 0, 0, 1)))


@pytest.mark.parametrize("given", ["ключ ☂", '"; DROP', "a" * 255, "{}", "%s"])
async def test_an_id_is_any_text(open_queue: Open, given: str) -> None:
    queue = open_queue()
    await queue.publish(b"1", id=given)
    assert [delivery.id for delivery in await receive(queue)] == [given]


@pytest.mark.parametrize("given", ["", "a\nb", "a\x1fb", "\x00", "a" * 256, "é" * 128])
async def test_an_id_that_not_every_broker_takes_is_refused(open_queue: Open, given: str) -> None:
    with pytest.raises(MalformedMessageError, match="255 bytes"):
        await open_queue().publish(b"1", id=given)


async def test_what_is_too_large_is_refused_with_advice(open_queue: Open) -> None:
    queue = open_queue()
    await queue.publish(b'"' + b"x" * (MAX_BODY_BYTES - 2) + b'"')
    with pytest.raises(MessageTooLargeError, match="send a reference"):
        await queue.publish(b'"' + b"x" * (MAX_BODY_BYTES - 1) + b'"')
    assert [len(delivery.body) for delivery in await receive(queue)] == [MAX_BODY_BYTES]


async def _receive_in_vain(queue: MessageQueue) -> None:
    for _ in range(3):
        waiting = asyncio.create_task(queue.receive(1, wait=30.0))
        await asyncio.sleep(0.05)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting


async def _holds(queue: MessageQueue, expected: QueueStats) -> bool:
    return await queue.stats() == expected
