"""What handlers return and raise at their worst: each attempt has its outcome, and no other pays for it."""

import time
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from tests.faults.harness import PATIENCE_SECONDS, Scene
from tests.faults.hostile_jobs import ERRORS, MEGABYTE, VALUES

LIMIT = 1024 * 1024
SECONDS, LARGE_SECONDS = 5.0, 60.0
"""At most, from an attempt's begin to its outcome; of a hundred megabytes the machine tells."""
UNFINISHED = "SELECT count(*) FROM job_executions WHERE status IN ('PENDING', 'RUNNING')"
OTHERS = 40


@pytest.mark.parametrize("isolation", ["task", "thread", "process"])
def test_every_end_is_an_outcome_and_costs_its_neighbours_nothing(scene: Scene, isolation: str) -> None:
    scene.add("hostile_jobs.py")
    worker = scene.worker(WORKER__POOL_SIZE=4, WORKER__LEASE_SECONDS=60)
    for large in (False, True):
        ids = {
            name: scene.enqueue(f"hostile_{isolation}", {"ends": name})[0]
            for name in (*VALUES, *ERRORS)
            if ("MB" in name) is large
        }
        others = scene.enqueue("work", count=OTHERS)
        scene.until_all("SUCCESS", others)
        scene.until(0, UNFINISHED, seconds=LARGE_SECONDS)
        slowest = scene.value("SELECT extract(epoch FROM max(finished_at - started_at)) FROM job_executions")
        assert slowest < (LARGE_SECONDS if large else SECONDS)
        for name, id_ in ids.items():
            status, result, error, errors = scene.rows(
                "SELECT status, result::text, error, errors::text FROM job_executions WHERE id = %s", id_
            )[0]
            expected = "SUCCESS" if name in VALUES else "CANCELLED" if name.startswith("cancelled") else "FAILED"
            assert status == expected, (name, status, error)
            assert (result is not None) is (name in VALUES), name
            assert (error is not None) is (name in ERRORS), name
            assert len((result or "").encode()) <= LIMIT + 100, name
            assert len(error or "") <= 8192, name
            assert len(errors) <= 20_000, name
    assert worker.is_up
    assert len(scene.incarnations(worker)) == 1
    assert worker.events("loop.failed") == worker.events("worker.lease_lost") == []
    scene.assert_sound()


ENQUEUED = "SELECT enqueue_job('work', %s::jsonb)"
UNREADABLE = [
    '{"seconds": 1e400}',
    f'{{"seconds": 1{"0" * 400}.5}}',
    f'{{"seconds": 1{"0" * 5000}}}',
    f'{{"seconds": {"[" * 3000}{"]" * 3000}}}',
    '{"seconds": "\\ud83d\\ude00"}',
    "null",
    '"text"',
]
EDGES: list[dict[str, Any]] = [
    {"id": 2**63 - 1},
    {"id": -(2**63)},
    {"scheduled_at": "1970-01-01 00:00+00", "available_at": "1970-01-01 00:00+00"},
    {"scheduled_at": "9999-12-30 00:00+00", "available_at": "1970-01-01 00:00+00"},
    {"priority": 9, "timeout_seconds": 31622400, "max_retry": 2**31 - 1},
]


def test_a_row_that_cannot_be_read_fails_alone_and_one_at_the_edge_is_a_row(scene: Scene) -> None:
    unreadable = [scene.value(ENQUEUED, params) for params in UNREADABLE]
    fine = [*scene.enqueue("work", count=OTHERS), *(scene.enqueue("work", **edge)[0] for edge in EDGES)]
    worker = scene.worker()
    scene.until_all("SUCCESS", fine)
    scene.until_all("FAILED", unreadable)
    errors = scene.rows(
        "SELECT DISTINCT retry_count, error ^@ 'ParamsError: ' FROM job_executions WHERE status = 'FAILED'"
    )
    assert errors == [(1, True)]
    assert worker.events("loop.failed") == []
    scene.assert_sound()


def test_a_text_that_means_something_elsewhere_is_stored_and_logged_as_it_is(scene: Scene) -> None:
    scene.add("hostile_jobs.py")
    worker = scene.worker()
    (returned,) = scene.enqueue("hostile_task", {"ends": "SQL and formats"})
    (failed,) = scene.enqueue("hostile_task", {"ends": "SQL and formats in an error"})
    scene.until_all("SUCCESS", [returned])
    scene.until_all("FAILED", [failed])
    stored = scene.value("SELECT result #>> '{}' FROM job_executions WHERE id = %s", returned)
    assert stored == VALUES["SQL and formats"]()
    error = f"ValueError: {ERRORS['SQL and formats in an error']()}"
    assert scene.value("SELECT error FROM job_executions WHERE id = %s", failed) == error
    (event,) = worker.said("execution.failed")
    assert event["error"] == error
    assert event["message"].endswith(error.replace("\x1b", " ").replace("\n", " "))  # one line, and no escape


def test_a_hundred_megabytes_leave_nothing_behind_in_the_worker(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MALLOC_MMAP_THRESHOLD_", str(LIMIT // 8))  # what is freed goes back, and is not counted here
    scene.add("hostile_jobs.py")
    worker = scene.worker(WORKER__POOL_SIZE=1, WORKER__LEASE_SECONDS=60)
    scene.until_all("SUCCESS", scene.enqueue("work", count=5))
    before, size = resident(worker.pid), 100 * MEGABYTE
    scene.until_all("SUCCESS", scene.enqueue("hostile_task", {"ends": "100 MB"}))
    until_resident(worker.pid, before + size // 2)
    once = resident(worker.pid)
    for _ in range(3):
        scene.until_all("SUCCESS", scene.enqueue("hostile_task", {"ends": "100 MB"}))
        until_resident(worker.pid, once + 3 * LIMIT)
    assert 2 * size < most_resident(worker.pid) - before < 3.5 * size  # it was there, as a value and as its JSON
    (stored,) = scene.rows("SELECT DISTINCT result FROM job_executions WHERE handler_name = 'hostile_task'")[0]
    assert (stored["truncated"], stored["bytes"]) == (True, size + 2)
    assert stored["sha256"] == sha256(b'"' + b"x" * size + b'"').hexdigest()


def resident(pid: int) -> int:
    """Bytes of memory that a process has now."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096


def until_resident(pid: int, most: int) -> None:
    """Wait until a process has no more memory than that."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (found := resident(pid)) > most:
        assert time.monotonic() < deadline, f"{found} bytes, not {most} or less"
        time.sleep(0.02)


def most_resident(pid: int) -> int:
    """The most that it ever had."""
    (line,) = (line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024
