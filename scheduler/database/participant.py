"""One database's part in a transaction: its connection, and what the server, not the driver, says about it.

Written once for both worlds: under an async engine the same calls run in SQLAlchemy's greenlet and await inside.
"""

from collections.abc import Mapping
from typing import Any, Final

import psycopg
from psycopg.pq import TransactionStatus
from sqlalchemy import CursorResult, Engine, Executable, text
from sqlalchemy.engine import AdaptedConnection
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from scheduler import failpoints
from scheduler.database.database import Database
from scheduler.database.result import Result
from scheduler.errors import QueryExecutionError, TransactionError
from scheduler.messages import log

_SHOWN_LENGTH: Final = 200


class Participant:
    """A checked-out connection with its transaction. BEGIN is sent with the first statement."""

    def __init__(self, database: Database, engine: Engine) -> None:
        """Raises ConnectionPoolExhaustedError, or TransactionError when the server can't be reached."""
        self.database = database
        self._connection = database.checkout(engine)
        self._transaction = self._connection.begin()
        self._broken_by: str | None = None
        self._ended_by: str | None = None

    def execute(self, statement: str | Executable, params: Mapping[str, Any] | None) -> Result:
        """Run one statement. Raises QueryExecutionError, or TransactionError when the transaction is gone."""
        before = self._status()
        if before is TransactionStatus.UNKNOWN or self._ended_by is not None:
            raise self._not_open()
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

    def check(self) -> None:
        """Refuse a commit that the server would answer with ROLLBACK. Raises TransactionError."""
        match self._status():
            case TransactionStatus.INERROR:
                raise TransactionError(
                    f"Database {self.database.name!r} can't commit: its transaction was broken by a statement whose "
                    f"error was swallowed: {self._broken_by}. Let the error out, or use a SAVEPOINT around it."
                )
            case TransactionStatus.UNKNOWN:
                raise self._not_open()
            case _ if self._ended_by is not None:
                raise self._not_open()

    def commit(self) -> None:
        """COMMIT, and look at the answer. Raises TransactionError when it is anything but COMMIT."""
        name = self.database.name
        if failpoints.armed:
            failpoints.hit(f"before_commit:{name}")
        if self._status() is not TransactionStatus.IDLE:
            tag = self._answer_to_commit()
            if tag != "COMMIT":
                raise TransactionError(f"Database {name!r} answered {tag} to COMMIT; nothing was written there.")
        self._transaction.commit()
        if failpoints.armed:
            failpoints.hit(f"after_commit:{name}")

    def release(self) -> None:
        """Roll back what isn't committed, and give the connection back; one that can't roll back is closed."""
        try:
            if self._transaction.is_active:
                self._transaction.rollback()
        except SQLAlchemyError:
            self._connection.invalidate()
        finally:
            self._connection.close()

    def _run(self, statement: str | Executable, params: Mapping[str, Any] | None) -> CursorResult[Any]:
        if isinstance(statement, str):
            if params is None:
                return self._connection.exec_driver_sql(statement, execution_options={"no_parameters": True})
            statement = text(statement)
        return self._connection.execute(statement, params, execution_options={"preserve_rowcount": True})

    def _status(self) -> TransactionStatus:
        if self._connection.invalidated:
            return TransactionStatus.UNKNOWN
        driver: Any = self._connection.connection.driver_connection
        return TransactionStatus(driver.info.transaction_status)

    def _answer_to_commit(self) -> str | None:
        """Sent past SQLAlchemy and the driver's own commit(), which both drop the server's answer."""
        try:
            connection: Any = self._connection.connection.dbapi_connection
            if isinstance(connection, AdaptedConnection):
                answer = connection.run_async(lambda driver: driver.execute("COMMIT"))
            else:
                answer = connection.execute("COMMIT")
        except psycopg.Error as error:
            raise self._commit_failed(error) from error
        tag: str | None = answer.statusmessage
        return tag

    def _commit_failed(self, error: psycopg.Error) -> TransactionError:
        name, reason = self.database.name, _first_line(error)
        if self._status() is not TransactionStatus.UNKNOWN:
            return TransactionError(f"Database {name!r} refused to commit: {reason}")
        self._connection.invalidate()
        return TransactionError(
            f"The connection to database {name!r} was lost during COMMIT ({reason}). "
            "Whether it was committed is not known: look before this work runs again, or make it idempotent."
        )

    def _query_failed(self, statement: str | Executable, error: SQLAlchemyError) -> QueryExecutionError:
        reason = f"{_first_line(_cause(error))} (in: {_shown(statement)})"
        log("database.query_failed", database=self.database.name, error=reason)
        return QueryExecutionError(f"Database {self.database.name!r}: {reason}")

    def _not_open(self) -> TransactionError:
        name = self.database.name
        if self._ended_by is None:
            return TransactionError(f"The connection to database {name!r} was lost, and with it the transaction.")
        return TransactionError(
            f"On database {name!r} the statement {self._ended_by} ended the transaction. "
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
