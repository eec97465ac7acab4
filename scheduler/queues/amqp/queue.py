"""A message queue of RabbitMQ: what the eight methods mean there."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from aio_pika import Message
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractQueue
from aio_pika.exceptions import ChannelNotFoundEntity, DeliveryError, PublishError
from aiormq.abc import DeliveredMessage
from pamqp.common import FieldTable
from yarl import URL

from scheduler.clock import monotonic
from scheduler.errors import BrokerError, ConfigurationError, QueueFullError
from scheduler.queues.amqp import copies
from scheduler.queues.amqp.layout import LONGEST_DELAY_SECONDS, Layout, wait_milliseconds
from scheduler.queues.amqp.link import ANSWER_SECONDS, Link
from scheduler.queues.amqp.receiver import Held, Receiver, Wait
from scheduler.queues.payload import check_size, message_id
from scheduler.queues.protocol import DeadLetter, Delivery, QueueOptions, QueueStats, never_acked

_FAREWELL_SECONDS = 1.0


class AmqpMessageQueue:
    """A message queue of RabbitMQ 3.10 or newer.

    It has two connections: RabbitMQ that is short of memory or disk stops reading from those that publish, and messages
    have to be acked nevertheless.
    """

    def __init__(self, url: str, name: str, options: QueueOptions | None = None) -> None:
        """`url` is amqp://USER:PASSWORD@HOST:PORT/VHOST, or amqps:// with `?cafile=`, `certfile=` and `keyfile=`.

        Raises ConfigurationError for another url. Nothing is connected before it is needed.
        """
        self.name = name
        self._options = options or QueueOptions()
        self._layout = Layout(name, self._options)
        heartbeat = min(max(round(self._options.visibility_seconds / 2), 5), 60)
        parsed = _parsed(url)
        self._writing = Link(parsed, f"scheduler publishes {name}", heartbeat, self._writes)
        self._reading = Link(parsed, f"scheduler receives {name}", heartbeat, self._reads)
        self._receiver: Receiver | None = None
        self._differs: str | None = None
        self._wait_queues: set[str] = set()
        self._known_waits: set[str] = set()
        self._receiving: dict[asyncio.Task[list[Delivery]], Wait] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def publish(self, body: bytes, *, id: str | None = None, delay: float = 0.0) -> str:  # noqa: A002 - the message's
        """As the protocol says; a `delay` is at most 40 days, and rounded up to two digits."""
        check_size(body)
        named = message_id(id)
        if self._options.max_length is not None:
            await self._refuse_when_full(self._options.max_length)
        message = copies.new(
            body, named, durable=self._options.durable, ttl=self._options.ttl_seconds, delay=max(delay, 0.0)
        )
        await self._send(message, delay)
        return named

    async def receive(self, limit: int, *, wait: float) -> list[Delivery]:
        waiting = Wait()
        # Not cut short with its caller: the library closes the channel of a question that isn't waited for any more.
        taking = asyncio.create_task(self._take(limit, wait, waiting))
        self._receiving[taking] = waiting
        taking.add_done_callback(self._receiving.pop)
        try:
            return await asyncio.shield(taking)
        except asyncio.CancelledError:
            waiting.end()
            taking.add_done_callback(self._hand_back)
            await asyncio.wait({taking}, timeout=_FAREWELL_SECONDS)  # until RabbitMQ knows
            raise

    async def ack(self, deliveries: Sequence[Delivery]) -> None:
        receiver = self._receiver
        held = [held for delivery in deliveries if receiver and (held := receiver.claim(delivery))]
        if receiver and held:
            await self._ack(receiver, held)

    async def nack(self, delivery: Delivery, *, delay: float = 0.0, dead: str | None = None) -> None:
        held = self._receiver.claim(delivery) if self._receiver else None
        if held is None:
            return
        try:
            await self._put_back(held, delay, dead)
        except BaseException:
            held.receiver.held.setdefault(held.tag, held)
            raise

    async def extend(self, deliveries: Sequence[Delivery]) -> None:
        if self._receiver is not None:
            self._receiver.extend(deliveries)

    async def stats(self) -> QueueStats:
        """`delayed` and `in_flight` are those of this object: RabbitMQ tells nobody of the others over AMQP."""
        waiting, dead = await self._count(self.name), await self._count(self._layout.dead)
        return QueueStats(waiting, await self._delayed(), len(self._receiver.held) if self._receiver else 0, dead)

    async def health(self) -> list[str]:
        async with self._reading.asking():
            pass
        if self._differs is None:
            return []
        return [
            f"RabbitMQ has a queue {self.name!r} of other arguments, which hold instead of the options: "
            f"{self._differs}. Delete it once it is empty: it is declared anew."
        ]

    async def dead_letters(self, limit: int = 100) -> list[DeadLetter]:
        """The oldest `limit` messages that were given up."""
        found: list[DeadLetter] = []
        async with self._reading.aside() as channel:
            wire = await channel.get_underlay_channel()
            while len(found) < limit:
                message = await wire.basic_get(self._layout.dead)
                if message.delivery_tag is None:
                    break
                found.append(_dead_letter(message))
        return found  # which are back in their place, as their channel is closed

    async def close(self) -> None:
        for waiting in self._receiving.values():
            waiting.end()
        if self._receiving:
            await asyncio.wait(self._receiving, timeout=ANSWER_SECONDS)
        if self._receiver is not None:
            self._receiver.close()
        await self._writing.close()
        await self._reading.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _writes(self, connection: AbstractConnection, channel: AbstractChannel) -> None:
        self._wait_queues.clear()
        self._differs = await self._layout.declare(connection)

    async def _reads(self, connection: AbstractConnection, channel: AbstractChannel) -> None:
        if self._receiver is not None:
            self._receiver.close()
        self._differs = await self._layout.declare(connection)
        self._receiver = Receiver(
            channel,
            await channel.get_underlay_channel(),
            self.name,
            self._options.visibility_seconds,
            self._hand_back_overdue,
        )

    async def _take(self, limit: int, wait: float, waiting: Wait) -> list[Delivery]:
        deadline = monotonic() + wait
        while True:
            async with self._reading.asking(max(deadline - monotonic(), 0.0)):
                assert self._receiver is not None
                if waiting.is_over:
                    return []
                taken = await self._receiver.take(limit, deadline, waiting)
            found = [held.delivery() for held in taken if await self._is_for_somebody(held)]
            if found or waiting.is_over or monotonic() >= deadline:
                return found

    async def _is_for_somebody(self, held: Held) -> bool:
        """Whether it is to be received: neither expired, nor delivered too often to receivers that died."""
        if held.has_expired:
            await self.ack([held.delivery()])
            return False
        if held.deliveries > self._options.max_deliveries:
            await self.nack(held.delivery(), dead=never_acked(held.deliveries - 1))
            return False
        return True

    def _hand_back(self, taking: asyncio.Task[list[Delivery]]) -> None:
        """What nobody waits for any more."""
        if taking.cancelled() or taking.exception() is not None:
            return
        for delivery in taking.result():
            if self._receiver and (held := self._receiver.claim(delivery)):
                task = asyncio.create_task(self._requeue(held))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _hand_back_overdue(self, held: Held) -> None:
        try:
            await self._put_back(held, 0.0, None)
        except (BrokerError, QueueFullError):
            await self._requeue(held)

    async def _requeue(self, held: Held) -> None:
        """Without any copy; where even that fails, the channel is closed and gives back what it held."""
        with suppress(BrokerError):
            await self._requeue_or_raise(held)

    async def _put_back(self, held: Held, delay: float, dead: str | None) -> None:
        if dead is None and held.deliveries >= self._options.max_deliveries:
            dead = never_acked(held.deliveries)
        headers: FieldTable = {copies.DELIVERIES: held.deliveries}
        if dead is not None:
            given_up = copies.again(held.message, held.id, durable=True, headers=headers | {copies.REASON: dead})
            await self._deliver(given_up, self._layout.dead)
        elif delay <= 0 and self._counts and held.message.header.properties.expiration is None:
            return await self._requeue_or_raise(held)
        else:
            copy = copies.again(held.message, held.id, durable=self._options.durable, headers=headers)
            try:
                await self._send(copy, delay)
            except QueueFullError:
                return await self._requeue_or_raise(held)
        return await self._ack(held.receiver, [held])

    async def _ack(self, receiver: Receiver, held: Sequence[Held]) -> None:
        async with self._reading.asking():
            if receiver is self._receiver:  # or else its channel is closed, and they come again
                await receiver.ack(held)

    async def _requeue_or_raise(self, held: Held) -> None:
        async with self._reading.asking():
            if held.receiver is self._receiver:
                await held.receiver.requeue(held)

    @property
    def _counts(self) -> bool:
        """Whether RabbitMQ counts the deliveries itself."""
        return self._options.durable and self._differs is None

    async def _send(self, message: Message, delay: float) -> None:
        if delay <= 0:
            return await self._deliver(message, self.name)
        if delay > LONGEST_DELAY_SECONDS:
            raise BrokerError(
                f"RabbitMQ keeps no message back for {delay:,.0f} s: wait at most {LONGEST_DELAY_SECONDS:,.0f} s."
            )
        milliseconds = wait_milliseconds(delay)
        name = self._layout.wait(milliseconds)
        if name not in self._wait_queues:
            async with self._writing.asking() as channel:
                await channel.declare_queue(name, durable=True, arguments=self._layout.wait_arguments(milliseconds))
            self._wait_queues.add(name)
            self._known_waits.add(name)
        return await self._deliver(message, name)

    async def _deliver(self, message: Message, queue: str) -> None:
        """Put it into a queue, where it is safe once RabbitMQ has confirmed it."""
        async with self._writing.asking() as channel:
            try:
                await channel.default_exchange.publish(message, queue, mandatory=True)
            except PublishError:
                raise
            except DeliveryError as error:
                refused = error
            else:
                return
        # By its own arguments or a policy: nothing else is answered like this.
        raise QueueFullError(f"Message queue {queue!r} is full: RabbitMQ takes no more for it.") from refused

    async def _refuse_when_full(self, room: int) -> None:
        """Not by an argument of the queue: a quorum queue lets pass more, and no argument can be changed later."""
        async with self._writing.asking() as channel:
            waiting = _length(await channel.declare_queue(self.name, passive=True))
        if waiting + await self._delayed() >= room:
            raise QueueFullError(f"Message queue {self.name!r} is full: its max_length of {room} messages wait.")

    async def _delayed(self) -> int:
        return sum([await self._count(name) for name in sorted(self._known_waits)])

    async def _count(self, queue: str) -> int:
        async with self._reading.aside() as channel:
            try:
                return _length(await channel.declare_queue(queue, passive=True))
            except ChannelNotFoundEntity:
                return 0


def _parsed(url: str) -> URL:
    try:
        parsed = URL(url)
    except ValueError:
        parsed = URL()
    if parsed.scheme not in ("amqp", "amqps") or not parsed.host:
        raise ConfigurationError(
            "The url of a driver of kind amqp is amqp://USER:PASSWORD@HOST:PORT/VHOST, or amqps://…."
        )
    return parsed


def _length(declared: AbstractQueue) -> int:
    return declared.declaration_result.message_count or 0


def _dead_letter(message: DeliveredMessage) -> DeadLetter:
    return DeadLetter(
        id=message.header.properties.message_id or "",
        body=message.body,
        deliveries=copies.header(message, copies.DELIVERIES, int) or 0,
        reason=copies.header(message, copies.REASON, str) or "",
    )
