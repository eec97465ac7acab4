"""`AsyncClient`: the same from asyncio."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Sequence, Sized
from contextlib import asynccontextmanager
from datetime import timedelta
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack, overload
from uuid import UUID

import scheduler
from scheduler.client import questions
from scheduler.client.bell import Bell
from scheduler.client.events import Heard
from scheduler.client.handles import BareHandle, Handle
from scheduler.client.job_database import JobDatabase
from scheduler.client.new_execution import (
    CallOptions,
    EnqueueOptions,
    Item,
    many_executions,
    new_execution,
    noticed,
    optional_seconds,
    seconds_of,
)
from scheduler.client.nouns import Claimed, Execution, QueueStats
from scheduler.client.pending import WATCHED_PAUSE, Pending
from scheduler.client.publishing import Publisher
from scheduler.client.questions import Question
from scheduler.database import get_connection, transactional
from scheduler.database.alone import run_alone_async
from scheduler.errors import CallTimeoutError, WaitTimeoutError
from scheduler.model import Status
from scheduler.store.callers import AsyncTarget, run_async
from scheduler.store.enqueuing import enqueue_async, enqueue_many_async

P = TypeVar("P")
T = TypeVar("T")


class AsyncClient:
    """Tasks may share one, and event loops. `close()`, or leaving `async with`, closes what it opened itself."""

    def __init__(self, url: str | None = None, *, schema: str | None = None) -> None:
        """As `Client`."""
        self._job = JobDatabase(url, schema)
        self._publisher = Publisher()

    @overload
    async def enqueue(
        self,
        handler: str,
        params: Any = None,
        *,
        connection: AsyncTarget | None = None,
        **options: Unpack[EnqueueOptions],
    ) -> int: ...
    @overload
    async def enqueue(
        self,
        handler: Handle[P],
        params: P,
        *,
        connection: AsyncTarget | None = None,
        **options: Unpack[EnqueueOptions],
    ) -> int: ...
    @overload
    async def enqueue(
        self,
        handler: BareHandle,
        params: None = None,
        *,
        connection: AsyncTarget | None = None,
        **options: Unpack[EnqueueOptions],
    ) -> int: ...
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
        if connection is None:
            id_ = await run_alone_async(self._job.find(), lambda own: enqueue_async(own, new, self._job.schema))
            if id_ is not None:
                return id_
        async with self._target(connection) as target:
            return await enqueue_async(target, new, self._job.schema)

    @overload
    async def enqueue_many(
        self,
        handler: str,
        params: Iterable[Any],
        *,
        connection: AsyncTarget | None = None,
        **options: Unpack[EnqueueOptions],
    ) -> list[int]: ...
    @overload
    async def enqueue_many(
        self,
        handler: Handle[P],
        params: Iterable[P | Item[P]],
        *,
        connection: AsyncTarget | None = None,
        **options: Unpack[EnqueueOptions],
    ) -> list[int]: ...
    @overload
    async def enqueue_many(
        self,
        handler: BareHandle,
        params: Iterable[Item[None] | None],
        *,
        connection: AsyncTarget | None = None,
        **options: Unpack[EnqueueOptions],
    ) -> list[int]: ...
    async def enqueue_many(
        self,
        handler: str | Callable[..., Any],
        params: Iterable[Any],
        *,
        connection: AsyncTarget | None = None,
        **options: Unpack[EnqueueOptions],
    ) -> list[int]:
        """As `Client.enqueue_many`."""
        rows = many_executions(handler, params, options)
        count = len(params) if isinstance(params, Sized) else None
        async with self._target(connection) as target:
            return await enqueue_many_async(target, rows, self._job.schema, count)

    @overload
    async def call(
        self, handler: str, params: Any = None, *, timeout: float | timedelta = 5, **options: Unpack[CallOptions]
    ) -> Any: ...
    @overload
    async def call(
        self, handler: Handle[P], params: P, *, timeout: float | timedelta = 5, **options: Unpack[CallOptions]
    ) -> Any: ...
    @overload
    async def call(
        self,
        handler: BareHandle,
        params: None = None,
        *,
        timeout: float | timedelta = 5,
        **options: Unpack[CallOptions],
    ) -> Any: ...
    async def call(
        self,
        handler: str | Callable[..., Any],
        params: Any = None,
        *,
        timeout: float | timedelta = 5,
        **options: Unpack[CallOptions],
    ) -> Any:
        """As `Client.call`."""
        seconds = seconds_of(timeout)
        database = self._job.apart("call()")
        new = new_execution(handler, params, noticed(options))
        async with database.async_connection() as connection:
            id_ = await enqueue_async(connection, new, self._job.schema)
        try:
            return questions.result_of(await self.wait(id_, timeout=seconds))
        except WaitTimeoutError:
            raise CallTimeoutError([id_], seconds) from None

    async def wait(self, id: int, *, timeout: float | timedelta | None = None) -> Execution:  # noqa: A002 - the column's name
        """As `Client.wait`."""
        (ended,) = [each async for each in self.as_completed([id], timeout=timeout)]
        return ended

    async def as_completed(
        self, ids: Iterable[int], *, timeout: float | timedelta | None = None
    ) -> AsyncGenerator[Execution, None]:
        """As `Client.as_completed`."""
        rung = Bell()
        pending = Pending(ids, optional_seconds(timeout), rung.ring)
        with self._job.ends().heard_by(pending.hear, list(pending.ids)):
            while pending.ids:
                for chunk in pending.to_look_at():
                    for each in pending.ended(await self._ask_apart(questions.look(chunk, final_only=True))):
                        yield each
                if pending.ids:
                    await rung.wait(pending.pause())

    async def watch(self, id: int, *, timeout: float | timedelta | None = None) -> AsyncGenerator[Execution, None]:  # noqa: A002 - as above
        """As `Client.watch`."""
        rung = Bell()
        pending = Pending([id], optional_seconds(timeout), rung.ring, longest_pause=WATCHED_PAUSE)
        with self._job.ends().heard_by(pending.hear, [id]):
            while pending.ids:
                for chunk in pending.to_look_at():
                    for each in pending.changed(await self._ask_apart(questions.look(chunk, final_only=False))):
                        yield each
                if pending.ids:
                    await rung.wait(pending.pause())

    @asynccontextmanager
    async def events(self, *, queue: str | None = None) -> AsyncIterator[AsyncIterator[Execution]]:
        """As `Client.events`: `async with client.events() as ended:`, and `async for execution in ended:`."""
        rung = Bell()
        heard = Heard(queue, rung.ring)

        async def ended() -> AsyncIterator[Execution]:
            while True:
                for chunk in heard.to_look_at():
                    for each in heard.ended(await self._ask_apart(questions.look(chunk, final_only=True))):
                        yield each
                await rung.wait()

        with self._job.ends().heard_by(heard.hear):
            while not heard.listens:
                await rung.wait(heard.pause())
            rung.ring()
            yield ended()

    async def get(self, id: int, *, connection: AsyncTarget | None = None) -> Execution:  # noqa: A002 - the column's name
        """As `Client.get`."""
        return await self._ask(questions.get(id), connection)

    async def cancel(self, id: int, reason: str | None = None, *, connection: AsyncTarget | None = None) -> Status:  # noqa: A002 - as above
        """As `Client.cancel`."""
        return await self._ask(questions.cancel(id, reason), connection)

    async def retry(self, id: int, *, connection: AsyncTarget | None = None) -> Status:  # noqa: A002 - as above
        """As `Client.retry`."""
        return await self._ask(questions.retry(id), connection)

    async def queue_stats(self, name: str) -> QueueStats:
        """As `Client.queue_stats`."""
        found = await self._ask(questions.queue_stats(name))
        if found is None:
            raise await self._ask(questions.queue_names(name))
        return found

    async def publish(self, queue: str, message: Any, *, id: str | None = None, delay: float | timedelta = 0) -> str:  # noqa: A002 - as there
        """As `Client.publish`."""
        return await self._publisher.publish(queue, message, id, delay)

    async def register(
        self, name: str, *, queues: Sequence[str] = ("default",), pool_size: int = 1, lease_seconds: float = 30
    ) -> UUID:
        """As `Client.register`."""
        return await self._ask_apart(questions.register(name, queues, pool_size, lease_seconds, scheduler.__version__))

    async def heartbeat(self, worker: UUID, *, lease_seconds: float = 30) -> None:
        """As `Client.heartbeat`."""
        await self._ask_apart(questions.heartbeat(worker, lease_seconds))

    async def claim(self, worker: UUID, queue: str = "default", n: int = 1) -> list[Claimed]:
        """As `Client.claim`."""
        return await self._ask_apart(questions.claim(worker, queue, n))

    async def complete(self, claimed: Claimed, result: Any = None, *, connection: AsyncTarget | None = None) -> None:
        """As `Client.complete`."""
        await self._ask(questions.complete(claimed, result), connection)

    async def fail(self, claimed: Claimed, error: str, *, connection: AsyncTarget | None = None) -> Status:
        """As `Client.fail`."""
        return await self._ask(questions.fail(claimed, error), connection)

    async def close(self) -> None:
        """Stop listening, and close the connections of its own. The next use opens new ones."""
        await self._publisher.close()
        await asyncio.to_thread(self._job.stop_listening)
        if self._job.own is not None:
            await self._job.own.dispose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.close()

    @asynccontextmanager
    async def _target(self, connection: AsyncTarget | None) -> AsyncIterator[AsyncTarget]:
        if connection is not None:
            yield connection
            return
        database = self._job.find()
        async with transactional(database):
            yield get_connection(database.name)

    async def _ask(self, question: Question[T], connection: AsyncTarget | None = None) -> T:
        async with self._target(connection) as target:
            return question.answer(await run_async(target, question.statement, question.values, self._job.schema))

    async def _ask_apart(self, question: Question[T]) -> T:
        """Outside of any transaction: what others commit meanwhile is seen, and nothing is held."""
        async with self._job.find().async_connection() as connection:
            return question.answer(await run_async(connection, question.statement, question.values, self._job.schema))
