"""Workers in Node and psql beside one in Python: what is promised of ours holds of them."""

import signal
import time
from collections.abc import Callable

from tests.any_language.conftest import Node, printed
from tests.faults.harness import PATIENCE_SECONDS, Scene

BY_WHOM = "SELECT result ->> 'by', count(*)::int FROM job_executions WHERE status = 'SUCCESS' GROUP BY 1"


def test_three_workers_share_a_queue_and_each_row_is_done_once(
    scene: Scene, node: Node, psql: Callable[[], None]
) -> None:
    node()
    scene.worker()
    scene.until_true("SELECT count(*) = 2 FROM job_workers WHERE status = 'ACTIVE'")
    ids: list[int] = []
    deadline = time.monotonic() + 2 * PATIENCE_SECONDS
    while not all(dict(scene.rows(BY_WHOM)).get(who, 0) >= 5 for who in ("python", "node", "psql")):
        assert time.monotonic() < deadline, dict(scene.rows(BY_WHOM))
        ids += scene.enqueue("shout", {"text": "hello"}, count=300)
        psql()
    scene.until_all("SUCCESS", ids)
    print(f"{len(ids)} rows: {dict(scene.rows(BY_WHOM))}")
    assert scene.rows("SELECT DISTINCT attempt, result ->> 'text', errors FROM job_executions") == [(1, "HELLO", [])]
    whose = """SELECT DISTINCT e.result ->> 'by', w.name LIKE 'node-%%', w.name = 'psql'
               FROM job_executions e JOIN job_workers w ON w.id = e.claimed_by ORDER BY 1"""
    assert scene.rows(whose) == [("node", True, False), ("psql", False, True), ("python", False, False)]
    scene.assert_sound()


OTHERS = """const handlers = {
  fails: async () => { throw new Error("it broke"); },
  throws: () => { throw "at once"; },
  late: (_, signal) => new Promise(() => {}),
  waits: (_, signal) => new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason))),
  nul: async () => "a\\0b",
  silent: async () => {},
};"""


def test_what_a_handler_in_node_may_end_as(scene: Scene, node: Node) -> None:
    node(OTHERS)
    wanted = {
        "fails": ("FAILED", "Error: it broke"),
        "throws": ("FAILED", "at once"),
        "late": ("TIMEOUT", "took longer than 0.5 s"),
        "nul": ("FAILED", "error: unsupported Unicode escape sequence"),
        "silent": ("SUCCESS", None),
    }
    for name in wanted:
        scene.enqueue(name, max_retry=1, timeout_seconds=0.5 if name == "late" else 300)
    (waiting,) = scene.enqueue("waits")
    (unknown,) = scene.enqueue("unheard_of")
    scene.until_all("RUNNING", [waiting])
    scene.value("SELECT cancel_job(%s, 'enough')", waiting)
    scene.until_all("CANCELLED", [waiting])
    scene.until(1, "SELECT retry_count FROM job_executions WHERE id = %s", unknown)
    scene.until(5, "SELECT count(*) FROM job_executions WHERE finished_at IS NOT NULL AND max_retry = 1")
    ended = scene.rows("SELECT handler_name, status, error FROM job_executions WHERE max_retry = 1")
    assert {name: (status, error) for name, status, error in ended} == wanted
    late = (
        "SELECT status, available_at - (errors -> 0 ->> 'at')::timestamptz >= '29 s' FROM job_executions WHERE id = %s"
    )
    assert scene.rows(late, unknown) == [("PENDING", True)]


def test_a_node_worker_that_is_told_to_stop_ends_what_it_has_and_leaves(scene: Scene, node: Node) -> None:
    worker = node('const handlers = { slow: async () => { await sleep(0.5); return { by: "node" }; } };')
    ids = scene.enqueue("slow", count=4)
    scene.until_all("RUNNING", ids)
    assert worker.send(signal.SIGTERM) == 0
    assert scene.rows("SELECT DISTINCT status FROM job_executions") == [("SUCCESS",)]
    assert scene.rows("SELECT status, running_count FROM job_workers") == [("STOPPED", 0)]


def test_what_a_killed_node_worker_had_is_done_by_another(scene: Scene, node: Node) -> None:
    worker = node("const handlers = { shout: () => new Promise(() => {}) };")
    ids = scene.enqueue("shout", {"text": "hello"}, count=4)
    scene.until_all("RUNNING", ids)
    worker.send(signal.SIGKILL)
    scene.rows("UPDATE job_workers SET lease_until = job_now()")  # half a minute later
    scene.worker()
    scene.until_all("SUCCESS", ids)
    assert scene.rows("SELECT DISTINCT attempt, result ->> 'by' FROM job_executions") == [(2, "python")]
    assert scene.rows("SELECT DISTINCT outcome FROM job_attempts") == [("lost",)]
    scene.assert_sound()


def test_a_node_worker_whose_connections_are_cut_goes_on_with_the_same_attempts(scene: Scene, node: Node) -> None:
    node('const handlers = { slow: async () => { await sleep(2); return { by: "node" }; } };')
    ids = scene.enqueue("slow", count=4)
    scene.until_all("RUNNING", ids)
    others = "FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = current_database()"
    assert scene.rows(f"SELECT pg_terminate_backend(pid) {others}") != []
    scene.until_all("SUCCESS", ids)
    assert scene.rows("SELECT DISTINCT attempt FROM job_executions") == [(1,)]
    scene.assert_sound()


def test_the_script_of_psql_records_what_it_can_not_do(scene: Scene, psql: Callable[[], None]) -> None:
    (unknown,) = scene.enqueue("unheard_of")
    (fine,) = scene.enqueue("shout", {"text": "hello"})
    psql()
    assert scene.rows("SELECT id, status, error FROM job_executions ORDER BY id") == [
        (unknown, "PENDING", "no handler here"),
        (fine, "SUCCESS", None),
    ]
    assert scene.rows("SELECT status FROM job_workers") == [("STOPPED",)]


def test_the_page_says_how_long_the_worker_is() -> None:
    lines = [line for line in printed("javascript").splitlines() if line.strip()]
    assert len(lines) <= 50
    assert max(map(len, lines)) <= 130
