"""The queues behind one message queue: their names, their arguments, and how they are declared."""

from dataclasses import dataclass
from math import ceil, floor, log10

from aio_pika.abc import AbstractConnection
from aio_pika.exceptions import ChannelClosed
from pamqp.common import FieldTable

from scheduler.queues.protocol import QueueOptions

LONGEST_DELAY_SECONDS = 40 * 86_400.0
"""RabbitMQ takes no time to live of 2**32 ms and more."""

_NO_LIMIT = 1_000_000_000
"""RabbitMQ 4 drops by itself what was delivered more than 20 times; who gives up here is the driver, with a reason."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Which queues belong to a message queue of this name."""

    name: str
    options: QueueOptions

    @property
    def dead(self) -> str:
        return f"{self.name}.dead"

    def wait(self, milliseconds: int) -> str:
        return f"{self.name}.wait.{milliseconds}ms"

    @property
    def arguments(self) -> FieldTable:
        return _quorum() if self.options.durable else {"x-queue-type": "classic"}

    def wait_arguments(self, milliseconds: int) -> FieldTable:
        # At least once, and so a quorum queue: what is due while NAME is full by a policy, or has no leader yet after a
        # restart, would be lost otherwise. Nor does it expire: `x-expires` doesn't ask whether a queue is empty.
        return _quorum() | {
            "x-dead-letter-exchange": "",
            "x-dead-letter-routing-key": self.name,
            "x-dead-letter-strategy": "at-least-once",
            "x-overflow": "reject-publish",
            "x-message-ttl": milliseconds,
        }

    async def declare(self, connection: AbstractConnection) -> str | None:
        """Declare the queue and that of its dead letters; what RabbitMQ says where the queue is there, but otherwise.

        Such a queue is used as it is: it isn't ours to delete.
        """
        await _declare(connection, self.dead, _quorum())
        return await _declare(connection, self.name, self.arguments)


def wait_milliseconds(delay: float) -> int:
    """A delay in seconds, rounded up to two digits: at most 90 wait queues between a second and ten, and so on."""
    milliseconds = max(delay * 1000, 1.0)
    step: int = 10 ** max(floor(log10(milliseconds)) - 1, 0)
    return ceil(milliseconds / step) * step


def _quorum() -> FieldTable:
    return {"x-queue-type": "quorum", "x-delivery-limit": _NO_LIMIT}


async def _declare(connection: AbstractConnection, name: str, arguments: FieldTable) -> str | None:
    # A refusal closes the channel.
    try:
        async with connection.channel() as channel:
            await channel.declare_queue(name, durable=True, arguments=arguments)
    except ChannelClosed as refusal:
        async with connection.channel() as channel:
            await channel.declare_queue(name, passive=True)
        return str(refusal)
    return None
