"""Projects that can't work: `scheduler doctor` and `scheduler run` say cause and cure, without a traceback."""

import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from threading import Thread

import psycopg
import pytest
from psycopg import sql as psql
from psycopg.conninfo import conninfo_to_dict

from scheduler.database import reaching
from scheduler.embedded import EmbeddedPostgres
from scheduler.operations.doctor import Code
from scheduler.testing.postgres import ThrowawayPostgres
from tests.cli.conftest import Command, Ran, folder, scheduler
from tests.cli.test_process import command
from tests.doctor.conftest import Sql
from tests.doctor.pooler import Pooler

__all__ = ["folder", "scheduler"]

Url = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Both:
    """What the two commands answered."""

    doctor: Ran
    run: Ran

    def say(self, code: Code, cause: str, cure: str) -> None:
        assert (self.doctor.code, self.run.code) in {(1, 2), (1, 1)}
        assert self.doctor.out.rstrip().endswith(f"scheduler doctor --page {code}")
        for text in (_plain(self.doctor.out), _plain(self.run.err)):
            assert cause in text
            assert cure in text
            assert "Traceback" not in text
        assert "secret" not in self.doctor.out + self.doctor.err + self.run.out + self.run.err
        assert len([line for line in self.run.err.splitlines() if line.startswith("error: ")]) == 1


def _plain(text: str) -> str:
    return " ".join(text.split())


@pytest.fixture
def both(scheduler: Command) -> Callable[[], Both]:
    return lambda: Both(scheduler("doctor"), scheduler("run", "--until-idle"))


@pytest.fixture
def url(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Url:
    """Sets it, after the folder was cleared of variables."""
    return lambda given: monkeypatch.setenv("SCHEDULER_DATABASE_URL", given)


def as_role(url: str, login: str) -> str:
    return url.replace("postgresql://postgres@", f"postgresql://{login}@")


class TestTheWayToTheServer:
    def test_no_database_is_named(self, both: Callable[[], Both]) -> None:
        both().say(Code.DATABASE_NONE, "No database is configured", "scheduler run --embedded")

    def test_an_empty_variable(self, both: Callable[[], Both], url: Url) -> None:
        url("")
        both().say(Code.SETTINGS, "SCHEDULER_DATABASE_URL is empty", "write its value, or remove the key")

    def test_a_slip_in_the_scheme(self, both: Callable[[], Both], url: Url) -> None:
        url("postgers://app:secret@db/jobs")
        both().say(Code.SETTINGS, "must be a Postgres URL", "postgresql://user:password@host:5432/dbname")

    def test_a_slip_in_an_option(self, both: Callable[[], Both], url: Url) -> None:
        url("postgresql://app:secret@127.0.0.1:1/jobs?sslmode=requires")
        both().say(Code.DATABASE_URL, "its url has sslmode=requires", "Correct that part of the url.")

    def test_a_host_that_nobody_knows(self, both: Callable[[], Both], url: Url) -> None:
        url("postgresql://app:secret@db.invalid/jobs")
        both().say(Code.DATABASE_HOST, 'no host is known as "db.invalid"', "Correct the host in its url")

    def test_a_server_that_is_down(self, both: Callable[[], Both], url: Url) -> None:
        url("postgresql://app:secret@127.0.0.1:1/jobs")
        both().say(Code.DATABASE_REFUSED, "no server listens on port 1 there", "Start the server")

    def test_a_socket_without_a_server(self, both: Callable[[], Both], url: Url, tmp_path: Path) -> None:
        url(f"postgresql:///jobs?host={tmp_path}")
        both().say(
            Code.DATABASE_REFUSED, f"no server listens on the socket {tmp_path}/.s.PGSQL.5432", "Start the server"
        )

    @pytest.mark.parametrize("option", ["", "?sslmode=disable"], ids=["asked for TLS", "plain"])
    def test_something_else_on_that_port(self, both: Callable[[], Both], url: Url, option: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as door:
            Thread(target=_speak_http, args=(door,), daemon=True).start()
            url(f"postgresql://app:secret@127.0.0.1:{door.getsockname()[1]}/jobs{option}")
            both().say(Code.DATABASE_NOT_POSTGRES, "what answers there is not PostgreSQL", "Correct host and port")

    def test_a_wrong_password(self, both: Callable[[], Both], url: Url, strict_server: ThrowawayPostgres) -> None:
        url(as_role(strict_server.url(), "app:secret"))
        both().say(Code.DATABASE_PASSWORD, 'the password of role "app" is wrong', "Correct user and password")

    def test_no_password(self, both: Callable[[], Both], url: Url, strict_server: ThrowawayPostgres) -> None:
        url(as_role(strict_server.url(), "app"))
        both().say(Code.DATABASE_PASSWORD, "it asks for a password and none is set", "Write it into its url")

    def test_a_role_that_is_not_let_in(
        self, both: Callable[[], Both], url: Url, strict_server: ThrowawayPostgres
    ) -> None:
        url(as_role(strict_server.url(), "stranger"))
        both().say(Code.DATABASE_ACCESS, "the server does not let this role in from here", "pg_hba.conf")

    def test_a_role_that_is_not_there(self, both: Callable[[], Both], url: Url, database_url: str) -> None:
        url(as_role(database_url, "nobody"))
        both().say(Code.DATABASE_ROLE, 'no role "nobody" that may log in', "CREATE ROLE")

    def test_a_database_that_is_not_there(
        self, both: Callable[[], Both], url: Url, postgres_server: ThrowawayPostgres
    ) -> None:
        url(postgres_server.url("jbos"))
        both().say(Code.DATABASE_MISSING, 'the server has no database "jbos"', 'make it: CREATE DATABASE "jbos"')

    def test_tls_that_the_server_does_not_offer(self, both: Callable[[], Both], url: Url, migrated_url: str) -> None:
        with Pooler(migrated_url, "session") as pooler:
            url(pooler.url.replace("sslmode=disable", "sslmode=require"))
            both().say(Code.DATABASE_TLS, "its url asks for TLS and the server offers none", "Set ssl = on")

    def test_no_connection_is_left(
        self, both: Callable[[], Both], url: Url, migrated_url: str, role: str, connection: psycopg.Connection
    ) -> None:
        connection.execute(psql.SQL("ALTER ROLE {} CONNECTION LIMIT 0").format(psql.Identifier(role)))
        url(as_role(migrated_url, role))
        both().say(Code.DATABASE_FULL, "all connections that its role may have are in use", "ALTER ROLE")


class TestTheDatabase:
    def test_a_server_that_is_too_old(
        self, both: Callable[[], Both], url: Url, migrated_url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(reaching, "MINIMUM_SERVER", 99)
        url(migrated_url)
        both().say(Code.SERVER_VERSION, "the scheduler needs PostgreSQL 99 or newer", "Upgrade the server")

    def test_one_that_takes_no_writes(self, both: Callable[[], Both], url: Url, migrated_url: str, sql: Sql) -> None:
        name = conninfo_to_dict(migrated_url)["dbname"]
        sql(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
        url(migrated_url)
        cure = f'ALTER DATABASE "{name}" RESET default_transaction_read_only'
        both().say(Code.DATABASE_READ_ONLY, "can't be written: default_transaction_read_only is on", cure)

    def test_one_without_tables(self, both: Callable[[], Both], url: Url, database_url: str) -> None:
        url(database_url)
        both().say(Code.SCHEMA_REVISION, "The tables of the scheduler are not in schema", "run `scheduler migrate`")

    def test_tables_in_another_schema(
        self, both: Callable[[], Both], url: Url, migrated_url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        url(migrated_url)
        monkeypatch.setenv("SCHEDULER_DATABASES__DEFAULT__SCHEMA", "jobs")
        both().say(Code.SCHEMA_REVISION, 'are not in schema "jobs" of database', "run `scheduler migrate`")

    @pytest.mark.parametrize(("found", "cure"), [("0000", "run `scheduler migrate`"), ("9999", "upgrade the package")])
    def test_tables_of_another_version(
        self, both: Callable[[], Both], url: Url, migrated_url: str, sql: Sql, found: str, cure: str
    ) -> None:
        sql("UPDATE scheduler_version SET version_num = %s", found)
        url(migrated_url)
        both().say(Code.SCHEMA_REVISION, f"are at revision {found}", cure)

    def test_tables_that_the_role_may_not_read(
        self, both: Callable[[], Both], url: Url, migrated_url: str, role: str, sql: Sql
    ) -> None:
        sql("REVOKE ALL ON SCHEMA public FROM public")
        url(as_role(migrated_url, role))
        both().say(Code.SCHEMA_RIGHTS, f'Role "{role}" may not read the tables', "grant it USAGE on the schema")

    def test_tables_that_somebody_has_dropped(
        self, both: Callable[[], Both], url: Url, migrated_url: str, sql: Sql
    ) -> None:
        sql("DROP TABLE job_queues CASCADE")
        url(migrated_url)
        both().say(
            Code.SCHEMA_REVISION, "somebody has dropped job_queue_status, job_queues", "restore it from a backup"
        )

    def test_tables_that_the_role_may_only_read(
        self, scheduler: Command, url: Url, migrated_url: str, role: str, sql: Sql
    ) -> None:
        sql(f'GRANT SELECT ON ALL TABLES IN SCHEMA public TO "{role}"')
        url(as_role(migrated_url, role))
        for ran in (scheduler("doctor"), scheduler("run", "--until-idle")):
            said = _plain(ran.out + ran.err)
            assert f'Role "{role}" may not do all that `scheduler run` does: it lacks UPDATE on cron_jobs' in said
            assert "scheduler db roles" in said
        assert ran.code == 2


class TestTheProject:
    @pytest.fixture(autouse=True)
    def healthy(self, url: Url, migrated_url: str, sql: Sql) -> None:
        """All but what the test breaks; what the server of the tests is ill with anyway comes before the last line."""
        url(migrated_url)

    def test_a_slip_in_a_key(self, both: Callable[[], Both], folder: Path) -> None:
        (folder / "scheduler.yaml").write_text("worker:\n  pool_sise: 4\n")
        both().say(
            Code.SETTINGS, "scheduler.yaml, line 2: worker.pool_sise is not a setting", "Did you mean 'pool_size'?"
        )

    def test_two_files_that_clash(self, both: Callable[[], Both], folder: Path) -> None:
        (folder / "config").mkdir()
        for name in ("scheduler.yaml", "config/worker.yaml"):
            (folder / name).write_text("worker: {pool_size: 4}\n")
        cause = "scheduler.yaml and config/worker.yaml both hold settings"
        both().say(Code.SETTINGS, cause, "keep scheduler.yaml or config/, not both")

    def test_a_lease_that_cannot_outlive_a_heartbeat(
        self, both: Callable[[], Both], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SCHEDULER_WORKER__LEASE_SECONDS", "15")
        cause = "SCHEDULER_WORKER__LEASE_SECONDS is 15, less than twice heartbeat_interval_seconds"
        both().say(Code.SETTINGS, cause, "write 20 or more")

    def test_a_module_that_cannot_be_imported(self, both: Callable[[], Both], folder: Path) -> None:
        (folder / "handlers" / "broken.py").write_text("\nimport nothing_of_that_name\n")
        cause = "handlers.broken can't be imported: ModuleNotFoundError: No module named 'nothing_of_that_name'"
        both().say(Code.HANDLERS, cause, f"({folder}/handlers/broken.py:2). Correct it")

    def test_two_handlers_of_one_name(self, both: Callable[[], Both], folder: Path) -> None:
        (folder / "handlers" / "other.py").write_text(
            dedent(
                """\
                from scheduler import handler

                @handler("email")
                def email(params: dict) -> None: ...
                """
            )
        )
        both().say(Code.HANDLERS, "Two handlers are named 'email'", "Rename one of them.")

    def test_a_folder_that_is_not_there(self, both: Callable[[], Both], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SCHEDULER_HANDLERS", "handler")
        cause = "The setting `handlers` lists 'handler', which is neither a folder"
        both().say(Code.HANDLERS, cause, "Did you mean 'handlers'? Make the folder, or correct the setting.")

    def test_a_folder_without_handlers(self, scheduler: Command, folder: Path, migrated_url: str) -> None:
        """Not an error: a process may only plan."""
        (folder / "handlers" / "mail.py").unlink()
        says = "No handler is declared in handlers: a worker of this project can run nothing."
        assert says in scheduler("doctor").out
        ran = command(folder, "run", "--until-idle", SCHEDULER_DATABASE_URL=migrated_url)
        assert ran.returncode == 0
        assert "handlers     none found" in ran.stderr


class TestTheEmbeddedServer:
    def test_one_that_was_never_made_is_not_made_by_looking(self, scheduler: Command, folder: Path) -> None:
        (folder / ".scheduler").mkdir(mode=0o700)
        answer = scheduler("doctor", "--quiet")
        assert answer.code == 1
        assert f"No PostgreSQL was made in {folder}/.scheduler yet: `scheduler run` makes it." in _plain(answer.out)
        assert not list(folder.glob(".scheduler/pg*"))

    def test_looking_migrates_nothing(self, scheduler: Command, folder: Path) -> None:
        with EmbeddedPostgres(folder / ".scheduler") as server:
            answer = scheduler("doctor", "--quiet")
            assert answer.code == 1
            assert 'the server has no database "scheduler"' in answer.out
            with psycopg.connect(server.ensure_database("scheduler")) as connection:
                assert "The tables of the scheduler are not in schema" in scheduler("doctor", "--quiet").out
                assert connection.execute("SELECT to_regclass('cron_jobs')").fetchone() == (None,)

    def test_data_of_another_version(self, both: Callable[[], Both], folder: Path) -> None:
        (folder / ".scheduler" / "pg14").mkdir(parents=True, mode=0o700)
        cause = f"{folder}/.scheduler holds the data of PostgreSQL 14"
        both().say(Code.EMBEDDED_SERVER, cause, "set SCHEDULER_PG_BIN to the folder of PostgreSQL 14's programs")

    @pytest.mark.skipif(sys.platform != "linux", reason="there root may write anywhere")
    def test_a_folder_that_cannot_be_written(self, both: Callable[[], Both], folder: Path) -> None:
        (folder / ".scheduler").symlink_to("/proc/sys")
        cause = f"The embedded PostgreSQL can't use {folder}/.scheduler"
        both().say(Code.EMBEDDED_SERVER, cause, "Name a local folder that you may write to")


def _speak_http(door: socket.socket) -> None:
    while True:
        try:
            client, _ = door.accept()
        except OSError:
            return
        with client:
            client.recv(1024)
            client.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
