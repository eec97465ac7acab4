"""What becomes of messages whose handler raises, and of the worker."""

import asyncio
from threading import Event

import pytest

from scheduler.errors import (
    FailPermanently,
    RetryLater,
)
from scheduler.queues import InMemoryQueue, QueueItem, Worker, WorkerConfig, WorkerState
from scheduler.queues.protocol import Delivery
from scheduler.queues.standalone import StandaloneQueue
from tests.queues.alone.waiting import PATIENCE, QUICK, Broken, until


def test_an_error_has_its_second_tries_and_then_the_dead_letter_queue(queue: StandaloneQueue) -> None:
    worker, attempts = Worker(queue, WorkerConfig(max_retries=2, retry_delay=0.01, poll_timeout=0.05)), []

    @worker
    def handle(item: QueueItem) -> None:
        attempts.append((item.payload, item.attempts))
        if item.payload == "bad":
            raise Broken("as ever")

    with worker:
        bad = queue.put("bad")
        queue.put("good")
    assert sorted(attempts) == [("bad", 1), ("bad", 2), ("bad", 3), ("good", 1)]
    (dead,) = queue.dead_letters()
    assert (dead.id, dead.body, dead.deliveries, dead.reason) == (bad.id, b'"bad"', 3, "Broken: as ever")
    assert (worker.processed, worker.failed, worker.state) == (1, 3, WorkerState.STOPPED)
    assert isinstance(worker.last_error, Broken)


def test_no_second_try(queue: StandaloneQueue) -> None:
    def handle(item: QueueItem) -> None:
        raise SystemExit("not of the worker")

    with Worker(queue, WorkerConfig(max_retries=0, poll_timeout=0.05), handler=handle) as worker:
        queue.put(1)
    assert [dead.reason for dead in queue.dead_letters()] == ["SystemExit: not of the worker"]
    assert worker.failed == 1


def test_a_handler_may_decide(queue: StandaloneQueue) -> None:
    attempts = []

    def handle(item: QueueItem) -> None:
        attempts.append(item.attempts)
        if item.attempts == 1:
            raise RetryLater(0.05)
        raise FailPermanently("nothing helps")

    with Worker(queue, WorkerConfig(poll_timeout=0.05, retry_delay=300), handler=handle):
        queue.put(1)
    assert attempts == [1, 2]
    assert [dead.reason for dead in queue.dead_letters()] == ["FailPermanently: nothing helps"]


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise ZeroDivisionError


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (Broken("a\0b\x1b[31m\ud800"), "Broken: a b [31m "),
        (Broken("x" * 10_000_000), "Broken: " + "x" * 492),
        (Broken("first\nsecond"), "Broken: first"),
        (Unspeakable(), "Unspeakable"),
        (asyncio.CancelledError(), "CancelledError"),
    ],
    ids=["characters", "long", "lines", "unspeakable", "cancelled"],
)
def test_any_error_can_be_kept(queue: StandaloneQueue, error: BaseException, reason: str) -> None:
    def handle(item: QueueItem) -> None:
        raise error

    with Worker(queue, WorkerConfig(max_retries=0, poll_timeout=0.05), handler=handle):
        queue.put(1)
    assert [dead.reason for dead in queue.dead_letters()] == [reason]


def test_one_that_cannot_be_handed_back_holds_up_no_other(
    memory: InMemoryQueue, monkeypatch: pytest.MonkeyPatch, blocked: Event
) -> None:
    nack = memory._driver.nack

    async def spoilt(delivery: Delivery, *, delay: float = 0.0, dead: str | None = None) -> None:
        if delivery.body == b'"bad"' and not blocked.is_set():
            raise Broken("not this one")
        await nack(delivery, delay=delay, dead=dead)

    monkeypatch.setattr(memory._driver, "nack", spoilt)

    def handle(item: QueueItem) -> None:
        raise Broken

    with Worker(memory, WorkerConfig(max_retries=0, poll_timeout=0.05, prefetch=0), handler=handle) as worker:
        memory.put("bad")
        memory.put("good")
        until(lambda: [dead.body for dead in memory.dead_letters()] == [b'"good"'])
        blocked.set()
        until(lambda: len(memory.dead_letters()) == 2)
    assert worker.failed == 2


def test_stop_on_error(queue: StandaloneQueue) -> None:
    def handle(item: QueueItem) -> None:
        raise Broken(item.payload)

    worker = Worker(queue, WorkerConfig(stop_on_error=True, poll_timeout=0.05), handler=handle).start()
    queue.put("first")
    assert worker.join(PATIENCE) is True
    assert worker.state is WorkerState.FAILED
    with pytest.raises(Broken, match="first") as raised:
        worker.stop()
    assert worker.last_error is raised.value
    assert queue.qsize() == 1, "it has its second tries still"


def test_leaving_with_raises_what_stopped_it(queue: StandaloneQueue) -> None:
    def handle(item: QueueItem) -> None:
        raise Broken

    with pytest.raises(Broken), Worker(queue, WorkerConfig(stop_on_error=True, poll_timeout=0.05), handler=handle):
        queue.put(1)


def test_a_coroutine_that_fails(queue: StandaloneQueue) -> None:
    async def handle(item: QueueItem) -> None:
        if item.attempts == 1:
            raise Broken

    with Worker(queue, QUICK, handler=handle) as worker:
        queue.put(1)
    assert (worker.processed, worker.failed) == (1, 1)


def test_a_message_that_nobody_survives_is_given_up(queue: StandaloneQueue) -> None:
    """Without being handled: it has come back from dying workers too often."""
    handled: list[QueueItem] = []
    queue.put("poison")

    async def die() -> None:
        for _ in range(WorkerConfig().max_retries + 6):
            (delivery,) = await driver.receive(1, wait=PATIENCE)
            await driver.nack(delivery)

    driver = queue.open()
    queue._run(die())
    with Worker(queue, QUICK, handler=handled.append):
        pass
    assert handled == []
    (dead,) = queue.dead_letters()
    assert dead.reason == "Delivered 9 times, and each time its worker died or handed it back."


def test_what_is_no_json_is_given_up(queue: StandaloneQueue) -> None:
    driver = queue.open()
    queue._run(driver.publish(b"no JSON"))
    with Worker(queue, QUICK, handler=print) as worker:
        pass
    assert "not JSON" in queue.dead_letters()[0].reason
    assert worker.processed == worker.failed == 0
