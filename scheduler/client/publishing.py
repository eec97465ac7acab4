"""Putting messages into message queues: what a client keeps open of them."""

import asyncio
from datetime import timedelta
from typing import Any
from weakref import WeakKeyDictionary

from pydantic_core import to_jsonable_python

from scheduler.client.new_execution import seconds_of
from scheduler.errors import MalformedMessageError
from scheduler.queues import background
from scheduler.queues.payload import encode
from scheduler.queues.protocol import MessageQueue
from scheduler.queues.registry import QueueRegistry


class Publisher:
    """For event loops: a queue belongs to the loop that used it first."""

    def __init__(self) -> None:
        self._open: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, MessageQueue]] = WeakKeyDictionary()

    async def publish(self, queue: str, message: Any, id_: str | None, delay: float | timedelta) -> str:
        body = body_of(message)
        here = self._open.setdefault(asyncio.get_running_loop(), {})
        if queue not in here:
            here[queue] = QueueRegistry.open_to_publish(queue)
        return await here[queue].publish(body, id=id_, delay=seconds_of(delay))

    @property
    def is_open(self) -> bool:
        return bool(self._open)

    async def close(self) -> None:
        """Those of this loop."""
        for queue in self._open.pop(asyncio.get_running_loop(), {}).values():
            await queue.close()


class SyncPublisher:
    """For threads: everything happens on the one background loop of the process."""

    def __init__(self) -> None:
        self._publisher = Publisher()

    def publish(self, queue: str, message: Any, id_: str | None, delay: float | timedelta) -> str:
        return background.run(self._publisher.publish(queue, message, id_, delay))

    def close(self) -> None:
        if self._publisher.is_open:
            background.run(self._publisher.close())


def body_of(message: Any) -> bytes:
    """Raises MalformedMessageError for what can't be JSON, MessageTooLargeError for too much of it."""
    try:
        plain = to_jsonable_python(message)
    except Exception as error:  # serialisers and properties are the user's code, and may raise anything
        said = str(error).partition("\n")[0]
        raise MalformedMessageError(
            f"The message can't be turned into JSON: {said}. Give plain values or a pydantic model."
        ) from error
    return encode(plain)
