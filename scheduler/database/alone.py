"""A statement that is a transaction by itself, begun and committed by the server: one round trip instead of five."""

from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

import psycopg

from scheduler.database import block
from scheduler.database.database import Database
from scheduler.database.transaction import AsyncTransaction, SyncTransaction
from scheduler.errors import CommitUnknownError

T = TypeVar("T")

_READ_COMMITTED: Final = "SELECT current_setting('default_transaction_isolation') = 'read committed'"
_KNOWN: Final = "scheduler_reads_committed"


def run_alone(database: Database, act: Callable[[psycopg.Connection[Any]], T]) -> T | None:
    """What `act` gives, which sends one statement on psycopg's own connection.

    None, with nothing sent, where it has to be part of a transaction: of the open one around the caller, or of one
    whose BEGIN names READ COMMITTED, because the server's default is another. Raises what `act` raises,
    TransactionError as `Database.checkout()` and `block.enclosing()` do, and CommitUnknownError where the connection
    was lost meanwhile: nobody can be asked what became of a transaction whose number never came.
    """
    if block.enclosing(SyncTransaction) is not None:
        return None
    with database.connection() as connection:
        if _KNOWN not in connection.info:
            connection.info[_KNOWN] = connection.exec_driver_sql(_READ_COMMITTED).scalar_one()
        if not connection.info[_KNOWN]:
            return None
        driver: Any = connection.connection.driver_connection
        try:
            return act(driver)
        except Exception as error:
            if not driver.closed:
                raise
            connection.invalidate()
            raise CommitUnknownError(database.name, _first_line(error)) from error


async def run_alone_async(database: Database, act: Callable[[psycopg.AsyncConnection[Any]], Awaitable[T]]) -> T | None:
    """`run_alone()` for the running event loop."""
    if block.enclosing(AsyncTransaction) is not None:
        return None
    async with database.async_connection() as connection:
        if _KNOWN not in connection.info:
            connection.info[_KNOWN] = (await connection.exec_driver_sql(_READ_COMMITTED)).scalar_one()
        if not connection.info[_KNOWN]:
            return None
        driver: Any = (await connection.get_raw_connection()).driver_connection
        try:
            return await act(driver)
        except Exception as error:
            if not driver.closed:
                raise
            await connection.invalidate()
            raise CommitUnknownError(database.name, _first_line(error)) from error


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0].rstrip(". ")
