"""The driver memory: its broker is a collection in this process."""

from pathlib import Path
from types import TracebackType
from typing import Self

from scheduler.queues.memory import MemoryBroker, MemoryQueue
from scheduler.queues.protocol import DeadLetter, MessageQueue, QueueOptions
from tests.queues.contract.adapter import Feature


class Memory:
    lacks: frozenset[Feature] = frozenset({"foreign", "processes", "restart", "purge"})
    moment = 0.2
    url = "memory://"

    def __init__(self, folder: Path) -> None:
        self._broker = MemoryBroker()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        pass

    def open(self, name: str, options: QueueOptions) -> MessageQueue:
        return MemoryQueue(name, options, broker=self._broker)

    async def dead(self, queue: MessageQueue) -> list[DeadLetter]:
        assert isinstance(queue, MemoryQueue)
        return await queue.dead_letters()

    async def push(self, name: str, body: bytes) -> None:
        raise NotImplementedError

    async def purge(self, name: str) -> None:
        raise NotImplementedError

    def stop(self) -> None:
        raise NotImplementedError

    def start(self) -> None:
        raise NotImplementedError
