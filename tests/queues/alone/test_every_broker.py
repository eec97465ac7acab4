"""The queue worker is the same over RabbitMQ and SQS."""

from collections.abc import Iterator
from threading import Event
from uuid import uuid4

import pytest

from scheduler.errors import QueueEmptyError, ShutdownTimeoutError
from scheduler.queues import AmqpQueue, QueueItem, SqsQueue, Worker, WorkerConfig
from scheduler.queues.standalone import StandaloneQueue
from tests.queues.alone.waiting import PATIENCE
from tests.queues.servers.sqs import ENVIRONMENT

QUICK = WorkerConfig(poll_timeout=0.1, max_retries=1, retry_delay=0)


@pytest.fixture(params=["amqp", "sqs"])
def broker(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """Its kind and its address."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    fixture = {"amqp": "rabbit", "sqs": "sqs_server"}[request.param]
    return request.param, request.getfixturevalue(fixture).url


@pytest.fixture
def queue(broker: tuple[str, str]) -> Iterator[StandaloneQueue]:
    kind, url = broker
    name = f"alone-{uuid4().hex}"
    with AmqpQueue(url, name) if kind == "amqp" else SqsQueue(name, url=url) as queue:
        yield queue


def test_put_and_get(queue: StandaloneQueue) -> None:
    put = queue.put({"n": 1})
    got = queue.get(timeout=PATIENCE)
    assert (got.id, got.payload, got.attempts) == (put.id, {"n": 1}, 1)
    with pytest.raises(QueueEmptyError):
        queue.get(timeout=0)


def test_leaving_with_works_off_what_was_put(queue: StandaloneQueue) -> None:
    worker, handled = Worker(queue, QUICK), []

    @worker
    def handle(item: QueueItem) -> None:
        handled.append(item.payload)
        if item.payload == "bad":
            raise ZeroDivisionError("as ever")

    with worker:
        for payload in ("bad", 1, 2, 3):
            queue.put(payload)
    # Not by `attempts`: RabbitMQ also counts what came when nobody waited for it any more.
    assert sorted(handled, key=str) == [1, 2, 3, "bad", "bad"]
    assert [dead.reason for dead in queue.dead_letters()] == ["ZeroDivisionError: as ever"]
    assert (worker.processed, worker.failed) == (3, 2)


def test_what_is_unfinished_goes_back(queue: StandaloneQueue) -> None:
    begun, blocked = Event(), Event()

    def handle(item: QueueItem) -> None:
        begun.set()
        blocked.wait(PATIENCE)

    worker = Worker(queue, QUICK, handler=handle).start()
    put = queue.put("slow")
    assert begun.wait(PATIENCE)
    with pytest.raises(ShutdownTimeoutError) as raised:
        worker.stop(timeout=0.01)
    blocked.set()
    assert [item.id for item in raised.value.unfinished] == [put.id]
    assert queue.get(timeout=PATIENCE).attempts >= 2  # RabbitMQ also counts what came when nobody waited any more
