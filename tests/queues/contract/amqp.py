"""The driver amqp, over one RabbitMQ that all processes of a test run share."""

from pathlib import Path
from types import TracebackType
from typing import Self

import aio_pika
from pamqp.commands import Basic

from scheduler.queues.amqp import AmqpMessageQueue
from scheduler.queues.protocol import DeadLetter, MessageQueue, QueueOptions
from tests.queues.contract.adapter import Feature
from tests.queues.servers.shared import SharedRabbit, shared_folder


class _Nameless(Basic.Properties):
    """Properties without an id, which the library would otherwise make up."""

    @property
    def message_id(self) -> None:
        return None

    @message_id.setter
    def message_id(self, given: str | None) -> None:
        pass


class Amqp:
    # Restarted it is in test_amqp_faults.py, where nobody else uses it.
    lacks: frozenset[Feature] = frozenset({"restart"})
    moment = 0.3

    def __init__(self, folder: Path) -> None:
        self._server = SharedRabbit(shared_folder(folder.parent, "rabbitmq"))

    def __enter__(self) -> Self:
        self._server.__enter__()
        self.url = self._server.url
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._server.__exit__()

    def open(self, name: str, options: QueueOptions) -> MessageQueue:
        return AmqpMessageQueue(self.url, name, options)

    async def push(self, name: str, body: bytes) -> None:
        async with (
            await aio_pika.connect(self.url) as connection,
            connection.channel(publisher_confirms=True) as channel,
        ):
            wire = await channel.get_underlay_channel()
            await wire.basic_publish(body, routing_key=name, properties=_Nameless(delivery_mode=2))

    async def dead(self, queue: MessageQueue) -> list[DeadLetter]:
        assert isinstance(queue, AmqpMessageQueue)
        return await queue.dead_letters()

    async def purge(self, name: str) -> None:
        async with await aio_pika.connect(self.url) as connection, connection.channel() as channel:
            await (await channel.get_queue(name)).purge()

    def stop(self) -> None:
        raise NotImplementedError

    def start(self) -> None:
        raise NotImplementedError
