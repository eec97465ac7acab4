"""SIGTERM: no new claims, short work ends, long work is handed back, and no handler keeps the process from its end."""

import signal
import time

import pytest

from tests.faults.harness import Scene, SchedulerProcess

GRACE_SECONDS = 3.0
SLACK_SECONDS = 8.0
"""More than the second it takes, on a machine that is busy; far less than what it would wait for otherwise."""
CLAIMED_SINCE = "SELECT count(*) FROM t_audit.ev WHERE new_status = 'RUNNING' AND at > %s"


def terminate(worker: SchedulerProcess, *, within: float) -> int:
    """SIGTERM, and the exit status that must come in time."""
    worker.send(signal.SIGTERM)
    return worker.exit_status(within=within)


def test_short_work_ends_and_long_work_is_handed_back(scene: Scene) -> None:
    worker = scene.worker(WORKER__SHUTDOWN_TIMEOUT_SECONDS=GRACE_SECONDS, WORKER__POOL_SIZE=10)
    short, long = scene.enqueue("work", {"seconds": 0.7}, count=5), scene.enqueue("work", {"seconds": 600}, count=5)
    scene.until_all("RUNNING", short + long)
    worker.send(signal.SIGTERM)
    worker.said("worker.stopping")
    since = scene.value("SELECT clock_timestamp()")
    late = scene.enqueue("work", count=5)
    assert worker.exit_status(within=GRACE_SECONDS + SLACK_SECONDS) == 0
    scene.until_all("SUCCESS", short, seconds=0)
    scene.until_all("PENDING", long + late, seconds=0)
    assert scene.value(CLAIMED_SINCE, since) == 0
    held = "SELECT DISTINCT retry_count, attempt, claim_token, claimed_by FROM job_executions WHERE id = ANY(%s)"
    assert scene.rows(held, long) == [(0, 1, None, None)]
    assert [event["ids"] for event in worker.events("worker.handed_back")] == [", ".join(map(str, long))]
    assert scene.rows("SELECT status FROM job_workers") == [("STOPPED",)]
    scene.worker()
    scene.until_all("SUCCESS", late)


def test_a_second_signal_ends_it_within_a_second(scene: Scene) -> None:
    worker = scene.worker(WORKER__SHUTDOWN_TIMEOUT_SECONDS=600)
    ids = scene.enqueue("work", {"seconds": 600}, count=3)
    scene.until_all("RUNNING", ids)
    worker.send(signal.SIGTERM)
    worker.said("worker.stopping")
    terminate(worker, within=SLACK_SECONDS)
    scene.until_all("PENDING", ids, seconds=0)


def test_a_second_signal_hands_back_what_will_not_stop(scene: Scene) -> None:
    worker = scene.worker(WORKER__SHUTDOWN_TIMEOUT_SECONDS=600)
    stubborn = scene.enqueue("hanging", count=2)
    scene.until_all("RUNNING", stubborn)
    worker.send(signal.SIGTERM)
    worker.said("worker.stopping")
    assert terminate(worker, within=SLACK_SECONDS) == 1
    scene.until_all("PENDING", stubborn, seconds=0)
    assert scene.rows("SELECT DISTINCT retry_count FROM job_executions WHERE id = ANY(%s)", stubborn) == [(0,)]
    assert [event["ids"] for event in worker.events("worker.abandoned")] == [", ".join(map(str, stubborn))]


@pytest.mark.parametrize("isolation", ["task", "thread", "process"])
def test_what_may_start_once_is_not_handed_back_when_it_has_begun(scene: Scene, isolation: str) -> None:
    scene.add("once_jobs.py")
    worker = scene.worker(WORKER__SHUTDOWN_TIMEOUT_SECONDS=GRACE_SECONDS, WORKER__POOL_SIZE=1)
    (begun,) = scene.enqueue(f"once_in_{isolation}")
    scene.until_there("begun")
    waiting = scene.enqueue("work", max_retry=1)
    terminate(worker, within=GRACE_SECONDS + SLACK_SECONDS)
    scene.worker()
    scene.until_all("SUCCESS", waiting)
    told = "SELECT status, attempt, retry_count, error FROM job_executions WHERE id = %s"
    error = "Interrupted: the worker shuts down. max_retry 1 allows no second start."
    assert scene.rows(told, begun) == [("FAILED", 1, 1, error)]


@pytest.mark.parametrize("handler", ["hanging", "blocking"])
def test_a_handler_that_will_not_stop_delays_nothing(scene: Scene, handler: str) -> None:
    worker = scene.worker(WORKER__SHUTDOWN_TIMEOUT_SECONDS=GRACE_SECONDS)
    stubborn = scene.enqueue(handler)
    scene.until_all("RUNNING", stubborn)
    assert terminate(worker, within=GRACE_SECONDS + SLACK_SECONDS) == 1
    successor = scene.worker()
    scene.until_true("SELECT attempt = 2 FROM job_executions WHERE id = %s", *stubborn)  # it was not lost
    assert successor.is_up


def test_a_blocked_loop_ends_at_the_second_signal_too(scene: Scene) -> None:
    worker = scene.worker(WORKER__SHUTDOWN_TIMEOUT_SECONDS=600)
    scene.until_all("RUNNING", scene.enqueue("blocking"))
    deadline = time.monotonic() + SLACK_SECONDS
    while worker.is_up and time.monotonic() < deadline:  # signals that come at the same moment are one
        worker.send(signal.SIGTERM)
        time.sleep(0.05)
    assert worker.exit_status(within=SLACK_SECONDS) == 1


def test_terminated_before_it_has_begun_it_just_ends(scene: Scene) -> None:
    worker = scene.start()
    worker.said("worker.started")
    assert terminate(worker, within=SLACK_SECONDS) == 0
    scene.assert_sound()
