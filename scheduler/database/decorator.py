"""`transactional`: a transaction around a function or a block."""

import functools
import inspect
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, ParamSpec, TypeVar, cast

from scheduler.database import block
from scheduler.database.commit import LastAct
from scheduler.database.database import DEFAULT, Database
from scheduler.database.registry import DatabaseRegistry
from scheduler.database.transaction import AsyncTransaction, SyncTransaction

P = ParamSpec("P")
R = TypeVar("R")


class transactional:  # noqa: N801 - read as a verb, like contextlib's `suppress`
    """One transaction over the databases (objects or names; none given: "default") around a function or a block.

    Decorates `async def` and `def`; as a block it is `async with` or `with`. It commits when the function returns and
    rolls back on any exception. Inside of another one it joins that one, which must be over all its databases; after
    an error in a joined block the outer one can't commit any more.

    A task or thread that inherits the context (`asyncio.create_task`, `asyncio.to_thread`) inherits the transaction.
    It may use the connections while the block is open, each statement waiting for its turn, and gets a
    TransactionError afterwards; an async transaction can't be used from a thread.

    Raises NotFoundError on an unknown name, ConnectionPoolExhaustedError when no connection becomes free,
    TransactionError when the transaction can't be opened, joined or committed: then nothing was. The exceptions are
    CommitUnknownError, after a COMMIT that nobody answered, and, with `atomicity: best_effort`, PartialCommitError.
    """

    def __init__(self, *databases: Database | str) -> None:
        for database in databases:
            if not isinstance(database, Database | str):
                raise TypeError(
                    f'transactional takes databases or their names, not {database!r}: write transactional("{DEFAULT}").'
                )
        self._given = databases or (DEFAULT,)
        self.last_act: LastAct | None = None
        """Done in the job database at the end of the transaction that this opens. For the code that calls handlers."""

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise TypeError(f"{function.__qualname__} is a generator: put `with transactional(…)` inside of it.")
        if inspect.iscoroutinefunction(function):
            return cast("Callable[P, R]", self._around_async(function))

        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            with self:
                return function(*args, **kwargs)

        return call

    def _around_async(self, function: Callable[P, Coroutine[Any, Any, R]]) -> Callable[P, Coroutine[Any, Any, R]]:
        @functools.wraps(function)
        async def call(*args: P.args, **kwargs: P.kwargs) -> R:
            async with self:
                return await function(*args, **kwargs)

        return call

    def __enter__(self) -> None:
        databases = self._databases()
        if outer := block.enclosing(SyncTransaction):
            outer.require(database.name for database in databases)
            block.enter(outer, joined=True)
        else:
            transaction = SyncTransaction(databases, DatabaseRegistry.job(), self.last_act)
            transaction.open()
            block.enter(transaction, joined=False)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        transaction, joined = block.leave(SyncTransaction)
        if joined:
            transaction.inner_ended(error)
        else:
            transaction.end(commit=error is None)

    async def __aenter__(self) -> None:
        databases = self._databases()
        if outer := block.enclosing(AsyncTransaction):
            outer.require(database.name for database in databases)
            block.enter(outer, joined=True)
        else:
            transaction = AsyncTransaction(databases, DatabaseRegistry.job(), self.last_act)
            await transaction.open()
            block.enter(transaction, joined=False)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        transaction, joined = block.leave(AsyncTransaction)
        if joined:
            transaction.inner_ended(error)
        else:
            await transaction.end(commit=error is None)

    def _databases(self) -> list[Database]:
        return [DatabaseRegistry.get(each) if isinstance(each, str) else each for each in self._given]
