"""A queue worker that is killed, interrupted, cut off from its broker, and left to the interpreter's end."""

import json
import signal
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest

from scheduler.errors import BrokerError
from scheduler.queues import QueueConfig, QueueItem, RedisQueue, Worker, WorkerConfig, WorkerState
from tests.queues.alone.waiting import PATIENCE, program, said, until
from tests.queues.servers.redis import RedisServer

QUICK = WorkerConfig(poll_timeout=0.05, retry_delay=0.01, max_retries=20)

ONE_WORKER = r"""
import itertools, os, sys, threading
import redis
from scheduler.queues import QueueConfig, RedisQueue, Worker, WorkerConfig

url, name, done, way = sys.argv[1:]
queue = RedisQueue(url, name, QueueConfig(visibility_seconds=1))
other = redis.Redis.from_url(url)
handled = itertools.count()

def handle(item):
    if next(handled) >= 20:
        os.write(1, b"in hand\n")
        threading.Event().wait()
    other.sadd(done, item.payload["n"])

if way == "get":
    for item in queue:
        handle(item)
with Worker(queue, WorkerConfig(concurrency=2, poll_timeout=0.05), handler=handle) as worker:
    worker.join()
"""


@pytest.mark.parametrize(("way", "lost"), [("worker", 0), ("get", 4)])
def test_sigkill(redis_server: RedisServer, way: str, lost: int) -> None:
    """Four times in the midst of messages. A worker loses none; who takes them by get() loses what was in hand."""
    name, done, count = f"killed-{uuid4().hex}", f"done-{uuid4().hex}", 200
    with redis_server.client() as other, RedisQueue(redis_server.url, name, QueueConfig(visibility_seconds=1)) as queue:
        other.rpush(name, *(json.dumps({"n": number}) for number in range(count // 2)))
        for number in range(count // 2, count):
            queue.put({"n": number})
        for _ in range(4):
            process = program(ONE_WORKER, redis_server.url, name, done, way)
            assert said(process) == "in hand"
            process.send_signal(signal.SIGKILL)
            process.communicate(timeout=PATIENCE)
        with Worker(queue, QUICK, handler=lambda item: other.sadd(done, item.payload["n"])):
            queue.join(PATIENCE)
        found = {int(each) for each in other.smembers(done)}
        assert (len(found), queue.stats().dead) == (count - lost, 0)


INTERRUPTED = """
import sys, threading, time
from scheduler.queues import RedisQueue, Worker, WorkerConfig

queue = RedisQueue(*sys.argv[2:])
worker = Worker(queue, WorkerConfig(poll_timeout=0.05, shutdown_timeout=0.1))
there = threading.Event()

@worker
def handle(item):
    while not (there.is_set() if sys.argv[1] == "body" else worker._working._draining):
        time.sleep(0.01)
    print("begun", flush=True)
    time.sleep(600)

with worker:
    queue.put(1)
    queue.put(2)
    if sys.argv[1] == "body":
        there.set()
        time.sleep(600)
"""


@pytest.mark.parametrize("where", ["body", "leaving"])
def test_ctrl_c_hangs_nowhere(redis_server: RedisServer, where: str) -> None:
    name = f"interrupted-{uuid4().hex}"
    process = program(INTERRUPTED, where, redis_server.url, name)
    assert said(process) == "begun"
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode != 0
    assert "KeyboardInterrupt" in errors
    assert "ShutdownTimeoutError: Worker 'worker' did not end within 0.1 s: 1 unfinished" in errors
    with RedisQueue(redis_server.url, name) as queue:
        assert (queue.stats().waiting, queue.stats().in_flight) == (2, 0)


FORGOTTEN = """
import sys, threading, time
from scheduler.queues import RedisQueue, Worker, WorkerConfig

queue = RedisQueue(*sys.argv[1:])
begun = threading.Event()

def handle(item):
    begun.set()
    time.sleep(600)

worker = Worker(queue, WorkerConfig(poll_timeout=0.05), handler=handle).start()
queue.put(1)
begun.wait()
"""


def test_the_end_of_the_interpreter_waits_for_no_handler(redis_server: RedisServer) -> None:
    """And what was in hand goes back to the queue at once."""
    name = f"forgotten-{uuid4().hex}"
    process = program(FORGOTTEN, redis_server.url, name)
    _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert "Traceback" not in errors
    assert "Task was destroyed" not in errors
    with RedisQueue(redis_server.url, name) as queue:
        assert (queue.stats().waiting, queue.stats().in_flight) == (1, 0)


def survived(ask: Callable[[], object]) -> bool:
    """Whether the broker answered."""
    try:
        ask()
    except BrokerError:
        return False
    return True


def test_a_broker_that_is_away_is_waited_for(tmp_path: Path) -> None:
    handled: list[int] = []

    def handle(item: QueueItem) -> None:
        handled.append(item.payload)

    with RedisServer(tmp_path / "server", persistent=True) as server, RedisQueue(server.url) as queue:
        with Worker(queue, QUICK, handler=handle) as worker:
            queue.put(1)
            until(lambda: worker.processed == 1)
            server.kill()
            until(lambda: isinstance(worker.last_error, BrokerError))
            with pytest.raises(BrokerError):
                queue.put("lost?")
            assert (worker.state, worker.is_active) == (WorkerState.RUNNING, True)
            server.start()
            until(lambda: survived(lambda: queue.put(2)))
            until(lambda: 2 in handled)
        assert worker.state is WorkerState.STOPPED
    assert {1, 2} <= set(handled)


def test_what_ends_while_the_broker_is_away_is_acked_later(tmp_path: Path) -> None:
    with RedisServer(tmp_path / "server", persistent=True) as server, RedisQueue(server.url) as queue:

        def handle(item: QueueItem) -> None:
            server.kill()

        with Worker(queue, QUICK, handler=handle) as worker:
            queue.put(1)
            until(lambda: isinstance(worker.last_error, BrokerError))
            assert worker.processed == 1
            server.start()
            until(lambda: survived(lambda: queue.join(PATIENCE)))
        assert (worker.processed, queue.stats().dead) == (1, 0)
