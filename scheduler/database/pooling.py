"""What stands between here and a server: nothing, or a pooler, and what that makes of sessions.

A pooler hands out process numbers of its own making, so that it shows by a server that tells another. In transaction
mode a client may be served by any session of the server, and two clients by one.
"""

from enum import StrEnum
from typing import Final

import psycopg
from psycopg.rows import TupleRow

from scheduler.database.libpq import connect_sync

_TRIES: Final = 4


class Pooling(StrEnum):
    NONE = "none"
    SESSION = "session"
    TRANSACTION = "transaction"


def pooling(url: str, application_name: str) -> Pooling:
    """Look by means of one connection, or of two where there is a pooler.

    Raises ConfigurationError on an unreadable url, psycopg.OperationalError when the server can't be reached.
    """
    with connect_sync(url, application_name=application_name) as one:
        if _backend(one) == one.info.backend_pid:
            return Pooling.NONE
        with connect_sync(url, application_name=application_name) as other:
            return Pooling.TRANSACTION if _share(one, other) else Pooling.SESSION


def refuses_transactions(error: BaseException) -> bool:
    """Whether it is a pooler in statement mode that says so: nothing of ours works through one."""
    return isinstance(error, psycopg.errors.ProtocolViolation) and "statement pooling mode" in str(error)


def _share(one: psycopg.Connection[TupleRow], other: psycopg.Connection[TupleRow]) -> bool:
    """Whether two clients were served by one session of the server, or one client by two."""
    ones, others = set[int](), set[int]()
    for _ in range(_TRIES):
        ones.add(_backend(one))
        others.add(_backend(other))
    return len(ones) > 1 or bool(ones & others)


def _backend(connection: psycopg.Connection[TupleRow]) -> int:
    (pid,) = connection.execute("SELECT pg_backend_pid()").fetchone() or (0,)
    return int(pid)
