"""One database's part in a transaction: its connection, and what the server, not the driver, says about it.

Written once for both worlds: under an async engine the same calls run in SQLAlchemy's greenlet and await inside.
"""

from collections.abc import Mapping
from typing import Any, Final

import psycopg
from psycopg.pq import TransactionStatus
from sqlalchemy import Connection, CursorResult, Engine, Executable, TextClause, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from scheduler import failpoints
from scheduler.database import wire
from scheduler.database.database import Database
from scheduler.database.restrictions import forbidden, refusal
from scheduler.database.result import Result
from scheduler.errors import CommitUnknownError, QueryExecutionError, TransactionError
from scheduler.messages import log

LOCK_SECONDS: Final = 20
"""How long a statement of a transaction over several databases waits for a lock: no server sees a deadlock of two."""

END_SECONDS: Final = 10.0
"""How long a server may take to carry out what is decided before that is left to the resolver."""

_SHOWN_LENGTH: Final = 200
_BEGIN: Final = "BEGIN ISOLATION LEVEL READ COMMITTED"
_ALREADY_ENDED: Final = (psycopg.errors.UndefinedObject, psycopg.errors.ObjectNotInPrerequisiteState)
"""COMMIT PREPARED of what the resolver has carried out, or is about to."""


class Participant:
    """A checked-out connection with its transaction. BEGIN is sent with the first statement."""

    def __init__(self, database: Database, engine: Engine, *, bounded: bool = False, prepares: bool = False) -> None:
        """`bounded`: others are in the transaction, so no lock is waited for without end. `prepares`: it is to PREPARE.

        Raises ConnectionPoolExhaustedError, or TransactionError when the server can't be reached.
        """
        self.database, self.prepares = database, prepares
        self.gid: str | None = None
        """What it is prepared as, while it is."""
        self._begin_text = f"{_BEGIN}; SET LOCAL lock_timeout = '{LOCK_SECONDS}s'" if bounded else _BEGIN
        self._connection = database.checkout(engine)
        self._transaction = self._connection.begin()
        self._begun = False
        self._broken_by: str | None = None
        self._ended_by: str | None = None

    @property
    def name(self) -> str:
        return self.database.name

    @property
    def begun(self) -> bool:
        """Whether there is anything to commit."""
        return self._begun

    # While it is open ------------------------------------------------------------------------------------------------

    def execute(self, statement: str | Executable, params: Mapping[str, Any] | None) -> Result:
        """Run one statement. Raises QueryExecutionError, or TransactionError when the transaction is gone."""
        if self.prepares and isinstance(statement, str | TextClause) and (word := forbidden(str(statement))):
            raise TransactionError(
                f"Database {self.name!r} takes part in a two-phase commit, which {word} can't be part of: "
                f"leave it out (in: {_shown(statement)})."
            )
        self.begin()
        before = self._status()
        try:
            result = Result.fetched(self._run(statement, params))
        except SQLAlchemyError as error:
            if before is not TransactionStatus.INERROR and self._status() is TransactionStatus.INERROR:
                self._broken_by = _shown(statement)
            raise self._query_failed(statement, error) from _cause(error)
        if self._status() is TransactionStatus.IDLE:
            self._ended_by = _shown(statement)
            raise self._not_open()
        return result

    def begin(self) -> Connection:
        """BEGIN, once; the connection, for who speaks to it directly. Raises TransactionError when it is lost."""
        if self._begun:
            if self._status() is TransactionStatus.UNKNOWN or self._ended_by is not None:
                raise self._not_open()
            return self._connection
        try:
            wire.answer(self._connection, self._begin_text)
        except psycopg.Error as error:
            self._connection.invalidate()
            raise self._not_open() from error
        self._begun = True
        return self._connection

    def query(self, sql: str, values: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
        """The rows of a statement of ours, in psycopg's form. Raises psycopg.Error."""
        try:
            cursor = self._connection.exec_driver_sql(sql, dict(values) if values is not None else None)
            return [tuple(row) for row in cursor.all()] if cursor.returns_rows else []
        except DBAPIError as error:
            raise _cause(error) from None

    def savepoint(self, name: str) -> None:
        """SAVEPOINT, where there is something before it. Raises QueryExecutionError."""
        if self._begun:
            self.execute(f"SAVEPOINT {name}", None)

    def release_savepoint(self, name: str, *, set_here: bool) -> None:
        if set_here:
            self.execute(f"RELEASE SAVEPOINT {name}", None)

    def roll_back_to(self, name: str, *, set_here: bool) -> None:
        """Undo what came after the savepoint: everything, where it wasn't set because nothing came before."""
        if not self._begun or self._status() is TransactionStatus.UNKNOWN:
            return
        if set_here:
            self.execute(f"ROLLBACK TO SAVEPOINT {name}", None)
        else:
            self._tell("ROLLBACK")
            self._begun = False
        self._broken_by = None

    # Its end ---------------------------------------------------------------------------------------------------------

    def check(self) -> None:
        """Refuse a commit that the server would answer with ROLLBACK. Raises TransactionError."""
        match self._status():
            case TransactionStatus.INERROR:
                broken_by = self._broken_by or "one of its session's"
                raise TransactionError(
                    f"Database {self.name!r} can't commit: its transaction was broken by a statement whose "
                    f"error was swallowed: {broken_by}. Let the error out, or use a SAVEPOINT around it."
                )
            case TransactionStatus.UNKNOWN:
                raise self._not_open()
            case _ if self._ended_by is not None:
                raise self._not_open()

    def transaction_id(self) -> str | None:
        """By which its end can be asked for; None when nothing was written. Raises TransactionError."""
        try:
            ((found,),) = self.query("SELECT pg_current_xact_id_if_assigned()::text")
        except psycopg.Error as error:
            raise self._failed("commit", error) from error
        return None if found is None else str(found)

    def commit(self, *, within: float | None = None) -> None:
        """COMMIT, and look at the answer. Raises TransactionError when it is anything but COMMIT.

        CommitUnknownError when no answer came: whether it was committed can be read, from another connection.
        """
        if failpoints.armed:
            failpoints.hit(f"before_commit:{self.name}")
        if self._begun:
            tag = self._answer("COMMIT", within)
            if tag != "COMMIT":
                raise TransactionError(f"Database {self.name!r} answered {tag} to COMMIT; nothing was written there.")
        self._transaction.commit()
        if failpoints.armed:
            failpoints.hit(f"after_commit:{self.name}")

    def prepare(self, gid: str, *, within: float) -> None:
        """PREPARE TRANSACTION, and look at the answer.

        Raises TransactionError; then nothing is prepared, or, if the connection was lost, the resolver finds it.
        """
        if failpoints.armed:
            failpoints.hit(f"before_prepare:{self.name}")
        try:
            tag = wire.answer(self._connection, f"PREPARE TRANSACTION '{gid}'", within=within)
        except psycopg.Error as error:
            raise refusal(self.name, error) or self._failed("prepare", error) from error
        if tag != "PREPARE TRANSACTION":
            raise TransactionError(f"Database {self.name!r} answered {tag} to PREPARE; nothing was written there.")
        self.gid = gid
        if failpoints.armed:
            failpoints.hit(f"after_prepare:{self.name}")

    def commit_prepared(self) -> bool:
        """Carry the decision COMMIT out; False when that has to be left to the resolver."""
        if failpoints.armed:
            failpoints.hit(f"before_commit_prepared:{self.name}")
        done = self._tell(f"COMMIT PREPARED '{self.gid}'")
        if done and failpoints.armed:
            failpoints.hit(f"after_commit_prepared:{self.name}")
        return done

    def roll_back_prepared(self) -> bool:
        """Undo what was prepared; False when that has to be left to the resolver."""
        return self._tell(f"ROLLBACK PREPARED '{self.gid}'")

    def release(self) -> None:
        """Roll back what isn't committed, and give the connection back; one that can't roll back is closed."""
        try:
            if self._transaction.is_active:
                self._transaction.rollback()
        except SQLAlchemyError:
            self._connection.invalidate()
        finally:
            self._connection.close()

    def _tell(self, sql: str) -> bool:
        try:
            wire.answer(self._connection, sql, within=END_SECONDS)
        except _ALREADY_ENDED:
            return True
        except psycopg.Error:
            self._connection.invalidate()
            return False
        return True

    def _answer(self, sql: str, within: float | None) -> str | None:
        try:
            return wire.answer(self._connection, sql, within=within)
        except psycopg.Error as error:
            if self._status() is TransactionStatus.UNKNOWN:
                self._connection.invalidate()
                raise CommitUnknownError(self.name, _first_line(error)) from error
            raise self._failed("commit", error) from error

    def _run(self, statement: str | Executable, params: Mapping[str, Any] | None) -> CursorResult[Any]:
        if isinstance(statement, str):
            if params is None:
                return self._connection.exec_driver_sql(statement, execution_options={"no_parameters": True})
            statement = text(statement)
        return self._connection.execute(statement, params, execution_options={"preserve_rowcount": True})

    def _status(self) -> TransactionStatus:
        return TransactionStatus.UNKNOWN if self._connection.invalidated else wire.status(self._connection)

    def _failed(self, verb: str, error: psycopg.Error) -> TransactionError:
        if self._status() is TransactionStatus.UNKNOWN:
            self._connection.invalidate()
            return TransactionError(
                f"The connection to database {self.name!r} was lost before it could {verb}: {_first_line(error)}"
            )
        return TransactionError(f"Database {self.name!r} refused to {verb}: {_first_line(error)}")

    def _query_failed(self, statement: str | Executable, error: SQLAlchemyError) -> QueryExecutionError:
        reason = f"{_first_line(_cause(error))} (in: {_shown(statement)})"
        log("database.query_failed", database=self.name, error=reason)
        return QueryExecutionError(f"Database {self.name!r}: {reason}")

    def _not_open(self) -> TransactionError:
        if self._ended_by is None:
            return TransactionError(f"The connection to database {self.name!r} was lost, and with it the transaction.")
        return TransactionError(
            f"On database {self.name!r} the statement {self._ended_by} ended the transaction. "
            "Leave COMMIT and ROLLBACK to `transactional`."
        )


def _cause(error: SQLAlchemyError) -> BaseException:
    return error.orig if isinstance(error, DBAPIError) and error.orig is not None else error


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0]


def _shown(statement: str | Executable) -> str:
    """The statement on one line, cut; placeholders instead of values."""
    line = " ".join(str(statement).split())
    return line if len(line) <= _SHOWN_LENGTH else line[: _SHOWN_LENGTH - 1] + "…"
