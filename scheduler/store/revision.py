"""Which revision the tables are at, read with plain SQL, so that a worker starts without loading Alembic."""

from dataclasses import dataclass
from typing import Final

import psycopg
from psycopg import sql
from psycopg.rows import TupleRow

from scheduler.database.libpq import connect_sync
from scheduler.database.reaching import read_only, statement_pooled, too_old, unreachable
from scheduler.errors import ConfigurationError, SchemaError

HEAD: Final = "0001"
"""The newest revision in migrations/versions. Revisions are numbers of four digits: they compare as text."""

VERSION_TABLE: Final = "scheduler_version"


@dataclass(frozen=True, slots=True)
class SchemaState:
    """What is found in a schema and what this version of the package works with. `found` is None without tables."""

    found: str | None
    expected: str
    schema: str
    database: str

    @property
    def current(self) -> bool:
        return self.found == self.expected

    @property
    def newer(self) -> bool:
        return self.found is not None and self.found > self.expected

    def require_current(self) -> None:
        """Raises SchemaError, saying what to do, unless the tables are of exactly this version."""
        if self.current:
            return
        place = f'in schema "{self.schema}" of database "{self.database}"'
        if self.found is None:
            raise SchemaError(f"The tables of the scheduler are not {place}: run `scheduler migrate`.")
        if self.newer:
            raise SchemaError(
                f"The tables {place} are at revision {self.found}, newer than this version of the scheduler, "
                f"which works with {self.expected}: upgrade the package pg-scheduler."
            )
        raise SchemaError(
            f"The tables {place} are at revision {self.found}, and this version of the scheduler works with "
            f"{self.expected}: run `scheduler migrate`."
        )


def check(url: str, schema: str = "public") -> SchemaState:
    """Read the state of `schema`. Raises ConfigurationError if the database can't be reached or is too old."""
    with open_connection(url) as connection:
        return read(connection, schema)


def read(connection: psycopg.Connection[TupleRow], schema: str) -> SchemaState:
    """`check()` on a connection that is already there."""
    database = connection.info.dbname
    try:
        (exists,) = connection.execute(_EXISTS, (schema, VERSION_TABLE)).fetchone() or (False,)
        row = connection.execute(_select(schema)).fetchone() if exists else None
    except psycopg.errors.InsufficientPrivilege as refusal:
        raise _unreadable(schema, database, connection.info.user) from refusal
    return SchemaState(row[0] if row else None, HEAD, schema, database)


async def require_current(connection: psycopg.AsyncConnection[TupleRow], schema: str = "public") -> None:
    """Refuse to start on tables of another version: two statements, no Alembic, no DDL. Raises SchemaError."""
    database = connection.info.dbname
    try:
        (exists,) = await (await connection.execute(_EXISTS, (schema, VERSION_TABLE))).fetchone() or (False,)
        row = await (await connection.execute(_select(schema))).fetchone() if exists else None
    except psycopg.errors.InsufficientPrivilege as refusal:
        raise _unreadable(schema, database, connection.info.user) from refusal
    SchemaState(row[0] if row else None, HEAD, schema, database).require_current()


def require_writable(url: str) -> None:
    """Refuse to start where nothing can be written. Raises ConfigurationError, also if it can't be reached."""
    with open_connection(url) as connection:
        if obstacle := statement_pooled(url, connection) or read_only(url, connection):
            raise ConfigurationError(str(obstacle))


def open_connection(url: str) -> psycopg.Connection[TupleRow]:
    """A connection to a server that is new enough. Raises ConfigurationError otherwise, or when there is none."""
    try:
        connection = connect_sync(url, application_name="scheduler migrate")
    except psycopg.OperationalError as error:
        raise ConfigurationError(str(unreachable(url, error))) from error
    if obstacle := too_old(url, connection):
        connection.close()
        raise ConfigurationError(str(obstacle))
    return connection


def first_line(error: BaseException) -> str:
    """What an error of the driver says, without its details and final period."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(". ")


_EXISTS: Final = """
    SELECT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                   WHERE n.nspname = %s AND c.relname = %s)"""


def _select(schema: str) -> sql.Composed:
    return sql.SQL("SELECT version_num FROM {}").format(sql.Identifier(schema, VERSION_TABLE))


def _unreadable(schema: str, database: str, role: str) -> SchemaError:
    return SchemaError(
        f'Role "{role}" may not read the tables of the scheduler in schema "{schema}" of database "{database}": '
        "grant it USAGE on the schema and SELECT on the tables."
    )
