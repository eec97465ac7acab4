"""Waits for conditions, with patience."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from scheduler.queues.protocol import Delivery, MessageQueue

T = TypeVar("T")
PATIENCE_SECONDS = 40.0


async def receive(queue: MessageQueue, count: int = 1) -> list[Delivery]:
    """Exactly so many deliveries, in their order."""
    found: list[Delivery] = []
    deadline = time.monotonic() + PATIENCE_SECONDS
    while len(found) < count:
        assert time.monotonic() < deadline, f"only {len(found)} of {count} messages came"
        found += await queue.receive(count - len(found), wait=min(1.0, PATIENCE_SECONDS))
    return found


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not await condition():
        assert time.monotonic() < deadline, "what was waited for didn't come"
        await asyncio.sleep(0.02)


async def until_done(attempt: Callable[[], Awaitable[T]], error: type[Exception]) -> T:
    """Tries again for as long as it raises that error, as every caller of a queue does."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return await attempt()
        except error:
            assert time.monotonic() < deadline, "it never went well again"
            await asyncio.sleep(0.05)
