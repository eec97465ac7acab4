"""One message queue on a Redis server: a script for each thing that must happen at once or not at all."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from importlib.resources import files
from typing import Any
from uuid import uuid4

import redis.exceptions as redis_errors
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.commands.core import AsyncScript

from scheduler.clock import monotonic
from scheduler.errors import BrokerError, ConfigurationError, QueueFullError
from scheduler.queues.payload import check_size, message_id
from scheduler.queues.protocol import DeadLetter, Delivery, QueueOptions, QueueStats, never_acked
from scheduler.queues.redis.failures import explained, out_of_memory
from scheduler.queues.redis.health import warnings
from scheduler.queues.redis.layout import Sealed, keys_of, reason_of

_CONNECT_SECONDS = 5.0
_ANSWER_SECONDS = 15.0
_CONNECTIONS = 50
"""Of one queue: more callers than these take turns."""
_WAITING = 25
"""Receivers that keep a connection while they wait; any others look every now and then."""
_MOST_AT_ONCE = 500
_LOOK_SECONDS = 0.5
"""How often a receiver that waits looks for what became due meanwhile, and the longest it waits on the server."""
_SHORTEST_SECONDS = 0.005
_MICROSECONDS = 1_000_000


class RedisMessageQueue:
    """A message queue under the key `name`, a plain list into which other programs may push JSON.

    `url` is `redis://[user:password@]host:port/db`; with TLS `rediss://…`, and where needed
    `?ssl_ca_certs=FILE&ssl_certfile=FILE&ssl_keyfile=FILE`; `unix://PATH` for a socket. Nothing is connected before its
    first use. For one event loop.
    Raises ConfigurationError for an url or a name that can't be.
    """

    def __init__(self, url: str, name: str, options: QueueOptions | None = None) -> None:
        self.name = name
        self._options = options or QueueOptions()
        self._keys = keys_of(name)
        self._client = _client(url)
        self._closed = False
        self._turns, self._places = asyncio.Semaphore(_CONNECTIONS), asyncio.Semaphore(_WAITING)
        self._publish = self._script("publish")
        self._take = self._script("take")
        self._ack = self._script("ack")
        self._give_back = self._script("give_back")
        self._extend = self._script("extend")
        self._stats = self._script("stats")

    async def publish(self, body: bytes, *, id: str | None = None, delay: float = 0.0) -> str:  # noqa: A002 - the message's
        check_size(body)
        named = message_id(id)
        ttl, room = self._options.ttl_seconds, self._options.max_length
        limits = (-1 if ttl is None else _micro(ttl), -1 if room is None else room)
        if not await self._run(self._publish, named, body, _micro(max(delay, 0.0)), *limits, uuid4().hex):
            raise QueueFullError(f"Message queue {self.name!r} is full: its max_length of {room} messages wait.")
        return named

    async def receive(self, limit: int, *, wait: float) -> list[Delivery]:
        deadline = monotonic() + wait
        while True:
            found, pause = await self._received(min(limit, _MOST_AT_ONCE))
            left = deadline - monotonic()
            if found or left <= 0:
                return found
            await self._until_one_comes(min(left, pause, _LOOK_SECONDS))

    async def ack(self, deliveries: Sequence[Delivery]) -> None:
        if deliveries:
            await self._run(self._ack, *_receipts(deliveries))

    async def nack(self, delivery: Delivery, *, delay: float = 0.0, dead: str | None = None) -> None:
        how, reason = ("back", "") if dead is None else ("dead", reason_of(dead))
        await self._run(self._give_back, how, _micro(max(delay, 0.0)), reason, *_receipts([delivery]))

    async def extend(self, deliveries: Sequence[Delivery]) -> None:
        if deliveries:
            await self._run(self._extend, _micro(self._options.visibility_seconds), *_receipts(deliveries))

    async def stats(self) -> QueueStats:
        return QueueStats(*await self._run(self._stats))

    async def health(self) -> list[str]:
        async with self._asking():
            return warnings(await self._client.info(), durable=self._options.durable)

    async def dead_letters(self, limit: int = 100) -> list[DeadLetter]:
        """The oldest `limit` messages that were given up."""
        async with self._asking():
            elements: Sequence[Any] = await self._client.lrange(self._keys[-1], 0, limit - 1)
        found = [Sealed.read(element) for element in elements]
        return [
            DeadLetter(each.id, each.body, each.deliveries, each.reason or never_acked(each.deliveries))
            for each in found
        ]

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        await self._disconnect()
        # A question that was still connecting has its connection only now.
        async with AsyncExitStack() as turns:
            for _ in range(_CONNECTIONS):
                await turns.enter_async_context(self._turns)
            await self._disconnect()

    async def _disconnect(self) -> None:
        with suppress(redis_errors.RedisError, OSError):
            await self._client.aclose()

    async def _received(self, limit: int) -> tuple[list[Delivery], float]:
        """What there is, and the seconds until more may come back by itself.

        Who is cancelled meanwhile has taken nothing: what the server had already handed out goes back to it.
        """
        asked = asyncio.ensure_future(
            self._run(self._take, limit, _micro(self._options.visibility_seconds), uuid4().hex)
        )
        try:
            answer = await asyncio.shield(asked)
        except asyncio.CancelledError:
            with suppress(BrokerError):
                _, *unseen = await asked
                if unseen:
                    await self._run(self._give_back, "unseen", 0, "", *unseen[::2])
            raise
        pause, *found = answer
        deliveries = [_delivery(receipt, element) for receipt, element in zip(found[::2], found[1::2], strict=True)]
        return deliveries, pause / _MICROSECONDS if pause >= 0 else _LOOK_SECONDS

    async def _until_one_comes(self, seconds: float) -> None:
        """Waits on the server for the list's first message, which is put back where it was in the same moment.

        Whoever dies here has taken nothing, and what other programs push wakes as well.
        """
        if self._places.locked():
            await asyncio.sleep(seconds)
            return
        try:
            async with self._places, self._asking():
                await self._client.blmove(self.name, self.name, max(seconds, _SHORTEST_SECONDS), "LEFT", "LEFT")  # type: ignore[arg-type]  # it takes fractions
        except BrokerError as error:
            if not out_of_memory(error.__cause__):
                raise
            await asyncio.sleep(seconds)

    async def _run(self, script: AsyncScript, *arguments: Any) -> Any:
        async with self._asking():
            return await script(keys=self._keys, args=[self._options.max_deliveries, *arguments])

    @asynccontextmanager
    async def _asking(self) -> AsyncIterator[None]:
        """Around each question to the server; its errors become BrokerErrors."""
        async with self._turns:
            if self._closed:
                raise self._was_closed()
            try:
                yield
            except (redis_errors.RedisError, OSError) as error:
                if self._closed:
                    raise self._was_closed() from error
                if isinstance(error, redis_errors.ReadOnlyError):  # a failover: the name may lead elsewhere by now
                    await self._client.connection_pool.disconnect(inuse_connections=False)
                raise explained(error, self._place(), self.name) from error

    def _was_closed(self) -> BrokerError:
        return BrokerError(f"Message queue {self.name!r} was closed: open it again.")

    def _place(self) -> str:
        """Where the server is, without user and password."""
        known = self._client.connection_pool.connection_kwargs
        return str(
            known.get("path") or f"{known.get('host', 'localhost')}:{known.get('port', 6379)}/{known.get('db', 0)}"
        )

    def _script(self, name: str) -> AsyncScript:
        common, own = ((files(__package__) / f"{part}.lua").read_text() for part in ("common", name))
        return self._client.register_script(f"{common}\n{own}")


def _client(url: str) -> Redis:
    """Tries nothing twice: whether a lost answer stood for a success, only the caller's id of the message can tell."""
    try:
        return Redis.from_url(
            url,
            retry=Retry(NoBackoff(), 0),
            socket_connect_timeout=_CONNECT_SECONDS,
            socket_timeout=_ANSWER_SECONDS,
            socket_keepalive=True,
        )
    except (ValueError, TypeError) as error:
        raise ConfigurationError(
            "The url of a redis driver is redis://[user:password@]host:port/db, rediss://… with TLS, or unix://PATH."
        ) from error


def _delivery(receipt: bytes, element: bytes) -> Delivery:
    message = Sealed.read(element)
    return Delivery(message.id, message.body, message.deliveries, message.published, message.foreign, receipt)


def _receipts(deliveries: Sequence[Delivery]) -> list[bytes]:
    return [delivery.receipt for delivery in deliveries if isinstance(delivery.receipt, bytes)]


def _micro(seconds: float) -> int:
    return round(seconds * _MICROSECONDS)
