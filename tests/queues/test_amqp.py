"""What only RabbitMQ does: users, certificates, queues that were there before, and delays that are queues."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from uuid import uuid4

import aio_pika
import pytest
from yarl import URL

from scheduler.errors import BrokerError, ConfigurationError, QueueFullError
from scheduler.queues.amqp import AmqpMessageQueue
from scheduler.queues.amqp.layout import wait_milliseconds
from scheduler.queues.protocol import QueueOptions
from tests.queues.contract.waiting import receive, until
from tests.queues.servers.ports import free_port
from tests.queues.servers.shared import SharedRabbit

Open = Callable[..., AmqpMessageQueue]


@pytest.fixture
async def open_queue(rabbit: SharedRabbit) -> AsyncIterator[Open]:
    """`open_queue(name, url, visibility_seconds=1)`, closed with the test."""
    async with AsyncExitStack() as stack:

        def open_it(name: str = "", url: str = "", **options: object) -> AmqpMessageQueue:
            settings = QueueOptions(**options)  # type: ignore[arg-type]  # as QueueOptions has them
            queue = AmqpMessageQueue(url or rabbit.url, name or _name(), settings)
            stack.push_async_callback(queue.close)
            return queue

        yield open_it


async def test_a_wrong_password_is_said_and_not_shown(open_queue: Open, rabbit: SharedRabbit) -> None:
    url = str(URL(rabbit.url).with_password("wrong-secret"))
    with pytest.raises(BrokerError, match="refuses user 'scheduler': check the name and the password") as refusal:
        await open_queue(url=url).publish(b"1")
    assert "wrong-secret" not in str(refusal.value)


async def test_an_absent_virtual_host_is_said(open_queue: Open, rabbit: SharedRabbit) -> None:
    with pytest.raises(BrokerError, match="refuses virtual host 'nowhere'"):
        await open_queue(url=str(URL(rabbit.url) / "nowhere")).publish(b"1")


async def test_a_host_that_nobody_is_at_is_said(open_queue: Open) -> None:
    queue = open_queue(url=f"amqp://scheduler:secret@127.0.0.1:{free_port()}/")
    for attempt in (queue.publish(b"1"), queue.receive(1, wait=0.0), queue.health()):
        with pytest.raises(BrokerError, match=r"RabbitMQ at 127.0.0.1:\d+ can't be reached") as refusal:
            await attempt
        assert "secret" not in str(refusal.value)


@pytest.mark.parametrize("url", ["redis://localhost", "localhost", "amqp:", "amqp://[", ""])
async def test_another_url_is_refused_at_once(url: str) -> None:
    with pytest.raises(ConfigurationError, match="amqp://USER"):
        AmqpMessageQueue(url, "tasks")


async def test_tls_with_certificates_of_both_sides(open_queue: Open, rabbit: SharedRabbit) -> None:
    queue = open_queue(url=rabbit.tls_url())
    published = await queue.publish(b"1")
    assert [delivery.id for delivery in await receive(queue)] == [published]


async def test_an_unknown_authority_is_not_trusted(open_queue: Open, rabbit: SharedRabbit) -> None:
    with pytest.raises(BrokerError, match=r"can't be trusted.*cafile"):
        await open_queue(url=rabbit.tls_url(trusting=False)).publish(b"1")


async def test_a_queue_that_was_there_is_used_as_it_is(open_queue: Open, rabbit: SharedRabbit) -> None:
    name = _name()
    async with await aio_pika.connect(rabbit.url) as connection, connection.channel() as channel:
        await channel.declare_queue(name, durable=True, arguments={"x-queue-type": "classic", "x-max-priority": 5})
    queue = open_queue(name, max_deliveries=3)
    published = await queue.publish(b"1")
    for number in (1, 2, 3):
        [delivery] = await receive(queue)
        assert (delivery.id, delivery.deliveries) == (published, number)
        await queue.nack(delivery)
    [letter] = await queue.dead_letters()
    assert letter.deliveries == 3
    [warning] = await queue.health()
    assert "inequivalent arg" in warning


async def test_one_that_refuses_by_itself_is_full(open_queue: Open, rabbit: SharedRabbit) -> None:
    name = _name()
    arguments: dict[str, aio_pika.abc.FieldValue] = {"x-max-length": 1, "x-overflow": "reject-publish"}
    async with await aio_pika.connect(rabbit.url) as connection, connection.channel() as channel:
        await channel.declare_queue(name, durable=True, arguments=arguments)
    queue = open_queue(name)
    await queue.publish(b"1")
    with pytest.raises(QueueFullError, match="RabbitMQ takes no more"):
        await queue.publish(b"2")


async def test_a_deleted_queue_is_declared_anew(open_queue: Open, rabbit: SharedRabbit) -> None:
    name = _name()
    queue = open_queue(name)
    await queue.publish(b"1")
    async with await aio_pika.connect(rabbit.url) as connection, connection.channel() as channel:
        await channel.queue_delete(name)
    with pytest.raises(BrokerError, match="declared anew"):
        await queue.publish(b"2")
    published = await queue.publish(b"3")
    assert [delivery.id for delivery in await receive(queue)] == [published]


async def test_what_is_not_durable_works_the_same(open_queue: Open) -> None:
    queue = open_queue(durable=False, max_deliveries=2)
    published = await queue.publish(b"1")
    for number in (1, 2):
        [delivery] = await receive(queue)
        assert (delivery.id, delivery.deliveries) == (published, number)
        await queue.nack(delivery, delay=0.1)

    async def given_up() -> bool:
        return (await queue.stats()).dead == 1

    await until(given_up)


async def test_what_expired_before_its_delay_was_over_is_dropped(open_queue: Open) -> None:
    queue = open_queue(ttl_seconds=0.001)
    await queue.publish(b"1", delay=0.1)
    await queue.publish(b"2", delay=0.2)

    async def gone() -> bool:
        assert await queue.receive(2, wait=0.1) == []
        stats = await queue.stats()
        return stats.waiting + stats.delayed + stats.in_flight == 0

    await until(gone)


async def test_a_delay_of_months_is_refused(open_queue: Open) -> None:
    with pytest.raises(BrokerError, match="wait at most 3,456,000 s"):
        await open_queue().publish(b"1", delay=90 * 86_400)


@pytest.mark.parametrize(
    ("delay", "milliseconds"),
    [(0.0001, 1), (0.01, 10), (0.0123, 13), (1, 1000), (1.01, 1100), (60, 60_000), (61, 61_000), (3600, 3_600_000),
     (3601, 3_700_000), (86_400, 87_000_000), (99.1, 100_000)],
)  # fmt: skip
def test_a_delay_is_rounded_up_to_two_digits(delay: float, milliseconds: int) -> None:
    assert wait_milliseconds(delay) == milliseconds


def _name() -> str:
    return f"queue-{uuid4().hex}"
