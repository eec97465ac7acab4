"""What a message queue of any broker can do: eight methods, the same for memory, redis, amqp and sqs.

Whoever receives holds a delivery for `visibility_seconds` (`QueueOptions`), and acks it, extends it, or hands it back
before they are over; what none of these befalls comes back by itself, so that a dead consumer loses nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

MAX_BODY_BYTES = 262_144
"""What every driver accepts as the JSON of one message. Larger things belong where a reference points to."""


@dataclass(frozen=True, slots=True)
class QueueOptions:
    """How a message queue behaves; `queues.<name>.options` of the settings."""

    durable: bool = True
    """Whether messages outlive a restart of the broker, where the broker lets us choose."""
    max_length: int | None = None
    """Messages that may wait; publishing more raises QueueFullError. None: as many as the broker holds."""
    ttl_seconds: float | None = None
    """Seconds after which a message that nobody received is dropped, from when it could be. None: never."""
    max_deliveries: int = 5
    """Deliveries after which a message that is handed back, or whose time runs out, goes to the dead letter queue."""
    visibility_seconds: float = 60.0
    """How long a delivery belongs to its receiver unless extended."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message in the hands of one receiver."""

    id: str
    """The publisher's id of the message; the same for each delivery of it. One is made up where `foreign`."""
    body: bytes
    """The JSON text, as it came; not yet parsed."""
    deliveries: int
    """How often it has been delivered, this time included; 1 is the first."""
    enqueued_at: datetime | None
    """When it was published, in UTC; None where the broker doesn't tell."""
    foreign: bool
    """It came without an id, from another program, and can't be told from its own second delivery."""
    receipt: object
    """What the driver needs to ack, extend or hand back this very delivery; nobody else looks inside."""


@dataclass(frozen=True, slots=True)
class QueueStats:
    """How many messages a queue holds; as exact as the broker tells."""

    waiting: int
    delayed: int
    in_flight: int
    dead: int


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that was given up; each driver tells of its own with `dead_letters(limit)`, oldest first."""

    id: str
    body: bytes
    deliveries: int
    reason: str


def never_acked(deliveries: int) -> str:
    """The reason of a dead letter that nobody gave one for."""
    return f"Delivered {deliveries} times and never acked."


class MessageQueue(Protocol):
    """One queue of a broker. Every method may raise BrokerError; the caller tries again with backoff."""

    name: str

    async def publish(self, body: bytes, *, id: str | None = None, delay: float = 0.0) -> str:  # noqa: A002 - the message's
        """Put one message in, safely stored when this returns; the id, made up where none is given.

        After a BrokerError it may be there or not: publish it again with the same id, by which its receiver knows the
        second one. Raises QueueFullError at `max_length`, MessageTooLargeError above `MAX_BODY_BYTES`, and
        MalformedMessageError for an id that is no text of 1 to 255 bytes without control characters.
        """
        ...

    async def receive(self, limit: int, *, wait: float) -> list[Delivery]:
        """Up to `limit` messages, oldest first; waits up to `wait` seconds for the first, and then for no more."""
        ...

    async def ack(self, deliveries: Sequence[Delivery]) -> None:
        """These are done. One whose time has run out may come, or has come, again; what became of it is left alone."""
        ...

    async def nack(self, delivery: Delivery, *, delay: float = 0.0, dead: str | None = None) -> None:
        """Put it back, to be received after `delay` seconds at the earliest.

        At its last delivery it goes to the dead letter queue instead, and at once where `dead` gives a reason, which is
        kept with it.
        """
        ...

    async def extend(self, deliveries: Sequence[Delivery]) -> None:
        """Start their `visibility_seconds` anew."""
        ...

    async def stats(self) -> QueueStats: ...

    async def health(self) -> list[str]:
        """What is to be mended at the broker, a sentence each, such as an evicting `maxmemory-policy`."""
        ...

    async def close(self) -> None:
        """Give connections back. What was received and not acked comes back when its time has run out, or sooner."""
        ...
