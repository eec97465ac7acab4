"""Named statements, for a person: rows by name, every stored time readable, refusals in sentences."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg import errors
from psycopg.abc import Buffer
from psycopg.adapt import Loader
from psycopg.pq import Format
from psycopg.rows import dict_row
from sqlalchemy import CheckConstraint

from scheduler.database.pooling import refuses_transactions
from scheduler.database.reaching import TRANSACTION_MODE, WITHOUT_TRANSACTIONS
from scheduler.errors import (
    ConfigurationError,
    ConflictError,
    QueryExecutionError,
    QueueFullError,
    RefusedError,
    RightsError,
    SchedulerError,
    SchemaError,
)
from scheduler.rules.instants import EVER, INSTANT
from scheduler.store.checks import in_words
from scheduler.store.schema import metadata
from scheduler.store.session import RowRefused, SyncSession

_ZERO = datetime(2000, 1, 1, tzinfo=UTC)
_EARLIEST, _LATEST = ((instant - _ZERO) // INSTANT for instant in EVER)


def ask(session: SyncSession, statement: str, /, **values: Any) -> list[dict[str, Any]]:
    """Run a named statement in a transaction of its own; its rows by column name, times in UTC.

    Raises RefusedError for a value that no row may hold, SchemaError where tables are missing, RightsError where
    the role lacks a right, QueryExecutionError when the database broke off.
    """
    try:
        with session.transaction() as connection, connection.cursor(binary=True, row_factory=dict_row) as cursor:
            cursor.adapters.register_loader("timestamptz", _Instant)
            cursor.execute(session.sql[statement], values)
            return cursor.fetchall()
    except UnicodeEncodeError as error:
        raise RefusedError("A value holds bytes that are not UTF-8: write it anew.") from error
    except psycopg.Error as error:
        raise sentence(error, session.schema) from error


@contextmanager
def one_transaction(session: SyncSession) -> Iterator[None]:
    """What is asked within is committed together, or not at all. Raises as `ask()` does."""
    try:
        with session.transaction():
            yield
    except psycopg.Error as error:
        raise sentence(error, session.schema) from error


def database_time(session: SyncSession) -> datetime:
    """The clock that all stored times come from. Raises as `ask()` does."""
    (row,) = ask(session, "database_time")
    now: datetime = row["now"]
    return now


class _Instant(Loader):
    """A time that no datetime can hold, infinity included, is as far away as one can be in any zone."""

    format = Format.BINARY

    def load(self, data: Buffer) -> datetime:
        return _ZERO + min(max(int.from_bytes(data, "big", signed=True), _EARLIEST), _LATEST) * INSTANT


def sentence(error: psycopg.Error, schema: str) -> SchedulerError:
    """What the job database says, for a person."""
    said = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(". ")
    match error:
        case _ if error.sqlstate == QueueFullError.SQLSTATE:
            return QueueFullError(f"{said}. {error.diag.message_hint}")
        case errors.CheckViolation():
            return RefusedError(f"{_broken_rule(error)}.")
        case errors.InvalidParameterValue() if error.diag.message_hint:
            return RefusedError(f"{said}. {error.diag.message_hint}")
        case errors.UniqueViolation() if error.diag.message_hint:
            return ConflictError(f"{said}. {error.diag.message_hint}")
        case errors.QueryCanceled():
            return QueryExecutionError(
                f"The job database broke off what took too long ({said}), and nothing was changed: ask for less at "
                "once, or try again when it has less to do."
            )
        case (
            errors.UndefinedTable() | errors.UndefinedColumn() | errors.UndefinedFunction() | errors.InvalidSchemaName()
        ):
            return SchemaError(
                f'The tables in schema "{schema}" are not those of this version ({said}): '
                "`scheduler doctor` says what is wrong with them."
            )
        case errors.InsufficientPrivilege():
            return RightsError(
                f"The role of the job database's url lacks a right: {said}. Grant it, or use another role: "
                "`scheduler db roles` prints four, and the rights that each of them needs."
            )
        case errors.ProtocolViolation() if refuses_transactions(error):
            return ConfigurationError(
                f"The pooler in front of the job database {WITHOUT_TRANSACTIONS} {TRANSACTION_MODE}"
            )
        case _ if isinstance(error, RowRefused):
            return RefusedError(f"A value is refused: {said}.")
        case _:
            return QueryExecutionError(f"The job database did not answer: {said}. Try again.")


def _broken_rule(error: errors.CheckViolation) -> str:
    """The rule in words; the name of one that somebody has added to the schema."""
    table, name = metadata.tables.get(error.diag.table_name or ""), error.diag.constraint_name
    for rule in table.constraints if table is not None else ():
        if isinstance(rule, CheckConstraint) and rule.name == name:
            return in_words(str(rule.sqltext))
    return f"the rule {name} must hold"
