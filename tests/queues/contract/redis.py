"""The driver redis, over a Valkey or Redis server with an append-only file."""

from pathlib import Path
from types import TracebackType
from typing import Self

from scheduler.queues.protocol import DeadLetter, MessageQueue, QueueOptions
from scheduler.queues.redis import RedisMessageQueue
from tests.queues.contract.adapter import Feature
from tests.queues.servers.redis import RedisServer


class Redis:
    lacks: frozenset[Feature] = frozenset()
    moment = 0.2

    def __init__(self, folder: Path) -> None:
        self._server = RedisServer(folder, persistent=True)
        self.url = self._server.url

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._server.kill()

    def open(self, name: str, options: QueueOptions) -> MessageQueue:
        return RedisMessageQueue(self.url, name, options)

    async def push(self, name: str, body: bytes) -> None:
        with self._server.client() as client:
            client.rpush(name, body)

    async def dead(self, queue: MessageQueue) -> list[DeadLetter]:
        assert isinstance(queue, RedisMessageQueue)
        return await queue.dead_letters()

    async def purge(self, name: str) -> None:
        with self._server.client() as client:
            client.flushall()

    def stop(self) -> None:
        self._server.stop()

    def start(self) -> None:
        self._server.start()
