"""Messages through consumers that are killed, and brokers that are stopped, emptied and away: one row each."""

import asyncio
import json
import random
import signal
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from scheduler import Client
from scheduler.errors import BrokerError
from scheduler.queues.protocol import QueueStats
from scheduler.queues.redis import RedisMessageQueue
from tests.faults.harness import Sabotage, Scene
from tests.queues.servers.redis import RedisServer

SETTINGS = """\
drivers: {{broker: {{kind: redis, url: "{url}"}}}}
queues: {{orders: {{driver: broker, options: {{visibility_seconds: 1, max_deliveries: 1000, durable: {durable}}}}}}}
consumers: {{c: {{queue: orders, handler: work, concurrency: 10, prefetch: {prefetch}}}}}
"""
POINTS = ("before_messages_commit", "after_messages_commit", "before_messages_ack")
ROWS = "SELECT count(*) FROM job_executions"
ALL_DONE = "SELECT count(*) FROM job_executions WHERE status = 'SUCCESS' AND source = 'message'"
FORGETFUL: Sabotage = (
    "take_messages",
    "SELECT %(source)s, c.id, m.id FROM",
    "SELECT %(source)s, c.id || m.id, m.id FROM",
)
"""Notes messages under names that nobody will ask for."""


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(tmp_path / "redis", persistent=True) as server:
        yield server


@pytest.fixture
def consuming(scene: Scene, broker: RedisServer) -> Scene:
    """A project with a consumer on this broker."""
    settings(scene, broker)
    return scene


def settings(scene: Scene, broker: RedisServer, *, prefetch: int = 1000) -> None:
    text = SETTINGS.format(url=broker.url, prefetch=prefetch, durable="true")
    (scene.folder / "scheduler.yaml").write_text(text, encoding="utf-8")


def with_queue(broker: RedisServer, work: Callable[[RedisMessageQueue], Awaitable[Any]]) -> Any:
    async def at_work() -> Any:
        queue = RedisMessageQueue(broker.url, "orders")
        try:
            return await work(queue)
        finally:
            await queue.close()

    return asyncio.run(at_work())


def publish(broker: RedisServer, ids: Sequence[str]) -> None:
    async def each(queue: RedisMessageQueue) -> None:
        for id_ in ids:
            await queue.publish(json.dumps({"id": id_}).encode(), id=id_)

    with_queue(broker, each)


def stats(broker: RedisServer) -> QueueStats:
    found = with_queue(broker, RedisMessageQueue.stats)
    assert isinstance(found, QueueStats)
    return found


def killed_at(scene: Scene, points: Sequence[str], **options: Any) -> None:
    """A consumer after the other, each of which ends itself at one of these points as SIGKILL would end it."""
    for point in points:
        process = scene.start(only="consumer", FAILPOINTS=f"{point}=exit", **options)
        assert process.exit_status() == 137


def test_consumers_that_are_killed_lose_and_double_nothing(consuming: Scene, broker: RedisServer) -> None:
    ids = [f"order-{n}" for n in range(700)]
    publish(broker, ids)

    killed_at(consuming, POINTS)
    with consuming.start() as process:
        consuming.until(len(ids), ALL_DONE)
        process.send(signal.SIGTERM)
        assert process.exit_status() == 0
        (stopped,) = process.said("consumer.stopped")

    assert stopped["known"] > 0  # what had been written and not acked came again
    assert consuming.value("SELECT count(DISTINCT handler_params ->> 'id') FROM job_executions") == len(ids)
    assert consuming.value(ROWS) == len(ids)
    assert stats(broker) == QueueStats(0, 0, 0, 0)
    consuming.assert_sound()


def test_a_consumer_that_forgets_what_it_has_written_is_found_out(consuming: Scene, broker: RedisServer) -> None:
    publish(broker, [f"order-{n}" for n in range(20)])

    killed_at(consuming, POINTS[1:2], sabotage=[FORGETFUL])
    consuming.start(sabotage=[FORGETFUL])

    consuming.until_true("SELECT count(*) > count(DISTINCT handler_params ->> 'id') FROM job_executions")


def test_the_same_messages_a_hundred_times_in_any_order_are_a_row_each(consuming: Scene, broker: RedisServer) -> None:
    ids = [f"order-{n}" for n in range(10)] * 100
    random.Random(57).shuffle(ids)  # the number of the scenario
    publish(broker, ids[:500])

    killed_at(consuming, POINTS[1:2])
    publish(broker, ids[500:])
    consuming.start()
    consuming.until(10, ALL_DONE)
    publish(broker, ids[:20])
    publish(broker, ["the last"])
    consuming.until(11, ALL_DONE)

    assert consuming.value(ROWS) == 11


def test_what_is_a_row_needs_its_broker_no_more(consuming: Scene, broker: RedisServer) -> None:
    """The broker is emptied between the commit and the start of every execution."""
    settings(consuming, broker, prefetch=30)
    publish(broker, [f"order-{n}" for n in range(50)])
    with consuming.start(only="consumer"):
        consuming.until(30, ROWS)
        with broker.client() as client:
            assert client.flushall()

    worker = consuming.worker()
    consuming.until(30, ALL_DONE)
    publish(broker, ["after"])
    consuming.until(31, ALL_DONE)
    assert worker.is_up


def test_a_broker_that_is_restarted_loses_nothing(consuming: Scene, broker: RedisServer) -> None:
    process = consuming.worker()
    process.said("consumer.started")
    publish(broker, [f"order-{n}" for n in range(300)])
    broker.kill()
    process.said("loop.failed")
    broker.start()
    publish(broker, ["after"])

    consuming.until(301, ALL_DONE)
    process.recovered("consumer c")
    assert consuming.value(ROWS) == 301


def test_without_a_broker_rows_go_on(consuming: Scene, broker: RedisServer) -> None:
    broker.stop()
    process = consuming.worker()
    process.said("loop.failed")

    with Client(consuming.url) as client:
        assert client.call("work", {}, timeout=40)["attempt"] == 1
    with pytest.raises(BrokerError):
        publish(broker, ["never"])

    broker.start()
    publish(broker, ["later"])
    consuming.until(1, ALL_DONE)


def test_at_the_end_what_is_not_a_row_is_with_the_broker(consuming: Scene, broker: RedisServer) -> None:
    """Stopped in the middle: each message is a row, or waits; none is in anybody's hand."""
    ids = [f"order-{n}" for n in range(2000)]
    publish(broker, ids)
    process = consuming.start(only="consumer")
    process.said("consumer.started")
    process.send(signal.SIGTERM)

    assert process.exit_status() == 0
    process.said("consumer.stopped")
    left = stats(broker)
    assert (left.in_flight, left.dead) == (0, 0)
    assert consuming.value(ROWS) + left.waiting == len(ids)


def test_run_until_idle_reads_and_runs_what_there_is(consuming: Scene, broker: RedisServer) -> None:
    """More than may wait at once."""
    settings(consuming, broker, prefetch=7)
    publish(broker, [f"order-{n}" for n in range(40)])

    assert consuming.start("--until-idle").exit_status() == 0

    assert consuming.value(ALL_DONE) == 40
    assert stats(broker) == QueueStats(0, 0, 0, 0)
