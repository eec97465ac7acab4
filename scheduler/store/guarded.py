"""A session that can do no harm, whatever it asks of a database that is ill."""

from typing import Final

import psycopg

from scheduler.errors import QueryExecutionError
from scheduler.store.revision import SchemaState, first_line, read
from scheduler.store.session import SyncSession

STATEMENT_SECONDS: Final = 5


class GuardedSession(SyncSession):
    """Every transaction of it is read-only, waits for no lock, and no statement takes more than `STATEMENT_SECONDS`."""

    further_limits = f"""
        SELECT set_config('statement_timeout', '{STATEMENT_SECONDS}s', true), set_config('lock_timeout', '1s', true),
               set_config('transaction_read_only', 'on', true)""".encode()

    def schema_state(self) -> SchemaState:
        """Of the tables. Raises SchemaError where the role may not read, QueryExecutionError without an answer."""
        try:
            with self.transaction() as connection:
                return read(connection, self.schema)
        except psycopg.Error as error:
            raise QueryExecutionError(f"The job database did not answer: {first_line(error)}.") from error
