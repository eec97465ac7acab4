"""Cron jobs slower than their interval, failing, retried, rescued from killed workers: one at a time unless 'allow'."""

import signal
from typing import Any

from tests.faults import audit
from tests.faults.harness import Sabotage, Scene

HASTY: dict[str, Any] = {
    "WORKER__HEARTBEAT_INTERVAL_SECONDS": 0.5,
    "WORKER__LEASE_SECONDS": 1.5,
    "WORKER__POOL_SIZE": 20,
}
NOT_COUNTED: Sabotage = ("claim_keyed", "WHERE c.turn <= c.at_once - (SELECT", "WHERE c.turn <= 99 - 0 * (SELECT")
POLICIES = ("skip", "queue", "replace", "allow")
SIDE_BY_SIDE = """
SELECT max(running) FROM (
    SELECT sum((v.new_status = 'RUNNING')::int - (v.old_status IS NOT DISTINCT FROM 'RUNNING')::int)
               OVER (ORDER BY v.n) AS running
    FROM t_audit.ev v JOIN job_executions e USING (id) WHERE e.cron_job_id = %s) AS each
"""
MOST_WAITING = """
SELECT max(waiting) FROM (
    SELECT sum((v.new_status = 'PENDING' AND v.old_status IS NULL)::int
               - (v.old_status = 'PENDING' AND v.new_status <> 'PENDING' AND v.old_attempt = 0)::int)
               OVER (ORDER BY v.n) AS waiting
    FROM t_audit.ev v JOIN job_executions e USING (id) WHERE e.cron_job_id = %s) AS each
"""
STATUSES = "SELECT array_agg(DISTINCT status ORDER BY status) FROM job_executions WHERE cron_job_id = %s"
TROUBLE = """
SELECT count(*) FILTER (WHERE outcome = 'lost'), count(*) FILTER (WHERE outcome = 'failure') FROM job_attempts
"""
LIMIT = 3


def slow_cron_jobs(scene: Scene) -> dict[str, int]:
    """One of each policy, due each second, that takes longer and fails each other time. Ids by policy."""
    options = {"max_retry": 99, "catch_up_limit": LIMIT, "handler_params": '{"seconds": 0.7}'}
    return {
        policy: scene.cron_job(policy, "* * * * * *", "flaky", overlap_policy=policy, **options) for policy in POLICIES
    }


def drain(scene: Scene) -> None:
    scene.rows("UPDATE cron_jobs SET enabled = false")
    scene.until(0, "SELECT count(*) FROM job_executions WHERE status IN ('PENDING', 'RUNNING')")


def test_never_two_of_one_cron_job_unless_they_may(scene: Scene) -> None:
    ids = slow_cron_jobs(scene)
    scene.worker(**HASTY)
    for lost in range(1, 3):
        victim = scene.worker(**HASTY)
        mine = scene.incarnations(victim)
        scene.until_true("SELECT count(*) > 0 FROM job_executions WHERE status = 'RUNNING' AND claimed_by = %s", *mine)
        victim.send(signal.SIGKILL)
        scene.until_true(f"SELECT lost >= %s FROM ({TROUBLE}) AS each (lost, failed)", lost)
    scene.until_true(f"SELECT failed >= 3 FROM ({TROUBLE}) AS each (lost, failed)")
    for policy, status in (("skip", "SKIPPED"), ("queue", "SKIPPED"), ("replace", "CANCELLED")):
        scene.until_true(f"SELECT ARRAY['{status}'] <@ {STATUSES.join('()')}", ids[policy])
    drain(scene)
    running = {policy: scene.value(SIDE_BY_SIDE, id_) for policy, id_ in ids.items()}
    assert running["allow"] > 1, "nothing was slow enough to overlap"
    assert [running[policy] for policy in POLICIES[:3]] == [1, 1, 1]
    statuses = {policy: scene.value(STATUSES, id_) for policy, id_ in ids.items()}
    assert statuses["skip"] == ["SKIPPED", "SUCCESS"]
    assert statuses["queue"] == ["SKIPPED", "SUCCESS"]
    assert "CANCELLED" in statuses["replace"]
    assert statuses["allow"] == ["SUCCESS"]
    assert scene.value(MOST_WAITING, ids["queue"]) <= LIMIT
    numbers = "SELECT bool_and(error ~ '^overlap with execution [0-9]+, which') FROM job_executions WHERE {}"
    assert scene.value(numbers.format("cron_job_id = %s AND status = 'SKIPPED'"), ids["skip"])
    scene.assert_sound()


def test_a_claim_that_does_not_count_is_noticed(scene: Scene) -> None:
    ids = slow_cron_jobs(scene)
    scene.worker(sabotage=[NOT_COUNTED], **HASTY)
    scene.until_true(f"SELECT ({SIDE_BY_SIDE}) > 1", ids["queue"])
    assert "S30" in audit.violations(scene.connection, but=audit.UNFINISHED)
