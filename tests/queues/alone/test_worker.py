"""The queue worker over any driver."""

import asyncio
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from threading import Barrier, Event

import pytest

from scheduler import clock
from scheduler.errors import (
    ConfigurationError,
    ConflictError,
    QueueClosedError,
)
from scheduler.queues import InMemoryQueue, QueueItem, Worker, WorkerConfig, WorkerState, tally
from scheduler.queues.protocol import Delivery
from scheduler.queues.standalone import StandaloneQueue
from tests.queues.alone.conftest import MakeQueue
from tests.queues.alone.waiting import PATIENCE, QUICK, until


def test_leaving_with_works_off_what_was_put(queue: StandaloneQueue) -> None:
    worker, handled = Worker(queue, QUICK), []

    @worker
    def handle(item: QueueItem) -> None:
        handled.append((item.payload, item.attempts))

    queue.put("before")
    with worker as same:
        assert same is worker
        for number in range(50):
            queue.put(number)
    assert handled == [("before", 1), *((number, 1) for number in range(50))]
    assert (worker.state, worker.processed, worker.failed, worker.last_error) == (WorkerState.STOPPED, 51, 0, None)
    assert queue.stats().waiting == queue.stats().in_flight == 0


def test_its_states(memory: InMemoryQueue, blocked: Event) -> None:
    begun = Event()

    def handle(item: QueueItem) -> None:
        begun.set()
        blocked.wait(PATIENCE)

    worker = Worker(memory, QUICK, handler=handle)
    assert (worker.state, worker.is_active, worker.heartbeat_at) == (WorkerState.IDLE, False, None)
    worker.stop()
    assert worker.join() is True
    worker.start()
    assert (worker.state, worker.is_active) == (WorkerState.RUNNING, True)
    memory.put(1)
    assert begun.wait(PATIENCE)
    stopping = threading.Thread(target=worker.stop, args=(PATIENCE,))
    stopping.start()
    until(lambda: worker.state is WorkerState.STOPPING)
    assert worker.is_active
    assert worker.join(timeout=0.01) is False
    blocked.set()
    stopping.join(PATIENCE)
    assert (worker.state, worker.is_active, worker.processed) == (WorkerState.STOPPED, False, 1)
    assert worker.heartbeat_at is not None
    assert abs((datetime.now(UTC) - worker.heartbeat_at).total_seconds()) < PATIENCE


def test_inactive_without_a_heartbeat(memory: InMemoryQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    worker = Worker(memory, QUICK, handler=print).start()
    assert worker.is_active
    now = clock.monotonic
    with monkeypatch.context() as later:
        later.setattr(tally.Tally, "beat", lambda self: None)
        later.setattr(tally, "monotonic", lambda: now() + tally.ACTIVE_SECONDS)
        assert (worker.is_active, worker.state) == (False, WorkerState.RUNNING)
    worker.stop()


def test_it_can_be_started_again(queue: StandaloneQueue) -> None:
    worker = Worker(queue, QUICK, handler=lambda item: None)
    for _ in range(3):
        with worker:
            queue.put(1)
    assert worker.processed == 3


def test_it_needs_one_handler(memory: InMemoryQueue) -> None:
    worker = Worker(memory, WorkerConfig(name="mine"))
    with pytest.raises(ConfigurationError, match="'mine' has no handler: write @worker"):
        worker.start()
    assert worker.state is WorkerState.IDLE
    assert worker(print) is print
    with pytest.raises(ConflictError, match="has a handler already"):
        worker(repr)


def test_it_runs_once(memory: InMemoryQueue) -> None:
    with Worker(memory, QUICK, handler=print) as worker, pytest.raises(ConflictError, match="runs already"):
        worker.start()


def test_no_start_on_a_closed_queue(memory: InMemoryQueue) -> None:
    worker = Worker(memory, QUICK, handler=print)
    memory.close()
    with pytest.raises(QueueClosedError):
        worker.start()
    assert worker.state is WorkerState.IDLE


def test_several_threads(queue: StandaloneQueue) -> None:
    together = Barrier(4)

    def handle(item: QueueItem) -> None:
        together.wait(PATIENCE)

    with Worker(queue, WorkerConfig(concurrency=4, poll_timeout=0.05), handler=handle) as worker:
        for number in range(8):
            queue.put(number)
    assert (worker.processed, worker.failed) == (8, 0)


def test_several_coroutines(queue: StandaloneQueue) -> None:
    waiting: list[asyncio.Event] = []

    async def handle(item: QueueItem) -> None:
        """Each waits for the three others."""
        mine = asyncio.Event()
        waiting.append(mine)
        if len(waiting) == 4:
            for each in waiting:
                each.set()
        async with asyncio.timeout(PATIENCE):
            await mine.wait()

    with Worker(queue, WorkerConfig(concurrency=4, poll_timeout=0.05), handler=handle) as worker:
        for number in range(4):
            queue.put(number)
    assert (worker.processed, worker.failed) == (4, 0)


def test_two_workers_share_a_queue(queue: StandaloneQueue) -> None:
    handled: list[int] = []
    first = Worker(queue, QUICK, handler=lambda item: handled.append(item.payload))
    second = Worker(queue, QUICK, handler=lambda item: handled.append(item.payload))
    with first, second:
        for number in range(200):
            queue.put(number)
    assert sorted(handled) == list(range(200))
    assert first.processed + second.processed == 200


def test_what_is_held_is_extended(make_queue: MakeQueue, monkeypatch: pytest.MonkeyPatch, blocked: Event) -> None:
    queue = make_queue(visibility_seconds=1)
    extended: list[str] = []
    extend = queue._driver.extend

    async def spy(deliveries: Sequence[Delivery]) -> None:
        extended.extend(delivery.id for delivery in deliveries)
        await extend(deliveries)

    monkeypatch.setattr(queue._driver, "extend", spy)

    with Worker(queue, QUICK, handler=lambda item: blocked.wait(PATIENCE)):
        put = queue.put("long")
        until(lambda: len(extended) >= 2)
        blocked.set()
    assert set(extended) == {put.id}


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"concurrency": 0}, "concurrency is 0; write at least 1 and at most 1000"),
        ({"max_retries": -1}, "max_retries is -1"),
        ({"poll_timeout": 0}, "poll_timeout is 0"),
        ({"shutdown_timeout": float("inf")}, "shutdown_timeout is inf"),
    ],
)
def test_a_config_out_of_range_is_refused(config: dict[str, int], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        WorkerConfig(**config)  # type: ignore[arg-type]
