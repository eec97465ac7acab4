"""Connections as clients have them: in a session whose own search_path leads to traps."""

from collections.abc import Callable, Iterator

import psycopg
import pytest

from scheduler.testing.postgres import ThrowawayPostgres

Connect = Callable[[], psycopg.Connection]

_TRAPS = """
    CREATE SCHEMA elsewhere;
    CREATE TABLE elsewhere.job_executions (trap text CHECK (false));
    CREATE TABLE elsewhere.job_workers (trap text CHECK (false));
    CREATE TABLE elsewhere.cron_jobs (trap text CHECK (false));
    CREATE FUNCTION elsewhere.job_now() RETURNS timestamptz LANGUAGE sql RETURN '1999-12-31 00:00:00+00'::timestamptz;
    CREATE FUNCTION elsewhere.job_channel() RETURNS text LANGUAGE sql RETURN 'trap';
"""


_EMPTIED = """
    TRUNCATE public.cron_jobs, public.job_executions, public.job_workers, public.job_queues, public.job_transactions,
             public.job_messages, public.job_alerts RESTART IDENTITY
"""


@pytest.fixture(scope="module")
def shared_url(postgres_server: ThrowawayPostgres, migrated_template: str) -> Iterator[str]:
    """One database for the tests of a module, which don't change the schema or put it right again."""
    with postgres_server.fresh_database(migrated_template) as url:
        with psycopg.connect(url) as connection:
            connection.execute(_TRAPS)
        yield url


@pytest.fixture
def connect(shared_url: str) -> Iterator[Connect]:
    """Further sessions, in autocommit; closed at the end of the test."""
    opened: list[psycopg.Connection] = []

    def open_one() -> psycopg.Connection:
        connection = psycopg.connect(shared_url, autocommit=True, options="-c search_path=elsewhere")
        opened.append(connection)
        return connection

    yield open_one
    for connection in opened:
        connection.close()


@pytest.fixture
def db(connect: Connect) -> psycopg.Connection:
    """A session on empty tables in which bare names of ours mean something else: each statement writes `public.`."""
    connection = connect()
    connection.execute(_EMPTIED)
    return connection
