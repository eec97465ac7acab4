"""LISTEN on a connection of its own. What it hears is only a hint to look: polling is the truth."""

import asyncio

import psycopg

from scheduler.database.libpq import connect
from scheduler.database.pooling import Pooling, pooling
from scheduler.store.statements import channel, quote

APPLICATION_NAME = "scheduler listener"
_PING_DEADLINE_SECONDS = 5.0


class Notifications:
    """The wake-ups of one schema. `conninfo` is to lead to the server itself: a pooler may lose LISTEN."""

    def __init__(self, conninfo: str, schema: str) -> None:
        self.conninfo, self.channel = conninfo, channel(schema)
        self.deaf = False
        """A pooler in transaction mode is in between: nothing will ever be heard."""
        self._connection: psycopg.AsyncConnection[tuple[object, ...]] | None = None

    async def open(self) -> None:
        """Connect and LISTEN, unless that would be in vain. Raises psycopg.OperationalError."""
        await self.close()
        self._connection = connection = await connect(self.conninfo, application_name=APPLICATION_NAME)
        self.deaf = await pooling(connection, self.conninfo, APPLICATION_NAME) is Pooling.TRANSACTION
        if not self.deaf:
            await connection.execute(f"LISTEN {quote(self.channel)}".encode())

    async def wait(self, seconds: float) -> bool:
        """True as soon as something was notified; False after `seconds` of silence, once the server answered a ping.

        Raises TimeoutError or psycopg.OperationalError when the connection is dead, also when the other side is gone.
        """
        connection = self._connection
        if connection is None:
            await self.open()
            return True
        async for _ in connection.notifies(timeout=seconds, stop_after=1):
            return True
        async with asyncio.timeout(_PING_DEADLINE_SECONDS):
            await connection.execute("SELECT 1")
        return False

    async def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()
