"""A message queue of SQS: what the eight methods mean there."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from math import ceil
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit, urlunsplit

from scheduler.clock import monotonic
from scheduler.errors import BrokerError, ConfigurationError
from scheduler.queues.payload import check_size, message_id
from scheduler.queues.protocol import DeadLetter, Delivery, QueueOptions, QueueStats, never_acked
from scheduler.queues.sqs.connection import FIFO, LONGEST_POLL_SECONDS, Connection
from scheduler.queues.sqs.failures import FAILURES, explained, is_absent, is_stale
from scheduler.queues.sqs.messages import (
    LONGEST_DELAY_SECONDS,
    LONGEST_VISIBILITY_SECONDS,
    Receipt,
    Received,
    attributes,
    content,
    deduplication_id,
)

if TYPE_CHECKING:
    from types_aiobotocore_sqs import SQSClient
    from types_aiobotocore_sqs.type_defs import BatchResultErrorEntryTypeDef

_AT_ONCE = 10
"""What SQS takes and gives in one call."""
_LOOK_SECONDS = 10
"""How long dead letters that somebody looks at are hidden from others who look, should we die."""


class SqsMessageQueue:
    """A message queue of SQS; one of the name `….fifo` gives its messages one after the other.

    `url` is None for AWS's own, or an endpoint such as http://localhost:4566, in both cases with `region` or
    `?region=…`, else the region and always the credentials are where AWS's own tools look for them. Connects when it is
    first used, and makes the queue where there is none. For one event loop.
    """

    def __init__(
        self, url: str | None, name: str, options: QueueOptions | None = None, *, region: str | None = None
    ) -> None:
        self.name = name
        self._options = options or QueueOptions()
        endpoint, named = _endpoint(url)
        self._connection = Connection(endpoint, region or named, name, self._options)
        self._receiving: set[asyncio.Task[list[Delivery]]] = set()
        self._handing_back: set[asyncio.Task[None]] = set()
        self._closed = False

    async def publish(self, body: bytes, *, id: str | None = None, delay: float = 0.0) -> str:  # noqa: A002 - the message's
        """As the protocol says. Above 15 minutes of `delay`, and to the second, it is the receiver who sees to it.

        A .fifo queue delays none: BrokerError.
        """
        check_size(body)
        named = message_id(id)
        if delay > 0 and self.name.endswith(FIFO):
            raise BrokerError(
                f"Message queue {self.name!r}: SQS delays no single message of a .fifo queue. "
                "Publish it without a delay, or to a queue of another name."
            )
        await self._send(body, named, delay=max(delay, 0.0))
        return named

    async def receive(self, limit: int, *, wait: float) -> list[Delivery]:
        # Not cut short with its caller: SQS would hand messages to a question that nobody waits for any more.
        receiving = asyncio.create_task(self._receive(limit, monotonic() + wait))
        self._receiving.add(receiving)
        receiving.add_done_callback(self._receiving.discard)
        try:
            return await asyncio.shield(receiving)
        except asyncio.CancelledError:
            if receiving.cancelled():  # by close()
                return []
            receiving.add_done_callback(self._hand_back)
            raise

    async def ack(self, deliveries: Sequence[Delivery]) -> None:
        for some in _tens(self._claimed(deliveries)):
            async with self._asking() as client:
                answer = await client.delete_message_batch(
                    QueueUrl=self._connection.queue,
                    Entries=[{"Id": str(number), "ReceiptHandle": each.handle} for number, each in enumerate(some)],
                )
            self._check(answer.get("Failed", []))

    async def nack(self, delivery: Delivery, *, delay: float = 0.0, dead: str | None = None) -> None:
        for receipt in self._claimed([delivery]):
            if dead is None and delivery.deliveries >= self._options.max_deliveries:
                dead = never_acked(delivery.deliveries)
            try:
                await self._put_back(delivery, receipt, delay, dead)
            except BaseException:
                receipt.until = monotonic() + self._options.visibility_seconds
                raise

    async def extend(self, deliveries: Sequence[Delivery]) -> None:
        seconds = self._visibility
        held = [receipt for delivery in deliveries if (receipt := _held(delivery))]
        for some in _tens(held):
            async with self._asking() as client:
                answer = await client.change_message_visibility_batch(
                    QueueUrl=self._connection.queue,
                    Entries=[
                        {"Id": str(number), "ReceiptHandle": each.handle, "VisibilityTimeout": seconds}
                        for number, each in enumerate(some)
                    ],
                )
            self._check(answer.get("Failed", []))
            for each in some:
                each.until = monotonic() + seconds

    async def stats(self) -> QueueStats:
        """As SQS estimates them, up to a minute late. What was handed back with a delay counts as `in_flight`."""
        waiting, delayed, in_flight = await self._counts(dead=False)
        return QueueStats(waiting, delayed, in_flight, sum(await self._counts(dead=True)))

    async def health(self) -> list[str]:
        async with self._asking() as client:
            answer = await client.get_queue_attributes(
                QueueUrl=self._connection.queue, AttributeNames=["MessageRetentionPeriod"]
            )
        days = int(answer.get("Attributes", {}).get("MessageRetentionPeriod", 0)) / 86_400
        found = []
        if self._options.max_length is not None:
            found.append(f"Message queue {self.name!r}: SQS has no max_length, and takes as many messages as come.")
        if days < self._options.visibility_seconds / 86_400 or days < 1:
            found.append(
                f"Message queue {self.name!r}: SQS drops every message after {days:.1f} days. "
                "Set its MessageRetentionPeriod to 14 days."
            )
        return found

    async def dead_letters(self, limit: int = 100) -> list[DeadLetter]:
        """The oldest `limit` messages that were given up."""
        found: dict[str, Received] = {}
        async with self._asking() as client:
            dead = self._connection.dead
            try:
                while len(found) < limit:
                    some = await self._call(client, dead, min(limit - len(found), _AT_ONCE), _LOOK_SECONDS, 0)
                    if not {each.message["MessageId"] for each in some} - found.keys():
                        break
                    found |= {each.message["MessageId"]: each for each in some}
            finally:
                for each in found.values():
                    handle = each.message["ReceiptHandle"]
                    await client.change_message_visibility(QueueUrl=dead, ReceiptHandle=handle, VisibilityTimeout=0)
        return [each.dead_letter() for each in found.values()]

    async def close(self) -> None:
        self._closed = True
        for task in (*self._receiving, *self._handing_back):
            task.cancel()
        await asyncio.gather(*self._receiving, *self._handing_back, return_exceptions=True)
        await self._connection.close()

    @property
    def _visibility(self) -> int:
        return _seconds(self._options.visibility_seconds, LONGEST_VISIBILITY_SECONDS)

    async def _receive(self, limit: int, deadline: float) -> list[Delivery]:
        found: list[Delivery] = []
        while len(found) < limit:
            left = max(deadline - monotonic(), 0.0) if not found else 0.0
            until = monotonic() + self._visibility
            async with self._asking() as client:
                some = await self._call(
                    client,
                    self._connection.queue,
                    min(limit - len(found), _AT_ONCE),
                    self._visibility,
                    _seconds(left, LONGEST_POLL_SECONDS),
                )
            found += [each.delivery(until) for each in some if await self._is_for_somebody(each, until)]
            if (found and len(some) < _AT_ONCE) or (not some and monotonic() >= deadline):
                break
        return found

    async def _call(self, client: "SQSClient", url: str, count: int, hidden: int, wait: int) -> list[Received]:
        answer = await client.receive_message(
            QueueUrl=url,
            MaxNumberOfMessages=count,
            VisibilityTimeout=hidden,
            WaitTimeSeconds=wait,
            MessageAttributeNames=["All"],
            MessageSystemAttributeNames=["ApproximateReceiveCount", "SentTimestamp"],
        )
        return [Received(message) for message in answer.get("Messages", [])]

    async def _is_for_somebody(self, received: Received, until: float) -> bool:
        """Whether it is to be received: neither too early, nor too late, nor too often."""
        delivery, now, ttl = received.delivery(until), time.time(), self._options.ttl_seconds
        assert isinstance(delivery.receipt, Receipt)
        due = received.due
        if due is not None and due > now:
            await self._hide(delivery.receipt, due - now)
            return False
        if ttl is not None and delivery.deliveries == 1 and max(received.sent, due or 0.0) + ttl < now:
            await self.ack([delivery])
            return False
        if delivery.deliveries > self._options.max_deliveries:
            await self.nack(delivery, dead=never_acked(delivery.deliveries - 1))
            return False
        return True

    async def _put_back(self, delivery: Delivery, receipt: Receipt, delay: float, dead: str | None) -> None:
        if dead is None and delay < LONGEST_VISIBILITY_SECONDS - self._options.visibility_seconds:
            return await self._hide(receipt, delay)
        await self._send(delivery.body, delivery.id, delay=delay, deliveries=delivery.deliveries, reason=dead)
        async with self._asking() as client:
            await client.delete_message(QueueUrl=self._connection.queue, ReceiptHandle=receipt.handle)
        return None

    async def _hide(self, receipt: Receipt, seconds: float) -> None:
        async with self._asking() as client:
            await client.change_message_visibility(
                QueueUrl=self._connection.queue,
                ReceiptHandle=receipt.handle,
                VisibilityTimeout=_seconds(seconds, LONGEST_VISIBILITY_SECONDS - self._visibility),
            )

    async def _send(
        self,
        body: bytes,
        id: str,  # noqa: A002 - the message's
        *,
        delay: float = 0.0,
        deliveries: int = 0,
        reason: str | None = None,
    ) -> None:
        text, how = content(body)
        due = time.time() + delay if delay > LONGEST_DELAY_SECONDS and reason is None else None
        order: dict[str, Any] = {"DelaySeconds": _seconds(delay, LONGEST_DELAY_SECONDS)}
        if self.name.endswith(FIFO):
            order = {"MessageGroupId": "scheduler", "MessageDeduplicationId": deduplication_id(id, deliveries)}
        elif reason is not None:
            order = {}
        async with self._asking() as client:
            await client.send_message(
                QueueUrl=self._connection.queue if reason is None else self._connection.dead,
                MessageBody=text,
                MessageAttributes=how | attributes(id, due=due, deliveries=deliveries, reason=reason),
                **order,
            )

    def _hand_back(self, receiving: asyncio.Task[list[Delivery]]) -> None:
        """What nobody waits for any more."""
        if receiving.cancelled() or receiving.exception() is not None or self._closed:
            return
        for receipt in self._claimed(receiving.result()):
            task = asyncio.create_task(self._hand_back_unseen(receipt))
            self._handing_back.add(task)
            task.add_done_callback(self._handing_back.discard)

    async def _hand_back_unseen(self, receipt: Receipt) -> None:
        with suppress(BrokerError):  # it comes back by itself as well
            await self._hide(receipt, 0)

    async def _counts(self, *, dead: bool) -> tuple[int, int, int]:
        async with self._asking() as client:
            answer = await client.get_queue_attributes(
                QueueUrl=self._connection.dead if dead else self._connection.queue,
                AttributeNames=[
                    "ApproximateNumberOfMessages",
                    "ApproximateNumberOfMessagesDelayed",
                    "ApproximateNumberOfMessagesNotVisible",
                ],
            )
        found = answer["Attributes"]
        return (
            int(found["ApproximateNumberOfMessages"]),
            int(found["ApproximateNumberOfMessagesDelayed"]),
            int(found["ApproximateNumberOfMessagesNotVisible"]),
        )

    def _claimed(self, deliveries: Iterable[Delivery]) -> list[Receipt]:
        """What is still ours to decide on, and from now on nobody else's."""
        held = [receipt for delivery in deliveries if (receipt := _held(delivery))]
        for receipt in held:
            receipt.until = 0.0
        return held

    def _check(self, failed: "Sequence[BatchResultErrorEntryTypeDef]") -> None:
        """Raises BrokerError for what went wrong in a batch, unless it was only too late."""
        for each in failed:
            if not is_stale(each["Code"]):
                raise BrokerError(f"Message queue {self.name!r}: SQS refuses ({each.get('Message') or each['Code']}).")

    @asynccontextmanager
    async def _asking(self) -> AsyncIterator["SQSClient"]:
        """Around each call; what fails becomes a BrokerError."""
        if self._closed:
            raise self._was_closed()
        try:
            yield await self._connection.client()
        except FAILURES as error:
            if self._closed:
                raise self._was_closed() from error
            if is_absent(error):
                self._connection.forget()
            raise explained(error, self.name) from error

    def _was_closed(self) -> BrokerError:
        return BrokerError(f"Message queue {self.name!r} was closed: open it again.")


def _held(delivery: Delivery) -> Receipt | None:
    receipt = delivery.receipt
    return receipt if isinstance(receipt, Receipt) and receipt.until > monotonic() else None


def _tens(receipts: Sequence[Receipt]) -> Iterator[Sequence[Receipt]]:
    return (receipts[first : first + _AT_ONCE] for first in range(0, len(receipts), _AT_ONCE))


def _seconds(given: float, most: int) -> int:
    """SQS counts in whole seconds: rather too late than too early."""
    return min(ceil(max(given, 0.0)), most)


def _endpoint(url: str | None) -> tuple[str | None, str | None]:
    """Its endpoint and its region, of an url such as https://sqs.eu-west-1.amazonaws.com or sqs://?region=eu-west-1."""
    if not url:
        return None, None
    parts = urlsplit(url)
    region = parse_qs(parts.query).get("region", [None])[0]
    if parts.scheme == "sqs" and not parts.path.strip("/"):
        return None, region or parts.hostname
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigurationError(
            "The url of a driver of kind sqs is sqs://REGION, or an endpoint such as http://localhost:4566?region=us-east-1."
        )
    return urlunsplit((parts.scheme, parts.netloc, parts.path, "", "")), region
