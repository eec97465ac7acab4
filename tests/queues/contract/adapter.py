"""What the suite needs of a broker, apart from its driver."""

from pathlib import Path
from types import TracebackType
from typing import Literal, Protocol, Self

from scheduler.queues.protocol import DeadLetter, MessageQueue, QueueOptions

Feature = Literal["foreign", "bytes", "processes", "restart", "max_length", "ttl", "purge", "order", "once"]
"""Messages of other programs; any bytes as their bodies; receivers in other processes; a server that can be restarted
and keeps durable messages; `max_length`; `ttl_seconds`; removing all messages at once; first in, first out;
a message given to one receiver at a time, always."""


class Broker(Protocol):
    """A broker, started once for each pytest process and driver, and its queues. A context manager."""

    lacks: frozenset[Feature]
    """What this broker can't; docs/message-queues.md says so as well."""
    moment: float
    """The shortest time, in seconds, that its delays and visibility can keep to."""
    url: str
    """By which another process finds it."""

    def __init__(self, folder: Path) -> None:
        """`folder` is its own, for data and logs."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None: ...

    def open(self, name: str, options: QueueOptions) -> MessageQueue:
        """A handle of its own to the queue of that name, through the driver."""
        ...

    async def push(self, name: str, body: bytes) -> None:
        """Put a message in as another program would, without an id. The queue has been used before, so it is there."""
        ...

    async def dead(self, queue: MessageQueue) -> list[DeadLetter]:
        """What is in the queue's dead letter queue, oldest first."""
        ...

    async def purge(self, name: str) -> None:
        """Remove every message, past the driver, as an operator might."""
        ...

    def stop(self) -> None:
        """End the server, in order; nobody answers when this returns."""

    def start(self) -> None:
        """Start it again at the same url; it answers when this returns."""
