"""`Client`: enqueuing, waiting and working from a thread."""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from contextlib import contextmanager
from datetime import timedelta
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack, overload
from uuid import UUID

import scheduler
from scheduler.client import questions
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
from scheduler.client.publishing import SyncPublisher
from scheduler.client.questions import Question
from scheduler.database import get_connection, transactional
from scheduler.database.alone import run_alone
from scheduler.errors import CallTimeoutError, WaitTimeoutError
from scheduler.model import Status
from scheduler.store.callers import SyncTarget, run
from scheduler.store.enqueuing import enqueue, enqueue_many

P = TypeVar("P")
T = TypeVar("T")


class Client:
    """Threads may share one. `close()`, or leaving `with Client(…)`, closes the connections that it opened itself."""

    def __init__(self, url: str | None = None, *, schema: str | None = None) -> None:
        """`url` is that of the job database; None: the one of `DatabaseRegistry`, as in every handler.

        `schema` is that of the scheduler's tables; None: the registry's, or "public". Opens nothing; raises
        ConfigurationError on an unreadable url.
        """
        self._job = JobDatabase(url, schema)
        self._publisher = SyncPublisher()

    @overload
    def enqueue(
        self,
        handler: str,
        params: Any = None,
        *,
        connection: SyncTarget | None = None,
        **options: Unpack[EnqueueOptions],
    ) -> int: ...
    @overload
    def enqueue(
        self,
        handler: Handle[P],
        params: P,
        *,
        connection: SyncTarget | None = None,
        **options: Unpack[EnqueueOptions],
    ) -> int: ...
    @overload
    def enqueue(
        self,
        handler: BareHandle,
        params: None = None,
        *,
        connection: SyncTarget | None = None,
        **options: Unpack[EnqueueOptions],
    ) -> int: ...
    def enqueue(
        self,
        handler: str | Callable[..., Any],
        params: Any = None,
        *,
        connection: SyncTarget | None = None,
        **options: Unpack[EnqueueOptions],
    ) -> int:
        """Enqueue one execution; its id, or that of the one which holds its `unique_key` (see `on_conflict`).

        `handler` is a name, or what `@handler` decorates; `params` a dict, a pydantic model, or whatever else becomes
        JSON. `connection` is yours, to the job database: psycopg's, SQLAlchemy's, or a session of SQLAlchemy's. The
        execution is there if and only if you commit. Without one, it is part of the `transactional` around this call,
        or else committed at once.

        Raises ParamsError before anything is sent, RefusedError for a value that no row may hold, ConflictError where
        the unique key is held and `on_conflict` is "error", TransactionError for a connection that can't be used or a
        transaction that the job database isn't part of, CommitUnknownError where the connection was lost before the
        answer came and there was no transaction around, ConfigurationError where nothing says which database it is.
        """
        new = new_execution(handler, params, options)
        if connection is None:
            id_ = run_alone(self._job.find(), lambda own: enqueue(own, new, self._job.schema))
            if id_ is not None:
                return id_
        with self._target(connection) as target:
            return enqueue(target, new, self._job.schema)

    @overload
    def enqueue_many(
        self,
        handler: str,
        params: Iterable[Any],
        *,
        connection: SyncTarget | None = None,
        **options: Unpack[EnqueueOptions],
    ) -> list[int]: ...
    @overload
    def enqueue_many(
        self,
        handler: Handle[P],
        params: Iterable[P | Item[P]],
        *,
        connection: SyncTarget | None = None,
        **options: Unpack[EnqueueOptions],
    ) -> list[int]: ...
    @overload
    def enqueue_many(
        self,
        handler: BareHandle,
        params: Iterable[Item[None] | None],
        *,
        connection: SyncTarget | None = None,
        **options: Unpack[EnqueueOptions],
    ) -> list[int]: ...
    def enqueue_many(
        self,
        handler: str | Callable[..., Any],
        params: Iterable[Any],
        *,
        connection: SyncTarget | None = None,
        **options: Unpack[EnqueueOptions],
    ) -> list[int]:
        """Enqueue an execution for each of `params`, at the speed of COPY; their ids in the same order.

        All of them, or none: in one transaction, which is as in `enqueue()`. Where one of `params` is an `Item`, its
        options come before the common ones. Executions with a `unique_key` are enqueued one by one on the server, about
        as fast as `enqueue()` without its round trips, and so are all of a role that may not choose ids. `params` may
        be a generator: no more than 10,000 are held at once.

        Raises as `enqueue()` does, naming the place of what is refused, counted from 0. On a `connection` of yours,
        what came before that is undone by your rollback.
        """
        rows = many_executions(handler, params, options)
        count = len(params) if isinstance(params, Sized) else None
        with self._target(connection) as target:
            return enqueue_many(target, rows, self._job.schema, count)

    @overload
    def call(
        self, handler: str, params: Any = None, *, timeout: float | timedelta = 5, **options: Unpack[CallOptions]
    ) -> Any: ...
    @overload
    def call(
        self, handler: Handle[P], params: P, *, timeout: float | timedelta = 5, **options: Unpack[CallOptions]
    ) -> Any: ...
    @overload
    def call(
        self,
        handler: BareHandle,
        params: None = None,
        *,
        timeout: float | timedelta = 5,
        **options: Unpack[CallOptions],
    ) -> Any: ...
    def call(
        self,
        handler: str | Callable[..., Any],
        params: Any = None,
        *,
        timeout: float | timedelta = 5,
        **options: Unpack[CallOptions],
    ) -> Any:
        """Enqueue one execution, wait for its end, and return what the handler returned, as JSON has it.

        `timeout` is how many seconds to wait, over all tries. Raises ExecutionFailedError when it ends otherwise,
        CallTimeoutError when it has not ended by then: it goes on, and `error.ids` names it. Otherwise as `enqueue()`;
        inside of `transactional` it is a TransactionError, for nobody could run what isn't committed.
        """
        seconds = seconds_of(timeout)
        database = self._job.apart("call()")
        new = new_execution(handler, params, noticed(options))
        with database.connection() as connection:
            id_ = enqueue(connection, new, self._job.schema)
        try:
            return questions.result_of(self.wait(id_, timeout=seconds))
        except WaitTimeoutError:
            raise CallTimeoutError([id_], seconds) from None

    def wait(self, id: int, *, timeout: float | timedelta | None = None) -> Execution:  # noqa: A002 - the column's name
        """The execution when it is final, however it ended.

        Where it was enqueued with `notify_done` it is seen at once, and otherwise within a second. Raises
        WaitTimeoutError after `timeout` seconds, NotFoundError for an id that nothing has.
        """
        (ended,) = self.as_completed([id], timeout=timeout)
        return ended

    def as_completed(self, ids: Iterable[int], *, timeout: float | timedelta | None = None) -> Iterator[Execution]:
        """Each of these executions as soon as it is final, in the order in which that is seen. Raises as `wait()`."""
        rung = threading.Event()
        pending = Pending(ids, optional_seconds(timeout), rung.set)
        with self._job.ends().heard_by(pending.hear, list(pending.ids)):
            while pending.ids:
                for chunk in pending.to_look_at():
                    yield from pending.ended(self._ask_apart(questions.look(chunk, final_only=True)))
                if pending.ids:
                    rung.wait(pending.pause())
                    rung.clear()

    def watch(self, id: int, *, timeout: float | timedelta | None = None) -> Iterator[Execution]:  # noqa: A002 - as above
        """The execution as it is now, and again when its status, attempt or progress has changed; the last is final.

        Looks twice a second, so that what lasts shorter may be passed over. Raises as `wait()`.
        """
        rung = threading.Event()
        pending = Pending([id], optional_seconds(timeout), rung.set, longest_pause=WATCHED_PAUSE)
        with self._job.ends().heard_by(pending.hear, [id]):
            while pending.ids:
                for chunk in pending.to_look_at():
                    yield from pending.changed(self._ask_apart(questions.look(chunk, final_only=False)))
                if pending.ids:
                    rung.wait(pending.pause())
                    rung.clear()

    @contextmanager
    def events(self, *, queue: str | None = None) -> Iterator[Iterator[Execution]]:
        """`with client.events(queue="mail") as ended:` gives an endless iterator of executions that became final.

        From entering on, those that were enqueued with `notify_done`, of all queues or of one. Each comes once at most:
        what ends while the connection is lost is not told afterwards, so that this is for showing, and
        `as_completed()` for what may not be missed. Raises DatabaseError where no connection can listen; behind a
        pooler in transaction mode nothing is ever heard.
        """
        rung = threading.Event()
        heard = Heard(queue, rung.set)

        def ended() -> Iterator[Execution]:
            while True:
                for chunk in heard.to_look_at():
                    yield from heard.ended(self._ask_apart(questions.look(chunk, final_only=True)))
                rung.wait()
                rung.clear()

        with self._job.ends().heard_by(heard.hear):
            while not heard.listens:
                rung.wait(heard.pause())
                rung.clear()
            rung.set()
            yield ended()

    def get(self, id: int, *, connection: SyncTarget | None = None) -> Execution:  # noqa: A002 - the column's name
        """The execution as it is now. Raises NotFoundError."""
        return self._ask(questions.get(id), connection)

    def cancel(self, id: int, reason: str | None = None, *, connection: SyncTarget | None = None) -> Status:  # noqa: A002 - as above
        """Cancel a waiting execution at once, ask a running one to stop; its status now. Raises NotFoundError."""
        return self._ask(questions.cancel(id, reason), connection)

    def retry(self, id: int, *, connection: SyncTarget | None = None) -> Status:  # noqa: A002 - as above
        """Send a final execution back to PENDING with all its tries; its status now.

        One that isn't final or was skipped stays as it is. Raises NotFoundError, and ConflictError where another
        execution holds its unique key, which the error names.
        """
        return self._ask(questions.retry(id), connection)

    def queue_stats(self, name: str) -> QueueStats:
        """What waits in a queue, what runs, and who serves it. Raises NotFoundError for one that nothing names."""
        found = self._ask(questions.queue_stats(name))
        if found is None:
            raise self._ask(questions.queue_names(name))
        return found

    def publish(self, queue: str, message: Any, *, id: str | None = None, delay: float | timedelta = 0) -> str:  # noqa: A002 - the message's
        """Put a message into a message queue of the settings; its id, safely stored there when this returns.

        It has nothing to do with any transaction. `message` is a dict, a pydantic model, or whatever else becomes JSON;
        `id` is by which a consumer knows it when it comes twice, made up if it is None; it is received after `delay`
        seconds at the earliest. Outside of `scheduler run`, `QueueRegistry.configure({"orders": url})` says where the
        queues are.

        Raises NotFoundError for a queue that nothing names, MalformedMessageError for what can't be JSON,
        MessageTooLargeError above 256 KiB, QueueFullError at its `max_length`, ConfigurationError for a queue in the
        memory of another process. After a BrokerError it may be there or not: publish it again with the same id.
        """
        return self._publisher.publish(queue, message, id, delay)

    def register(
        self, name: str, *, queues: Sequence[str] = ("default",), pool_size: int = 1, lease_seconds: float = 30
    ) -> UUID:
        """Register a worker of your own; its id. Its claims hold for `lease_seconds`: call `heartbeat()` in time."""
        return self._ask_apart(questions.register(name, queues, pool_size, lease_seconds, scheduler.__version__))

    def heartbeat(self, worker: UUID, *, lease_seconds: float = 30) -> None:
        """Renew the lease, from now on. Raises LeaseLostError: stop everything that was claimed, and register anew."""
        self._ask_apart(questions.heartbeat(worker, lease_seconds))

    def claim(self, worker: UUID, queue: str = "default", n: int = 1) -> list[Claimed]:
        """Up to `n` executions, highest priority first. End each by `complete()` or `fail()`, within its timeout.

        Raises LeaseLostError for a worker without a valid lease.
        """
        return self._ask_apart(questions.claim(worker, queue, n))

    def complete(self, claimed: Claimed, result: Any = None, *, connection: SyncTarget | None = None) -> None:
        """Record SUCCESS, with `connection` or inside of `transactional` together with your own writes.

        Raises LeaseLostError when the claim is over and nothing was recorded, ParamsError for what is no JSON.
        """
        self._ask(questions.complete(claimed, result), connection)

    def fail(self, claimed: Claimed, error: str, *, connection: SyncTarget | None = None) -> Status:
        """Record a failed attempt; the status now: PENDING where it is tried again. Raises as `complete()`."""
        return self._ask(questions.fail(claimed, error), connection)

    def close(self) -> None:
        """Stop listening, and close the connections of its own. The next use opens new ones."""
        self._publisher.close()
        self._job.stop_listening()
        if self._job.own is not None:
            self._job.own.dispose_of_threads()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    @contextmanager
    def _target(self, connection: SyncTarget | None) -> Iterator[SyncTarget]:
        if connection is not None:
            yield connection
            return
        database = self._job.find()
        with transactional(database):
            yield get_connection(database.name)

    def _ask(self, question: Question[T], connection: SyncTarget | None = None) -> T:
        with self._target(connection) as target:
            return question.answer(run(target, question.statement, question.values, self._job.schema))

    def _ask_apart(self, question: Question[T]) -> T:
        """Outside of any transaction: what others commit meanwhile is seen, and nothing is held."""
        with self._job.find().connection() as connection:
            return question.answer(run(connection, question.statement, question.values, self._job.schema))
