"""What the database answers to a person when it can't do as asked."""

from contextlib import closing

import psycopg
import pytest

from scheduler.errors import ConfigurationError, QueryExecutionError, RefusedError, SchemaError
from scheduler.model import NewExecution
from scheduler.operations.executions import enqueue
from scheduler.operations.overview import database_time, workers
from scheduler.store.session import SyncSession


def test_times_come_in_utc_whatever_the_session_is_set_to(session: SyncSession, migrated_url: str) -> None:
    elsewhere = SyncSession(
        f"{migrated_url}&options=-c%20timezone%3DAsia/Seoul%20-c%20datestyle%3DGerman", "public", "test"
    )
    there, here = database_time(elsewhere), database_time(session)
    elsewhere.close()
    assert here.tzname() == there.tzname() == "UTC"
    assert 0 <= (here - there).total_seconds() < 60


def test_tables_of_another_version(session: SyncSession, psql: psycopg.Connection) -> None:
    psql.execute("ALTER VIEW job_worker_status RENAME COLUMN state TO condition")
    with pytest.raises(SchemaError, match="`scheduler doctor` says"):
        workers(session)


def test_a_role_without_rights(migrated_url: str, psql: psycopg.Connection) -> None:
    role = f"nobody_{psql.info.backend_pid}"
    psql.execute(f"CREATE ROLE {role}".encode())
    stranger = SyncSession(f"{migrated_url}&options=-c%20role%3D{role}", "public", "test")
    try:
        with pytest.raises(ConfigurationError, match="permission denied"):
            workers(stranger)
    finally:
        stranger.close()
        psql.execute(f"DROP ROLE {role}".encode())


def test_a_connection_that_breaks(session: SyncSession, psql: psycopg.Connection) -> None:
    pid = session.connection().info.backend_pid
    psql.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))
    with pytest.raises(QueryExecutionError, match="did not answer"):
        workers(session)
    assert workers(session) == []


def test_what_takes_too_long(session: SyncSession, migrated_url: str, psql: psycopg.Connection) -> None:
    with psql.transaction():
        psql.execute("LOCK TABLE job_workers")
        with (
            closing(SyncSession(migrated_url, "public", "test", statement_seconds=0.05)) as impatient,
            pytest.raises(QueryExecutionError, match=r"broke off what took too long .* ask for less at once, or try"),
        ):
            workers(impatient)
    assert workers(session) == []


@pytest.mark.parametrize(("option", "limit"), [("", "30s"), ("&options=-c%20statement_timeout%3D5s", "5s")])
def test_no_statement_is_without_a_limit(migrated_url: str, option: str, limit: str) -> None:
    with closing(SyncSession(migrated_url + option, "public", "test")) as session, session.transaction() as connection:
        assert connection.execute("SHOW statement_timeout").fetchone() == (limit,)


def test_a_rule_that_somebody_added(session: SyncSession, psql: psycopg.Connection) -> None:
    psql.execute("ALTER TABLE job_executions ADD CONSTRAINT ours CHECK (handler_name <> 'no')")
    with pytest.raises(RefusedError, match="the rule ours must hold"):
        enqueue(session, NewExecution(handler_name="no"))
