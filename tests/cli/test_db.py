"""`scheduler db …`: psql in the right place, and roles that people and workers use."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from scheduler.cli.psql import environment
from scheduler.embedded import binaries
from scheduler.errors import ConfigurationError
from scheduler.operations.roles import apply, names
from scheduler.store.migration import migrate
from scheduler.store.session import SyncSession
from tests.cli.conftest import Command, Ran, Sql
from tests.cli.test_process import ROOT, command
from tests.schema.asking import wait_until

Psql = Callable[..., Ran]

SLEEP = "SELECT pg_sleep(100)"
SECRET = "s3cret/%@ and a space"


class TestPsql:
    @pytest.fixture
    def psql(self, folder: Path, migrated_url: str) -> Psql:
        def run(*arguments: str, **variables: str) -> Ran:
            done = command(folder, "db", "psql", *arguments, SCHEDULER_DATABASE_URL=migrated_url, **variables)
            return Ran(done.returncode, done.stdout, done.stderr)

        return run

    def test_a_statement(self, psql: Psql) -> None:
        asked = psql("-Atc", "SELECT 6 * 7", "-c", "SELECT to_regclass('cron_jobs')")
        assert tuple(asked) == (0, "42\ncron_jobs\n", "")

    def test_a_file(self, psql: Psql, folder: Path) -> None:
        (folder / "ask.sql").write_text("SELECT :'word';")
        assert psql("-v", "word=hello there", "-At", "-f", "ask.sql").out == "hello there\n"

    @pytest.mark.parametrize(
        ("arguments", "code", "said"),
        [
            (["-c", "SELECT nope"], 1, 'column "nope" does not exist'),
            (["-v", "ON_ERROR_STOP=1", "-f", "bad.sql"], 3, "syntax error"),
            (["--nope"], 1, "unrecognized option"),
            (["-d", "nowhere"], 2, 'database "nowhere" does not exist'),
        ],
    )
    def test_its_exit_code_is_ours(self, psql: Psql, folder: Path, arguments: list[str], code: int, said: str) -> None:
        (folder / "bad.sql").write_text("SELEKT 1;")
        ran = psql(*arguments)
        assert ran.code == code
        assert said in ran.err

    def test_bare_names_mean_the_tables_whichever_schema_they_are_in(self, psql: Psql, migrated_url: str) -> None:
        migrate(migrated_url, "jobs")
        asked = "SELECT 'cron_jobs'::regclass::oid = 'jobs.cron_jobs'::regclass"
        assert psql("-Atc", asked, SCHEDULER_DATABASES__DEFAULT__SCHEMA="jobs").out == "t\n"

    def test_of_the_embedded_server(self, folder: Path) -> None:
        (folder / ".scheduler").mkdir(mode=0o700)
        ran = command(folder, "db", "psql", "-Atc", "SELECT count(*) FROM cron_jobs")
        assert (ran.returncode, ran.stdout) == (0, "0\n"), ran.stderr

    def test_one_that_a_signal_ended(self, psql: Psql) -> None:
        assert psql("-c", "\\! kill -KILL $PPID").code == 128 + signal.SIGKILL

    def test_without_a_psql_a_sentence_says_where_to_get_one(
        self, online: Command, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("scheduler.cli.psql.find_client", lambda name: None)
        code, out, err = online("db", "psql")
        assert (code, out) == (2, "")
        assert err.startswith("error: psql is not here: install PostgreSQL's client programs")

    def test_an_interruption_is_psqls(self, folder: Path, migrated_url: str) -> None:
        """Both get it from a terminal: psql cancels its statement, and whoever waits for it waits on."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("SCHEDULER_")}
        with (
            subprocess.Popen(
                [sys.executable, "-m", "scheduler", "db", "psql", "-c", SLEEP],
                env={**inherited, "PYTHONPATH": str(ROOT), "SCHEDULER_DATABASE_URL": migrated_url},
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,
            ) as waiting,
            psycopg.connect(migrated_url, autocommit=True) as db,
        ):
            ours = "SELECT count(*) = 1 FROM pg_stat_activity WHERE datname = current_database() AND query = %s"
            wait_until(db, ours, SLEEP)
            os.killpg(waiting.pid, signal.SIGINT)
            out, err = waiting.communicate(timeout=60)
        assert (waiting.returncode, out) == (1, "")
        assert err.splitlines() == ["Cancel request sent", "ERROR:  canceling statement due to user request"]


class TestPsqlsEnvironment:
    def test_the_whole_address_and_the_password_as_it_is(self) -> None:
        url = "postgresql://app:s3cret%2F%25%40%20and%20a%20space@db:6543/jobs?sslmode=require&keepalives_idle=9"
        assert environment(url, "public", {"HOME": "/root"}) == {
            "HOME": "/root", "PGHOST": "db", "PGPORT": "6543", "PGDATABASE": "jobs", "PGUSER": "app",
            "PGPASSWORD": SECRET, "PGSSLMODE": "require",
        }  # fmt: skip

    def test_the_schema_comes_after_the_urls_own_options(self) -> None:
        found = environment("postgresql://db/jobs?options=-c%20statement_timeout%3D5s", "mine", {})
        assert found["PGOPTIONS"] == "-c statement_timeout=5s -c search_path=mine,public"
        assert environment("postgresql://db/jobs", "mine", {})["PGOPTIONS"] == "-c search_path=mine,public"

    def test_a_service_of_the_shell_does_not_win_over_the_url(self) -> None:
        assert "PGSERVICE" not in environment("postgresql://db/jobs", "public", {"PGSERVICE": "production"})
        assert environment("postgresql:///?service=jobs", "public", {"PGSERVICE": "other"})["PGSERVICE"] == "jobs"

    def test_an_unreadable_url(self) -> None:
        with pytest.raises(ConfigurationError, match="can't be read"):
            environment("postgresql://app:se%zzcret@db/jobs", "public", {})


class TestWherePsqlIs:
    @pytest.fixture
    def chosen(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.setenv("SCHEDULER_PG_BIN", str(tmp_path))
        return tmp_path / "psql"

    def test_the_chosen_one_first(self, chosen: Path) -> None:
        chosen.touch()
        assert binaries.find_client("psql") == chosen

    def test_then_that_of_the_path(self, chosen: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("shutil.which", lambda name: f"/somewhere/{name}")
        assert binaries.find_client("psql") == Path("/somewhere/psql")

    def test_then_one_beside_a_server(self, chosen: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("shutil.which", lambda name: None)
        found = binaries.find_client("psql")
        assert found is not None
        assert found.parent != tmp_path
        assert binaries.find_client("no-such-program") is None


Login = str
"""The url of a role that may log in and has one of the four."""


@pytest.fixture
def logins(migrated_url: str) -> Iterator[dict[str, Login]]:
    """A login for each of the four roles, of a prefix of their own: roles belong to the server, which tests share."""
    prefix = f"t{uuid4().hex[:12]}"
    session = SyncSession(migrated_url, "public", "test")
    apply(session, prefix)
    session.close()
    with psycopg.connect(migrated_url, autocommit=True) as connection:
        for name in names(prefix).values():
            grant = sql.SQL("CREATE ROLE {0} LOGIN; GRANT {1} TO {0}")
            connection.execute(grant.format(sql.Identifier(f"{name}_login"), sql.Identifier(name)))
        yield {role: make_conninfo(migrated_url, user=f"{name}_login") for role, name in names(prefix).items()}
        for name in names(prefix).values():
            drop = sql.SQL("DROP OWNED BY {0}, {1}; DROP ROLE {0}, {1}")
            connection.execute(drop.format(sql.Identifier(f"{name}_login"), sql.Identifier(name)))


def as_url(conninfo: str) -> str:
    """Settings take urls only."""
    parts = psycopg.conninfo.conninfo_to_dict(conninfo)
    return f"postgresql://{parts['user']}@/{parts['dbname']}?host={parts['host']}&port={parts['port']}"


class TestRoles:
    def test_the_script_runs_as_it_is_printed(self, online: Command, sql: Sql) -> None:
        printed = online("db", "roles", "--prefix", "printed")
        assert (printed.code, printed.err) == (0, "")
        told = json.loads(online("db", "roles", "--prefix", "printed", "--json").out)
        assert told["sql"] == printed.out
        assert told["roles"] == ["printed_viewer", "printed_enqueuer", "printed_worker", "printed_admin"]
        try:
            sql(printed.out)
            assert sql("SELECT count(*) FROM pg_roles WHERE rolname ~ '^printed_' AND NOT rolcanlogin") == [(4,)]
        finally:
            for name in told["roles"]:
                sql(f"DROP OWNED BY {name}; DROP ROLE {name}")

    def test_the_whole_line_runs_as_worker_and_is_driven_as_admin(
        self,
        scheduler: Command,
        folder: Path,
        logins: dict[str, Login],
        sql: Sql,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """Enqueued as enqueuer; planned, claimed, run with progress, settled as worker; retried as admin."""
        (folder / "handlers" / "steps.py").write_text(
            "from scheduler import current_execution, handler\n\n"
            "@handler('steps')\nasync def steps(params: dict) -> dict:\n"
            "    current_execution().progress(0.5, 'half way')\n    return {'done': True}\n"
        )

        def become(role: str) -> None:
            monkeypatch.setenv("SCHEDULER_DATABASE_URL", as_url(logins[role]))

        become("admin")
        assert scheduler("cron", "add", "often", "* * * * * *", "steps", "--overlap", "allow").code == 0
        become("enqueuer")
        assert [scheduler("jobs", "enqueue", handler).code for handler in ("steps", "shout")] == [0, 0]
        sql("UPDATE cron_jobs SET created_at = now() - interval '9 s', planned_until = now() - interval '3 s'")
        ran = command(folder, "run", "--until-idle", SCHEDULER_DATABASE_URL=as_url(logins["worker"]))
        assert ran.returncode == 0, ran.stderr
        assert "ermission" not in ran.stderr
        outcomes = sql("SELECT source, handler_name, status FROM job_executions ORDER BY id LIMIT 3")
        assert outcomes == [
            ("enqueue", "steps", "SUCCESS"),
            ("enqueue", "shout", "FAILED"),
            ("tick", "steps", "SUCCESS"),
        ]
        assert sql("SELECT status FROM job_workers") == [("STOPPED",)]
        become("admin")
        assert scheduler("jobs", "retry", "2").code == 0
        assert sql("SELECT status FROM job_executions WHERE id = 2") == [("PENDING",)]

    def test_a_viewer_gets_a_sentence_from_every_command(
        self, online: Command, logins: dict[str, Login], sql: Sql, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        sql("SELECT enqueue_job('email'), pause_queue('default')")
        sql("INSERT INTO job_executions (handler_name, status, finished_at) VALUES ('email', 'FAILED', now())")
        sql("INSERT INTO cron_jobs (name, cron_expression, handler_name) VALUES ('nightly', '0 3 * * *', 'email')")
        monkeypatch.setenv("SCHEDULER_DATABASE_URL", as_url(logins["viewer"]))
        for shown in (online("jobs", "show", "2"), online("cron", "show", "nightly")):
            assert re.search(r"^params +hidden: the role", shown.out, re.MULTILINE)
        for viewed in VIEWED:
            code, _, err = online(*viewed)
            assert code == 0, (viewed, err)
        for refused in REFUSED:
            code, _, err = online(*refused)
            assert code in (1, 2), (refused, err)
            assert "ermission" in err or "may not" in err, (refused, err)
            assert "Traceback" not in err, (refused, err)


VIEWED: Sequence[Sequence[str]] = (
    ("jobs", "list"),
    ("jobs", "show", "1"),
    ("jobs", "show", "2"),
    ("cron", "list"),
    ("cron", "show", "nightly"),
    ("cron", "explain", "nightly"),
    ("queues", "list"),
    ("workers", "list"),
    ("migrate",),
    ("migrate", "--check"),
    ("db", "url"),
    ("db", "roles"),
)
REFUSED: Sequence[Sequence[str]] = (
    ("jobs", "enqueue", "email"),
    ("jobs", "wait", "2"),
    ("jobs", "cancel", "1"),
    ("jobs", "retry", "2"),
    ("cron", "add", "new", "@daily", "email"),
    ("cron", "pause", "nightly"),
    ("cron", "resume", "nightly"),
    ("cron", "remove", "nightly"),
    ("cron", "run", "nightly"),
    ("cron", "edit", "nightly", "--tz", "Asia/Seoul"),
    ("queues", "pause", "default"),
    ("queues", "resume", "default"),
    ("db", "roles", "--apply"),
)
