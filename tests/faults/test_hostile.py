"""What handlers return and raise at their worst: each attempt has its outcome, and no other pays for it."""

from hashlib import sha256
from pathlib import Path

import pytest

from tests.faults.harness import Scene
from tests.faults.hostile_jobs import ERRORS, MEGABYTE, VALUES

LIMIT = 1024 * 1024
SECONDS = 5.0
OTHERS = 40


@pytest.mark.parametrize("isolation", ["task", "thread", "process"])
def test_every_end_is_an_outcome_and_costs_its_neighbours_nothing(scene: Scene, isolation: str) -> None:
    scene.add("hostile_jobs.py")
    worker = scene.worker(WORKER__POOL_SIZE=4)
    for large in (False, True):
        ids = {
            name: scene.enqueue(f"hostile_{isolation}", {"ends": name})[0]
            for name in (*VALUES, *ERRORS)
            if ("MB" in name) is large
        }
        others = scene.enqueue("work", count=OTHERS)
        scene.until_all("SUCCESS", others)
        scene.until(
            0, "SELECT count(*) FROM job_executions WHERE status IN ('PENDING', 'RUNNING')", seconds=4 * SECONDS
        )
        slowest = scene.value("SELECT extract(epoch FROM max(finished_at - started_at)) FROM job_executions")
        assert slowest < SECONDS
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
    worker = scene.worker(WORKER__POOL_SIZE=1)
    scene.until_all("SUCCESS", scene.enqueue("work", count=5))
    before, after = resident(worker.pid), []
    for _ in range(4):
        scene.until_all("SUCCESS", scene.enqueue("hostile_task", {"ends": "100 MB"}))
        after.append(resident(worker.pid))
    size = 100 * MEGABYTE
    assert 2 * size < most_resident(worker.pid) - before < 3.5 * size  # it was there, as a value and as its JSON
    assert max(after[1:]) - after[0] < 3 * LIMIT
    (stored,) = scene.rows("SELECT DISTINCT result FROM job_executions WHERE handler_name = 'hostile_task'")[0]
    assert (stored["truncated"], stored["bytes"]) == (True, size + 2)
    assert stored["sha256"] == sha256(b'"' + b"x" * size + b'"').hexdigest()


def resident(pid: int) -> int:
    """Bytes of memory that a process has now."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096


def most_resident(pid: int) -> int:
    """The most that it ever had."""
    (line,) = (line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024
