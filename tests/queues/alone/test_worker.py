"""The queue worker over any driver."""

import asyncio
import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from threading import Barrier, Event

import pytest

from scheduler import clock
from scheduler.errors import (
    ConfigurationError,
    ConflictError,
    FailPermanently,
    QueueClosedError,
    RetryLater,
    ShutdownTimeoutError,
)
from scheduler.queues import InMemoryQueue, QueueItem, Worker, WorkerConfig, WorkerState, tally
from scheduler.queues.protocol import Delivery
from scheduler.queues.standalone import StandaloneQueue
from tests.queues.alone.conftest import MakeQueue
from tests.queues.alone.waiting import PATIENCE, until

QUICK = WorkerConfig(poll_timeout=0.05, retry_delay=0.01)


class Broken(Exception):
    """What a handler raises."""


@pytest.fixture
def blocked() -> Iterator[Event]:
    """Set at the end, so that no thread of a handler outlives its test."""
    event = Event()
    yield event
    event.set()


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


def test_what_is_unfinished_goes_back(queue: StandaloneQueue, blocked: Event) -> None:
    begun = Event()

    def handle(item: QueueItem) -> None:
        begun.set()
        blocked.wait(PATIENCE)

    worker = Worker(queue, QUICK, handler=handle).start()
    put = queue.put("slow")
    queue.put("not begun")
    assert begun.wait(PATIENCE)
    with pytest.raises(ShutdownTimeoutError, match=r"did not end within 0.01 s: 1 unfinished") as raised:
        worker.stop(timeout=0.01)
    assert [item.id for item in raised.value.unfinished] == [put.id]
    assert worker.state is WorkerState.STOPPED
    worker.stop()
    taken = [queue.get(timeout=PATIENCE) for _ in range(2)]
    assert {item.payload: item.attempts for item in taken} == {"slow": 2, "not begun": 1}
    blocked.set()
    assert worker.processed == 0, "its late end changes nothing"


def test_an_error_in_with_works_nothing_off(queue: StandaloneQueue, blocked: Event) -> None:
    begun = Event()

    def handle(item: QueueItem) -> None:
        begun.set()
        blocked.wait(PATIENCE)

    def end() -> None:
        until(lambda: worker.state is WorkerState.STOPPING)
        blocked.set()

    worker = Worker(queue, QUICK, handler=handle)
    with pytest.raises(Broken), worker:
        for number in range(3):
            queue.put(number)
        assert begun.wait(PATIENCE)
        threading.Thread(target=end).start()
        raise Broken
    assert worker.state is WorkerState.STOPPED
    assert queue.qsize() == 2


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


def test_a_coroutine_is_cancelled_when_the_time_is_over(queue: StandaloneQueue) -> None:
    begun, cancelled = Event(), Event()

    class Handler:
        async def __call__(self, item: QueueItem) -> None:
            begun.set()
            try:
                await asyncio.Event().wait()
            finally:
                cancelled.set()

    worker = Worker(queue, QUICK, handler=Handler()).start()
    queue.put(1)
    assert begun.wait(PATIENCE)
    with pytest.raises(ShutdownTimeoutError):
        worker.stop(timeout=0)
    assert cancelled.wait(PATIENCE)
    assert queue.get(timeout=PATIENCE).attempts == 2


def test_a_coroutine_that_fails(queue: StandaloneQueue) -> None:
    async def handle(item: QueueItem) -> None:
        if item.attempts == 1:
            raise Broken

    with Worker(queue, QUICK, handler=handle) as worker:
        queue.put(1)
    assert (worker.processed, worker.failed) == (1, 1)


@pytest.mark.parametrize("end", ["stop", "close"])
def test_a_handler_may_end_its_own_worker(queue: StandaloneQueue, end: str) -> None:
    def handle(item: QueueItem) -> None:
        if end == "stop":
            worker.stop()
        else:
            queue.close()

    worker = Worker(queue, QUICK, handler=handle).start()
    queue.put(1)
    assert worker.join(PATIENCE) is True
    assert (worker.state, worker.processed) == (WorkerState.STOPPED, 1)


def test_closing_its_queue_stops_it(queue: StandaloneQueue, blocked: Event) -> None:
    begun = Event()

    def handle(item: QueueItem) -> None:
        begun.set()
        blocked.wait(PATIENCE)

    with Worker(queue, QUICK, handler=handle) as worker:
        queue.put(1)
        assert begun.wait(PATIENCE)
        closing = threading.Thread(target=queue.close)
        closing.start()
        until(lambda: worker.state is WorkerState.STOPPING)
        blocked.set()
        closing.join(PATIENCE)
    assert (worker.state, worker.processed) == (WorkerState.STOPPED, 1)


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
