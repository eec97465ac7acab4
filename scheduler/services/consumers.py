"""consumers: those of one process, in the order in which they depend on each other, and how they end together."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress

from scheduler.errors import BrokerError
from scheduler.model import Claim
from scheduler.queues.protocol import MessageQueue
from scheduler.services.consumer import READ_SECONDS, Consumer, Fits, Missing, key_of
from scheduler.services.loop import Loop
from scheduler.services.options import ConsumerOptions
from scheduler.services.wakeups import Wakeups
from scheduler.store.messages import Messages

STOP_SECONDS = 5.0
"""How long the last write and the last acks may take."""


class Consumers:
    def __init__(
        self,
        options: Sequence[ConsumerOptions],
        queues: Mapping[str, MessageQueue],
        messages: Messages,
        fits: Mapping[str, Fits],
        wakeups: Wakeups,
    ) -> None:
        """`queues` by name, each that is read or needed; `fits` by handler; `wakeups` are rung when executions wait."""
        self._queues, self._reached = queues, set[str]()
        self._stopped = False
        self._consumers = {
            each.name: Consumer(
                each, queues[each.queue], messages, fits[each.handler], self._missing_of(each), made=wakeups.ring
            )
            for each in options
        }
        self._by_key = {key_of(name): consumer for name, consumer in self._consumers.items()}

    @property
    def options(self) -> list[ConsumerOptions]:
        return [consumer.options for consumer in self._consumers.values()]

    def loops(self) -> list[Loop]:
        """Two of each consumer: that which reads and writes, and that which keeps what it holds."""
        found = []
        for name, consumer in self._consumers.items():
            found.append(Loop(f"consumer {name}", consumer.round, sleeps=READ_SECONDS))
            found.append(Loop(f"keeper of {name}", consumer.keep_round, sleeps=consumer.keep_seconds))
        return found

    def claimed(self, claims: Sequence[Claim]) -> None:
        """These wait no more: there is room for others."""
        for key in {claim.concurrency_key for claim in claims}:
            if key is not None and (consumer := self._by_key.get(key)) is not None:
                consumer.bell.ring()

    async def rest(self) -> bool:
        """Wait for a look of each that begins after now; True if none found anything to read, or room for it."""
        return all([await self._rests(consumer) for consumer in self._consumers.values()])

    async def stop(self) -> None:
        """Read no more, write what is in hand, hand back the rest, and let go of the brokers; once."""
        if self._stopped:
            return
        self._stopped = True
        await asyncio.gather(*(consumer.stop(STOP_SECONDS) for consumer in self._consumers.values()))
        for queue in self._queues.values():
            with suppress(Exception):  # what it holds comes back by itself
                async with asyncio.timeout(STOP_SECONDS):
                    await queue.close()

    @staticmethod
    async def _rests(consumer: Consumer) -> bool:
        enough = consumer.looks + 2  # the one under way may have begun before
        while consumer.looks < enough:
            consumer.bell.ring()
            consumer.changed.clear()
            await consumer.changed.wait()
            if not consumer.rests:
                return False
        return True

    def _missing_of(self, options: ConsumerOptions) -> Missing:
        async def missing() -> list[str]:
            return [name for name in options.needs if not await self._is_up(name)]

        return missing

    async def _is_up(self, name: str) -> bool:
        """A consumer that has begun to read, or a message queue that has answered once."""
        if name in self._consumers:
            return self._consumers[name].is_up
        if name not in self._reached:
            with suppress(BrokerError):
                await self._queues[name].stats()
                self._reached.add(name)
        return name in self._reached
