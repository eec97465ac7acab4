"""`scheduler migrate`, `scheduler db …`, `scheduler workers …`."""

import json
from pathlib import Path

import psycopg
import pytest

from scheduler.store.revision import HEAD
from tests.cli.conftest import Command, Sql


class TestMigrate:
    @pytest.fixture(autouse=True)
    def empty(self, database_url: str, scheduler: Command, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SCHEDULER_DATABASE_URL", database_url)

    def test_check_changes_nothing_and_says_what_to_do(self, scheduler: Command) -> None:
        for _ in range(2):
            code, out, err = scheduler("migrate", "--check")
            assert (code, out) == (1, "")
            assert err.startswith("error: The tables of the scheduler are not in schema")
            assert "run `scheduler migrate`" in err

    def test_it_makes_the_tables_once(self, scheduler: Command) -> None:
        for arguments in (["migrate"], ["migrate"], ["migrate", "--check"]):
            code, out, _ = scheduler(*arguments)
            assert code == 0
            assert f"at revision {HEAD}" in out

    def test_in_the_schema_of_the_settings(
        self, scheduler: Command, database_url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SCHEDULER_DATABASES__DEFAULT__SCHEMA", "jobs")
        assert 'Schema "jobs"' in scheduler("migrate").out
        assert scheduler("jobs", "enqueue", "email").code == 0
        with psycopg.connect(database_url) as connection:
            assert connection.execute("SELECT count(*) FROM jobs.job_executions").fetchone() == (1,)

    def test_other_commands_never_make_tables(self, scheduler: Command) -> None:
        for command in (("cron", "list"), ("jobs", "enqueue", "email"), ("run",)):
            code, out, err = scheduler(*command)
            assert (code, out) == (2, "")
            assert "run `scheduler migrate`" in err


def test_the_url_is_one_to_connect_with(online: Command, migrated_url: str) -> None:
    code, out, err = online("db", "url")
    assert (code, err) == (0, "")
    with psycopg.connect(out.strip()) as there, psycopg.connect(migrated_url) as wanted:
        assert there.info.dbname == wanted.info.dbname


def test_a_project_with_an_embedded_server_needs_no_settings(scheduler: Command, folder: Path) -> None:
    (folder / ".scheduler").mkdir(mode=0o700)
    assert scheduler("migrate", "--check").code == 0
    code, out, err = scheduler("db", "url")
    assert (code, out[:13]) == (0, "postgresql://")
    assert "keep `scheduler run` going" in err
    assert scheduler("jobs", "enqueue", "email").out == "1\n"


class TestWorkers:
    def test_none(self, online: Command) -> None:
        assert tuple(online("workers", "list")) == (0, "", "No worker is there: start one with `scheduler run`.\n")
        assert online("workers", "list", "--json").out == "[]\n"

    def test_each_with_its_state(self, online: Command, sql: Sql) -> None:
        sql("SELECT register_worker('fresh', '{default,mail}', 4)")
        sql("SELECT register_worker('silent')")
        sql("UPDATE job_workers SET heartbeat_at = job_now() - interval '90 s' WHERE name = 'silent'")
        sql("SELECT register_worker('gone')")
        sql("UPDATE job_workers SET heartbeat_at = job_now() - interval '1 h' WHERE name = 'gone'")
        fresh, silent = online("workers", "list").table()
        assert (fresh["name"], fresh["state"]) == ("fresh", "active")
        assert (fresh["queues"], fresh["slots"]) == ("default, mail", "4")
        assert (silent["name"], silent["state"], silent["heartbeat"]) == ("silent", "inactive", "90 s ago")
        first, _ = json.loads(online("workers", "list", "--json").out)
        assert first["queues"] == ["default", "mail"]
