"""A session that can do no harm, whatever it asks of a database that is ill."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import psycopg

from scheduler.errors import QueryExecutionError
from scheduler.store.revision import SchemaState, first_line, read
from scheduler.store.session import Row, SyncSession

STATEMENT_SECONDS: Final = 5

# Per transaction, so that it also holds behind a pooler in transaction mode.
_GUARDS: Final = f"""
    SELECT set_config('statement_timeout', '{STATEMENT_SECONDS}s', true), set_config('lock_timeout', '1s', true),
           set_config('transaction_read_only', 'on', true)"""


class GuardedSession(SyncSession):
    """Every transaction of it is read-only, waits for no lock, and no statement takes more than `STATEMENT_SECONDS`."""

    @contextmanager
    def transaction(self) -> Iterator[psycopg.Connection[Row]]:
        with super().transaction() as connection:
            connection.execute(_GUARDS)
            yield connection

    def schema_state(self) -> SchemaState:
        """Of the tables. Raises SchemaError where the role may not read, QueryExecutionError without an answer."""
        try:
            with self.transaction() as connection:
                return read(connection, self.schema)
        except psycopg.Error as error:
            raise QueryExecutionError(f"The job database did not answer: {first_line(error)}.") from error
