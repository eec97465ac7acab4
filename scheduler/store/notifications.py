"""LISTEN on a connection of its own. What it hears is only a hint to look: polling is the truth."""

import asyncio
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psycopg

from scheduler.database.libpq import connect
from scheduler.database.pooling import Pooling, pooling
from scheduler.store.statements import channel, quote

APPLICATION_NAME = "scheduler listener"
ANSWER_SECONDS = 5.0
"""How long the server may take to answer before the connection counts as dead."""

_Connection = psycopg.AsyncConnection[tuple[object, ...]]


class Notifications:
    """The wake-ups of one schema. `conninfo` is to lead to the server itself: a pooler may lose LISTEN."""

    def __init__(self, conninfo: str, schema: str) -> None:
        self.conninfo, self.channel = conninfo, channel(schema)
        self.deaf = False
        """A pooler in transaction mode is in between: nothing will ever be heard."""
        self._connection: _Connection | None = None

    async def open(self) -> None:
        """Connect and LISTEN, unless that would be in vain.

        Raises psycopg.OperationalError, also when the other side is gone.
        """
        await self.close()
        self._connection = connection = await connect(self.conninfo, application_name=APPLICATION_NAME)
        with _answer_due(connection):
            self.deaf = await pooling(connection, self.conninfo, APPLICATION_NAME) is Pooling.TRANSACTION
        if self.deaf:
            return
        with _answer_due(connection):
            await connection.execute(f"LISTEN {quote(self.channel)}".encode())

    async def wait(self, seconds: float) -> bool:
        """True as soon as something was notified; False after `seconds` of silence, once the server answered a ping.

        Raises psycopg.OperationalError when the connection is dead, also when the other side is gone. Close it then.
        """
        connection = self._connection
        if connection is None:
            await self.open()
            return True
        async for _ in connection.notifies(timeout=seconds, stop_after=1):
            return True
        with _answer_due(connection):
            await connection.execute("SELECT 1")
        return False

    async def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()


@contextmanager
def _answer_due(connection: _Connection) -> Iterator[None]:
    """Shut the connection's socket down when the server doesn't answer in time: then whoever reads it sees its end.

    A task that is cancelled instead would first ask the same server to cancel the statement, and wait for that.
    """
    timer = asyncio.get_running_loop().call_later(ANSWER_SECONDS, _shut_down, connection.fileno())
    try:
        yield
    finally:
        timer.cancel()


def _shut_down(descriptor: int) -> None:
    with suppress(OSError), socket.socket(fileno=os.dup(descriptor)) as copy:
        copy.shutdown(socket.SHUT_RDWR)
