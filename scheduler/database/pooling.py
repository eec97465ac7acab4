"""What stands between here and a server: nothing, or a pooler, and what that makes of sessions.

A pooler hands out process numbers of its own making, so that it shows by a server that tells another. In transaction
mode a client may be served by any session of the server, and two clients by one.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Any, Final

import psycopg

from scheduler.database.libpq import connect, connect_sync

_TRIES: Final = 8
_BACKEND: Final = "SELECT pg_backend_pid()"


class Pooling(StrEnum):
    NONE = "none"
    SESSION = "session"
    TRANSACTION = "transaction"


async def pooling(one: psycopg.AsyncConnection[Any], url: str, application_name: str) -> Pooling:
    """Look by means of a connection in autocommit to `url`, and of another where there is a pooler.

    Raises psycopg.OperationalError when the server can't be reached.
    """
    if await _backend(one) == one.info.backend_pid:
        return Pooling.NONE
    async with await connect(url, application_name=application_name) as other:
        return _told_by([(await _backend(one), await _backend(other)) for _ in range(_TRIES)])


def pooling_sync(one: psycopg.Connection[Any], url: str, application_name: str) -> Pooling:
    """`pooling()` for commands."""
    if _backend_sync(one) == one.info.backend_pid:
        return Pooling.NONE
    with connect_sync(url, application_name=application_name) as other:
        return _told_by([(_backend_sync(one), _backend_sync(other)) for _ in range(_TRIES)])


def refuses_transactions(error: BaseException) -> bool:
    """Whether it is a pooler in statement mode that says so: nothing of ours works through one."""
    return isinstance(error, psycopg.errors.ProtocolViolation) and "statement pooling mode" in str(error)


def _told_by(served: Sequence[tuple[int, int]]) -> Pooling:
    """By which sessions of the server two clients were served, in turns."""
    ones, others = ({*pids} for pids in zip(*served, strict=True))
    return Pooling.TRANSACTION if len(ones) > 1 or len(others) > 1 or ones & others else Pooling.SESSION


async def _backend(connection: psycopg.AsyncConnection[Any]) -> int:
    (pid,) = await (await connection.execute(_BACKEND)).fetchone() or (0,)
    return int(pid)


def _backend_sync(connection: psycopg.Connection[Any]) -> int:
    (pid,) = connection.execute(_BACKEND).fetchone() or (0,)
    return int(pid)
