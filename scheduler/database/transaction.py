"""A transaction over one database or several: how it is opened, in which order it commits, what a failure leaves.

`Transaction` is the one text of it, in plain calls. `SyncTransaction` runs it in a thread; `AsyncTransaction` runs the
same calls in SQLAlchemy's greenlet, where they await. Each lets one statement run at a time.
"""

import asyncio
import os
import threading
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, Final

from sqlalchemy import Engine, Executable
from sqlalchemy.util import greenlet_spawn

from scheduler.database.database import DEFAULT, Atomicity, Database
from scheduler.database.participant import Participant
from scheduler.database.result import Result
from scheduler.errors import PartialCommitError, TransactionError, did_you_mean
from scheduler.messages import log

_ANSWER_SECONDS: Final = 5.0
"""How long a cancelled task still waits for the answer to its COMMIT or ROLLBACK."""


class Transaction:
    """The participants and the rules between them. A TransactionError that ends it is also logged."""

    def __init__(self, databases: Sequence[Database]) -> None:
        """Raises TransactionError when these databases can't share a transaction."""
        self.databases = {database.name: database for database in databases}
        self.is_open = True
        self._participants: dict[str, Participant] = {}
        self._inner_error: BaseException | None = None
        with self._logged():
            self._refuse_what_cant_be_atomic()

    def require(self, names: Iterable[str]) -> None:
        """Raises TransactionError when a name isn't among the databases of this transaction."""
        for name in names:
            if name not in self.databases:
                opened = ", ".join(self.databases)
                raise TransactionError(
                    f"Database {name!r} isn't part of the open transaction, which is over {opened}."
                    f"{did_you_mean(name, self.databases)} Name it in the outermost `transactional` as well."
                )

    def inner_ended(self, error: BaseException | None) -> None:
        """A block that joined has ended; with an error, nothing of the transaction may be committed any more."""
        if error is not None and self.is_open:
            self._inner_error = error

    def _open(self, engine_of: Callable[[Database], Engine]) -> None:
        try:
            with self._logged():
                for name in sorted(self.databases):  # by name, so that two transactions never wait for each other
                    database = self.databases[name]
                    self._participants[name] = Participant(database, engine_of(database))
        except BaseException:
            self._release()
            raise

    def _execute(self, name: str, statement: str | Executable, params: Mapping[str, Any] | None) -> Result:
        if not self.is_open:
            raise TransactionError(
                f"The transaction over {', '.join(self.databases)} has ended; open another with `transactional`."
            )
        return self._participants[name].execute(statement, params)

    def _end(self, commit: bool) -> None:
        self.is_open = False
        try:
            if commit:
                with self._logged():
                    self._commit()
        finally:
            self._inner_error = None
            self._release()

    def _commit(self) -> None:
        if self._inner_error is not None:
            raise TransactionError(
                "Rolled back, because an inner `transactional` block failed and its error was swallowed: "
                f"{type(self._inner_error).__name__}: {self._inner_error}"
            ) from self._inner_error
        for participant in self._participants.values():
            participant.check()
        waiting = [self._participants[database.name] for database in _commit_order(self.databases.values())]
        committed: list[str] = []
        while waiting:
            try:
                waiting[0].commit()
            except TransactionError as error:
                if not committed:
                    raise
                raise PartialCommitError(committed, [each.database.name for each in waiting]) from error
            committed.append(waiting.pop(0).database.name)

    def _release(self) -> None:
        with ExitStack() as stack:
            for participant in self._participants.values():
                stack.callback(participant.release)

    @contextmanager
    def _logged(self) -> Iterator[None]:
        try:
            yield
        except TransactionError as error:
            log("database.transaction_failed", databases=", ".join(self.databases), error=error)
            raise

    def _refuse_what_cant_be_atomic(self) -> None:
        *further, last = _commit_order(self.databases.values())
        for database in further:
            if database.options.atomicity is not Atomicity.BEST_EFFORT:
                raise TransactionError(
                    f"Databases {', '.join(self.databases)} can't be committed as one. Set "
                    f"`databases.{database.name}.atomicity: best_effort` to commit it just before {last.name!r}."
                )


class SyncTransaction(Transaction):
    """For `def`: each call blocks its thread."""

    def __init__(self, databases: Sequence[Database]) -> None:
        super().__init__(databases)
        self._lock = threading.Lock()
        self._pid = os.getpid()

    def is_usable_here(self) -> bool:
        """Whether the caller runs in the process that the connections belong to."""
        return os.getpid() == self._pid

    def open(self) -> None:
        self._open(lambda database: database.sync_engine)

    def execute(self, name: str, statement: str | Executable, params: Mapping[str, Any] | None) -> Result:
        with self._lock:
            return self._execute(name, statement, params)

    def end(self, *, commit: bool) -> None:
        with self._lock:
            self._end(commit)


class AsyncTransaction(Transaction):
    """For `async def`: belongs to the event loop that opened it."""

    def __init__(self, databases: Sequence[Database]) -> None:
        super().__init__(databases)
        self._loop = asyncio.get_running_loop()
        self._lock = asyncio.Lock()

    def is_usable_here(self) -> bool:
        """Whether the caller runs in the event loop that the connections wait on."""
        try:
            return asyncio.get_running_loop() is self._loop
        except RuntimeError:
            return False

    async def open(self) -> None:
        for database in self.databases.values():
            await database.dispose_abandoned()
        await greenlet_spawn(self._open, lambda database: database.async_engine.sync_engine)

    async def execute(self, name: str, statement: str | Executable, params: Mapping[str, Any] | None) -> Result:
        async with self._lock:
            return await greenlet_spawn(self._execute, name, statement, params)

    async def end(self, *, commit: bool) -> None:
        """Commit or roll back. A cancellation meanwhile is raised when the server has answered, or after 5 s."""
        try:
            await asyncio.sleep(0)  # a cancellation that is already on its way arrives here and still rolls back
        except asyncio.CancelledError:
            await _heard_out(self._locked_end(commit=False))
            raise
        await _heard_out(self._locked_end(commit))

    async def _locked_end(self, commit: bool) -> None:
        async with self._lock:
            await greenlet_spawn(self._end, commit)


def _commit_order(databases: Iterable[Database]) -> list[Database]:
    """The one that must not be left out comes last: the `two_phase` one, and among equals the default one."""
    return sorted(databases, key=lambda each: (each.options.atomicity is Atomicity.TWO_PHASE, each.name == DEFAULT))


_endings: set[asyncio.Task[None]] = set()


async def _heard_out(ending: Coroutine[Any, Any, None]) -> None:
    """Await `ending` in a task of its own, so that cancelling the caller can't cut a COMMIT, or two, in half.

    Cancelled and without an answer after `_ANSWER_SECONDS`, the caller goes; the task gives the connections back later.
    """
    task = asyncio.create_task(ending)
    _endings.add(task)
    task.add_done_callback(_endings.discard)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task], timeout=_ANSWER_SECONDS)
        if task.done() and not task.cancelled():
            task.result()
        raise
