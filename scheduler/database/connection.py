"""`get_connection`: a database of the enclosing transaction, to run statements on."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Executable

from scheduler.database import block
from scheduler.database.database import DEFAULT
from scheduler.database.result import Result
from scheduler.database.transaction import AsyncTransaction, SyncTransaction


class AsyncConnection:
    """A database of an async transaction. Tasks may share it; its statements run one at a time."""

    def __init__(self, transaction: AsyncTransaction, name: str) -> None:
        self._transaction, self._name = transaction, name

    async def execute(self, statement: str | Executable, params: Mapping[str, Any] | None = None) -> Result:
        """Run SQL text or a SQLAlchemy statement, with values for its named parameters (`:name`).

        Text without `params` goes to the server as it is; with `params`, write `\\:` for a literal colon before a word.
        Raises QueryExecutionError, with the driver's error as its cause, and TransactionError when the transaction has
        ended or its connection was lost.
        """
        return await self._transaction.execute(self._name, statement, params)

    async def driver(self) -> Any:
        """psycopg's connection, its transaction begun, for what SQLAlchemy can't do. Raises TransactionError."""
        connection = await self._transaction.begin(self._name)
        return connection.connection.driver_connection


class Connection:
    """A database of a sync transaction. Threads may share it; its statements run one at a time."""

    def __init__(self, transaction: SyncTransaction, name: str) -> None:
        self._transaction, self._name = transaction, name

    def execute(self, statement: str | Executable, params: Mapping[str, Any] | None = None) -> Result:
        """As `AsyncConnection.execute`, without `await`."""
        return self._transaction.execute(self._name, statement, params)

    def driver(self) -> Any:
        """As `AsyncConnection.driver`, without `await`."""
        return self._transaction.begin(self._name).connection.driver_connection


def get_connection(name: str = DEFAULT) -> Any:
    """An AsyncConnection inside of an async `transactional`, a Connection inside of a sync one.

    Typed Any, because only the enclosing block decides: annotate the variable to have its methods checked.
    Raises TransactionError outside of any, when it has ended, or when `name` isn't among its databases.
    """
    transaction = block.around(f'get_connection("{name}")', name)
    transaction.require([name])
    if isinstance(transaction, AsyncTransaction):
        return AsyncConnection(transaction, name)
    return Connection(transaction, name)
