"""The four roles, tried statement by statement: what each may, and what it is refused."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import LiteralString
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from scheduler.errors import ConfigurationError, ConflictError
from scheduler.operations.roles import apply, names, script
from scheduler.store.migration import migrate
from scheduler.store.session import SyncSession
from scheduler.store.statements import statements
from scheduler.testing.postgres import ThrowawayPostgres

STORE = Path(__file__).resolve().parents[2] / "scheduler" / "store"
PARAMETER = re.compile(r"%\((\w+)\)s")

ALL = {"viewer", "enqueuer", "worker", "admin"}
READERS = {"viewer", "worker", "admin"}
WRITERS = {"enqueuer", "worker", "admin"}
SECRETS = {"handler_params", "declared", "result", "errors", "traceback", "digest"}

WHOLE: Mapping[str, set[str]] = {
    "scheduler_version": ALL,
    "cron_jobs": {"worker", "admin"},
    "job_executions": {"worker", "admin"},
    "job_workers": READERS,
    "job_queues": READERS,
    "job_installation": READERS,
    "job_transactions": READERS,
    "job_in_doubt": READERS,
    "job_messages": READERS,
    "job_tokens": {"admin"},
    "job_requests": {"admin"},
    "job_audit": READERS,
    "job_audit_log": READERS,
    "job_alerts": READERS,
    "cron_job_late": READERS,
    "cron_job_slow": READERS,
    "cron_job_status": READERS,
    "cron_job_ticks": READERS,
    "job_queue_status": READERS,
    "job_running": READERS,
    "job_dead_letters": {"worker", "admin"},
    "job_worker_status": READERS,
    "job_attempts": {"worker", "admin"},
    "job_history": {"worker", "admin"},
}
"""Who may read every column of it."""

FUNCTIONS: Mapping[str, set[str]] = {
    "enqueue_job('email')": WRITERS,
    "enqueue_job('email', unique_key => 'taken')": WRITERS,
    "enqueue_job('email', unique_key => 'taken', on_conflict => 'restart delay')": WRITERS,
    "job_restart_delay(1, 'taken', now())": WRITERS,
    "cancel_job(1)": {"worker", "admin"},
    "retry_job(2)": {"worker", "admin"},
    "run_cron_job('nightly')": {"worker", "admin"},
    "pause_cron_job('nightly')": {"admin"},
    "resume_cron_job('nightly')": {"admin"},
    "cron_job_named('nightly')": READERS,
    "cron_job_tick_at('nightly')": READERS,
    "job_queue_names()": READERS,
    "pause_queue('mail')": {"admin"},
    "resume_queue('mail')": {"worker", "admin"},
    "limit_queue('mail', '{}')": {"admin"},
    "register_worker('w')": {"worker", "admin"},
    "heartbeat_worker('00000000-0000-0000-0000-00000000000a')": {"worker", "admin"},
    "claim_jobs('00000000-0000-0000-0000-00000000000a')": {"worker", "admin"},
    "job_claim('00000000-0000-0000-0000-00000000000a', gen_random_uuid(), 'default', 1, NULL, '{}')": {
        "worker",
        "admin",
    },
    "complete_job(1, gen_random_uuid())": {"worker", "admin"},
    "fail_job(1, gen_random_uuid(), 'boom')": {"worker", "admin"},
    "progress_job(1, gen_random_uuid(), 0.5)": {"worker", "admin"},
    "release_job(1, gen_random_uuid())": {"worker", "admin"},
    "snooze_job(1, gen_random_uuid(), 60)": {"worker", "admin"},
    "leave_worker('00000000-0000-0000-0000-00000000000a')": {"worker", "admin"},
    "job_audited('anything', 'x')": ALL,
    "job_now()": ALL,
    "job_channel()": ALL,
    "job_retry_delay('fixed', 2, 1)": ALL,
    "job_errors_with('[]', '1')": ALL,
    "job_did_you_mean('mial', '{mail}')": ALL,
}

STATEMENTS: Mapping[LiteralString, set[str]] = {
    "INSERT INTO job_executions (handler_name) VALUES ('email')": WRITERS,
    "INSERT INTO job_executions (handler_name, handler_params) VALUES ('email', '{}') RETURNING id": WRITERS,
    "INSERT INTO job_executions (handler_name, available_at, max_retry) VALUES ('email', now(), 1)": WRITERS,
    "INSERT INTO job_executions (handler_name, status) VALUES ('a', 'PENDING')": {"worker", "admin"},
    "INSERT INTO job_executions (handler_name, source, cron_job_id) VALUES ('a', 'tick', 1)": {"worker", "admin"},
    "INSERT INTO job_executions (handler_name, result) VALUES ('a', '1')": {"admin"},
    "INSERT INTO job_executions (handler_name, errors) VALUES ('a', '[1]')": {"admin"},
    "INSERT INTO job_executions (id, handler_name) VALUES (99, 'a')": {"admin"},
    "SELECT id, status FROM job_executions WHERE unique_key = 'taken'": ALL,
    "SELECT handler_name FROM job_executions": READERS,
    "SELECT handler_params FROM cron_jobs": {"worker", "admin"},
    "UPDATE job_executions SET error = 'x', progress = 0.5": {"worker", "admin"},
    "UPDATE job_executions SET handler_params = '{}'": {"admin"},
    "UPDATE job_executions SET handler_name = 'x'": {"admin"},
    "UPDATE job_executions SET queue = 'x'": {"admin"},
    "UPDATE job_executions SET priority = 9, lifted = 1": {"worker", "admin"},
    "UPDATE job_executions SET scheduled_at = now()": {"admin"},
    "UPDATE job_executions SET unique_key = NULL": {"admin"},
    "UPDATE job_executions SET concurrency_key = NULL": {"admin"},
    "DELETE FROM job_executions": {"worker", "admin"},
    "INSERT INTO cron_jobs (name, cron_expression, handler_name) VALUES ('new', '@daily', 'a')": {"admin"},
    "UPDATE cron_jobs SET next_run_at = now(), planned_until = now(), invalid_reason = 'x'": {"worker", "admin"},
    "UPDATE cron_jobs SET cron_expression = '@hourly'": {"admin"},
    "UPDATE cron_jobs SET timezone = 'UTC'": {"admin"},
    "UPDATE cron_jobs SET handler_name = 'x'": {"admin"},
    "UPDATE cron_jobs SET handler_params = '{}'": {"admin"},
    "UPDATE cron_jobs SET enabled = false": {"admin"},
    "UPDATE cron_jobs SET created_by = 'x'": {"admin"},
    "DELETE FROM cron_jobs": {"admin"},
    "INSERT INTO job_queues (name) VALUES ('q')": {"admin"},
    "UPDATE job_queues SET paused = false": {"worker", "admin"},
    "UPDATE job_queues SET max_running = 1": {"admin"},
    "DELETE FROM job_queues": {"admin"},
    "UPDATE job_workers SET status = 'LOST'": {"worker", "admin"},
    "UPDATE job_workers SET name = 'x'": {"admin"},
    "DELETE FROM job_workers": {"worker", "admin"},
    "DELETE FROM job_messages": {"worker", "admin"},
    "INSERT INTO job_tokens (name, role, digest) VALUES ('t', 'admin', sha256('t'))": {"admin"},
    "UPDATE job_tokens SET role = 'admin'": set(),
    "DELETE FROM job_tokens": {"admin"},
    "INSERT INTO job_requests (scope, key, digest) VALUES ('s', 'k', '')": {"admin"},
    "DELETE FROM job_requests": {"worker", "admin"},
    "INSERT INTO job_audit (action, target) VALUES ('a', 't')": set(),
    "UPDATE job_audit SET role = 'x'": set(),
    "DELETE FROM job_audit": {"worker"},
    "INSERT INTO job_messages (source, message_id, execution_id) VALUES ('q', 'm', 1)": {"worker", "admin"},
    "UPDATE job_messages SET execution_id = 2": {"admin"},
    "INSERT INTO job_transactions (gid, decision) VALUES ('g', 'ABORT')": {"worker"},
    "UPDATE job_transactions SET decision = 'ABORT'": set(),
    "UPDATE job_transactions SET settled_at = now()": {"worker"},
    "DELETE FROM job_transactions": {"worker"},
    "UPDATE job_installation SET id = gen_random_uuid()": set(),
    "UPDATE scheduler_version SET version_num = '0000'": set(),
    "TRUNCATE job_executions": set(),
    "CREATE TABLE mine ()": set(),
    "CREATE FUNCTION mine() RETURNS int LANGUAGE sql RETURN 1": set(),
    "CREATE INDEX ON job_executions (handler_name)": set(),
    "ALTER TABLE job_executions ADD COLUMN mine int": set(),
    "ALTER FUNCTION job_now() RENAME TO mine": set(),
    "DROP TABLE job_queues": set(),
    "DROP VIEW job_running": set(),
    "CREATE ROLE mine": set(),
}  # fmt: skip

ROWS = """
    INSERT INTO cron_jobs (name, cron_expression, handler_name) VALUES ('nightly', '0 3 * * *', 'report');
    INSERT INTO job_executions (handler_name, unique_key) VALUES ('email', 'taken');
    INSERT INTO job_executions (handler_name, status, finished_at) VALUES ('email', 'FAILED', now());
    INSERT INTO job_workers (id, name, lease_until)
        VALUES ('00000000-0000-0000-0000-00000000000a', 'w', now() + interval '1 day');
    INSERT INTO job_queues (name) VALUES ('mail');
"""


class Roles:
    """The roles of a prefix of their own, as a superuser may become them."""

    def __init__(self, connection: psycopg.Connection, prefix: str) -> None:
        self.connection, self.prefix, self.names = connection, prefix, names(prefix)

    def may(self, role: str, statement: str) -> bool:
        """Whether it is carried out, which is then undone."""
        try:
            with self.connection.transaction(force_rollback=True):
                self.connection.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(self.names[role])))
                self.connection.execute(statement.encode())
        except psycopg.errors.InsufficientPrivilege:
            return False
        return True

    def who_may(self, statement: str) -> set[str]:
        return {role for role in self.names if self.may(role, statement)}

    def drop(self) -> None:
        for name in self.names.values():
            if self.connection.execute("SELECT FROM pg_roles WHERE rolname = %s", [name]).fetchone() is not None:
                self.connection.execute(sql.SQL("DROP OWNED BY {0}; DROP ROLE {0}").format(sql.Identifier(name)))


def new_prefix() -> str:
    """Roles belong to the server, which all tests share."""
    return f"t{uuid4().hex[:12]}"


@pytest.fixture(scope="module")
def tried(postgres_server: ThrowawayPostgres, migrated_template: str) -> Iterator[Roles]:
    with postgres_server.fresh_database(migrated_template) as url:
        prefix = new_prefix()
        session = SyncSession(url, "public", "test")
        apply(session, prefix)
        session.close()
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(ROWS)
            roles = Roles(connection, prefix)
            yield roles
            roles.drop()


@pytest.fixture
def roles(psql: psycopg.Connection) -> Iterator[Roles]:
    """Roles to be made, and dropped at the end."""
    found = Roles(psql, new_prefix())
    yield found
    found.drop()


@pytest.mark.parametrize("statement", STATEMENTS)
def test_statement(tried: Roles, statement: LiteralString) -> None:
    assert tried.who_may(statement) == STATEMENTS[statement]


@pytest.mark.parametrize("call", FUNCTIONS)
def test_function(tried: Roles, call: str) -> None:
    assert tried.who_may(f"SELECT * FROM {call}") == FUNCTIONS[call]


@pytest.mark.parametrize("relation", WHOLE)
def test_reading_all_of_it(tried: Roles, relation: str) -> None:
    assert tried.who_may(f"SELECT * FROM {relation}") == WHOLE[relation]


def test_none_is_left_out_above(tried: Roles) -> None:
    relations = tried.connection.execute(
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'v')"
    )
    assert {name for (name,) in relations} == WHOLE.keys()
    functions = tried.connection.execute(
        """SELECT proname FROM pg_proc
           WHERE pronamespace = 'public'::regnamespace AND prorettype <> 'trigger'::regtype"""
    )
    assert {name for (name,) in functions} == {call.partition("(")[0] for call in FUNCTIONS}


def test_a_viewer_reads_every_column_that_holds_no_secret(tried: Roles) -> None:
    columns = tried.connection.execute(
        """SELECT relname, attname FROM pg_attribute JOIN pg_class c ON c.oid = attrelid
           WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'v') AND attnum > 0"""
    ).fetchall()
    for relation, column in columns:
        assert tried.may("viewer", f"SELECT {column} FROM {relation}") is (column not in SECRETS), (relation, column)


def line_statements() -> Sequence[str]:
    text = "".join((STORE / file).read_text(encoding="utf-8") for file in ("queries.sql", "messages.sql"))
    return [line.removeprefix("-- name: ") for line in text.splitlines() if line.startswith("-- name: ")]


@pytest.mark.parametrize("name", line_statements())
def test_the_worker_may_whatever_the_line_does(tried: Roles, name: str) -> None:
    """EXPLAIN checks every right that the statement takes."""
    text = statements("public")[name].decode()
    parameters = list(dict.fromkeys(PARAMETER.findall(text)))
    numbered = PARAMETER.sub(lambda match: f"${parameters.index(match[1]) + 1}", text)
    given = f"({', '.join(['NULL'] * len(parameters))})" if parameters else ""
    statement = f"DEALLOCATE ALL; PREPARE it AS {numbered}; EXPLAIN EXECUTE it {given}"
    assert tried.who_may(statement) >= {"worker"}
    writes = "UPDATE" in text or "INSERT" in text
    assert not (writes and tried.may("viewer", statement))


def test_again_nothing_changes(session: SyncSession, roles: Roles) -> None:
    first = apply(session, roles.prefix)
    assert [change.role for change in first] == list(roles.names.values())
    assert all(change.created and change.granted and not change.revoked for change in first)
    again = apply(session, roles.prefix)
    assert not any(change.created or change.granted or change.revoked for change in again)


def test_what_differs_is_put_right_and_told(session: SyncSession, roles: Roles, psql: psycopg.Connection) -> None:
    apply(session, roles.prefix)
    viewer = sql.Identifier(roles.names["viewer"])
    psql.execute("CREATE TABLE orders ()")
    for change in (
        "REVOKE SELECT (error, status) ON job_executions FROM {}",
        "GRANT DELETE ON job_workers TO {}",
        "GRANT SELECT ON orders TO {}",
    ):
        psql.execute(sql.SQL(change).format(viewer))
    told, *others = apply(session, roles.prefix)
    assert told.role == roles.names["viewer"]
    assert told.granted == ("SELECT (error, status) on job_executions",)
    assert told.revoked == ("DELETE on job_workers",)
    assert not any(change.granted or change.revoked for change in others)
    assert roles.may("viewer", "SELECT FROM orders")


def test_the_printed_script_does_the_same(session: SyncSession, roles: Roles, psql: psycopg.Connection) -> None:
    psql.execute("SET search_path = pg_catalog")
    psql.execute(script("public", roles.prefix).encode())
    assert not any(change.granted or change.revoked for change in apply(session, roles.prefix))


def test_in_another_schema(migrated_url: str, roles: Roles) -> None:
    migrate(migrated_url, "jobs")
    session = SyncSession(migrated_url, "jobs", "test")
    apply(session, roles.prefix)
    session.close()
    assert roles.who_may("SELECT jobs.enqueue_job('email')") == WRITERS
    assert roles.who_may("INSERT INTO public.job_executions (handler_name) VALUES ('email')") == set()


def test_the_name_of_a_login_is_refused_and_nothing_changed(
    session: SyncSession, roles: Roles, psql: psycopg.Connection
) -> None:
    psql.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(roles.names["admin"])))
    with pytest.raises(ConflictError, match=r"Nothing was changed, .* is there already and can log in: choose another"):
        apply(session, roles.prefix)
    made = psql.execute("SELECT count(*) FROM pg_roles WHERE rolname = ANY(%s)", [list(roles.names.values())])
    assert made.fetchone() == (1,)


def test_whoever_may_not_is_told_whom_to_ask(session: SyncSession, roles: Roles) -> None:
    apply(session, roles.prefix)
    session.connection().execute(sql.SQL("SET ROLE {}").format(sql.Identifier(roles.names["admin"])))
    with pytest.raises(ConfigurationError, match=r"Nothing was changed.* does not own the tables.* Hand what"):
        apply(session, roles.prefix)


@pytest.mark.parametrize("prefix", ["", "Jobs", "pg_jobs", "9", "my-jobs", "x" * 55, "a; DROP TABLE cron_jobs", "a\nb"])
def test_a_prefix_that_cannot_be(prefix: str) -> None:
    with pytest.raises(ConfigurationError, match="such as scheduler"):
        names(prefix)
