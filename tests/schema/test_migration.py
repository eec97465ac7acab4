"""`scheduler migrate`: from nothing, again, at once, anywhere, beside others, and back."""

import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from psycopg import sql
from psycopg.conninfo import make_conninfo

from scheduler.database import reaching
from scheduler.database.libpq import connect
from scheduler.errors import ConfigurationError, SchemaError
from scheduler.store.migration import check, downgrade, home, migrate
from scheduler.store.revision import HEAD, SchemaState, require_current
from tests.schema.asking import value, wait_until
from tests.schema.catalog import facts

ROOT = Path(__file__).resolve().parents[2]
HOLD = "SELECT pg_advisory_xact_lock(hashtextextended('scheduler migrate ' || %s, 0))"
WAITING = """
    SELECT count(*) = %s FROM pg_locks JOIN pg_database d ON d.oid = database
    WHERE datname = current_database() AND locktype = 'advisory' AND NOT granted
"""


@pytest.fixture
def db(database_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def stranger(db: psycopg.Connection, database_url: str) -> Iterator[str]:
    """A connection string of a role that owns nothing."""
    role = f"stranger_{uuid4().hex}"
    db.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(role)))
    yield make_conninfo(database_url, user=role)
    db.execute(sql.SQL("DROP OWNED BY {0}; DROP ROLE {0}").format(sql.Identifier(role)))


def test_head_is_alembics_head() -> None:
    assert ScriptDirectory(home() / "migrations").get_current_head() == HEAD


def test_from_nothing_and_again(database_url: str) -> None:
    assert check(database_url).found is None
    assert migrate(database_url) == HEAD
    assert migrate(database_url) == HEAD
    database = psycopg.conninfo.conninfo_to_dict(database_url)["dbname"]
    assert check(database_url) == SchemaState(HEAD, HEAD, "public", str(database))


async def test_inside_a_running_event_loop(database_url: str) -> None:
    assert migrate(database_url.replace("postgresql://", "postgresql+psycopg://")) == HEAD


@pytest.mark.parametrize("schema", ["my-jobs", "Jobs", "select", 'a"b', "100%", "작업", "a:b"])
def test_in_a_schema_of_any_name(db: psycopg.Connection, database_url: str, schema: str) -> None:
    assert migrate(database_url, schema) == HEAD
    assert check(database_url, schema).current
    assert check(database_url).found is None
    at = sql.Identifier(schema)
    db.execute(sql.SQL("LISTEN {}").format(sql.Identifier(f"scheduler_{schema}")))
    insert = "INSERT INTO {}.cron_jobs (name, cron_expression, handler_name) VALUES ('a', '@daily', 'b')"
    db.execute(sql.SQL(insert).format(at))
    db.execute(sql.SQL("SELECT {}.run_cron_job('a')").format(at))
    assert [n.payload for n in db.notifies(timeout=10, stop_after=1)] == [""]
    downgrade(database_url, schema)
    assert facts(db, schema) == {}


@pytest.mark.parametrize("schema", ["", "x" * 49, "작" * 17, "pg_jobs", "information_schema", "nul\0"])
def test_names_that_no_schema_can_have(database_url: str, schema: str) -> None:
    with pytest.raises(ConfigurationError, match="such as scheduler"):
        migrate(database_url, schema)


def test_four_processes_at_once(db: psycopg.Connection, database_url: str) -> None:
    script = "import sys; from scheduler.store.migration import migrate; print(migrate(sys.argv[1]))"
    with db.transaction():
        db.execute(HOLD, ["public"])
        processes = [
            subprocess.Popen([sys.executable, "-W", "error", "-c", script, database_url], cwd=ROOT, text=True,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            for _ in range(4)
        ]  # fmt: skip
        wait_until(db, WAITING, 4)
    answers = [(*process.communicate(timeout=60), process.returncode) for process in processes]
    assert answers == [(f"{HEAD}\n", "", 0)] * 4
    assert value(db, "SELECT count(*) FROM scheduler_version") == 1


def test_four_threads_at_once(db: psycopg.Connection, database_url: str) -> None:
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(migrate, [database_url] * 4)) == [HEAD] * 4
        assert list(threads.map(migrate, [database_url] * 4, "abcd")) == [HEAD] * 4
    assert value(db, "SELECT count(*) FROM pg_tables WHERE tablename = 'scheduler_version'") == 5


def test_whoever_waited_reads_anew_even_where_transactions_keep_their_snapshot(
    db: psycopg.Connection, database_url: str
) -> None:
    db.execute(f"ALTER DATABASE {db.info.dbname} SET default_transaction_isolation = 'repeatable read'".encode())
    with ThreadPoolExecutor(1) as thread:
        with db.transaction():
            db.execute(HOLD, ["public"])
            waiting = thread.submit(migrate, database_url)
            wait_until(db, WAITING, 1)
            db.execute("CREATE TABLE scheduler_version (version_num varchar(32) PRIMARY KEY)")
            db.execute("INSERT INTO scheduler_version VALUES (%s)", [HEAD])
        assert waiting.result(timeout=30) == HEAD
    assert value(db, "SELECT to_regclass('cron_jobs')") is None


def test_downgrade_takes_ours_and_nothing_else(db: psycopg.Connection, database_url: str) -> None:
    db.execute("CREATE TABLE invoices (id int PRIMARY KEY); INSERT INTO invoices VALUES (1)")
    db.execute("CREATE FUNCTION total() RETURNS bigint LANGUAGE sql RETURN (SELECT count(*) FROM invoices)")
    before = facts(db, "public")
    migrate(database_url)
    downgrade(database_url)
    assert facts(db, "public") == before
    assert value(db, "SELECT to_regclass('scheduler_version')") is None
    downgrade(database_url)
    assert migrate(database_url) == HEAD
    assert value(db, "SELECT total()") == 1


def test_downgrade_to_a_revision_that_is_none(database_url: str) -> None:
    migrate(database_url)
    with pytest.raises(SchemaError, match=r"'0007'\. Revisions are numbers such as 0001, or base\."):
        downgrade(database_url, revision="0007")


def test_downgrade_refuses_what_somebody_else_leans_on(db: psycopg.Connection, database_url: str) -> None:
    migrate(database_url)
    db.execute("CREATE VIEW mine AS SELECT name FROM cron_jobs")
    before = facts(db, "public")
    with pytest.raises(SchemaError, match=r"depends on the scheduler's tables; drop it first.*view mine"):
        downgrade(database_url)
    assert facts(db, "public") == before
    assert check(database_url).current


ENV = """
from alembic import context
from sqlalchemy import NullPool, create_engine
engine = create_engine("postgresql+psycopg://", creator=context.config.attributes["connect"], poolclass=NullPool)
with engine.connect() as connection:
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()
"""
VERSION = """
from alembic import op
revision, down_revision = "abc", None
def upgrade(): op.execute("CREATE TABLE invoices (id int)")
def downgrade(): op.execute("DROP TABLE invoices")
"""


def test_beside_a_users_own_alembic(db: psycopg.Connection, database_url: str, tmp_path: Path) -> None:
    (tmp_path / "versions").mkdir()
    (tmp_path / "env.py").write_text(ENV)
    (tmp_path / "versions" / "abc.py").write_text(VERSION)
    theirs = Config(attributes={"connect": lambda: psycopg.connect(database_url)})
    theirs.set_main_option("script_location", str(tmp_path))

    command.upgrade(theirs, "head")
    migrate(database_url)
    assert value(db, "SELECT version_num FROM alembic_version") == "abc"
    assert value(db, "SELECT version_num FROM scheduler_version") == HEAD
    command.downgrade(theirs, "base")
    assert check(database_url).current
    command.upgrade(theirs, "head")
    downgrade(database_url)
    assert value(db, "SELECT version_num FROM alembic_version") == "abc"
    assert value(db, "SELECT count(*) FROM invoices") == 0


def test_logging_stays_as_it_was(database_url: str) -> None:
    theirs = logging.getLogger("theirs")
    root = logging.getLogger()
    before = (root.level, list(root.handlers), theirs.disabled, logging.getLogger("alembic").level)
    migrate(database_url)
    assert (root.level, list(root.handlers), theirs.disabled, logging.getLogger("alembic").level) == before


def test_the_command_line_of_alembic(database_url: str) -> None:
    def alembic(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-m", "alembic", *arguments], cwd=ROOT, text=True, capture_output=True,
                              check=False, env={**os.environ, "PYTHONPATH": str(ROOT), **environment})  # fmt: skip

    done = alembic("upgrade", "head", SCHEDULER_DATABASE_URL=database_url, SCHEDULER_DATABASE_SCHEMA="jobs")
    assert done.returncode == 0, done.stderr
    assert check(database_url, "jobs").current
    refused = alembic("upgrade", "head", "--sql", SCHEDULER_DATABASE_URL=database_url)
    assert refused.returncode != 0
    assert "schema.sql is the whole schema" in refused.stderr + refused.stdout


async def test_a_worker_starts_only_on_tables_of_its_own_version(db: psycopg.Connection, database_url: str) -> None:
    async with await connect(database_url, application_name="scheduler test") as connection:
        with pytest.raises(SchemaError, match=r'not in schema "public" of database "\w+": run `scheduler migrate`'):
            await require_current(connection)
        migrate(database_url)
        await require_current(connection)
        with pytest.raises(SchemaError, match='not in schema "nowhere"'):
            await require_current(connection, "nowhere")
        db.execute("UPDATE scheduler_version SET version_num = '0000'")
        with pytest.raises(SchemaError, match=rf"at revision 0000, .* works with {HEAD}: run `scheduler migrate`"):
            await require_current(connection)
        db.execute("UPDATE scheduler_version SET version_num = '0999'")
        with pytest.raises(SchemaError, match=r"at revision 0999, newer than .*: upgrade the package pg-scheduler"):
            await require_current(connection)
    for change in (migrate, downgrade):
        with pytest.raises(SchemaError, match="upgrade the package"):
            change(database_url)


def test_the_check_at_a_workers_start_loads_no_alembic() -> None:
    script = "import sys, scheduler.store.revision; sys.exit('alembic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=False).returncode == 0


def test_without_the_right_to_make_things(db: psycopg.Connection, database_url: str, stranger: str) -> None:
    with pytest.raises(SchemaError, match=r"may not change schema \"jobs\" .*permission denied for database"):
        migrate(stranger, "jobs")
    with pytest.raises(SchemaError, match=r"permission denied for schema public.*or grant the role CREATE"):
        migrate(stranger)
    migrate(database_url)
    with pytest.raises(SchemaError, match=r"may not read the tables .*grant it USAGE"):
        check(stranger)


def test_a_role_that_may_create_in_a_schema_needs_no_more(db: psycopg.Connection, stranger: str) -> None:
    role = psycopg.conninfo.conninfo_to_dict(stranger)["user"]
    db.execute(sql.SQL("CREATE SCHEMA jobs; GRANT ALL ON SCHEMA jobs TO {}").format(sql.Identifier(str(role))))
    assert migrate(stranger, "jobs") == HEAD


def test_a_name_that_is_taken(db: psycopg.Connection, database_url: str) -> None:
    db.execute("CREATE TABLE cron_jobs (id int)")
    with pytest.raises(SchemaError, match=r'relation "cron_jobs" already exists.*a schema of its own'):
        migrate(database_url)
    assert check(database_url).found is None


def test_an_unreachable_database() -> None:
    wanted = r"The database \"app\" on 127\.0\.0\.1 can't be reached: no server listens on port 1 there"
    with pytest.raises(ConfigurationError, match=wanted) as told:
        migrate("postgresql://user:geheim@127.0.0.1:1/app")
    assert "geheim" not in str(told.value)


def test_an_old_server(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reaching, "MINIMUM_SERVER", 99)
    with pytest.raises(ConfigurationError, match=r"is PostgreSQL \d\d; the scheduler needs PostgreSQL 99 or newer"):
        migrate(database_url)
