"""A worker that dies: its work goes to another, and is recorded once."""

import signal
from typing import Any

from tests.faults import audit
from tests.faults.harness import LEASE_SECONDS, Sabotage, Scene, SchedulerProcess

RESCUE_SECONDS = LEASE_SECONDS + 30.0
NO_RESCUE: Sabotage = ("rescue", "WHERE r.status = 'RUNNING'", "WHERE r.status = 'RUNNING' AND false")
HASTY: dict[str, Any] = {"WORKER__HEARTBEAT_INTERVAL_SECONDS": 0.5, "WORKER__LEASE_SECONDS": 1.5}
HELD = "SELECT count(*) FROM job_executions WHERE status = 'RUNNING' AND claimed_by = %s"
MIDDLE = """
SELECT count(*) FILTER (WHERE status = 'SUCCESS') >= 10
   AND count(*) FILTER (WHERE status = 'RUNNING' AND claimed_by = %s) > 0
FROM job_executions
"""


def kill(scene: Scene, worker: SchedulerProcess) -> int:
    """SIGKILL. Returns how many rows it left behind."""
    worker.send(signal.SIGKILL)
    assert worker.exit_status() == -signal.SIGKILL
    return int(scene.value(HELD, *scene.incarnations(worker)))


def test_what_a_killed_worker_held_is_done_by_the_other_and_recorded_once(scene: Scene) -> None:
    victim, survivor = scene.worker(), scene.worker()
    ids = scene.enqueue("work", {"seconds": 0.3}, count=50)
    scene.until_true(MIDDLE, *scene.incarnations(victim))
    left = kill(scene, victim)
    scene.until_all("SUCCESS", ids, seconds=RESCUE_SECONDS + 50 * 0.3 / 5)
    lost = """SELECT count(*) FROM job_executions WHERE errors @> '[{"outcome": "lost"}]'"""
    rescued = sum(event["count"] for event in survivor.events("rescuer.rescued"))
    assert 0 < rescued == scene.value(lost) <= left  # less if a write of the victim's was still on its way
    scene.assert_sound()


def test_a_rescuer_that_returns_nothing_is_noticed(scene: Scene) -> None:
    victim = scene.worker()
    scene.enqueue("gated", count=3)
    scene.until(3, HELD, *scene.incarnations(victim))
    assert kill(scene, victim) == 3
    survivor = scene.worker(sabotage=[NO_RESCUE])
    survivor.said("rescuer.workers_lost")
    overdue = "SELECT lease_until < job_now() - interval '5 s' FROM job_workers WHERE status = 'LOST'"
    scene.until_true(overdue, seconds=RESCUE_SECONDS)
    assert audit.violations(scene.connection).keys() == {"I8", "I16"}


def test_a_worker_that_dies_between_two_steps_leaves_nothing_half_done(scene: Scene) -> None:
    """After a claim nobody was told of, and before outcomes that were not written yet."""
    ids = scene.enqueue("work", {"seconds": 0.05}, count=40, max_retry=5)
    # The second time: at first a worker asks for rows with a key, of which there are none.
    for failpoint in ("after_claim_commit=exit@2", "before_settle=exit@2"):
        worker = scene.start(FAILPOINTS=failpoint)
        assert worker.exit_status() == 137
        assert scene.value(HELD, *scene.incarnations(worker)) > 0
    scene.worker()
    scene.until_all("SUCCESS", ids, seconds=RESCUE_SECONDS)
    scene.assert_sound()


def test_a_job_that_kills_its_worker_is_tried_apart_and_costs_its_neighbours_one_try(scene: Scene) -> None:
    neighbours = scene.enqueue("gated", count=2)
    victim = scene.worker(**HASTY)
    scene.until_all("RUNNING", neighbours)
    (poison,) = scene.enqueue("dies")
    assert victim.exit_status() == 9
    survivor = scene.worker(**HASTY)
    scene.until_true(
        "SELECT bool_and(suspect AND status = 'RUNNING') FROM job_executions WHERE id = ANY(%s)", neighbours
    )
    scene.until_all("FAILED", [poison], seconds=RESCUE_SECONDS)
    scene.open_gate(2)
    scene.until_all("SUCCESS", neighbours)
    assert scene.rows("SELECT DISTINCT retry_count, attempt FROM job_executions") == [(2, 2), (1, 2)]
    lost, apart = scene.value("SELECT errors FROM job_executions WHERE id = %s", poison)
    assert lost["error"] == "worker lost, may not have started"
    assert apart["error"] == "The handler's process exited with status 9 in the middle of an attempt."
    assert survivor.is_up
    scene.assert_sound()


def test_two_hundred_running_jobs_run_elsewhere_within_a_lease_and_two_seconds(scene: Scene) -> None:
    many = {"WORKER__POOL_SIZE": 200, "WORKER__CLAIM_BATCH_SIZE": 200}
    victim = scene.worker(**many)
    ids = scene.enqueue("gated", count=200)
    scene.until_all("RUNNING", ids)
    survivor = scene.worker(**many)
    killed_at = scene.value("SELECT clock_timestamp()")
    assert kill(scene, victim) == 200
    scene.until(200, "SELECT count(*) FROM job_executions WHERE status = 'RUNNING' AND attempt = 2")
    took = scene.value("SELECT extract(epoch FROM max(started_at) - %s)::float FROM job_executions", killed_at)
    print(f"200 of 200 run elsewhere {took:.2f} s after the kill; the lease is {LEASE_SECONDS:g} s")
    assert took <= LEASE_SECONDS + 2  # suspects, each in a process of its own
    scene.open_gate(2)
    scene.until_all("SUCCESS", ids, seconds=60)
    assert survivor.is_up
    scene.assert_sound()
