"""`savepoint`: a part of a transaction that may fail alone. `session`: SQLAlchemy's, for mapped classes."""

from types import TracebackType
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession
from sqlalchemy.orm import Session

from scheduler.database import block
from scheduler.database.database import DEFAULT, Database
from scheduler.database.mark import Mark
from scheduler.database.transaction import AsyncTransaction, SyncTransaction
from scheduler.errors import TransactionError


class savepoint:  # noqa: N801 - read as `transactional` is
    """A block inside of `transactional` whose error undoes what the block did, and nothing before it.

    `async with savepoint():` or `with savepoint():`, over all databases of the transaction or over those named. The
    error goes on; whoever catches it outside of the block can go on as well. Raises TransactionError outside of any
    transaction.
    """

    def __init__(self, *databases: Database | str) -> None:
        self._names = [each if isinstance(each, str) else each.name for each in databases]
        self._marks: list[Mark] = []

    def __enter__(self) -> None:
        transaction = _around("savepoint()", SyncTransaction)
        self._marks.append(transaction.set_mark(self._over(transaction)))

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        _around("savepoint()", SyncTransaction).end_mark(self._marks.pop(), keep=error is None)

    async def __aenter__(self) -> None:
        transaction = _around("savepoint()", AsyncTransaction)
        self._marks.append(await transaction.set_mark(self._over(transaction)))

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await _around("savepoint()", AsyncTransaction).end_mark(self._marks.pop(), keep=error is None)

    def _over(self, transaction: SyncTransaction | AsyncTransaction) -> list[str]:
        transaction.require(self._names)
        return self._names or list(transaction.databases)


class session:  # noqa: N801 - the same
    """A block with a session of SQLAlchemy's on a database of the enclosing transaction.

    `async with session("business") as orm:` gives an AsyncSession, `with` a Session. It works in a savepoint of its
    own: leaving the block flushes it into the transaction, an error undoes what it did. Use no other connection to
    that database inside of the block.
    """

    def __init__(self, database: Database | str = DEFAULT, **options: Any) -> None:
        """`options` are those of SQLAlchemy's session, such as `expire_on_commit`."""
        self._name = database if isinstance(database, str) else database.name
        self._options = {**options, "join_transaction_mode": "create_savepoint"}
        self._sync: Session | None = None
        self._async: AsyncSession | None = None

    def __enter__(self) -> Session:
        transaction = _around(f'session("{self._name}")', SyncTransaction, self._name)
        transaction.require([self._name])
        self._sync = Session(transaction.begin(self._name), **self._options)
        return self._sync

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        assert self._sync is not None
        with self._sync as orm:
            if error is None:
                orm.commit()

    async def __aenter__(self) -> AsyncSession:
        transaction = _around(f'session("{self._name}")', AsyncTransaction, self._name)
        transaction.require([self._name])
        connection = await transaction.begin(self._name)
        engine = transaction.databases[self._name].async_engine
        self._async = AsyncSession(AsyncConnection(engine, connection), **self._options)
        return self._async

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        assert self._async is not None
        async with self._async as orm:
            if error is None:
                await orm.commit()


def _around(call: str, kind: type[block.T], name: str = DEFAULT) -> block.T:
    transaction = block.around(call, name)
    if not isinstance(transaction, kind):
        raise TransactionError(
            f"{call} is used in the other form than its transaction: "
            "use `async with` inside of `async with` and `with` inside of `with`."
        )
    return transaction
