"""A pool of threads whose tasks are on record."""

import threading
from collections.abc import Iterator
from concurrent.futures import CancelledError, as_completed
from threading import Barrier, Event

import pytest

from scheduler.errors import ConfigurationError, QueueClosedError, QueueFullError, ShutdownTimeoutError
from scheduler.queues import TaskRecord, TaskState, ThreadPool, ThreadPoolConfig
from tests.queues.alone.waiting import PATIENCE, program, until


@pytest.fixture
def blocked() -> Iterator[Event]:
    """Set at the end, so that no task outlives its test."""
    event = Event()
    yield event
    event.set()


class Task:
    """Tells that it has begun, and waits until it may end."""

    def __init__(self, end: Event) -> None:
        self._begun, self._end = Event(), end

    def __call__(self) -> None:
        self._begun.set()
        self._end.wait(PATIENCE)

    def until_begun(self) -> None:
        assert self._begun.wait(PATIENCE)


def states(pool: ThreadPool) -> list[TaskState]:
    return [record.state for record in pool.records()]


def fail() -> None:
    raise ZeroDivisionError("as ever")


def test_submit_and_its_record() -> None:
    with ThreadPool(ThreadPoolConfig(name="mine")) as pool:
        future = pool.submit(divmod, 7, 2)
        assert future.result(PATIENCE) == (3, 1)
    (record,) = pool.records()
    assert isinstance(record, TaskRecord)
    assert (record.id, record.name, record.state, record.error) == (1, "divmod", TaskState.DONE, None)
    assert record.started_at is not None
    assert record.finished_at is not None
    assert record.submitted_at <= record.started_at <= record.finished_at


def test_an_error_is_its_callers_and_on_record() -> None:
    with ThreadPool(ThreadPoolConfig(max_workers=1)) as pool:
        future, after = pool.submit(fail), pool.submit(int, "1")
        with pytest.raises(ZeroDivisionError):
            future.result(PATIENCE)
        assert after.result(PATIENCE) == 1, "the thread lives on"
    (record,) = pool.records(TaskState.FAILED)
    assert (record.name, record.error) == ("fail", future.exception())


def test_leaving_waits_for_all() -> None:
    done: list[int] = []
    with ThreadPool(ThreadPoolConfig(max_workers=2)) as pool:
        for number in range(50):
            pool.submit(done.append, number)
    assert sorted(done) == list(range(50))
    assert states(pool) == [TaskState.DONE] * 50


def test_without_with() -> None:
    pool = ThreadPool()
    futures = [pool.submit(pow, number, 2) for number in range(20)]
    assert {future.result() for future in as_completed(futures, PATIENCE)} == {number**2 for number in range(20)}
    pool.shutdown()
    pool.shutdown()


def test_as_many_threads_as_it_may_have() -> None:
    together = Barrier(3)
    with ThreadPool(ThreadPoolConfig(max_workers=3)) as pool:
        for _ in range(6):
            pool.submit(together.wait, PATIENCE)
    assert states(pool) == [TaskState.DONE] * 6


def test_map_keeps_the_order() -> None:
    with ThreadPool() as pool:
        assert list(pool.map(pow, range(5), [2] * 5)) == [0, 1, 4, 9, 16]
        with pytest.raises(ValueError, match="invalid literal"):
            list(pool.map(int, ["1", "x"]))


def test_map_has_a_timeout(blocked: Event) -> None:
    with ThreadPool(ThreadPoolConfig(max_workers=1)) as pool:
        with pytest.raises(TimeoutError):
            list(pool.map(lambda _: blocked.wait(PATIENCE), range(2), timeout=0.01))
        blocked.set()
    assert pool.records()[1].state is TaskState.CANCELLED


def test_a_waiting_task_can_be_cancelled(blocked: Event) -> None:
    task = Task(blocked)
    with ThreadPool(ThreadPoolConfig(max_workers=1)) as pool:
        pool.submit(task)
        task.until_begun()
        waiting = pool.submit(fail)
        assert states(pool) == [TaskState.RUNNING, TaskState.WAITING]
        assert waiting.cancel()
        assert states(pool) == [TaskState.RUNNING, TaskState.CANCELLED]
        blocked.set()
    assert states(pool) == [TaskState.DONE, TaskState.CANCELLED]


def test_full_after_the_timeout(blocked: Event) -> None:
    task = Task(blocked)
    with ThreadPool(ThreadPoolConfig(max_workers=1, max_size=1, default_timeout=0.01)) as pool:
        pool.submit(task)
        task.until_begun()
        pool.submit(int)
        with pytest.raises(QueueFullError, match="1 tasks wait"):
            pool.submit(int)
        blocked.set()
    assert states(pool) == [TaskState.DONE] * 2


def test_a_task_does_not_wait_for_itself() -> None:
    """It is the only one that could make room."""

    def submit_two() -> None:
        pool.submit(int)
        pool.submit(int)

    with ThreadPool(ThreadPoolConfig(max_workers=1, max_size=1)) as pool, pytest.raises(QueueFullError):
        pool.submit(submit_two).result(PATIENCE)


def test_shutdown_has_a_timeout(blocked: Event) -> None:
    pool, task = ThreadPool(ThreadPoolConfig(name="mine", max_workers=1)), Task(blocked)
    pool.submit(task)
    task.until_begun()
    waiting = pool.submit(int)
    with pytest.raises(ShutdownTimeoutError, match=r"Thread pool 'mine' did not end within 0.01 s: 2 unfin") as raised:
        pool.shutdown(timeout=0.01)
    assert [record.id for record in raised.value.unfinished if isinstance(record, TaskRecord)] == [1, 2]
    with pytest.raises(CancelledError):
        waiting.result(PATIENCE)
    blocked.set()
    until(lambda: states(pool) == [TaskState.DONE, TaskState.CANCELLED])


def test_after_shutdown_it_says_so() -> None:
    pool = ThreadPool()
    pool.shutdown(wait=False)
    with pytest.raises(QueueClosedError, match="was shut down: make a new one"):
        pool.submit(int)


def test_shutdown_from_within() -> None:
    pool = ThreadPool()
    assert pool.submit(pool.shutdown).result(PATIENCE) is None


def test_an_error_in_with_cancels_what_waits(blocked: Event) -> None:
    task = Task(blocked)
    pool = ThreadPool(ThreadPoolConfig(max_workers=1))

    def end() -> None:
        until(lambda: TaskState.CANCELLED in states(pool))
        blocked.set()

    with pytest.raises(ZeroDivisionError), pool:
        pool.submit(task)
        task.until_begun()
        pool.submit(int)
        threading.Thread(target=end).start()
        fail()
    assert states(pool) == [TaskState.DONE, TaskState.CANCELLED]


def test_it_remembers_so_many() -> None:
    with ThreadPool(ThreadPoolConfig(keep_records=2)) as pool:
        list(pool.map(abs, range(5)))
    assert len(pool.records()) == 2


def test_a_config_out_of_range_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="max_workers is 0; write at least 1"):
        ThreadPoolConfig(max_workers=0)


FORGOTTEN = """
import time
from scheduler.queues import ThreadPool, ThreadPoolConfig

pool = ThreadPool(ThreadPoolConfig(name="mine", max_workers=1))
pool.submit(time.sleep, 600)
pool.submit(print, "never")
"""

FORKED = """
import os
from scheduler.queues import ThreadPool

pool = ThreadPool()
pool.submit(int).result()
if os.fork() == 0:
    pool.submit(int)
os.wait()
"""


def test_the_end_of_the_interpreter_waits_for_no_task() -> None:
    process = program(FORGOTTEN)
    output, errors = process.communicate(timeout=PATIENCE)
    assert (process.returncode, output) == (0, "")
    assert "Thread pool mine: 2 tasks were not finished when the interpreter ended" in errors


def test_ctrl_c_leaves_it() -> None:
    process = program(
        "import os, signal, time; from scheduler.queues import ThreadPool, ThreadPoolConfig\n"
        "with ThreadPool(ThreadPoolConfig(shutdown_timeout=0.01)) as pool:\n"
        "    pool.submit(time.sleep, 600)\n"
        "    pool.submit(os.kill, os.getpid(), signal.SIGINT)\n"
        "    while True:\n"
        "        time.sleep(0.01)\n"
    )
    _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode != 0
    assert "KeyboardInterrupt" in errors
    assert "ShutdownTimeoutError: Thread pool 'pool' did not end within 0.01 s: 1 unfinished" in errors


def test_a_fork_has_none_of_its_threads() -> None:
    process = program(FORKED)
    _, errors = process.communicate(timeout=PATIENCE)
    assert "was made before this process was forked: make it after the fork" in errors
