"""What `./dev run` starts with: the cron jobs of handlers/cron_jobs.sql and the settings of scheduler.yaml."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from scheduler.app import Project
from scheduler.config import load_settings
from scheduler.database import DatabaseRegistry
from scheduler.operations.cron_jobs import statuses
from scheduler.store.session import SyncSession
from scheduler.testing.postgres import ThrowawayPostgres
from tests.examples.conftest import ROOT, Call, run

CRON_JOBS = (ROOT / "handlers" / "cron_jobs.sql").read_text()


@pytest.fixture
async def both(default_url: str, postgres_server: ThrowawayPostgres) -> AsyncIterator[str]:
    """The job database, beside a `business` that is set up as scheduler.yaml has it."""
    atomicity = load_settings(ROOT, {}).databases["business"].atomicity
    with postgres_server.fresh_database() as url:
        DatabaseRegistry.configure({"default": default_url, "business": {"url": url, "atomicity": atomicity}})
        yield default_url
        await DatabaseRegistry.dispose()


async def test_each_of_them_succeeds_at_once_in_an_empty_folder(call: Call, both: str) -> None:
    run(both, CRON_JOBS)
    samples = run(both, "SELECT name, handler_name, handler_params::text FROM cron_jobs ORDER BY id DESC")
    ended = {name: await call(handler, params) for name, handler, params in samples}
    assert {name: end.error for name, end in ended.items() if end.error} == {}
    assert len(ended) >= 6


def test_a_second_time_changes_nothing(migrated_url: str) -> None:
    run(migrated_url, CRON_JOBS, "UPDATE cron_jobs SET enabled = false", CRON_JOBS)
    assert run(migrated_url, "SELECT bool_or(enabled), count(*) = count(DISTINCT name) FROM cron_jobs") == [
        (False, True)
    ]


def test_the_planner_takes_all_of_them(migrated_url: str) -> None:
    run(migrated_url, CRON_JOBS)
    session = SyncSession(migrated_url, "public", "test")
    planned = statuses(session)
    session.close()
    assert [job.name for job in planned if job.next_run_at is None] == []


class TestSettings:
    def test_they_leave_the_job_database_to_the_embedded_server(self) -> None:
        assert not load_settings(ROOT, {}).database_named

    def test_a_job_database_from_a_variable_is_used(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, migrated_url: str
    ) -> None:
        shutil.copy(ROOT / "scheduler.yaml", tmp_path)
        monkeypatch.setenv("SCHEDULER_DATABASE_URL", migrated_url)
        project = Project.open(tmp_path)
        project.require_schema()
        assert project.server is None
