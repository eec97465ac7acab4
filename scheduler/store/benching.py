"""A schema of its own for a benchmark: made, measured in, dropped. Nothing here writes anywhere else."""

import re
import secrets
from dataclasses import dataclass
from typing import Final

import psycopg

from scheduler.clock import monotonic
from scheduler.store.asking import ask, sentence
from scheduler.store.session import SyncSession

_PREFIX: Final = "scheduler_bench_"
_OURS: Final = f"^{_PREFIX}[0-9a-f]{{8}}$"
"""So that nobody else's schema is taken for one of ours, whatever it begins with."""
_SESSION: Final = "scheduler bench "
"""Before the schema's name in that of the sessions, by which others see that it is in use."""
_PATIENCE_SECONDS: Final = 600
"""What a statement may take: the rows of a large run are counted, and dropped."""
_ROUND_TRIP: Final = b"SELECT 1"
_INSERT: Final = """INSERT INTO {}.bench_yardstick (params) VALUES ('{{"n": 1}}')"""


@dataclass(frozen=True, slots=True)
class Server:
    """What a figure depends on, and what the role may do."""

    version: str
    fsync: str
    synchronous_commit: str
    database: str
    role: str
    may_create: bool


@dataclass(frozen=True, slots=True)
class Use:
    """What there is to disturb: rows that wait, counted up to 1,001, and workers that live."""

    waiting: int = 0
    workers: int = 0


def new_session(conninfo: str) -> SyncSession:
    """One that works in a schema which does not exist yet."""
    schema = f"{_PREFIX}{secrets.token_hex(4)}"
    return SyncSession(conninfo, schema, f"{_SESSION}{schema}", statement_seconds=_PATIENCE_SECONDS)


def server(session: SyncSession) -> Server:
    """Raises as `ask()` does, and so do all of these."""
    (row,) = ask(session, "bench_server")
    return Server(**row)


def use(session: SyncSession) -> Use:
    (row,) = ask(session, "bench_use")
    return Use(**row)


def left_over(session: SyncSession) -> list[str]:
    """Schemas that an earlier run could not drop, but for those that some other run works in."""
    return [row["name"] for row in ask(session, "bench_left_over", pattern=_OURS, session=_SESSION)]


def drop(session: SyncSession) -> None:
    """The session's schema, with all that is in it."""
    if not re.match(_OURS, session.schema):
        raise ValueError(f"{session.schema} is no schema of a benchmark.")
    _act(session, "bench_drop")


def make_yardstick(session: SyncSession) -> None:
    _act(session, "bench_yardstick")


def empty(session: SyncSession) -> None:
    _act(session, "bench_empty")


def round_trip_seconds(session: SyncSession) -> float:
    """Of the smallest question."""
    return _timed(session, _ROUND_TRIP)


def insert_seconds(session: SyncSession) -> float:
    """Of one small row in a plain table, committed: the least that anything durable costs."""
    return _timed(session, _INSERT.format(session.schema).encode())


def waiting(session: SyncSession) -> int:
    (row,) = ask(session, "bench_waiting")
    return int(row["waiting"])


@dataclass(frozen=True, slots=True)
class Drained:
    """Executions of a handler, and the seconds from the first start to the last end; None before any."""

    done: int
    unfinished: int
    seconds: float | None


def drained(session: SyncSession, handler: str) -> Drained:
    (row,) = ask(session, "bench_drained", handler=handler)
    return Drained(**row)


def lateness(session: SyncSession) -> list[float]:
    """Seconds from each tick that ran to the start of its handler."""
    return [row["seconds"] for row in ask(session, "bench_lateness")]


def ticks_not_run(session: SyncSession) -> int:
    (row,) = ask(session, "bench_not_run")
    return int(row["ticks"])


def _timed(session: SyncSession, statement: bytes) -> float:
    try:
        connection = session.connection()
        began = monotonic()
        connection.execute(statement)
        return monotonic() - began
    except psycopg.Error as error:
        raise sentence(error, session.schema) from error


def _act(session: SyncSession, statement: str) -> None:
    """A statement without rows."""
    try:
        with session.transaction() as connection:
            connection.execute(session.sql[statement])
    except psycopg.Error as error:
        raise sentence(error, session.schema) from error
