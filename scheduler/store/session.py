"""One connection of the core to the job database, opened when needed and anew after it broke.

A pooler in transaction mode may stand in between: then statements are not prepared by name and no session state is set.
Whoever calls retries: a loop in services/ does so for ever.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from typing import Any

import psycopg
from psycopg import IsolationLevel
from psycopg.pq import TransactionStatus

from scheduler.database.libpq import connect, connect_sync
from scheduler.store.statements import statements

Row = tuple[Any, ...]
RowRefused = (
    psycopg.DataError,
    psycopg.IntegrityError,
    psycopg.ProgrammingError,
    psycopg.NotSupportedError,
    psycopg.errors.ProgramLimitExceeded,
    psycopg.errors.StatementTooComplex,
    UnicodeError,
)
"""What a statement raises because of what is in a row; the same again would fail again."""

_UNPREPARED = (psycopg.errors.InvalidSqlStatementName, psycopg.errors.DuplicatePreparedStatement)
"""Somebody in between has mixed up sessions, or thrown away what was prepared."""

_IDLE_LIMIT = "SELECT set_config('idle_in_transaction_session_timeout', '30s', true)"
"""A process that freezes or vanishes within a transaction must not keep its rows locked until TCP notices."""

_COMMAND_MILLISECONDS = 30_000
"""Nobody waits longer for a command's answer; who has a limit already keeps it."""

_BEGIN = b"""
    SELECT set_config('scheduler.actor', %(actor)s, true),
           set_config('statement_timeout', CASE WHEN %(own)s OR current_setting('statement_timeout') = '0'
                                                THEN %(limit)s ELSE current_setting('statement_timeout') END, true)"""

_HOT = frozenset({"claim", "settle_success", "any_keyed", "next_available", "stay_awake"})
"""Planning them takes longer than a lone execution does; tests/store/test_plans.py holds their plans to be one."""
_ONLY_WHEN_ASKED = 2**31

_BY_INDEX = """
    SELECT set_config('enable_seqscan', 'off', false), set_config('enable_bitmapscan', 'off', false),
           set_config('enable_hashjoin', 'off', false), set_config('enable_mergejoin', 'off', false)"""
"""What was planned while a table was all but empty is kept as it grows, until the next ANALYZE of it."""

_KIND = "SELECT current_setting('default_transaction_isolation') = 'read committed', pg_backend_pid()"


class Session:
    """May be shared by several tasks: statements and transactions take turns."""

    def __init__(self, conninfo: str, schema: str, application_name: str) -> None:
        self.conninfo, self.schema, self.application_name = conninfo, schema, application_name
        self.sql = statements(schema)
        self.opened = 0
        """How often a connection was made; a change means that there was a gap."""
        self._connection: psycopg.AsyncConnection[Row] | None = None
        self._plain = True
        self._prepares = False
        self._may_prepare = True
        self._turn = asyncio.Lock()

    async def connection(self) -> psycopg.AsyncConnection[Row]:
        """The open connection, made anew if there is none or it broke."""
        connection = self._connection
        if connection is None or connection.closed:
            self._connection = connection = await connect(self.conninfo, application_name=self.application_name)
            self.opened += 1
            await connection.set_isolation_level(IsolationLevel.READ_COMMITTED)
            await self._look_at(connection)
        return connection

    async def _look_at(self, connection: psycopg.AsyncConnection[Row]) -> None:
        """A pooler tells of another process than the one that answers, which may be another one the next time."""
        answer = await (await connection.execute(_KIND)).fetchone()
        self._plain, pid = answer or (False, None)
        self._prepares = self._may_prepare and pid == connection.info.backend_pid

    async def run(self, name: str, values: Mapping[str, Any], *, binary: bool = False) -> list[Row]:
        """Run a named statement in a transaction of its own; its rows, or an empty list.

        `binary`: as the server sends numbers to a machine, cheaper for both where rows are many.
        """
        async with self._turn:
            try:
                connection = await self.connection()
                prepare = self._prepares and name in _HOT
                if prepare and connection.prepare_threshold is None:
                    connection.prepare_threshold = _ONLY_WHEN_ASKED
                    await connection.execute(_BY_INDEX)
                how = {"binary": binary, "prepare": prepare}
                if self._plain:
                    return await _rows(connection, self.sql[name], values, **how)
                async with connection.transaction():
                    return await _rows(connection, self.sql[name], values, **how)
            except _UNPREPARED:
                self._may_prepare = False
                await self.close()
                raise
            except psycopg.Error as error:
                await self._close_after(error)
                raise

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator["Transaction"]:
        """Several named statements in one READ COMMITTED transaction."""
        async with self._turn:
            try:
                connection = await self.connection()
                async with connection.transaction():
                    await connection.execute(_IDLE_LIMIT)
                    yield Transaction(self, connection)
            except psycopg.Error as error:
                await self._close_after(error)
                raise

    async def _close_after(self, error: psycopg.Error) -> None:
        """Whatever isn't about a row may be about this very connection: to a server become read-only, for one."""
        if not isinstance(error, RowRefused):
            await self.close()

    async def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()


class Transaction:
    """The statements of one transaction; same `run` as a session."""

    def __init__(self, session: Session, connection: psycopg.AsyncConnection[Row]) -> None:
        self._session, self._connection = session, connection

    async def run(self, name: str, values: Mapping[str, Any]) -> list[Row]:
        return await _rows(self._connection, self._session.sql[name], values)

    def savepoint(self) -> AbstractAsyncContextManager[object]:
        """A part that may fail alone: what it raises undoes it, and nothing before it."""
        return self._connection.transaction()


async def _rows(
    connection: psycopg.AsyncConnection[Row], sql: bytes, values: Mapping[str, Any], **how: bool
) -> list[Row]:
    cursor = await connection.execute(sql, values, **how)
    return await cursor.fetchall() if cursor.description is not None else []


class SyncSession:
    """The same for a thread: the heartbeat, and commands."""

    further_limits: bytes | None = None
    """Set in each transaction after its own, for those who want less."""

    def __init__(
        self,
        conninfo: str,
        schema: str,
        application_name: str,
        *,
        actor: str | None = None,
        statement_seconds: float | None = None,
    ) -> None:
        """`actor` is whom the audit names. No statement takes longer than `statement_seconds`; None: a command's 30.

        Both are set within each transaction, so that they also hold behind a pooler in transaction mode.
        """
        self.conninfo, self.schema, self.application_name = conninfo, schema, application_name
        self.actor = actor
        self.sql = statements(schema)
        self._own_limit = statement_seconds is not None
        limit = _COMMAND_MILLISECONDS if statement_seconds is None else max(1, round(statement_seconds * 1_000))
        self._limit = str(limit)
        self._connection: psycopg.Connection[Row] | None = None

    def connection(self) -> psycopg.Connection[Row]:
        connection = self._connection
        if connection is None or connection.closed:
            connection = self._connection = connect_sync(self.conninfo, application_name=self.application_name)
            connection.isolation_level = IsolationLevel.READ_COMMITTED
        return connection

    def run(self, name: str, values: Mapping[str, Any]) -> list[Row]:
        connection = self.connection()
        try:
            with connection.transaction():
                cursor = connection.execute(self.sql[name], values)
                return cursor.fetchall() if cursor.description is not None else []
        except psycopg.Error as error:
            if not isinstance(error, RowRefused):
                self.close()
            raise

    @contextmanager
    def transaction(self) -> Iterator[psycopg.Connection[Row]]:
        connection = self.connection()
        outermost = connection.info.transaction_status is TransactionStatus.IDLE
        try:
            with connection.transaction():
                if outermost:
                    values = {"actor": self.actor or "", "own": self._own_limit, "limit": self._limit}
                    connection.execute(_BEGIN, values)
                    if self.further_limits:
                        connection.execute(self.further_limits)
                yield connection
        except psycopg.Error as error:
            if not isinstance(error, RowRefused):
                self.close()
            raise

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
