"""An operator returns a row by hand while its attempt still runs: whose outcome counts is the fence's decision."""

import pytest

from tests.faults import audit
from tests.faults.harness import Sabotage, Scene

NO_TOKEN: Sabotage = ("settle_success", "AND e.claim_token = (SELECT %(tokens)s::uuid[])[o.claim]", "")
RETURNED = """
UPDATE job_executions
SET status = 'PENDING', claim_token = NULL, claimed_by = NULL, retry_count = 0, available_at = job_now()
WHERE status = 'RUNNING'
"""


@pytest.mark.parametrize("sabotage", [[], [NO_TOKEN]], ids=["fenced", "broken"])
def test_the_outcome_of_an_attempt_that_was_returned_by_hand_is_refused(scene: Scene, sabotage: list[Sabotage]) -> None:
    first = scene.worker(sabotage=sabotage, WORKER__HEARTBEAT_INTERVAL_SECONDS=10, WORKER__LEASE_SECONDS=30)
    ids = scene.enqueue("gated", count=3)
    scene.until_all("RUNNING", ids)
    second = scene.worker()
    scene.rows(RETURNED)
    scene.until(3, "SELECT count(*) FROM job_executions WHERE status = 'RUNNING' AND attempt = 2")
    scene.open_gate(1)
    if sabotage:
        scene.until_true("SELECT count(*) > 0 FROM job_executions WHERE status = 'SUCCESS'")
        assert "I5" in audit.violations(scene.connection)
        return
    stale = [*first.said("execution.stale", count=1), *second.events("execution.stale")]
    assert {event["attempt"] for event in stale} == {1}
    scene.until_all("RUNNING", ids, seconds=0)
    scene.open_gate(2)
    scene.until_all("SUCCESS", ids)
    assert scene.rows("SELECT DISTINCT attempt FROM job_executions") == [(2,)]
    scene.assert_sound()
