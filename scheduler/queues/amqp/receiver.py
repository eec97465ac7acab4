"""The deliveries of one channel: taken when they are asked for, and kept no longer than their time.

There is no buffer: each `take` is a consumer of its own, to which RabbitMQ sends as many messages as were asked for.
What were prefetched beyond that would count as delivered each time that a process ends, though nobody has seen it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from aio_pika.abc import AbstractChannel
from aiormq.abc import AbstractChannel as Wire
from aiormq.abc import DeliveredMessage
from pamqp.common import FieldTable

from scheduler.clock import monotonic
from scheduler.queues.amqp.copies import DELIVERIES, EXPIRES, FOREIGN, header
from scheduler.queues.protocol import Delivery

_MOST = 65_535
"""What fits into the field of AMQP that says how many may come."""
_KEEP: FieldTable = {"x-consumer-timeout": int(timedelta(days=40).total_seconds() * 1000)}
"""RabbitMQ takes back what was held for half an hour; from 4.3 on it listens to a receiver that needs longer."""


@dataclass(slots=True, eq=False)
class Held:
    """A message in our hands, until a moment on the monotonic clock."""

    receiver: "Receiver"
    message: DeliveredMessage
    until: float
    id: str = field(init=False)
    foreign: bool = field(init=False)
    deliveries: int = field(init=False)
    """Those of its earlier copies, those that RabbitMQ counts or at least remembers, and this one."""

    def __post_init__(self) -> None:
        message, given = self.message, self.message.header.properties.message_id
        self.id, self.foreign = given or uuid4().hex, not given or bool(header(message, FOREIGN, bool))
        by_broker = header(message, "x-delivery-count", int) or int(bool(message.redelivered))
        self.deliveries = (header(message, DELIVERIES, int) or 0) + by_broker + 1

    @property
    def tag(self) -> int:
        assert self.message.delivery_tag is not None
        return self.message.delivery_tag

    @property
    def has_expired(self) -> bool:
        """Whether nobody received it in time; only one that had a delay says so itself."""
        expires = header(self.message, EXPIRES, int)
        return expires is not None and self.deliveries == 1 and expires < datetime.now(UTC).timestamp() * 1000

    def delivery(self) -> Delivery:
        sent = self.message.header.properties.timestamp
        return Delivery(self.id, self.message.body, self.deliveries, sent, foreign=self.foreign, receipt=self)


class Wait:
    """For the first message, or for somebody who says that there is nothing to wait for any more."""

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self.is_over = False

    def wake(self) -> None:
        self._event.set()

    def end(self) -> None:
        self.is_over = True
        self._event.set()

    async def until(self, deadline: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(max(deadline - monotonic(), 0.0)):
                await self._event.wait()
        if not self.is_over:
            self._event.clear()


class Receiver:
    """What one channel holds. `overdue` is called with each message whose time is over."""

    def __init__(
        self,
        channel: AbstractChannel,
        wire: Wire,
        queue: str,
        seconds: float,
        overdue: Callable[[Held], Awaitable[None]],
    ) -> None:
        self.held: dict[int, Held] = {}
        self._channel, self._wire = channel, wire
        self._queue, self._seconds, self._overdue = queue, seconds, overdue
        self._beginning = asyncio.Lock()
        self._waits: set[Wait] = set()
        self._watch: asyncio.Task[None] | None = None
        channel.close_callbacks.add(self._broke)
        wire.on_consumer_cancel_callbacks.add(self._broke)

    async def take(self, limit: int, deadline: float, wait: Wait) -> list[Held]:
        """Up to `limit` messages, the first of which may come until `deadline`."""
        taken: list[Held] = []

        async def keep(message: DeliveredMessage) -> None:
            held = Held(self, message, monotonic() + self._seconds)
            self.held[held.tag] = held
            taken.append(held)
            wait.wake()

        async with self._beginning:
            await self._wire.basic_qos(prefetch_count=min(limit, _MOST))  # for the consumer that begins next
            consumer = (await self._wire.basic_consume(self._queue, keep, arguments=_KEEP)).consumer_tag
        assert consumer is not None
        self._waits.add(wait)
        try:
            await wait.until(deadline)
        finally:
            self._waits.discard(wait)
        await self._wire.basic_cancel(consumer)  # its answer comes after the last message
        if taken and (self._watch is None or self._watch.done()):
            self._watch = asyncio.create_task(self._watch_times())
        return taken

    def claim(self, delivery: Delivery) -> Held | None:
        """What is still ours to decide on, and from now on nobody else's."""
        held = delivery.receipt
        if not isinstance(held, Held) or held.receiver is not self or held.until <= monotonic():
            return None
        return self.held.pop(held.tag, None)

    def extend(self, deliveries: Iterable[Delivery]) -> None:
        now = monotonic()
        for delivery in deliveries:
            held = delivery.receipt
            if isinstance(held, Held) and held.tag in self.held and held.until > now:
                held.until = now + self._seconds

    async def ack(self, held: Iterable[Held]) -> None:
        tags = [each.tag for each in held]
        for tag in tags[:-1]:
            await self._wire.basic_ack(tag, wait=False)
        for tag in tags[-1:]:
            await self._wire.basic_ack(tag)

    async def requeue(self, held: Held) -> None:
        await self._wire.basic_nack(held.tag, requeue=True)

    def close(self) -> None:
        """Nothing is held any more: the channel is closed, and RabbitMQ gives its messages to others."""
        self.held.clear()
        self._broke()
        if self._watch is not None:
            self._watch.cancel()

    def _broke(self, *_: object) -> None:
        for wait in list(self._waits):
            wait.wake()

    async def _watch_times(self) -> None:
        while self.held:
            await asyncio.sleep(max(min(held.until for held in self.held.values()) - monotonic(), 0.0))
            now = monotonic()
            for held in sorted((held for held in self.held.values() if held.until <= now), key=lambda held: held.until):
                if self.held.pop(held.tag, None):
                    await self._overdue(held)
