"""How a queue worker stops, and what it hands back."""

import asyncio
import threading
from threading import Event

import pytest

from scheduler.errors import (
    ShutdownTimeoutError,
)
from scheduler.queues import QueueItem, Worker, WorkerState
from scheduler.queues.standalone import StandaloneQueue
from tests.queues.alone.waiting import PATIENCE, QUICK, Broken, until


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
