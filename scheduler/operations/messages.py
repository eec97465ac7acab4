"""Message queues and consumers: how they do."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from scheduler.errors import BrokerError, ConfigurationError
from scheduler.queues.opening import QueuePlace, open_queue
from scheduler.queues.protocol import MessageQueue
from scheduler.store.asking import ask
from scheduler.store.session import SyncSession

PATIENCE_SECONDS = 5.0
"""How long a broker may take to answer."""


@dataclass(frozen=True, slots=True)
class MessageQueueStatus:
    """A message queue at a glance; its numbers are None where the broker did not answer, or is another process's."""

    name: str
    driver: str
    kind: str
    waiting: int | None = None
    delayed: int | None = None
    in_flight: int | None = None
    dead: int | None = None
    warnings: Sequence[str] = ()
    """What is to be mended at the broker."""
    error: str | None = None
    """Why it did not answer."""


@dataclass(frozen=True, slots=True)
class ConsumerStatus:
    """A consumer of the settings, and what waits and runs of it over all workers, each counted up to 10,000."""

    name: str
    queue: str
    handler: str
    concurrency: int
    prefetch: int
    starts_itself: bool
    waiting: int = 0
    running: int = 0


def statuses(places: Sequence[QueuePlace]) -> list[MessageQueueStatus]:
    """All of them, asked at once, each for a few seconds at the most."""

    async def all_of_them() -> list[MessageQueueStatus]:
        return list(await asyncio.gather(*map(_status, places)))

    return asyncio.run(all_of_them())


def counted(session: SyncSession, consumers: Sequence[ConsumerStatus]) -> list[ConsumerStatus]:
    """The same with what waits and runs of them now."""
    rows = ask(session, "consumer_counts", keys=[f"consumer:{each.name}" for each in consumers])
    counts = {row["key"]: row for row in rows}
    found = [(each, counts[f"consumer:{each.name}"]) for each in consumers]
    return [replace(each, waiting=row["waiting"], running=row["running"]) for each, row in found]


async def _status(place: QueuePlace) -> MessageQueueStatus:
    if place.kind == "memory":
        return MessageQueueStatus(place.name, place.driver, place.kind)
    try:
        queue = open_queue(place)
    except ConfigurationError as error:
        return MessageQueueStatus(place.name, place.driver, place.kind, error=str(error))
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await _asked(place, queue)
    except TimeoutError:
        why = f"The broker has not answered within {PATIENCE_SECONDS:g} s: see whether it is up and can be reached."
    except BrokerError as error:
        why = str(error)
    finally:
        await _closed(queue)
    return MessageQueueStatus(place.name, place.driver, place.kind, error=why)


async def _asked(place: QueuePlace, queue: MessageQueue) -> MessageQueueStatus:
    stats, warnings = await queue.stats(), await queue.health()
    return MessageQueueStatus(
        place.name, place.driver, place.kind, stats.waiting, stats.delayed, stats.in_flight, stats.dead, warnings
    )


async def _closed(queue: MessageQueue) -> None:
    with suppress(TimeoutError, BrokerError):  # it has told all it had to tell
        async with asyncio.timeout(PATIENCE_SECONDS):
            await queue.close()
