"""The database loses its latest commits under live workers, as when an asynchronous standby is promoted.

The tables are set back to what they held a while ago, and every session ends at that moment. What was done since is not
known any more, so it is done again; the audit keeps its notes, which is how that can be seen.
"""

from tests.faults import audit
from tests.faults.harness import LEASE_SECONDS, Scene

KEEP = "CREATE TABLE t_audit.kept_{0} AS TABLE {0}"
SET_BACK = """
SET LOCAL session_replication_role = replica;
LOCK TABLE job_workers, job_executions;
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND application_name LIKE 'scheduler %';
DELETE FROM job_executions; INSERT INTO job_executions SELECT * FROM t_audit.kept_job_executions;
DELETE FROM job_workers; INSERT INTO job_workers SELECT * FROM t_audit.kept_job_workers;
"""
NOTED = "SELECT coalesce(max(n), 0) FROM t_audit.ev"
AFTER = "SELECT count(DISTINCT id) FROM t_audit.ev WHERE n > %s AND new_status = 'SUCCESS'"


def set_back(scene: Scene) -> None:
    with scene.connection.transaction():
        for statement in SET_BACK.strip().split(";")[:-1]:
            scene.rows(statement.replace("%", "%%"))


def test_outcomes_that_were_lost_are_made_again_by_new_claims(scene: Scene) -> None:
    worker = scene.worker(WORKER__POOL_SIZE=10)
    gated = scene.enqueue("gated", count=5)
    scene.until_all("RUNNING", gated)
    ids = scene.enqueue("work", {"seconds": 0.05}, count=60)
    scene.until_true("SELECT count(*) >= 15 FROM job_executions WHERE status = 'SUCCESS'")
    with scene.connection.transaction():
        scene.rows("LOCK TABLE job_workers, job_executions")
        for table in ("job_executions", "job_workers"):
            scene.rows(KEEP.format(table))
        kept = scene.value(NOTED)
        then = scene.value("SELECT count(*) FROM job_executions WHERE status = 'SUCCESS'")
    other = scene.worker()
    scene.open_gate(1)
    scene.until_all("SUCCESS", [*ids, *gated])
    lost = scene.value(AFTER, kept)
    assert lost == 65 - then
    tokens = set(scene.rows("SELECT id, claim_token FROM job_executions"))
    forgotten = scene.value(NOTED)

    set_back(scene)
    assert scene.value("SELECT count(*) FROM job_executions WHERE status = 'SUCCESS'") == then
    scene.open_gate(2)
    scene.until_all("SUCCESS", [*ids, *gated], seconds=20 + 2 * LEASE_SECONDS)

    assert worker.is_up
    assert other.is_up
    again = set(scene.rows("SELECT id, claim_token FROM job_executions"))
    assert len(again - tokens) == lost, "an outcome that was lost came back without a claim of its own"
    scene.until(2, "SELECT count(*) FROM job_workers WHERE status = 'ACTIVE'")
    assert len(other.events("worker.lease_lost")) == 1  # nobody knows it any more
    scene.rows("DELETE FROM t_audit.ev WHERE n > %s AND n <= %s", kept, forgotten)
    assert audit.violations(scene.connection) == {}
