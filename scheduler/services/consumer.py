"""consumer: turns the messages of a queue into executions. Read, write, then ack: a batch a round.

    receive ──► in hand ──► job_messages + job_executions, one commit ──► ack
                   │  ▲ no room, or no database: kept, and extended
                   └─► no JSON, or nothing that the handler takes: the dead letter queue, with the reason

What is not acked comes back from the broker, and is known by then: whatever is lost between two of these steps is done
again without being done twice. Only a message that came without an id can't be told from its own second delivery.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from scheduler import failpoints
from scheduler.clock import monotonic
from scheduler.errors import MalformedMessageError, ParamsError
from scheduler.messages import log
from scheduler.queues.payload import MAX_ID_BYTES, decode
from scheduler.queues.protocol import Delivery, MessageQueue
from scheduler.services.options import ConsumerOptions
from scheduler.services.wakeups import Bell
from scheduler.store.messages import Destination, Messages

READ_SECONDS = 1.0
"""How long a round waits for messages, or for what its consumer depends on."""
BATCH = 200
"""Messages of a round: at most 50 MB of them."""
QUEUE = "default"
"""Where the executions wait."""
FIRST_PAUSE_SECONDS = 0.02
LONGEST_PAUSE_SECONDS = 0.5
"""Between two looks for room: doubled while there is none, cut short by a claim of this process."""
LONGEST_KEEP_SECONDS = 20.0
"""What is in hand is extended at least so often, and three times within its visibility."""
FOREIGN_SECONDS = 60.0
"""How often messages without an id are told of."""

Fits = Callable[[str], object]
"""Raises ParamsError for JSON that the handler does not take."""
Missing = Callable[[], Awaitable[Sequence[str]]]
"""What has to be up before a consumer starts, and isn't."""


@dataclass(slots=True)
class Counts:
    """Of one consumer in this process."""

    made: int = 0
    known: int = 0
    """Deliveries of messages that had an execution already."""
    refused: int = 0
    foreign: int = 0


@dataclass(frozen=True, slots=True)
class _Held:
    delivery: Delivery
    id: str
    params: str


class Consumer:
    def __init__(
        self,
        options: ConsumerOptions,
        queue: MessageQueue,
        messages: Messages,
        fits: Fits,
        missing: Missing,
        *,
        made: Callable[[], None],
    ) -> None:
        """`made` is called after each commit of executions."""
        self.options, self.queue, self.counts = options, queue, Counts()
        self.is_up = False
        """It has reached its broker and the database once."""
        self.rests = False
        """Its last look found nothing to read, or no room for it."""
        self.looks = 0
        self.changed = asyncio.Event()
        """It has looked."""
        self.bell = Bell()
        """Rings when there may be room."""
        self._messages, self._fits, self._missing, self._made = messages, fits, missing, made
        key = key_of(options.name)
        self._to = Destination(options.queue, options.handler, QUEUE, key, options.concurrency, options.prefetch)
        self._hand: list[_Held] = []
        """Received and not yet written, oldest first."""
        self._to_ack: list[Delivery] = []
        self._to_bury: list[tuple[Delivery, str]] = []
        self._pause = FIRST_PAUSE_SECONDS
        self._turn = asyncio.Lock()
        self._stops = False
        self._waits_for: Sequence[str] = ()
        self._foreign_told = 0
        self._foreign_told_at = float("-inf")

    # The loops -------------------------------------------------------------------------------------------------------

    async def round(self) -> None:
        async with self._turn:
            if self._stops or not (self.is_up or await self._may_start()):
                await self.bell.wait(READ_SECONDS)
            else:
                await self._work()

    async def keep_round(self) -> None:
        """Keep what is in hand ours, however long it takes to be written."""
        await asyncio.sleep(self.keep_seconds)
        held = [*(each.delivery for each in self._hand), *self._to_ack, *(delivery for delivery, _ in self._to_bury)]
        if held:
            await self.queue.extend(held)

    @property
    def keep_seconds(self) -> float:
        return min(LONGEST_KEEP_SECONDS, self.options.visibility_seconds / 3)

    async def _may_start(self) -> bool:
        missing = await self._missing()
        if missing and missing != self._waits_for:
            log("consumer.waits", consumer=self.options.name, needed=", ".join(missing))
        self._waits_for = missing
        return not missing

    async def _work(self) -> None:
        await self._let_go()
        has_room = bool(self._hand) or await self._read()
        written = await self._write()
        await self._let_go()
        self._come_up()
        self.rests = not written
        self.looks += 1
        self.changed.set()
        if self._hand or not has_room:
            await self.bell.wait(self._pause)
            self._pause = min(LONGEST_PAUSE_SECONDS, self._pause * 2)
        else:
            self._pause = FIRST_PAUSE_SECONDS

    def _come_up(self) -> None:
        if not self.is_up:
            self.is_up = True
            o = self.options
            log(
                "consumer.started", consumer=o.name, queue=o.queue, handler=o.handler,
                concurrency=o.concurrency, prefetch=o.prefetch,
            )  # fmt: skip

    # Read ------------------------------------------------------------------------------------------------------------

    async def _read(self) -> bool:
        """Take messages into the hand; False where there is no room for any."""
        room = await self._messages.room(self._to)
        if room <= 0:
            return False
        for delivery in await self.queue.receive(min(room, BATCH), wait=READ_SECONDS):
            self.counts.foreign += delivery.foreign
            try:
                params = self._params(delivery.body)
            except (MalformedMessageError, ParamsError) as error:
                self._to_bury.append((delivery, str(error)))
            else:
                self._hand.append(_Held(delivery, _identity(delivery), params))
        self._tell_foreign()
        return True

    def _params(self, body: bytes) -> str:
        decode(body)
        text = body.decode()
        try:
            self._fits(text)
        except ParamsError:
            raise
        except Exception:  # a fault in the type's own hooks, which the attempts will meet and record
            return text
        return text

    def _tell_foreign(self) -> None:
        count = self.counts.foreign
        if count > self._foreign_told and monotonic() - self._foreign_told_at >= FOREIGN_SECONDS:
            self._foreign_told, self._foreign_told_at = count, monotonic()
            log("consumer.foreign", consumer=self.options.name, queue=self.options.queue, count=count)

    # Write -----------------------------------------------------------------------------------------------------------

    async def _write(self) -> bool:
        """Whether anything of the hand was written, or refused."""
        if not self._hand:
            return bool(self._to_bury)
        taken = await self._messages.take(self._to, {each.id: each.params for each in self._hand})
        kept: list[_Held] = []
        for each in self._hand:
            if (reason := taken.refused.get(each.id)) is not None:
                self._to_bury.append((each.delivery, reason))
            elif each.id in taken.made or each.id in taken.known:
                self._to_ack.append(each.delivery)
            else:
                kept.append(each)
        written = len(kept) < len(self._hand)
        self._hand = kept
        self.counts.made += len(taken.made)
        self.counts.known += len(self._to_ack) - len(taken.made)
        if taken.made:
            self._made()
        return written

    async def _let_go(self) -> None:
        """Ack what has its execution, and bury what can have none."""
        if self._to_ack:
            if failpoints.armed:
                await failpoints.reached("before_messages_ack")
            await self.queue.ack(self._to_ack)
            self._to_ack = []
        if self._to_bury:
            (first, reason), count = self._to_bury[0], len(self._to_bury)
            while self._to_bury:
                await self.queue.nack(self._to_bury[0][0], dead=self._to_bury[0][1])
                self._to_bury.pop(0)
                self.counts.refused += 1
            name, queue = self.options.name, self.options.queue
            log("consumer.refused", consumer=name, queue=queue, count=count, id=first.id, reason=reason)

    # The end ---------------------------------------------------------------------------------------------------------

    async def stop(self, seconds: float) -> None:
        """Read no more; write and ack what is in hand within `seconds`, and hand back what is left of it."""
        self._stops = True
        self.bell.ring()
        with suppress(Exception):  # whatever keeps it from being written: it is handed back
            async with asyncio.timeout(seconds), self._turn:
                await self._write()
                await self._let_go()
        handed_back = 0
        with suppress(Exception):  # then it comes back by itself
            async with asyncio.timeout(seconds):
                for each in self._hand:
                    await self.queue.nack(each.delivery)
                    handed_back += 1
        self._hand = []
        c = self.counts
        log(
            "consumer.stopped", consumer=self.options.name, made=c.made, known=c.known, refused=c.refused,
            foreign=c.foreign, handed_back=handed_back,
        )  # fmt: skip


def key_of(consumer: str) -> str:
    """The concurrency key of all executions of a consumer."""
    return f"consumer:{consumer}"


def _identity(delivery: Delivery) -> str:
    """By which a message is known: its id, or a hash of one that is too long to be kept."""
    raw = delivery.id.encode(errors="surrogatepass")
    return delivery.id if len(raw) <= MAX_ID_BYTES else f"sha256:{hashlib.sha256(raw).hexdigest()}"
