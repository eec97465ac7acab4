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
from scheduler.testing import documents, schema_document, sql_page
from scheduler.testing.postgres import ThrowawayPostgres
from tests.schema.catalog import Facts, facts

COMMENTS = """
    SELECT relname, obj_description(oid, 'pg_class') FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'v')
    UNION ALL
    SELECT proname || '()', obj_description(oid, 'pg_proc') FROM pg_proc WHERE pronamespace = 'public'::regnamespace
    UNION ALL
    SELECT relname || '.' || attname, col_description(attrelid, attnum)
    FROM pg_attribute JOIN pg_class c ON c.oid = attrelid
    WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'v') AND attnum > 0
"""
CHANGES: Sequence[LiteralString] = (
    "ALTER TABLE cron_jobs ALTER timezone SET DEFAULT 'Europe/Berlin'",
    "ALTER TABLE job_executions ALTER source DROP NOT NULL",
    "ALTER TABLE job_queues ALTER rate_taken TYPE bigint[]",
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


def test_the_documents_are_up_to_date(postgres_server: ThrowawayPostgres, migrated_url: str) -> None:
    if postgres_server.major != documents.MAJOR:
        pytest.skip("another server words some expressions differently")
    with psycopg.connect(migrated_url, autocommit=True) as connection:
        assert "".join(documents.drift(documents.documents(connection))) == ""


def test_the_command_finds_drift_and_mends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SCHEDULER_PG_BIN", raising=False)
    wanted = schema_document.DOCUMENT.read_text(encoding="utf-8")
    copy, page = tmp_path / "schema.sql", tmp_path / "sql.md"
    copy.write_text(wanted.replace("NOT NULL DEFAULT 'UTC'", "NOT NULL DEFAULT 'GMT'"), encoding="utf-8")
    monkeypatch.setattr(schema_document, "DOCUMENT", copy)
    monkeypatch.setattr(sql_page, "PAGE", page)
    drift = r"(?s)-.*DEFAULT 'GMT'.*\+.*DEFAULT 'UTC'.*\+# SQL.*run `\./dev schema`"
    with pytest.raises(SystemExit, match=drift):
        documents.main(["--check"])
    assert not page.exists()
    documents.main([])
    assert copy.read_text(encoding="utf-8") == wanted
    assert page.read_text(encoding="utf-8").startswith("# SQL\n")


def test_everything_has_a_comment_that_fits_on_a_line(migrated_url: str) -> None:
    with psycopg.connect(migrated_url) as connection:
        comments = dict[str, str | None](connection.execute(COMMENTS).fetchall())
    assert len(comments) > 250
    assert {name for name, comment in comments.items() if not comment} == set()
    assert {name for name, comment in comments.items() if comment and "\n" in comment} == set()
    assert {name for name, comment in comments.items() if "." in name and len(comment or "") > 125} == set()
    assert {name for name, comment in comments.items() if comment and comment[-1] not in ".;"} == set()
