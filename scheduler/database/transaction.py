"""A transaction over one database or several: how it is opened, and how it ends.

`Transaction` is the one text of it, in plain calls. `SyncTransaction` runs it in a thread; `AsyncTransaction` runs the
same calls in SQLAlchemy's greenlet, where they await. Each lets one statement run at a time.
"""

import asyncio
import os
import threading
import time
from collections.abc import Coroutine, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, Final

from sqlalchemy import Connection, Engine, Executable
from sqlalchemy.util import await_only, greenlet_spawn

from scheduler.database.commit import CommitPlan, LastAct, Reread
from scheduler.database.database import Database
from scheduler.database.mark import Mark
from scheduler.database.participant import Participant
from scheduler.database.result import Result
from scheduler.errors import TransactionError, did_you_mean
from scheduler.messages import log

_ANSWER_SECONDS: Final = 5.0
"""How long a cancelled task still waits for the answer to its COMMIT or ROLLBACK."""


class Transaction:
    """The participants and the rules between them. A TransactionError that ends it is also logged."""

    def __init__(self, databases: Sequence[Database], job: Database | None, last_act: LastAct | None = None) -> None:
        """`last_act` is done in the job database at the end, and stands or falls with everything else.

        Raises TransactionError when these databases can't share a transaction.
        """
        self.databases = {database.name: database for database in databases}
        self.is_open = True
        self._participants: dict[str, Participant] = {}
        self._inner_error: BaseException | None = None
        self._marks = 0
        with self._logged():
            self._plan = CommitPlan.of(list(self.databases.values()), job, last_act)

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

    def _open(self) -> None:
        try:
            with self._logged():
                for database in self._plan.databases:
                    self._participants[database.name] = self._plan.participant(database, self._engine(database))
        except BaseException:
            self._release()
            raise

    def _engine(self, database: Database) -> Engine:
        raise NotImplementedError

    def _pause(self, seconds: float) -> None:
        raise NotImplementedError

    def _execute(self, name: str, statement: str | Executable, params: Mapping[str, Any] | None) -> Result:
        self._require_open()
        return self._participants[name].execute(statement, params)

    def _begin(self, name: str) -> Connection:
        self._require_open()
        return self._participants[name].begin()

    def _set_mark(self, names: Sequence[str]) -> Mark:
        self._require_open()
        self._marks += 1
        mark = Mark(f"scheduler_{self._marks}", [self._participants[name] for name in names], self._inner_error)
        mark.set()
        return mark

    def _end_mark(self, mark: Mark, *, keep: bool) -> None:
        self._require_open()
        if keep:
            mark.release()
        else:
            mark.roll_back()
            self._inner_error = mark.inner_error

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
        reread = Reread(lambda database: Participant(database, self._engine(database)), self._pause)
        self._plan.commit(list(self._participants.values()), reread)

    def _release(self) -> None:
        with ExitStack() as stack:
            for participant in self._participants.values():
                stack.callback(participant.release)

    def _require_open(self) -> None:
        if not self.is_open:
            raise TransactionError(
                f"The transaction over {', '.join(self.databases)} has ended; open another with `transactional`."
            )

    @contextmanager
    def _logged(self) -> Iterator[None]:
        try:
            yield
        except TransactionError as error:
            log("database.transaction_failed", databases=", ".join(self.databases), error=error)
            raise


class SyncTransaction(Transaction):
    """For `def`: each call blocks its thread."""

    def __init__(self, databases: Sequence[Database], job: Database | None, last_act: LastAct | None = None) -> None:
        super().__init__(databases, job, last_act)
        self._lock = threading.Lock()
        self._pid = os.getpid()

    def is_usable_here(self) -> bool:
        """Whether the caller runs in the process that the connections belong to."""
        return os.getpid() == self._pid

    def open(self) -> None:
        self._open()

    def execute(self, name: str, statement: str | Executable, params: Mapping[str, Any] | None) -> Result:
        with self._lock:
            return self._execute(name, statement, params)

    def begin(self, name: str) -> Connection:
        """The connection itself, its transaction begun."""
        with self._lock:
            return self._begin(name)

    def set_mark(self, names: Sequence[str]) -> Mark:
        with self._lock:
            return self._set_mark(names)

    def end_mark(self, mark: Mark, *, keep: bool) -> None:
        with self._lock:
            self._end_mark(mark, keep=keep)

    def end(self, *, commit: bool) -> None:
        with self._lock:
            self._end(commit)

    def _engine(self, database: Database) -> Engine:
        return database.sync_engine

    def _pause(self, seconds: float) -> None:
        time.sleep(seconds)


class AsyncTransaction(Transaction):
    """For `async def`: belongs to the event loop that opened it."""

    def __init__(self, databases: Sequence[Database], job: Database | None, last_act: LastAct | None = None) -> None:
        super().__init__(databases, job, last_act)
        self._loop = asyncio.get_running_loop()
        self._lock = asyncio.Lock()

    def is_usable_here(self) -> bool:
        """Whether the caller runs in the event loop that the connections wait on."""
        try:
            return asyncio.get_running_loop() is self._loop
        except RuntimeError:
            return False

    async def open(self) -> None:
        for database in self._plan.databases:
            await database.dispose_abandoned()
        await greenlet_spawn(self._open)

    async def execute(self, name: str, statement: str | Executable, params: Mapping[str, Any] | None) -> Result:
        async with self._lock:
            return await greenlet_spawn(self._execute, name, statement, params)

    async def begin(self, name: str) -> Connection:
        """The connection itself, its transaction begun; to be used in SQLAlchemy's greenlet."""
        async with self._lock:
            return await greenlet_spawn(self._begin, name)

    async def set_mark(self, names: Sequence[str]) -> Mark:
        async with self._lock:
            return await greenlet_spawn(self._set_mark, names)

    async def end_mark(self, mark: Mark, *, keep: bool) -> None:
        async with self._lock:
            await greenlet_spawn(lambda: self._end_mark(mark, keep=keep))

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

    def _engine(self, database: Database) -> Engine:
        return database.async_engine.sync_engine

    def _pause(self, seconds: float) -> None:
        await_only(asyncio.sleep(seconds))


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
