"""`Client`: enqueuing from a thread."""

from collections.abc import Callable
from types import TracebackType
from typing import Any, Self, Unpack

from scheduler.client.job_database import JobDatabase
from scheduler.client.new_execution import EnqueueOptions, new_execution
from scheduler.database import get_connection, transactional
from scheduler.store.enqueuing import SyncTarget, enqueue


class Client:
    """Threads may share one. `close()`, or leaving `with Client(…)`, closes the connections that it opened itself."""

    def __init__(self, url: str | None = None, *, schema: str | None = None) -> None:
        """`url` is that of the job database; None: the one of `DatabaseRegistry`, as in every handler.

        `schema` is that of the scheduler's tables; None: the registry's, or "public". Opens nothing; raises
        ConfigurationError on an unreadable url.
        """
        self._job = JobDatabase(url, schema)

    def enqueue(
        self,
        handler: str | Callable[..., Any],
        params: Any = None,
        *,
        connection: SyncTarget | None = None,
        **options: Unpack[EnqueueOptions],
    ) -> int:
        """Enqueue one execution; its id, or that of the one which holds its `unique_key`.

        `handler` is a name, or what `@handler` decorates; `params` a dict, a pydantic model, or whatever else becomes
        JSON. `connection` is yours, to the job database: psycopg's, SQLAlchemy's, or a session of SQLAlchemy's. The
        execution is there if and only if you commit. Without one, it is part of the `transactional` around this call,
        or else committed at once.

        Raises ParamsError before anything is sent, RefusedError for a value that no row may hold, TransactionError for
        a connection that can't be used or a transaction that the job database isn't part of, ConfigurationError where
        nothing says which database it is.
        """
        new = new_execution(handler, params, options)
        if connection is not None:
            return enqueue(connection, new, self._job.schema)
        database = self._job.find()
        with transactional(database):
            return enqueue(get_connection(database.name), new, self._job.schema)

    def close(self) -> None:
        """Close the connections of its own. The next `enqueue()` opens new ones."""
        if self._job.own is not None:
            self._job.own.dispose_of_threads()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()
