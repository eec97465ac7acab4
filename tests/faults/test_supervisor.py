"""`scheduler run` as it is started by default: workers that die, hang, block, wear out and end, and their parent."""

import os
import signal
from typing import Any

import pytest

from tests.faults.harness import Scene, SchedulerProcess

HASTY: dict[str, Any] = {
    "WORKER__HEARTBEAT_INTERVAL_SECONDS": 0.5,
    "WORKER__LEASE_SECONDS": 1.5,
    "constants": {
        "services.supervisor.SILENCE_SECONDS": 1.5,
        "services.supervisor.FULL_SECONDS": 0.5,
        "services.supervisor.SPARE_SECONDS": 1.0,
        "services.heartbeat.BLOCKED_SECONDS": 1.0,
    },
}
ACTIVE = "SELECT count(*) FROM job_workers WHERE status = 'ACTIVE'"
TRIES = "SELECT DISTINCT retry_count FROM job_executions WHERE id = ANY(%s)"
ALL_STOPPED = "SELECT bool_and(status = 'STOPPED') FROM job_workers"
SESSIONS = """
SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name ^@ 'scheduler'
"""


def replaced(process: SchedulerProcess, how: str) -> None:
    """Wait until one is replaced for this reason, and only for this."""
    (event,) = process.said("supervisor.replacing")
    assert event["how"] == how


def test_one_that_is_killed_is_replaced_and_its_work_done(scene: Scene) -> None:
    process = scene.supervised(2, **HASTY)
    ids = scene.enqueue("work", {"seconds": 0.2}, count=30)
    scene.until_true("SELECT count(*) > 5 FROM job_executions WHERE status = 'SUCCESS'")
    os.kill(process.workers(2)[0], signal.SIGKILL)
    replaced(process, "was ended by SIGKILL")
    scene.until_all("SUCCESS", ids)
    scene.until(2, ACTIVE)
    scene.assert_sound()


def test_one_that_is_frozen_past_its_lease_is_killed_and_replaced(scene: Scene) -> None:
    process = scene.supervised(**HASTY)
    ids = scene.enqueue("gated", count=2)
    scene.until_all("RUNNING", ids)
    os.kill(process.workers(1)[0], signal.SIGSTOP)
    assert process.said("supervisor.silent")
    replaced(process, "was ended by SIGKILL")
    scene.open_gate(2)
    scene.until_all("SUCCESS", ids)
    scene.assert_sound()


@pytest.mark.parametrize("handler", ["blocking", "blocks_inside"])
def test_a_blocked_loop_is_charged_to_the_one_that_blocks_it(scene: Scene, handler: str) -> None:
    process = scene.supervised(**HASTY)
    neighbours = scene.enqueue("gated", count=3)
    scene.until_all("RUNNING", neighbours)
    (guilty,) = scene.enqueue(handler, max_retry=1)
    replaced(process, "exited with status 75")
    scene.until_all("FAILED", [guilty])
    scene.open_gate(2)
    scene.until_all("SUCCESS", neighbours)
    assert scene.rows(TRIES, neighbours) == [(0,)]
    error = scene.value("SELECT error FROM job_executions WHERE id = %s", guilty)
    assert error.startswith("It blocked the event loop of its worker for ")
    assert "jobs.py:" in error
    assert [event["id"] for event in process.events("worker.blocked_for_good")] == [guilty]
    scene.assert_sound()


def test_one_that_keeps_the_interpreter_is_killed_by_the_parent_and_all_are_tried_apart(scene: Scene) -> None:
    process = scene.supervised(**HASTY)
    neighbours = scene.enqueue("gated", count=2)
    scene.until_all("RUNNING", neighbours)
    (guilty,) = scene.enqueue("keeps_the_interpreter")
    replaced(process, "was ended by SIGKILL")
    scene.until_true(
        "SELECT bool_and(suspect AND status = 'RUNNING') FROM job_executions WHERE id = ANY(%s)", neighbours
    )
    scene.open_gate(2)
    scene.until_all("SUCCESS", neighbours)
    scene.until_all("TIMEOUT", [guilty])
    assert scene.rows(TRIES, neighbours) == [(1,)]
    assert "SIGKILL" in scene.value("SELECT errors -> -1 ->> 'traceback' FROM job_executions WHERE id = %s", guilty)
    assert len(process.events("supervisor.replacing")) == 1
    scene.assert_sound()


def test_as_many_as_the_waiting_work_asks_for(scene: Scene) -> None:
    process = scene.supervised("1..2", WORKER__POOL_SIZE=2, **HASTY)
    ids = scene.enqueue("gated", count=4)
    scene.until(2, ACTIVE)
    scene.until_all("RUNNING", ids)
    scene.open_gate(1)
    scene.until_all("SUCCESS", ids)
    scene.until(1, ACTIVE)
    assert [event["processes"] for event in process.said("supervisor.scaled", count=2)] == [2, 1]
    assert scene.rows(TRIES, ids) == [(0,)]
    scene.assert_sound()


def test_a_worn_one_ends_when_another_has_begun(scene: Scene) -> None:
    process = scene.supervised(WORKER__MAX_EXECUTIONS_PER_PROCESS=20, **HASTY)
    (long,) = scene.enqueue("gated")
    scene.until_all("RUNNING", [long])
    scene.until_all("SUCCESS", scene.enqueue("work", {"seconds": 0.01}, count=50))
    process.said("worker.retiring")
    scene.until_all("SUCCESS", scene.enqueue("work", count=3))  # by its successor, while it waits
    scene.open_gate(1)
    scene.until_all("SUCCESS", [long])  # which nobody had to hand back
    process.said("worker.stopped")
    happened = [event["event"] for event in process.events("worker.started", "worker.retiring")][:3]
    assert happened == ["worker.started", "worker.started", "worker.retiring"]
    assert process.events("supervisor.replacing") == []
    scene.assert_sound()


def test_sigterm_drains_all(scene: Scene) -> None:
    process = scene.supervised(2, WORKER__SHUTDOWN_TIMEOUT_SECONDS=1.5, WORKER__POOL_SIZE=3)
    short, long = scene.enqueue("work", {"seconds": 0.7}, count=3), scene.enqueue("work", {"seconds": 600}, count=3)
    scene.until_all("RUNNING", short + long)
    process.send(signal.SIGTERM)
    assert process.exit_status(within=5.0) == 0
    scene.until_all("SUCCESS", short, seconds=0)
    scene.until_all("PENDING", long, seconds=0)
    assert scene.rows(TRIES, short + long) == [(0,)]
    assert scene.value(ALL_STOPPED)


def test_a_second_signal_ends_all_at_once(scene: Scene) -> None:
    process = scene.supervised(2, WORKER__SHUTDOWN_TIMEOUT_SECONDS=600)
    ids = scene.enqueue("work", {"seconds": 600}, count=4)
    scene.until_all("RUNNING", ids)
    process.send(signal.SIGTERM)
    process.said("worker.stopping", count=2)
    process.send(signal.SIGTERM)
    assert process.exit_status(within=15.0) == 0
    scene.until_all("PENDING", ids, seconds=0)


def test_a_signal_to_every_process_is_one_request(scene: Scene) -> None:
    """Ctrl-C goes to a group of processes, the end of a service to all that it consists of."""
    scene.add("process_jobs.py")
    process = scene.supervised(2, WORKER__SHUTDOWN_TIMEOUT_SECONDS=600)
    patient = scene.enqueue("patient", count=2)
    ids = scene.enqueue("work", {"seconds": 0.7}, count=2) + patient
    scene.until_all("RUNNING", ids)
    for id_ in patient:
        scene.until_there(f"patient-{id_}")
    os.killpg(process.pid, signal.SIGINT)
    for pid in descendants(process.pid):
        os.kill(pid, signal.SIGTERM)
    assert process.exit_status() == 0
    scene.until_all("SUCCESS", ids, seconds=0)
    assert scene.rows(TRIES, ids) == [(0,)]


def test_without_their_parent_they_drain(scene: Scene) -> None:
    process = scene.supervised(2, WORKER__SHUTDOWN_TIMEOUT_SECONDS=1.5, WORKER__POOL_SIZE=2)
    short, long = scene.enqueue("work", {"seconds": 0.7}, count=2), scene.enqueue("work", {"seconds": 600}, count=2)
    scene.until_all("RUNNING", short + long)
    process.send(signal.SIGKILL)
    assert process.exit_status() == -signal.SIGKILL
    scene.until_true(ALL_STOPPED)
    scene.until_all("SUCCESS", short, seconds=0)
    scene.until_all("PENDING", long, seconds=0)


def test_a_database_that_can_not_be_reached_is_told_once(scene: Scene) -> None:
    process = scene.start(url="postgresql://app:secret@127.0.0.1:1/jobs", WORKER__PROCESSES=3)
    assert process.exit_status() == 2
    assert len(process.workers()) == 1
    assert process.log.count("can't be reached") == 1


@pytest.mark.parametrize("processes", [1, 2])
def test_until_idle(scene: Scene, processes: int) -> None:
    ids = scene.enqueue("work", {"seconds": 0.05}, count=20)
    process = scene.start("--until-idle", WORKER__PROCESSES=processes)
    assert process.exit_status() == 0
    scene.until_all("SUCCESS", ids, seconds=0)
    assert process.events("supervisor.replacing") == []


def test_the_banner_is_shown_once(scene: Scene) -> None:
    process = scene.supervised(3, LOG__FORMAT="text")
    scene.until(3, ACTIVE)
    process.send(signal.SIGTERM)
    assert process.exit_status() == 0
    assert process.log.count("  queues       default\n") == 1


def test_what_it_took_to_end_a_handler_is_in_its_row(scene: Scene) -> None:
    scene.add("process_jobs.py")
    scene.worker()
    (timed_out,) = scene.enqueue("stubborn")
    (cancelled,) = scene.enqueue("stubborn", timeout_seconds=600)
    scene.until_all("RUNNING", [cancelled])
    scene.rows("SELECT cancel_job(%s, 'not needed')", cancelled)
    for id_, status in ((timed_out, "TIMEOUT"), (cancelled, "CANCELLED")):
        scene.until_all(status, [id_], seconds=5.0 + 1.0)
        traceback = scene.value("SELECT errors -> 0 ->> 'traceback' FROM job_executions WHERE id = %s", id_)
        steps = [line.partition(" s: ")[2] for line in traceback.splitlines()]
        assert steps == ["asked to stop", "SIGTERM", "SIGKILL"]
    scene.assert_sound()


def test_no_process_and_no_session_outlives_the_end(scene: Scene) -> None:
    scene.add("process_jobs.py")
    process = scene.supervised(2)
    scene.until_all("SUCCESS", scene.enqueue("patient", count=4))
    below = descendants(process.pid)
    assert len(below) >= 2 * 2 + 1
    process.send(signal.SIGTERM)
    assert process.exit_status() == 0
    assert scene.value(SESSIONS) == 0
    assert [pid for pid in below if os.path.exists(f"/proc/{pid}/exe")] == []


def descendants(pid: int) -> list[int]:
    found = []
    with open(f"/proc/{pid}/task/{pid}/children") as children:
        for child in map(int, children.read().split()):
            found += [child, *descendants(child)]
    return found
