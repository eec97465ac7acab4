"""Queues on their own, over each driver whose server is here: fresh ones, closed with their test."""

from collections.abc import Callable, Iterator
from uuid import uuid4

import pytest

from scheduler.queues import InMemoryQueue, QueueConfig, RedisQueue
from scheduler.queues.standalone import StandaloneQueue
from tests.queues.servers.redis import RedisServer

MakeQueue = Callable[..., StandaloneQueue]


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(params=["memory", "redis"])
def make_queue(request: pytest.FixtureRequest) -> Iterator[MakeQueue]:
    """`make_queue(max_size=1)`: a queue of a name of its own."""
    made: list[StandaloneQueue] = []

    def make(**config: object) -> StandaloneQueue:
        chosen = QueueConfig(**config)  # type: ignore[arg-type]  # as QueueConfig has them
        queue: StandaloneQueue
        if request.param == "memory":
            queue = InMemoryQueue(chosen)
        else:
            queue = RedisQueue(request.getfixturevalue("redis_server").url, f"queue-{uuid4().hex}", chosen)
        made.append(queue)
        return queue

    yield make
    for queue in made:
        queue.close()


@pytest.fixture
def queue(make_queue: MakeQueue) -> StandaloneQueue:
    return make_queue()


@pytest.fixture
def memory() -> Iterator[InMemoryQueue]:
    with InMemoryQueue() as queue:
        yield queue
