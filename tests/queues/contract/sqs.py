"""The driver sqs, over moto's server, which lives in memory."""

from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest
from aiobotocore.session import get_session

from scheduler.queues.protocol import DeadLetter, MessageQueue, QueueOptions
from scheduler.queues.sqs import SqsMessageQueue
from tests.queues.contract.adapter import Feature
from tests.queues.servers.sqs import ENVIRONMENT, SqsServer


class Sqs:
    lacks: frozenset[Feature] = frozenset({"bytes", "restart", "max_length", "ttl", "order", "once"})
    moment = 1.0

    def __init__(self, folder: Path) -> None:
        self._server = SqsServer(folder)
        self._stack = ExitStack()
        self.url = self._server.url

    def __enter__(self) -> Self:
        environment = self._stack.enter_context(pytest.MonkeyPatch.context())
        for name, value in ENVIRONMENT.items():
            environment.setenv(name, value)
        self._stack.enter_context(self._server)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._stack.close()

    def open(self, name: str, options: QueueOptions) -> MessageQueue:
        return SqsMessageQueue(self.url, name, options)

    async def push(self, name: str, body: bytes) -> None:
        async with self._client() as client:
            queue = await client.get_queue_url(QueueName=name)
            await client.send_message(QueueUrl=queue["QueueUrl"], MessageBody=body.decode())

    async def dead(self, queue: MessageQueue) -> list[DeadLetter]:
        assert isinstance(queue, SqsMessageQueue)
        return await queue.dead_letters()

    async def purge(self, name: str) -> None:
        async with self._client() as client:
            queue = await client.get_queue_url(QueueName=name)
            await client.purge_queue(QueueUrl=queue["QueueUrl"])

    def stop(self) -> None:
        raise NotImplementedError

    def start(self) -> None:
        raise NotImplementedError

    def _client(self) -> Any:
        return get_session().create_client("sqs", endpoint_url=self.url)
