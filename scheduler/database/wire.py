"""Statements sent past SQLAlchemy and the driver's own commit(), which drop what the server answers to them."""

import asyncio
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from threading import Timer
from typing import Any

from psycopg.pq import TransactionStatus
from sqlalchemy import Connection
from sqlalchemy.engine import AdaptedConnection


def answer(connection: Connection, sql: str, *, within: float | None = None) -> str | None:
    """The command tag that the server answers with. Raises psycopg.Error, also when none comes `within` seconds."""
    driver: Any = connection.connection.driver_connection
    adapted: Any = connection.connection.dbapi_connection
    is_async = isinstance(adapted, AdaptedConnection)
    cut_off = nullcontext() if within is None else (_by_loop if is_async else _by_thread)(driver.fileno(), within)
    with cut_off:
        cursor = adapted.run_async(lambda driver: driver.execute(sql)) if is_async else driver.execute(sql)
    tag: str | None = cursor.statusmessage
    return tag


def status(connection: Connection) -> TransactionStatus:
    """What the driver has last heard about the transaction."""
    driver: Any = connection.connection.driver_connection
    return TransactionStatus(driver.info.transaction_status)


# The driver waits for an answer however long it takes, even once it is cancelled. Shutting the socket down is what ends
# the wait; the connection's own keepalives only notice a host that is gone.


@contextmanager
def _by_loop(socket_number: int, seconds: float) -> Iterator[None]:
    timer = asyncio.get_running_loop().call_later(seconds, _cut, socket_number)
    try:
        yield
    finally:
        timer.cancel()


@contextmanager
def _by_thread(socket_number: int, seconds: float) -> Iterator[None]:
    timer = Timer(seconds, _cut, (socket_number,))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _cut(socket_number: int) -> None:
    with suppress(OSError), socket.socket(fileno=os.dup(socket_number)) as same:
        same.shutdown(socket.SHUT_RDWR)
