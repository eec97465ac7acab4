"""The server goes away in the middle of work, without a word, and comes back: the process stays, nothing is lost."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from scheduler.embedded.protocol import Endpoint
from scheduler.store.migration import migrate
from scheduler.testing.postgres import ThrowawayPostgres
from tests.faults.harness import LEASE_SECONDS, PATIENCE_SECONDS, Scene

DURABLE = {"synchronous_commit": "on", "full_page_writes": "on"}
PROGRESS = """
SELECT count(*) FILTER (WHERE status = 'SUCCESS') >= %s AND count(*) FILTER (WHERE status = 'RUNNING') > 0
FROM job_executions WHERE source = 'enqueue'
"""


class Server:
    """A server of the test's own that may be crashed: whoever supervises it starts it again."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder, self.url = folder, url

    def crash(self) -> None:
        """What `pg_ctl restart -m immediate` does first."""
        endpoint = Endpoint.read(self.folder)
        assert endpoint is not None
        os.kill(endpoint.postmaster, signal.SIGQUIT)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    folder = tmp_path / "postgres"
    with ThrowawayPostgres(folder, settings=DURABLE) as postgres:
        migrate(postgres.url())
        yield Server(folder, postgres.url())


def test_work_goes_on_over_immediate_restarts_of_the_server(server: Server, tmp_path: Path) -> None:
    with Scene(tmp_path / "project", server.url) as scene:
        worker = scene.worker()
        cron_job = scene.cron_job("every second", "* * * * * *", "work", overlap_policy="allow")
        ids = scene.enqueue("work", {"seconds": 0.3}, count=60, max_retry=5)
        started = {scene.value("SELECT pg_postmaster_start_time()")}
        for done in (10, 30):
            scene.until_true(PROGRESS, done)
            server.crash()
            scene.until_true("SELECT pg_postmaster_start_time() <> ALL (%s)", list(started))
            started.add(scene.value("SELECT pg_postmaster_start_time()"))
        assert len(started) == 3
        scene.until_all("SUCCESS", ids, seconds=LEASE_SECONDS + PATIENCE_SECONDS)
        assert worker.is_up
        worker.recovered("claim", "planner", "listener")
        back = scene.value("SELECT clock_timestamp()")
        scene.until_true("SELECT max(scheduled_at) > %s FROM job_executions WHERE cron_job_id = %s", back, cron_job)
        scene.rows("UPDATE cron_jobs SET enabled = false")
        scene.until(0, "SELECT count(*) FROM job_executions WHERE status IN ('PENDING', 'RUNNING')")
        scene.assert_sound()
