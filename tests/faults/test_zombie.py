"""A worker that is frozen past its lease and comes back: what it writes then changes nothing."""

import signal

import pytest

from scheduler.testing.fault_proxy import FaultProxy
from tests.faults import audit
from tests.faults.harness import LEASE_SECONDS, PATIENCE_SECONDS, Sabotage, Scene, SchedulerProcess, words_of

NO_TOKEN: Sabotage = ("settle_success", "AND e.claim_token = (SELECT %(tokens)s::uuid[])[o.claim]", "")
GONE = f"SELECT bool_and(lease_until < job_now() - interval '{LEASE_SECONDS} s') FROM job_workers WHERE id = %s"
RUN_ANEW = "SELECT count(*) FROM job_executions WHERE status = 'RUNNING' AND attempt = 2"


def freeze_past_its_lease(scene: Scene, zombie: SchedulerProcess, ids: list[int]) -> SchedulerProcess:
    """Stop it for two leases, until another worker runs `ids` anew. Returns that one."""
    zombie.send(signal.SIGSTOP)
    other = scene.worker()
    scene.until_true(GONE, *scene.incarnations(zombie))
    scene.until(len(ids), RUN_ANEW)
    return other


@pytest.mark.parametrize("sabotage", [[], [NO_TOKEN]], ids=["fenced", "broken"])
def test_an_outcome_that_arrives_while_another_runs_the_job_is_refused(scene: Scene, sabotage: list[Sabotage]) -> None:
    with FaultProxy(scene.url) as proxy:
        zombie = scene.worker(url=proxy.url, sabotage=sabotage)
        ids = scene.enqueue("gated", count=4)
        scene.until_all("RUNNING", ids)
        late = proxy.freeze_before(words_of("settle_success"))
        scene.open_gate(1)
        assert late.struck.wait(PATIENCE_SECONDS)
        freeze_past_its_lease(scene, zombie, ids)
        proxy.thaw()
        zombie.send(signal.SIGCONT)
        if sabotage:
            scene.until_true("SELECT count(*) > 0 FROM job_executions WHERE status = 'SUCCESS'")
            assert "I5" in audit.violations(scene.connection)
            return
        assert {event["id"] for event in zombie.said("execution.stale", count=4)} == set(ids)
        zombie.said("worker.lease_lost")
        scene.until_all("RUNNING", ids, seconds=0)
        scene.open_gate(2)
        scene.until_all("SUCCESS", ids)
    assert scene.value("SELECT count(*) FROM t_audit.ev WHERE new_status = 'SUCCESS'") == 4
    scene.assert_sound()


def test_a_woken_worker_goes_on_under_a_new_name(scene: Scene) -> None:
    zombie = scene.worker()
    ids = scene.enqueue("gated", count=2)
    scene.until_all("RUNNING", ids)
    other = freeze_past_its_lease(scene, zombie, ids)
    zombie.send(signal.SIGCONT)
    zombie.said("worker.lease_lost")
    assert {event["id"] for event in zombie.said("execution.stale", count=2)} == set(ids)
    scene.until(2, "SELECT count(*) FROM job_workers WHERE pid = %s", zombie.pid)
    old, new = scene.incarnations(zombie)
    assert old != new
    scene.open_gate(2)
    scene.until_all("SUCCESS", ids)
    other.send(signal.SIGTERM)
    assert other.exit_status() == 0
    more = scene.enqueue("work", count=3)
    scene.until_all("SUCCESS", more)
    assert scene.rows("SELECT DISTINCT claimed_by FROM job_executions WHERE id = ANY(%s)", more) == [(new,)]
    scene.assert_sound()
