"""`AsyncClient`: enqueuing from asyncio."""

from collections.abc import Callable
from types import TracebackType
from typing import Any, Self, Unpack

from scheduler.client.job_database import JobDatabase
from scheduler.client.new_execution import EnqueueOptions, new_execution
from scheduler.database import get_connection, transactional
from scheduler.store.enqueuing import AsyncTarget, enqueue_async


class AsyncClient:
    """Tasks may share one, and event loops. `close()`, or leaving `async with`, closes what it opened itself."""

    def __init__(self, url: str | None = None, *, schema: str | None = None) -> None:
        """As `Client`."""
        self._job = JobDatabase(url, schema)

    async def enqueue(
        self,
        handler: str | Callable[..., Any],
        params: Any = None,
        *,
        connection: AsyncTarget | None = None,
        **options: Unpack[EnqueueOptions],
    ) -> int:
        """As `Client.enqueue`; `connection` is psycopg's or SQLAlchemy's async one, or an async session."""
        new = new_execution(handler, params, options)
        if connection is not None:
            return await enqueue_async(connection, new, self._job.schema)
        database = self._job.find()
        async with transactional(database):
            return await enqueue_async(get_connection(database.name), new, self._job.schema)

    async def close(self) -> None:
        """Close the connections of its own. The next `enqueue()` opens new ones."""
        if self._job.own is not None:
            await self._job.own.dispose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.close()
