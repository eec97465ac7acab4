"""Hosts whose clocks are wrong by an hour: only the database's clock counts."""

from datetime import datetime

import pytest

from tests.faults.harness import Scene

HOUR = 3600
EARLY = """
SELECT min(created_at - scheduled_at) >= interval '0' AND max(created_at - scheduled_at) < interval '5 s'
FROM job_executions WHERE source = 'tick'
"""
SINCE = "SELECT max(abs(extract(epoch FROM {} - clock_timestamp()))) < 20 FROM job_executions"


@pytest.mark.parametrize("clock", [HOUR, -HOUR], ids=["fast", "slow"])
def test_a_wrong_clock_of_the_host_changes_nothing(scene: Scene, clock: float) -> None:
    wrong, right = scene.worker(clock=clock), scene.worker()
    event = wrong.said("worker.started")[0]
    now = scene.value("SELECT clock_timestamp()")
    assert abs(_seconds(event["time"], now) - clock) < 30  # the fault is there
    scene.cron_job("every second", "* * * * * *", "work", overlap_policy="allow")
    ids = scene.enqueue("work", {"seconds": 0.2}, count=20) + scene.enqueue("flaky", count=5, max_retry=3)
    scene.until_all("SUCCESS", ids)
    scene.until_true("SELECT count(*) >= 3 FROM job_executions WHERE source = 'tick' AND status = 'SUCCESS'")
    assert scene.value(EARLY)
    assert all(scene.value(SINCE.format(column)) for column in ("started_at", "finished_at", "available_at"))
    assert [worker.events("worker.lease_lost", "rescuer.rescued") for worker in (wrong, right)] == [[], []]
    scene.rows("UPDATE cron_jobs SET enabled = false")
    scene.until(0, "SELECT count(*) FROM job_executions WHERE status IN ('PENDING', 'RUNNING')")
    scene.assert_sound()


def _seconds(time: str, now: datetime) -> float:
    return (datetime.fromisoformat(time) - now).total_seconds()
