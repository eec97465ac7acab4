"""Queues of fresh names, closed after use."""

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from scheduler.errors import BrokerError
from scheduler.queues.protocol import QueueOptions
from scheduler.queues.redis import RedisMessageQueue

_names = itertools.count()


@asynccontextmanager
async def opened(url: str, name: str | None = None, **options: object) -> AsyncIterator[RedisMessageQueue]:
    queue = RedisMessageQueue(url, name or f"queue-{next(_names)}", QueueOptions(**options))  # type: ignore[arg-type]  # as QueueOptions has them
    try:
        yield queue
    finally:
        await queue.close()


async def refused(url: str) -> str:
    """What is said to who publishes there; to receive is refused as well."""
    async with opened(url) as queue:
        with pytest.raises(BrokerError) as caught:
            await queue.publish(b"1")
        with pytest.raises(BrokerError):
            await queue.receive(1, wait=1.0)
    return str(caught.value)
