"""A connection to RabbitMQ that is opened when it is needed, and anew after it broke."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractConnection
from aio_pika.exceptions import CONNECTION_EXCEPTIONS
from yarl import URL

from scheduler.errors import BrokerError
from scheduler.queues.amqp.words import in_words, out_of_room, place

CONNECT_SECONDS = 10.0
ANSWER_SECONDS = 10.0
"""How long RabbitMQ may take for one answer, such as that a message is stored."""
_CLOSE_SECONDS = 2.0

# What the library logs of a connection that broke, whoever needed it gets as a BrokerError.
for _library in ("aiormq", "aio_pika"):
    logging.getLogger(_library).setLevel(logging.CRITICAL)

Opened = Callable[[AbstractConnection, AbstractChannel], Awaitable[None]]


class Link:
    """One connection and a channel on it. Whoever asks again after a BrokerError is connected again, for ever."""

    def __init__(self, url: URL, title: str, heartbeat_seconds: int, opened: Opened) -> None:
        """`title` is what RabbitMQ shows of the connection; `opened` is called with each new one."""
        query = {"name": title, "heartbeat": str(heartbeat_seconds)}
        self._url = url.update_query({name: value for name, value in query.items() if name not in url.query})
        self._opened = opened
        self._connection: AbstractConnection | None = None
        self._channel: AbstractChannel | None = None
        self._opening: asyncio.Task[AbstractChannel] | None = None
        self._closed = False
        self._lost_because = ""

    @asynccontextmanager
    async def asking(self, waiting: float = 0.0) -> AsyncIterator[AbstractChannel]:
        """The channel, for an answer that may have to wait so many seconds for something to happen.

        What fails is a BrokerError, and drops the connection.
        """
        task = asyncio.current_task()
        cancelled = task.cancelling() if task else 0
        channel: AbstractChannel | None = None
        try:
            channel = await self._usable_channel()
            async with asyncio.timeout(waiting + ANSWER_SECONDS):
                yield channel
        except CONNECTION_EXCEPTIONS as error:
            raise BrokerError(await self._lost(channel, error)) from error
        except asyncio.CancelledError as error:
            # So the library ends what waits for a connection that is being closed, though nobody cancelled it.
            if task is None or task.cancelling() > cancelled:
                raise
            raise BrokerError(await self._lost(channel, error)) from error

    @asynccontextmanager
    async def aside(self) -> AsyncIterator[AbstractChannel]:
        """A channel of its own, which an answer that RabbitMQ refuses may close."""
        async with self.asking():
            assert self._connection is not None
            async with self._connection.channel() as channel:
                yield channel

    async def close(self) -> None:
        self._closed = True
        await self._drop()

    async def _usable_channel(self) -> AbstractChannel:
        if self._closed:
            raise BrokerError("The message queue was closed: open it again.")
        if self._channel is not None and not self._channel.is_closed:
            return self._channel
        if self._opening is None:
            # Whoever comes meanwhile waits for the same connection, and who goes away leaves it to the others.
            self._opening = asyncio.create_task(self._open())
            self._opening.add_done_callback(self._is_open)
        return await asyncio.shield(self._opening)

    def _is_open(self, task: asyncio.Task[AbstractChannel]) -> None:
        self._opening = None
        if not task.cancelled():
            task.exception()  # told to those who waited for it

    async def _open(self) -> AbstractChannel:
        await self._drop()
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                # Not by connect(): what it leaves of an attempt that failed closes itself when it is collected.
                self._connection = connection = aio_pika.Connection(self._url)
                await connection.connect()
                channel = await connection.channel(publisher_confirms=True, on_return_raises=True)
                await self._opened(connection, channel)
        except BaseException:
            await self._drop()
            raise
        self._channel = channel
        return channel

    async def _drop(self) -> None:
        connection, self._connection, self._channel = self._connection, None, None
        if connection is not None:
            with suppress(Exception):
                async with asyncio.timeout(_CLOSE_SECONDS):
                    await connection.close()

    async def _lost(self, channel: AbstractChannel | None, error: BaseException) -> str:
        """Why; told alike to all who waited for the same channel."""
        if channel is None:
            return in_words(self._url, error)
        if channel is self._channel:
            self._lost_because = out_of_room(self._url) if await self._is_blocked() else in_words(self._url, error)
            await self._drop()
        return self._lost_because

    async def _is_blocked(self) -> bool:
        """Whether RabbitMQ has told that it reads nothing from those who publish."""
        transport = self._connection.transport if self._connection and not self._connection.is_closed else None
        if transport is None:
            return False
        try:
            async with asyncio.timeout(0):
                await transport.ready()
        except TimeoutError:
            return True
        return False

    def __str__(self) -> str:
        return place(self._url)
