"""Blocking put and get over any driver."""

import os
import queue as standard
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from scheduler.errors import (
    BrokerError,
    ConfigurationError,
    MalformedMessageError,
    MessageTooLargeError,
    QueueClosedError,
    QueueEmptyError,
    QueueFullError,
)
from scheduler.queues import InMemoryQueue, QueueConfig, QueueItem, RedisQueue
from scheduler.queues.protocol import MAX_BODY_BYTES
from scheduler.queues.standalone import StandaloneQueue
from tests.queues.alone.conftest import MakeQueue
from tests.queues.alone.waiting import PATIENCE, until
from tests.queues.servers.redis import RedisServer


def test_put_returns_the_item_and_get_the_oldest(queue: StandaloneQueue) -> None:
    put = [queue.put({"n": number}) for number in range(3)]
    got = [queue.get(timeout=PATIENCE) for _ in put]
    assert [(item.id, item.payload, item.attempts) for item in got] == [(item.id, item.payload, 1) for item in put]
    assert [item.attempts for item in put] == [0, 0, 0]
    for item in (*put, *got):
        assert isinstance(item, QueueItem)
        assert item.enqueued_at is not None
        assert abs((datetime.now(UTC) - item.enqueued_at).total_seconds()) < PATIENCE
    assert queue.stats().in_flight == 0, "what get() returns is gone from the queue"


def test_empty_after_the_timeout(make_queue: MakeQueue) -> None:
    for queue in (make_queue(), make_queue(default_timeout=0.05)):
        for arguments in ({"timeout": 0.05}, {"timeout": 0}, {"block": False}):
            with pytest.raises(QueueEmptyError, match="is empty"):
                queue.get(**arguments)
    with pytest.raises(standard.Empty):
        queue.get()
    with pytest.raises(standard.Empty):
        queue.get_nowait()


def test_full_after_the_timeout(make_queue: MakeQueue) -> None:
    queue = make_queue(max_size=2, default_timeout=0.05)
    queue.put(1)
    queue.put_nowait(2)
    assert (queue.full(), queue.empty(), len(queue), queue.qsize()) == (True, False, 2, 2)
    for arguments in ({}, {"timeout": 0.05}, {"timeout": 0}, {"block": False}):
        with pytest.raises(QueueFullError, match="full"):
            queue.put(3, **arguments)
    with pytest.raises(standard.Full):
        queue.put_nowait(3)
    assert [queue.get().payload, queue.get().payload] == [1, 2]
    assert (queue.full(), queue.empty(), len(queue), bool(queue)) == (False, True, 0, True)


def test_a_put_waits_for_room_and_a_get_for_a_message(make_queue: MakeQueue) -> None:
    queue = make_queue(max_size=1)
    with ThreadPoolExecutor(2) as threads:
        getting = threads.submit(queue.get, timeout=PATIENCE)
        queue.put("first", timeout=PATIENCE)
        assert getting.result().payload == "first"
        queue.put("second")
        putting = threads.submit(queue.put, "third", timeout=PATIENCE)
        assert queue.get(timeout=PATIENCE).payload == "second"
        assert queue.get(timeout=PATIENCE).payload == "third"
        assert putting.result().payload == "third"


def test_delay(queue: StandaloneQueue) -> None:
    queue.put("later", delay=0.2)
    assert queue.qsize() == 1
    assert queue.get(timeout=PATIENCE).payload == "later"


def test_a_negative_timeout_is_refused(memory: InMemoryQueue) -> None:
    with pytest.raises(ValueError, match="non-negative"):
        memory.get(timeout=-1)


@pytest.mark.parametrize(
    "payload", [{1, 2}, b"bytes", float("nan"), object(), datetime.now(UTC)], ids=lambda payload: type(payload).__name__
)
def test_only_json_may_be_put(memory: InMemoryQueue, payload: object) -> None:
    with pytest.raises(MalformedMessageError, match="JSON"):
        memory.put(payload)


def test_a_reference_has_to_be_put_for_what_is_large(memory: InMemoryQueue) -> None:
    with pytest.raises(MessageTooLargeError, match="reference"):
        memory.put("x" * MAX_BODY_BYTES)
    assert memory.empty()


def test_close_ends_whoever_waits(make_queue: MakeQueue) -> None:
    queue, full = make_queue(), make_queue(max_size=1)
    full.put("only")
    with ThreadPoolExecutor(3) as threads:
        waiting = [threads.submit(queue.get), threads.submit(full.put, "one more")]
        # Not list(), which asks for the length first.
        iterating = threads.submit(lambda: sum(1 for _ in queue))
        until(lambda: len(queue._waiting) == 2 and len(full._waiting) == 1)
        queue.close()
        full.close()
        for each in waiting:
            with pytest.raises(QueueClosedError, match="make a new one"):
                each.result(PATIENCE)
        assert iterating.result(PATIENCE) == 0


def test_a_closed_queue_says_so(queue: StandaloneQueue) -> None:
    queue.close()
    queue.close()
    for use in (lambda: queue.put(1), queue.get, queue.qsize, queue.join, queue.get_nowait):
        with pytest.raises(QueueClosedError, match="is closed: make a new one"):
            use()
    assert (list(queue), len(queue)) == ([], 0)


def test_with_closes_it() -> None:
    with InMemoryQueue() as queue:
        queue.put(1)
    with pytest.raises(QueueClosedError):
        queue.get()


def test_iterating(queue: StandaloneQueue) -> None:
    for number in range(3):
        queue.put(number)
    found = []
    for item in queue:
        found.append(item.payload)
        if len(found) == 3:
            queue.close()
    assert found == [0, 1, 2]


def test_join_waits_until_all_is_worked_off(queue: StandaloneQueue) -> None:
    queue.join()
    queue.put(1)
    with pytest.raises(TimeoutError, match="1 messages are left"):
        queue.join(timeout=0)
    with ThreadPoolExecutor(1) as threads:
        joining = threads.submit(queue.join, PATIENCE)
        queue.get(timeout=PATIENCE)
        joining.result()


def test_many_threads_get_each_message_once(queue: StandaloneQueue) -> None:
    def take() -> list[int]:
        return [item.payload for item in queue]

    with ThreadPoolExecutor(8) as threads:
        taking = [threads.submit(take) for _ in range(4)]
        list(threads.map(queue.put, range(200)))
        queue.join(PATIENCE)
        queue.close()
        assert sorted(number for each in taking for number in each.result(PATIENCE)) == list(range(200))


def test_others_push_json_into_the_list(redis_server: RedisServer) -> None:
    with RedisQueue(redis_server.url, "pushed-by-others") as queue, redis_server.client() as other:
        other.rpush(queue.name, '{"task": "A"}', "no JSON", "[1]")
        assert [queue.get(timeout=PATIENCE).payload for _ in range(2)] == [{"task": "A"}, [1]]
        (dead,) = queue.dead_letters()
        assert dead.body == b"no JSON"
        assert "not JSON" in dead.reason


@pytest.mark.parametrize("timeout", [None, PATIENCE])
def test_an_interrupt_ends_a_get(queue: StandaloneQueue, timeout: float | None) -> None:
    main = threading.main_thread().ident
    assert main is not None

    def interrupt() -> None:
        until(lambda: queue._waiting)
        signal.pthread_kill(main, signal.SIGINT)

    with ThreadPoolExecutor(1) as threads:
        interrupting = threads.submit(interrupt)
        with pytest.raises(KeyboardInterrupt):
            queue.get(timeout=timeout)
        interrupting.result()
    until(lambda: not queue._waiting)
    queue.put(1)
    assert queue.get(timeout=PATIENCE).payload == 1


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_fork_connects_anew(redis_server: RedisServer) -> None:
    with RedisQueue(redis_server.url, "forked") as queue:
        queue.put("by the parent")
        _in_a_child(lambda: queue.put("by the child"))
        assert [queue.get(timeout=PATIENCE).payload for _ in range(2)] == ["by the parent", "by the child"]


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_fork_has_no_part_in_its_parents_memory(memory: InMemoryQueue) -> None:
    def put() -> None:
        with pytest.raises(BrokerError, match="make it after the fork"):
            memory.put(1)
        with pytest.raises(BrokerError, match="make it after the fork"):
            memory.get()
        with InMemoryQueue() as own:
            own.put(1)
            assert own.qsize() == 1

    memory.qsize()
    _in_a_child(put)
    assert memory.empty()


def _in_a_child(act: object) -> None:
    pid = os.fork()
    if pid == 0:
        try:
            act()  # type: ignore[operator]
        except BaseException:
            os._exit(1)
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"max_size": 0}, "max_size is 0; write at least 1"),
        ({"default_timeout": -1}, "default_timeout is -1; write at least 0"),
        ({"ttl_seconds": 0}, "ttl_seconds is 0; write more than 0"),
        ({"visibility_seconds": float("nan")}, "visibility_seconds is nan"),
    ],
)
def test_a_config_out_of_range_is_refused(config: dict[str, float], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        QueueConfig(**config)  # type: ignore[arg-type]
