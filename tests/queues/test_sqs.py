"""What only SQS does: credentials, .fifo queues, its own dead letter queues, and delays that it can't keep."""

import json
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from typing import Any
from uuid import uuid4

import pytest
from aiobotocore.session import get_session

from scheduler.errors import BrokerError, ConfigurationError
from scheduler.queues.protocol import QueueOptions
from scheduler.queues.sqs import SqsMessageQueue, connection, messages
from tests.queues.contract.waiting import receive
from tests.queues.servers.ports import free_port
from tests.queues.servers.sqs import ENVIRONMENT, SqsServer

Open = Callable[..., SqsMessageQueue]


@pytest.fixture
def fresh_session(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Credentials are looked for again, before the test and after it."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    connection.session.cache_clear()
    yield
    connection.session.cache_clear()


@pytest.fixture
async def client(sqs_server: SqsServer, fresh_session: None) -> AsyncIterator[Any]:
    """As another program speaks to it."""
    async with get_session().create_client("sqs", endpoint_url=sqs_server.url) as client:
        yield client


@pytest.fixture
async def open_queue(sqs_server: SqsServer, fresh_session: None) -> AsyncIterator[Open]:
    """`open_queue(name, url, max_deliveries=2)`, closed with the test."""
    async with AsyncExitStack() as stack:

        def open_it(name: str = "", url: str = "", **options: object) -> SqsMessageQueue:
            settings = QueueOptions(**options)  # type: ignore[arg-type]  # as QueueOptions has them
            queue = SqsMessageQueue(url or sqs_server.url, name or _name(), settings)
            stack.push_async_callback(queue.close)
            return queue

        yield open_it


async def test_without_credentials_it_says_what_to_set(open_queue: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, "/dev/null")
    with pytest.raises(BrokerError, match=r"needs credentials .* Set AWS_ACCESS_KEY_ID"):
        await open_queue().publish(b"1")


async def test_without_a_region_it_says_what_to_set(open_queue: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    with pytest.raises(BrokerError, match=r"needs a region: set AWS_DEFAULT_REGION, or \?region="):
        await open_queue().publish(b"1")


async def test_the_region_may_stand_in_the_url(
    open_queue: Open, sqs_server: SqsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    queue = open_queue(url=f"{sqs_server.url}?region=eu-west-1")
    published = await queue.publish(b"1")
    assert [delivery.id for delivery in await receive(queue)] == [published]


async def test_an_endpoint_that_nobody_is_at_is_said(open_queue: Open) -> None:
    with pytest.raises(BrokerError, match="can't be reached"):
        await open_queue(url=f"http://127.0.0.1:{free_port()}").publish(b"1")


@pytest.mark.parametrize("url", ["localhost:4566", "redis://localhost", "sqs://eu-west-1/tasks"])
def test_another_url_is_refused_at_once(url: str) -> None:
    with pytest.raises(ConfigurationError, match="sqs://REGION"):
        SqsMessageQueue(url, "tasks")


async def test_a_fifo_queue_keeps_the_order_and_takes_an_id_once(open_queue: Open) -> None:
    queue = open_queue(f"{_name()}.fifo")
    for number in range(12):
        await queue.publish(b"%d" % number, id=f"order-{number}")
    await queue.publish(b"0", id="order-0")
    found: list[bytes] = []
    while len(found) < 12:
        deliveries = await queue.receive(5, wait=1.0)
        found += [delivery.body for delivery in deliveries]
        await queue.ack(deliveries)
    assert found == [b"%d" % number for number in range(12)]
    with pytest.raises(BrokerError, match=r"delays no single message of a \.fifo queue"):
        await queue.publish(b"late", delay=1)


async def test_dead_letters_of_a_fifo_queue_are_one_too(open_queue: Open) -> None:
    queue = open_queue(f"{_name()}.fifo")
    published = await queue.publish(b"1")
    [delivery] = await receive(queue)
    await queue.nack(delivery, dead="no good")
    [letter] = await queue.dead_letters()
    assert (letter.id, letter.reason) == (published, "no good")
    assert await queue.dead_letters() == [letter], "who looks takes nothing"


async def test_a_queue_with_a_redrive_policy_keeps_its_own_dead_letter_queue(open_queue: Open, client: Any) -> None:
    name, graveyard = _name(), _name()
    dead = (await client.create_queue(QueueName=graveyard))["QueueUrl"]
    asked = await client.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])
    policy = {"deadLetterTargetArn": asked["Attributes"]["QueueArn"], "maxReceiveCount": "10"}
    await client.create_queue(QueueName=name, Attributes={"RedrivePolicy": json.dumps(policy)})
    queue = open_queue(name)
    await queue.publish(b"1")
    await queue.nack((await receive(queue))[0], dead="no good")
    counted = await client.get_queue_attributes(QueueUrl=dead, AttributeNames=["ApproximateNumberOfMessages"])
    assert counted["Attributes"]["ApproximateNumberOfMessages"] == "1"


async def test_a_deleted_queue_is_made_anew(open_queue: Open, client: Any) -> None:
    name = _name()
    queue = open_queue(name)
    await queue.publish(b"1")
    await client.delete_queue(QueueUrl=(await client.get_queue_url(QueueName=name))["QueueUrl"])
    with pytest.raises(BrokerError, match="made anew"):
        await queue.publish(b"2")
    published = await queue.publish(b"3")
    assert [delivery.id for delivery in await receive(queue)] == [published]


async def test_a_delay_beyond_that_of_sqs_is_seen_to_by_receivers(
    open_queue: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scheduler.queues.sqs.queue.LONGEST_DELAY_SECONDS", 0)
    monkeypatch.setattr(messages, "LONGEST_DELAY_SECONDS", 0)
    queue = open_queue()
    before = time.monotonic()
    await queue.publish(b"1", delay=1.5)
    [delivery] = await receive(queue)
    assert time.monotonic() - before >= 1.5
    assert delivery.deliveries == 1


async def test_what_expired_is_dropped_by_its_receiver(open_queue: Open, client: Any) -> None:
    name = _name()
    queue = open_queue(name, ttl_seconds=0.001)
    await queue.publish(b"1")
    assert await queue.receive(1, wait=1.0) == []
    assert (await queue.stats()).in_flight == 0


async def test_it_tells_what_it_cannot_do(open_queue: Open, client: Any) -> None:
    name = _name()
    await client.create_queue(QueueName=name, Attributes={"MessageRetentionPeriod": "60"})
    length, retention = await open_queue(name, max_length=10).health()
    assert "has no max_length" in length
    assert "drops every message after" in retention
    assert await open_queue().health() == []


def _name() -> str:
    return f"queue-{uuid4().hex}"
