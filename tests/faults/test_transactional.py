"""Transactional handlers on workers that die, and on connections that break: each effect once, with its SUCCESS."""

import os
import signal
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from scheduler.testing.fault_proxy import FaultProxy
from scheduler.testing.postgres import ThrowawayPostgres
from tests.faults.harness import LEASE_SECONDS, PATIENCE_SECONDS, Scene, SchedulerProcess, words_of

EFFECTS = "CREATE TABLE effects (execution_id bigint, attempt int)"
PREPARED = "SELECT count(*) FROM pg_prepared_xacts WHERE database = %s"
SECONDS = LEASE_SECONDS + 30.0
QUICK = {"services.resolver.ROUND_SECONDS": 0.5}
TIMES = 100 if os.environ.get("SCHEDULER_TEST_LONG") else 3
POINTS = [
    "before_prepare:business", "after_prepare:business", "before_decision", "after_decision",
    "before_commit_prepared:business", "after_commit_prepared:business",
]  # fmt: skip


class Both:
    """The scene, and the other database."""

    def __init__(self, scene: Scene, business: str) -> None:
        self.scene, self.business = scene, business
        scene.rows(EFFECTS)
        self.elsewhere(EFFECTS)
        scene.rows("UPDATE job_installation SET id = gen_random_uuid()")
        scene.add("transactional_jobs.py")

    def elsewhere(self, statement: str) -> list[tuple[int, ...]]:
        with psycopg.connect(self.business, autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def worker(self, *, failpoints: str = "", url: str | None = None, other: str | None = None) -> SchedulerProcess:
        """`url` and `other` lead to its databases by another way."""
        settings: dict[str, Any] = {"DATABASES__BUSINESS__URL": other or self.business}
        settings |= {"FAILPOINTS": failpoints} if failpoints else {}
        return self.scene.worker(constants=QUICK, url=url, **settings)

    def start(self, *, failpoints: str, url: str | None = None, other: str | None = None) -> SchedulerProcess:
        business = other or self.business
        return self.scene.start(constants=QUICK, url=url, FAILPOINTS=failpoints, DATABASES__BUSINESS__URL=business)

    def assert_each_once(self, ids: list[int]) -> None:
        """I10 to I13: with every SUCCESS its effect in both databases, once, and nothing prepared is left.

        The decision is what makes SUCCESS; the resolver may carry it out in the other database a moment later.
        """
        self.scene.until(0, PREPARED, conninfo_to_dict(self.business)["dbname"])
        everywhere = "SELECT execution_id, attempt FROM effects ORDER BY execution_id"
        done = self.scene.rows("SELECT id, attempt FROM job_executions WHERE status = 'SUCCESS' ORDER BY id")
        assert [row[0] for row in done] == ids
        assert self.scene.rows(everywhere) == done
        assert self.elsewhere(everywhere) == done
        self.scene.assert_sound()


@pytest.fixture
def both(scene: Scene, postgres_server: ThrowawayPostgres) -> Iterator[Both]:
    with postgres_server.fresh_database() as url:
        yield Both(scene, url)


@pytest.mark.parametrize("point", POINTS)
def test_a_worker_that_dies_in_the_middle_of_a_commit(both: Both, point: str) -> None:
    ids = both.scene.enqueue("effects", count=3)
    assert both.start(failpoints=f"{point}=exit").exit_status() == 137
    both.worker()
    both.scene.until_all("SUCCESS", ids, seconds=SECONDS)
    both.assert_each_once(ids)


def test_a_process_that_dies_in_the_middle_of_a_commit(both: Both) -> None:
    """The child does the commit; its worker goes on."""
    ids = both.scene.enqueue("effects_in_process", count=2)
    worker = both.worker(failpoints="after_prepare:business=exit;after_decision=exit@2")
    both.scene.until_true("SELECT count(*) > 0 FROM job_executions WHERE retry_count > 0")
    worker.send(signal.SIGTERM)
    worker.exit_status()
    both.worker()
    both.scene.until_all("SUCCESS", ids, seconds=SECONDS)
    both.assert_each_once(ids)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", ["drop_reply", "cut_before"])
def test_the_commit_that_carries_success_is_cut(both: Both, kind: str) -> None:
    """Its words, and then COMMIT as a message of its own; the effect is there once, whichever way it went."""
    with FaultProxy(both.scene.url) as proxy:
        both.worker(url=proxy.url)
        ids: list[int] = []
        for _ in range(TIMES):
            fault = getattr(proxy, kind)("INSERT INTO effects", words_of("settle_success"), "\x0bCOMMIT\x00")
            ids += both.scene.enqueue("effects")
            both.scene.until_all("SUCCESS", ids[-1:], seconds=SECONDS)
            assert fault.struck.wait(PATIENCE_SECONDS)  # the row may say so before the answer is lost
        retried = both.scene.value("SELECT count(*) FROM job_executions WHERE retry_count > 0")
        assert retried == (0 if kind == "drop_reply" else TIMES)
        both.scene.until(0, "SELECT count(*) FROM job_in_doubt WHERE database IS NOT NULL")
        both.assert_each_once(ids)


def test_a_heartbeat_between_the_commit_and_its_report_takes_nothing_for_lost(both: Both) -> None:
    """The row is SUCCESS already, and its attempt still runs: the pause is longer than two heartbeats."""
    worker = both.worker(failpoints="after_decision=pause:2.5")
    ids = both.scene.enqueue("effects")
    worker.said("execution.succeeded")
    assert worker.events("execution.stale", "worker.lease_lost", "worker.strangers") == []
    both.scene.until(0, "SELECT running_count FROM job_workers")
    assert both.scene.value("SELECT succeeded_count FROM job_workers") == 1
    both.assert_each_once(ids)
