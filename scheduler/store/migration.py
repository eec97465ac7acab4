"""Bringing the tables to this version of the package, and taking them away again, by Alembic's revisions.

    migrate ──> read the version table ──> current: done
                                       └─> else: revisions of migrations/, in one transaction, under an advisory lock

Alembic loads only when there is something to do.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal

import psycopg
import sqlalchemy.exc
from sqlalchemy import Connection

from scheduler.database.pooling import refuses_transactions
from scheduler.database.reaching import TRANSACTION_MODE, WITHOUT_TRANSACTIONS
from scheduler.errors import ConfigurationError, SchemaError
from scheduler.messages import log
from scheduler.store.revision import HEAD, SchemaState, check, first_line

__all__ = ["HEAD", "SchemaState", "check", "downgrade", "execute_file", "home", "migrate"]

_MAX_SCHEMA_BYTES: Final = 48
"""The NOTIFY channel of a schema is its name behind a prefix, and Postgres takes names of 63 bytes."""

_alembic_is_global = threading.Lock()
"""Alembic keeps the running environment in module globals: one thread of a process at a time."""


def migrate(url: str, schema: str = "public") -> str:
    """Bring `schema`, which is made if missing, to this version's revision, and return that.

    Does nothing when it is there already. Any number of processes may call it at once: one does the work, the others
    wait for it. Raises ConfigurationError if the database can't be reached or is older than PostgreSQL 15, and
    SchemaError if the tables are of a newer version or the role may not make them.
    """
    _validate(schema)
    state = check(url, schema)
    if state.newer:
        state.require_current()
    if not state.current:
        with _explained(state):
            _run(url, schema, "upgrade", HEAD)
        log("schema.migrated", schema=schema, revision=HEAD)
    return HEAD


def downgrade(url: str, schema: str = "public", revision: str = "base") -> None:
    """Go back to `revision`; "base" drops all that is the scheduler's in `schema`, with its rows, and nothing else.

    Raises as `migrate()` does, and SchemaError if something of somebody else's depends on a table of ours.
    """
    _validate(schema)
    state = check(url, schema)
    if state.newer:
        state.require_current()
    if state.found is not None:
        with _explained(state):
            _run(url, schema, "downgrade", revision)


def home() -> Path:
    """The folder that holds alembic.ini and migrations/: what the wheel carries, else the checkout."""
    package = Path(__file__).resolve().parents[1]
    bundled = package / "_bundled"
    return bundled if bundled.is_dir() else package.parent


def execute_file(connection: Connection, name: str) -> None:
    """For revisions: run a file of migrations/sql as it stands; colons and percent signs mean nothing to libpq."""
    raw = connection.connection.driver_connection
    assert isinstance(raw, psycopg.Connection)
    raw.execute((home() / "migrations" / "sql" / name).read_bytes())


def _run(url: str, schema: str, direction: Literal["upgrade", "downgrade"], revision: str) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    # The url goes by attribute: in an option, a % of its password would be interpolated; as one in a folder's name is.
    config = Config(home() / "alembic.ini", attributes={"url": url, "schema": schema})
    config.set_main_option("script_location", str(home() / "migrations").replace("%", "%%"))
    run = command.upgrade if direction == "upgrade" else command.downgrade
    try:
        with _alembic_is_global:
            run(config, revision)
    except CommandError as error:
        raise SchemaError(f"{first_line(error)}. Revisions are numbers such as {HEAD}, or base.") from error


def _validate(schema: str) -> None:
    if not 1 <= len(schema.encode()) <= _MAX_SCHEMA_BYTES or "\0" in schema:
        raise ConfigurationError(
            f"The schema name {schema!r} can't be used: write one of 1 to {_MAX_SCHEMA_BYTES} bytes, such as scheduler."
        )
    if schema.startswith("pg_") or schema == "information_schema":
        raise ConfigurationError(f'The schema "{schema}" belongs to PostgreSQL: choose another, such as scheduler.')


@contextmanager
def _explained(state: SchemaState) -> Iterator[None]:
    """One sentence for what Postgres may refuse."""
    place = f'schema "{state.schema}" of database "{state.database}"'
    try:
        yield
    except sqlalchemy.exc.DBAPIError as error:
        raise _explanation(error.orig or error, place) from error
    except psycopg.Error as error:
        raise _explanation(error, place) from error


def _explanation(error: BaseException, place: str) -> SchemaError:
    said = first_line(error)
    match error:
        case psycopg.errors.InsufficientPrivilege():
            return SchemaError(
                f"This role may not change {place} ({said}): run `scheduler migrate` as the owner of the database, "
                "or grant the role CREATE on that schema."
            )
        case psycopg.errors.DuplicateTable() | psycopg.errors.DuplicateFunction() | psycopg.errors.DuplicateObject():
            return SchemaError(
                f"Something in {place} has a name that the scheduler needs ({said}): rename it, "
                "or give the scheduler a schema of its own by the setting databases.<name>.schema."
            )
        case psycopg.errors.DependentObjectsStillExist():
            details = error.diag.message_detail or ""
            return SchemaError(
                f"Something else in {place} depends on the scheduler's tables; drop it first. "
                + " ".join(details.split())
            )
        case psycopg.errors.ProtocolViolation() if refuses_transactions(error):
            return SchemaError(f"The pooler in front of {place} {WITHOUT_TRANSACTIONS} {TRANSACTION_MODE}")
        case _:
            return SchemaError(f"The tables in {place} can't be changed and are as they were: {said}.")
