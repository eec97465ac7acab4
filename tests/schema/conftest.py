"""Connections as clients have them: in a session whose own search_path leads to traps."""

from collections.abc import Callable, Iterator

import psycopg
import pytest

Connect = Callable[[], psycopg.Connection]

_TRAPS = """
    CREATE SCHEMA elsewhere;
    CREATE TABLE elsewhere.job_executions (trap text CHECK (false));
    CREATE TABLE elsewhere.job_workers (trap text CHECK (false));
    CREATE TABLE elsewhere.cron_jobs (trap text CHECK (false));
    CREATE FUNCTION elsewhere.job_now() RETURNS timestamptz LANGUAGE sql RETURN '1999-12-31 00:00:00+00'::timestamptz;
    CREATE FUNCTION elsewhere.job_channel() RETURNS text LANGUAGE sql RETURN 'trap';
"""


@pytest.fixture
def connect(migrated_url: str) -> Iterator[Connect]:
    """Further sessions, in autocommit; closed at the end of the test."""
    opened: list[psycopg.Connection] = []

    def open_one() -> psycopg.Connection:
        connection = psycopg.connect(migrated_url, autocommit=True, options="-c search_path=elsewhere")
        opened.append(connection)
        return connection

    yield open_one
    for connection in opened:
        connection.close()


@pytest.fixture
def db(connect: Connect) -> psycopg.Connection:
    """A session in which bare names of ours mean something else: `public.` is written out in each statement."""
    connection = connect()
    connection.execute(_TRAPS)
    return connection
