"""The suite of all brokers notices a driver that breaks a promise: here drivers in memory, each broken in one way."""

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest

from scheduler.errors import QueueFullError
from scheduler.queues.memory import MemoryBroker, MemoryQueue
from scheduler.queues.protocol import Delivery, MessageQueue, QueueOptions
from tests.queues.contract import test_limits, test_messages, test_second_deliveries, waiting
from tests.queues.contract.memory import Memory

NAME = "broken"
Test = Callable[..., Awaitable[None]]


class PopsForGood(MemoryQueue):
    """Forgets a message with its delivery, as a plain pop does."""

    async def receive(self, limit: int, *, wait: float) -> list[Delivery]:
        found = await super().receive(limit, wait=wait)
        await self.ack(found)
        return found


class NeverAcks(MemoryQueue):
    async def ack(self, deliveries: Sequence[Delivery]) -> None:
        pass


class NeverExtends(MemoryQueue):
    async def extend(self, deliveries: Sequence[Delivery]) -> None:
        pass


class HandsBackAtOnce(MemoryQueue):
    async def nack(self, delivery: Delivery, *, delay: float = 0.0, dead: str | None = None) -> None:
        await super().nack(delivery, dead=dead)


class DropsReasons(MemoryQueue):
    async def nack(self, delivery: Delivery, *, delay: float = 0.0, dead: str | None = None) -> None:
        await super().nack(delivery, delay=delay, dead=dead and "dead")


class TriesForEver(MemoryQueue):
    def __init__(self, name: str, options: QueueOptions, *, broker: MemoryBroker) -> None:
        super().__init__(name, dataclasses.replace(options, max_deliveries=1000), broker=broker)


class HasNoLimits(MemoryQueue):
    def __init__(self, name: str, options: QueueOptions, *, broker: MemoryBroker) -> None:
        super().__init__(name, dataclasses.replace(options, max_length=None, ttl_seconds=None), broker=broker)


class DeliversTwice(MemoryQueue):
    async def receive(self, limit: int, *, wait: float) -> list[Delivery]:
        found = await super().receive(limit, wait=wait)
        return [*found, *found]


class NewestFirst(MemoryQueue):
    async def receive(self, limit: int, *, wait: float) -> list[Delivery]:
        return (await super().receive(limit, wait=wait))[::-1]


class MakesUpIds(MemoryQueue):
    async def receive(self, limit: int, *, wait: float) -> list[Delivery]:
        found = await super().receive(limit, wait=wait)
        return [dataclasses.replace(delivery, id=f"{delivery.id}-{delivery.deliveries}") for delivery in found]


class LosesWhatIsCancelled(MemoryQueue):
    """Takes first and waits then: who is cancelled in between has taken it with them."""

    async def receive(self, limit: int, *, wait: float) -> list[Delivery]:
        receiving = asyncio.ensure_future(super().receive(limit, wait=wait))
        return await asyncio.shield(receiving)


CAUGHT: Sequence[tuple[type[MemoryQueue], Test]] = [
    (PopsForGood, test_second_deliveries.test_what_its_receiver_forgets_comes_again),
    (PopsForGood, test_second_deliveries.test_what_is_handed_back_comes_again),
    (PopsForGood, test_limits.test_what_a_closed_handle_held_comes_again),
    (NeverAcks, test_messages.test_what_is_acked_is_gone),
    (NeverExtends, test_second_deliveries.test_what_is_extended_comes_later),
    (HandsBackAtOnce, test_second_deliveries.test_what_is_handed_back_with_a_delay_comes_after_it),
    (DropsReasons, test_second_deliveries.test_it_is_dead_at_once_where_a_reason_is_given),
    (TriesForEver, test_second_deliveries.test_after_its_last_delivery_it_is_dead),
    (TriesForEver, test_second_deliveries.test_what_is_forgotten_too_often_is_dead),
    (HasNoLimits, test_limits.test_a_full_queue_takes_no_more),
    (HasNoLimits, test_limits.test_what_nobody_received_in_time_is_dropped),
    (DeliversTwice, test_messages.test_several_receivers_get_each_message_once),
    (NewestFirst, test_messages.test_the_oldest_comes_first),
    (MakesUpIds, test_messages.test_a_message_comes_out_as_it_was_put_in),
    (LosesWhatIsCancelled, test_messages.test_a_cancelled_receive_loses_nothing),
]


class Broken(Memory):
    def __init__(self, folder: Path, kind: type[MemoryQueue]) -> None:
        super().__init__(folder)
        self._kind = kind

    def open(self, name: str, options: QueueOptions) -> MessageQueue:
        return self._kind(name, options, broker=self._broker)


@pytest.mark.parametrize(("kind", "test"), CAUGHT, ids=lambda each: each.__name__)
async def test_a_broken_driver_is_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: type[MemoryQueue], test: Test
) -> None:
    await _tried(Memory(tmp_path), test)
    monkeypatch.setattr(waiting, "PATIENCE_SECONDS", 0.5)
    with pytest.raises((AssertionError, pytest.fail.Exception, QueueFullError)):
        await _tried(Broken(tmp_path, kind), test)


async def _tried(broker: Memory, test: Test) -> None:
    def open_queue(**options: object) -> MessageQueue:
        return broker.open(NAME, QueueOptions(**options))  # type: ignore[arg-type]  # as QueueOptions has them

    given = {"open_queue": open_queue, "broker": broker, "moment": broker.moment, "name": NAME}
    wanted = test.__code__.co_varnames[: test.__code__.co_argcount]
    await test(**{name: given[name] for name in wanted})
