"""Migrations, models and schema.sql are three forms of one schema."""

from collections.abc import Sequence
from pathlib import Path
from typing import LiteralString

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import create_engine

from scheduler.store.migration import migrate
from scheduler.store.schema import metadata
from scheduler.testing import schema_document
from scheduler.testing.postgres import ThrowawayPostgres
from tests.schema.catalog import Facts, facts

OBVIOUS = {
    "cron_jobs": {"id", "description", "queue", "created_at", "updated_at"},
    "job_executions": {
        "id", "handler_name", "handler_params", "queue", "cancel_reason", "progress_message", "created_at",
    },
    "job_workers": {"id", "name", "hostname", "pid", "started_at", "version"},
    "job_queues": {"name", "paused_reason", "rate_period_seconds"},
    "job_transactions": {"decision", "execution_id", "claim_token", "decided_at"},
    "job_messages": {"execution_id", "received_at"},
}  # fmt: skip

CHANGES: Sequence[LiteralString] = (
    "ALTER TABLE cron_jobs ALTER timezone SET DEFAULT 'Europe/Berlin'",
    "ALTER TABLE job_executions ALTER source DROP NOT NULL",
    "ALTER TABLE job_queues ALTER keep_last TYPE bigint",
    "ALTER TABLE job_workers SET (fillfactor = 60)",
    "ALTER TABLE job_queues DROP CONSTRAINT job_queues_keep_check",
    "COMMENT ON COLUMN job_executions.status IS 'Something else.'",
    "DROP INDEX job_executions_of_worker",
    "DROP TRIGGER cron_jobs_wake ON cron_jobs",
    "COMMENT ON FUNCTION job_now() IS NULL",
    "ALTER FUNCTION job_now() STABLE",
    "ALTER FUNCTION cancel_job(bigint, text) RESET search_path",
    "CREATE OR REPLACE VIEW job_history AS SELECT *, finished_at - created_at AS took FROM job_executions",
)


def migrated(url: str) -> Facts:
    migrate(url, "from_migration")
    return read(url, "from_migration")


def read(url: str, schema: str) -> Facts:
    with psycopg.connect(url, autocommit=True) as connection:
        return facts(connection, schema)


def run(url: str, schema: str, script: bytes) -> None:
    with psycopg.connect(url) as connection:
        connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(schema)))
        connection.execute(sql.SQL("SET search_path = {}, pg_temp").format(sql.Identifier(schema)))
        connection.execute(script)


def from_document(url: str) -> Facts:
    run(url, "from_document", schema_document.DOCUMENT.read_bytes())
    return read(url, "from_document")


def from_models(url: str) -> Facts:
    clock = "CREATE FUNCTION job_now() RETURNS timestamptz LANGUAGE sql RETURN clock_timestamp()"
    run(url, "from_models", clock.encode())
    engine = create_engine(
        "postgresql+psycopg://", creator=lambda: psycopg.connect(url, options="-c search_path=from_models")
    )
    metadata.create_all(engine)
    engine.dispose()
    return read(url, "from_models")


def of_tables(known: Facts) -> Facts:
    """Without what models don't hold: functions, triggers, views."""
    tables = {f"column {table}." for table in metadata.tables}
    kinds = ("constraint ", "index ", "sequence ", *tables)
    relations = {f"relation {table}" for table in metadata.tables}
    return {name: fact for name, fact in known.items() if name.startswith(kinds) or name in relations}


def test_the_document_makes_what_the_migrations_make(database_url: str) -> None:
    assert from_document(database_url) == migrated(database_url)


def test_the_models_make_the_tables_that_the_migrations_make(database_url: str) -> None:
    tables = of_tables(migrated(database_url))
    assert len(tables) > 150
    assert of_tables(from_models(database_url)) == tables


def test_every_kind_of_difference_is_seen(migrated_url: str) -> None:
    with psycopg.connect(migrated_url, autocommit=True) as connection:
        before = facts(connection, "public")
        for change in CHANGES:
            with connection.transaction(force_rollback=True):
                connection.execute(change)
                assert facts(connection, "public") != before, change


def test_the_document_is_up_to_date(postgres_server: ThrowawayPostgres, migrated_url: str) -> None:
    if postgres_server.major != schema_document.MAJOR:
        pytest.skip("another server words some expressions differently")
    with psycopg.connect(migrated_url, autocommit=True) as connection:
        assert schema_document.drift(schema_document.document(connection)) == ""


def test_the_command_finds_drift_and_mends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SCHEDULER_PG_BIN", raising=False)
    wanted = schema_document.DOCUMENT.read_text(encoding="utf-8")
    copy = tmp_path / "schema.sql"
    copy.write_text(wanted.replace("NOT NULL DEFAULT 'UTC'", "NOT NULL DEFAULT 'GMT'"), encoding="utf-8")
    monkeypatch.setattr(schema_document, "DOCUMENT", copy)
    with pytest.raises(SystemExit, match=r"(?s)-.*DEFAULT 'GMT'.*\+.*DEFAULT 'UTC'.*run `\./dev schema`"):
        schema_document.main(["--check"])
    schema_document.main([])
    assert copy.read_text(encoding="utf-8") == wanted


def uncommented(url: str, query: LiteralString) -> list[tuple[str, ...]]:
    with psycopg.connect(url) as connection:
        return connection.execute(query).fetchall()


def test_every_table_view_and_function_has_a_comment(migrated_url: str) -> None:
    missing = uncommented(
        migrated_url,
        """
        SELECT relname FROM pg_class
        WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'v')
          AND obj_description(oid, 'pg_class') IS NULL
        UNION ALL
        SELECT proname FROM pg_proc
        WHERE pronamespace = 'public'::regnamespace AND obj_description(oid, 'pg_proc') IS NULL
        """,
    )
    assert missing == []


def test_every_column_that_is_not_obvious_has_a_comment(migrated_url: str) -> None:
    missing = uncommented(
        migrated_url,
        """
        SELECT relname, attname FROM pg_attribute JOIN pg_class c ON c.oid = attrelid
        WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND attnum > 0
          AND relname <> 'scheduler_version' AND col_description(attrelid, attnum) IS NULL
        """,
    )
    assert set(missing) == {(table, column) for table, columns in OBVIOUS.items() for column in columns}
