"""What is not acked comes again, for as long as it may, and then is a dead letter with its reason."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from scheduler.queues.protocol import MessageQueue, QueueStats
from tests.queues.contract.adapter import Broker
from tests.queues.contract.conftest import Open
from tests.queues.contract.waiting import receive, until

CHECKOUT = Path(__file__).parents[3]
CLOCKS_DIFFER_BY = 0.05


async def test_what_is_handed_back_comes_again(open_queue: Open) -> None:
    queue = open_queue()
    published = await queue.publish(b"1")
    [first] = await receive(queue)
    await queue.nack(first)
    [second] = await receive(queue)
    assert (second.id, second.body, second.deliveries) == (published, b"1", 2)


async def test_what_is_handed_back_with_a_delay_comes_after_it(open_queue: Open, moment: float) -> None:
    queue = open_queue()
    await queue.publish(b"1")
    [first] = await receive(queue)
    before = time.monotonic()
    await queue.nack(first, delay=2 * moment)
    [second] = await receive(queue)
    assert second.deliveries == 2
    assert time.monotonic() - before >= 2 * moment - CLOCKS_DIFFER_BY


async def test_a_delayed_message_is_overtaken(open_queue: Open, moment: float) -> None:
    queue = open_queue()
    before = time.monotonic()
    late = await queue.publish(b"1", delay=2 * moment)
    soon = await queue.publish(b"2")
    [first] = await receive(queue)
    [second] = await receive(queue)
    assert [first.id, second.id] in ([soon, late], [late, soon])
    assert time.monotonic() - before >= 2 * moment - CLOCKS_DIFFER_BY
    assert second.deliveries == 1


async def test_after_its_last_delivery_it_is_dead(open_queue: Open, broker: Broker) -> None:
    queue = open_queue(max_deliveries=3)
    published = await queue.publish(b'{"poison": true}')
    for number in (1, 2, 3):
        [delivery] = await receive(queue)
        assert delivery.deliveries == number
        await queue.nack(delivery)
    await until(lambda: _dead(queue, 1))
    [letter] = await broker.dead(queue)
    assert (letter.id, letter.body, letter.deliveries) == (published, b'{"poison": true}', 3)
    assert letter.reason == "Delivered 3 times and never acked."
    assert await queue.receive(1, wait=0.0) == []


async def test_it_is_dead_at_once_where_a_reason_is_given(open_queue: Open, broker: Broker) -> None:
    queue = open_queue()
    published = await queue.publish(b"not JSON")
    [delivery] = await receive(queue)
    await queue.nack(delivery, dead="It is not JSON: ☂ \x1e\x1f at line 1.\nSecond line")
    await until(lambda: _dead(queue, 1))
    [letter] = await broker.dead(queue)
    assert (letter.id, letter.body, letter.deliveries) == (published, b"not JSON", 1)
    assert letter.reason.startswith("It is not JSON: ☂")


async def test_what_its_receiver_forgets_comes_again(open_queue: Open, moment: float) -> None:
    forgetful, other = open_queue(visibility_seconds=moment), open_queue()
    published = await forgetful.publish(b"1")
    [first] = await receive(forgetful)
    [second] = await receive(other if first.receipt is None else forgetful)
    assert (second.id, second.deliveries) == (published, 2)
    await forgetful.ack([first])  # too late: the second delivery is not this one
    await forgetful.nack(second)
    [third] = await receive(forgetful)
    assert third.id == published


async def test_what_is_forgotten_too_often_is_dead(open_queue: Open, broker: Broker, moment: float) -> None:
    queue = open_queue(visibility_seconds=moment, max_deliveries=2)
    await queue.publish(b"1")
    await receive(queue)
    await receive(queue)

    async def given_up() -> bool:
        assert await queue.receive(1, wait=0.0) == []  # some brokers only look when they are asked
        return await _dead(queue, 1)

    await until(given_up)
    [letter] = await broker.dead(queue)
    assert letter.reason == "Delivered 2 times and never acked."


@pytest.mark.needs("order")
async def test_what_is_extended_comes_later(open_queue: Open, moment: float) -> None:
    for seconds in (2 * moment, 20 * moment):
        queue = open_queue(visibility_seconds=seconds)
        longer = await queue.publish(b"1")
        before = time.monotonic()
        [first] = await receive(queue)
        shorter = await queue.publish(b"2")
        await receive(queue)
        await queue.extend([first])
        in_time = time.monotonic() - before < seconds - CLOCKS_DIFFER_BY
        again = await receive(queue, 2)
        if in_time:  # or else the machine slept, which proves nothing
            assert [delivery.id for delivery in again] == [shorter, longer]
            return
        await queue.ack(again)
    pytest.fail("the machine was asleep all the time")


async def test_a_receipt_of_the_past_does_nothing(open_queue: Open) -> None:
    queue = open_queue()
    await queue.publish(b"1")
    [first] = await receive(queue)
    await queue.nack(first)
    [second] = await receive(queue)
    await queue.nack(first)
    await queue.extend([first])
    await queue.ack([first])
    await queue.ack([second])
    await until(lambda: _holds(queue, QueueStats(0, 0, 0, 0)))


async def test_it_tells_how_many_there_are(open_queue: Open) -> None:
    queue = open_queue()
    for number in range(5):
        await queue.publish(b"%d" % number)
    await queue.publish(b"later", delay=600)
    deliveries = await receive(queue, 3)
    await queue.nack(deliveries[0], dead="no good")
    await until(lambda: _holds(queue, QueueStats(waiting=2, delayed=1, in_flight=2, dead=1)))
    assert all(isinstance(sentence, str) for sentence in await queue.health())


@pytest.mark.needs("foreign")
async def test_a_foreign_message_keeps_the_id_it_was_given(open_queue: Open, broker: Broker, name: str) -> None:
    queue = open_queue(max_deliveries=2)
    await queue.stats()
    await broker.push(name, b'{"from": "elsewhere"}')
    [first] = await receive(queue)
    await queue.nack(first)
    [second] = await receive(queue)
    assert (second.body, second.foreign, second.deliveries) == (b'{"from": "elsewhere"}', True, 2)
    await queue.nack(second)
    await until(lambda: _dead(queue, 1))
    [letter] = await broker.dead(queue)
    assert letter.body == b'{"from": "elsewhere"}'


@pytest.mark.needs("processes")
async def test_what_a_killed_process_held_comes_again(open_queue: Open, broker: Broker, name: str, kind: str) -> None:
    queue = open_queue()
    seconds = 60.0 if kind == "amqp" else broker.moment  # RabbitMQ sees that a connection has ended
    published = {await queue.publish(b"%d" % number) for number in range(3)}
    held = await asyncio.to_thread(_receive_and_die, kind, broker.url, name, seconds, 3)
    assert held == published
    again = await receive(queue, 3)
    assert {delivery.id for delivery in again} == published
    assert {delivery.deliveries for delivery in again} == {2}


async def _dead(queue: MessageQueue, count: int) -> bool:
    return (await queue.stats()).dead == count


async def _holds(queue: MessageQueue, expected: QueueStats) -> bool:
    return await queue.stats() == expected


def _receive_and_die(kind: str, url: str, name: str, seconds: float, count: int) -> set[str]:
    """What a process held when it was killed."""
    command = [sys.executable, "-m", "tests.queues.contract.receiver", kind, url, name, str(seconds), str(count)]
    environment = os.environ | {"PYTHONPATH": str(CHECKOUT)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        held = {process.stdout.readline().decode().strip() for _ in range(count)}
        process.send_signal(signal.SIGKILL)
    return held
