"""Statements on a connection that somebody else began a transaction on, and will end it. Nothing here commits.

The driver says how that transaction is spoken to: psycopg by its own statement, everything else by SQLAlchemy's.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any, Final, cast, get_args, get_origin

import psycopg
import sqlalchemy
from psycopg import errors
from psycopg.rows import tuple_row
from sqlalchemy import TextClause, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession, async_scoped_session
from sqlalchemy.orm import Session, scoped_session

from scheduler import database
from scheduler.errors import (
    LeaseLostError,
    NotFoundError,
    QueryExecutionError,
    RefusedError,
    SchedulerError,
    SchemaError,
    TransactionError,
)
from scheduler.store.asking import sentence
from scheduler.store.statements import statements

SyncTarget = psycopg.Connection[Any] | sqlalchemy.Connection | Session | scoped_session[Any] | database.Connection
"""What a sync client writes on: a connection of psycopg or SQLAlchemy, a session, or what `get_connection` gave."""
AsyncTarget = (
    psycopg.AsyncConnection[Any] | AsyncConnection | AsyncSession | async_scoped_session[Any] | database.AsyncConnection
)
"""The same for an async one."""

_SYNC: Final = tuple(get_origin(each) or each for each in get_args(SyncTarget))
_ASYNC: Final = tuple(get_origin(each) or each for each in get_args(AsyncTarget))
_PARAMETER: Final = re.compile(r"%\((\w+)\)s")
_OTHER_TABLES: Final = (
    errors.UndefinedTable,
    errors.UndefinedColumn,
    errors.UndefinedFunction,
    errors.InvalidSchemaName,
)
_LOST: Final = (
    psycopg.InterfaceError,
    errors.AdminShutdown,
    errors.CrashShutdown,
    errors.IdleInTransactionSessionTimeout,
)


def run(connection: SyncTarget, statement: str, values: Mapping[str, Any], schema: str) -> list[Any]:
    """The first column of a named statement's rows.

    Raises RefusedError for a value that no row may hold, ConflictError for a unique key that is held, NotFoundError for
    an id that nothing has, LeaseLostError for a worker whose lease is over, SchemaError where the tables are not in
    `schema` of that database, RightsError where the role lacks a right, TransactionError for a connection that can't be
    used, and QueryExecutionError for everything else that the database refuses.
    """
    _require(connection, _SYNC, "Client", _ASYNC, "AsyncClient")
    with told(schema):
        if isinstance(connection, psycopg.Connection):
            cursor = psycopg.Cursor(connection, row_factory=tuple_row)
            return [row[0] for row in cursor.execute(statements(schema)[statement], values)]
        return list(connection.execute(_for_sqlalchemy(statement, schema), dict(values)).scalars())


async def run_async(connection: AsyncTarget, statement: str, values: Mapping[str, Any], schema: str) -> list[Any]:
    """`run()` for the async connections."""
    _require(connection, _ASYNC, "AsyncClient", _SYNC, "Client")
    with told(schema):
        if isinstance(connection, psycopg.AsyncConnection):
            cursor = psycopg.AsyncCursor(connection, row_factory=tuple_row)
            await cursor.execute(statements(schema)[statement], values)
            return [row[0] async for row in cursor]
        return list((await connection.execute(_for_sqlalchemy(statement, schema), dict(values))).scalars())


def driver(connection: SyncTarget) -> psycopg.Connection[Any]:
    """psycopg's own connection beneath, in the transaction that a statement has begun; for COPY."""
    match connection:
        case psycopg.Connection():
            return connection
        case database.Connection():
            found = connection.driver()
        case sqlalchemy.Connection():
            found = connection.connection.driver_connection
        case _:
            found = connection.connection().connection.driver_connection
    return cast("psycopg.Connection[Any]", found)


async def driver_async(connection: AsyncTarget) -> psycopg.AsyncConnection[Any]:
    """The same for the async connections."""
    match connection:
        case psycopg.AsyncConnection():
            return connection
        case database.AsyncConnection():
            found = await connection.driver()
        case AsyncConnection():
            found = (await connection.get_raw_connection()).driver_connection
        case _:
            found = (await (await connection.connection()).get_raw_connection()).driver_connection
    return cast("psycopg.AsyncConnection[Any]", found)


@cache
def _for_sqlalchemy(statement: str, schema: str) -> TextClause:
    return text(_PARAMETER.sub(r":\1", statements(schema)[statement].decode()))


def _require(
    connection: object, taken: tuple[type, ...], client: str, others: tuple[type, ...], other_client: str
) -> None:
    if isinstance(connection, taken):
        return
    kind = f"{type(connection).__module__.partition('.')[0]}'s {type(connection).__name__}"
    if isinstance(connection, others):
        raise TransactionError(f"{client} can't write on {kind}, which is {other_client}'s: use {other_client}.")
    raise TransactionError(
        f"{client} can't write on {kind}: connection= takes a connection of psycopg or of SQLAlchemy, a session of "
        "SQLAlchemy, or what get_connection() gives."
    )


@contextmanager
def told(schema: str) -> Iterator[None]:
    """What the driver raises within, as `run()` raises it."""
    try:
        yield
    except UnicodeEncodeError as error:
        raise RefusedError("A value holds characters that are not UTF-8: write it anew.") from error
    except psycopg.Error as error:
        raise _sentence(error, schema) from error
    except (SQLAlchemyError, QueryExecutionError) as error:
        cause = error.orig if isinstance(error, DBAPIError) else error.__cause__
        if isinstance(cause, psycopg.Error):
            raise _sentence(cause, schema) from cause
        if isinstance(error, QueryExecutionError):
            raise
        if isinstance(error, DBAPIError):
            raise QueryExecutionError(f"The job database refused it: {_first_line(error.orig)}") from error
        raise TransactionError(f"The connection can't be used: {_first_line(error)}") from error


def _sentence(error: psycopg.Error, schema: str) -> SchedulerError:
    """As a command tells it, but for what has to do with whose connection it is."""
    match error:
        case errors.InFailedSqlTransaction():
            return TransactionError(
                "The transaction was broken by an earlier statement whose error was swallowed: let the error out, or "
                "use a savepoint around that statement."
            )
        case _ if isinstance(error, _OTHER_TABLES):
            return SchemaError(
                f'The connection leads to a database without the tables of this version in schema "{schema}": give '
                f"one to the job database, or name the schema: Client(schema=…). It says: {_first_line(error)}"
            )
        case errors.NoDataFound() if error.diag.message_hint:
            return NotFoundError(f"{_first_line(error)} {error.diag.message_hint}")
        case errors.ObjectNotInPrerequisiteState() if error.diag.message_hint:
            return LeaseLostError(f"{_first_line(error)} {error.diag.message_hint}")
        case _ if isinstance(error, _LOST) or (isinstance(error, psycopg.OperationalError) and error.sqlstate is None):
            return TransactionError(f"The connection can't be used: {_first_line(error)}")
        case _:
            return sentence(error, schema)


def _first_line(error: BaseException | None) -> str:
    return str(error).strip().partition("\n")[0].rstrip(". ") + "."
