"""Connections that break: at any time, and at the worst time. One outcome each, nothing stuck, nothing run twice."""

import pytest

from scheduler.testing.fault_proxy import Fault, FaultProxy
from tests.faults.harness import PATIENCE_SECONDS, Sabotage, Scene, words_of

CORE = "FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'scheduler ' || %s"
HANDLER = "work"  # its name is in the answer to a claim that took something
IMPATIENT = {
    "statement_timeout": "2s",
    "lock_timeout": "1s",
    "idle_in_transaction_session_timeout": "1s",
    "default_transaction_isolation": "serializable",
}
NO_RECOVERY: Sabotage = ("find_claimed", "WHERE e.claimed_by", "WHERE false AND e.claimed_by")
NO_READING: Sabotage = ("read_claims", "WHERE e.id", "WHERE false AND e.id")


def arm(proxy: FaultProxy, fault: str) -> Fault:
    match fault:
        case "claim never arrives":
            return proxy.cut_before(words_of("claim"))
        case "answer to the claim is lost":
            return proxy.drop_reply(words_of("claim"), holding=HANDLER)
        case "commit of a keyed claim never arrives":
            return proxy.cut_before(words_of("claim_keyed"), "COMMIT")
        case "answer to the commit of a keyed claim is lost":
            return proxy.drop_reply(words_of("claim_keyed"), "COMMIT")
        case "settle never arrives":
            return proxy.cut_before(words_of("settle_success"))
        case "answer to the settle is lost":
            return proxy.drop_reply(words_of("settle_success"))
    raise ValueError(fault)


FAULTS = [
    "claim never arrives", "answer to the claim is lost", "commit of a keyed claim never arrives",
    "answer to the commit of a keyed claim is lost", "settle never arrives", "answer to the settle is lost",
]  # fmt: skip


def test_one_outcome_whatever_message_is_lost(scene: Scene) -> None:
    with FaultProxy(scene.url) as proxy:
        worker = scene.worker(url=proxy.url)
        for fault in FAULTS:
            armed = arm(proxy, fault)
            ids = scene.enqueue(HANDLER, concurrency_key="key" if "keyed" in fault else None)
            scene.until_all("SUCCESS", ids)
            assert armed.struck.wait(PATIENCE_SECONDS), fault  # the row may say so before the answer is lost
            attempt, retries = scene.rows("SELECT attempt, retry_count FROM job_executions WHERE id = %s", *ids)[0]
            assert (attempt, retries) == (1, 0), fault
        worker.said("loop.failed", count=len(FAULTS))
        assert worker.events("execution.stale") == worker.events("worker.lease_lost") == []
        assert len(scene.incarnations(worker)) == 1
    scene.assert_sound()


@pytest.mark.parametrize(
    ("fault", "sabotage"),
    [("answer to the claim is lost", NO_RECOVERY), ("answer to the settle is lost", NO_READING)],
)
def test_a_worker_that_does_not_read_what_became_of_it_is_noticed(scene: Scene, fault: str, sabotage: Sabotage) -> None:
    with FaultProxy(scene.url) as proxy:
        worker = scene.worker(url=proxy.url, sabotage=[sabotage])
        armed = arm(proxy, fault)
        ids = scene.enqueue(HANDLER)
        scene.until_all("SUCCESS", ids)
        assert armed.struck.wait(5)
        worker.said("worker.strangers" if sabotage is NO_RECOVERY else "execution.stale")
        assert scene.value("SELECT attempt FROM job_executions WHERE id = %s", *ids) == (
            2 if sabotage is NO_RECOVERY else 1
        )


def test_a_worker_whose_backends_are_all_terminated_finishes_the_same_attempt(scene: Scene) -> None:
    worker = scene.worker()
    ids = scene.enqueue("gated", count=3)
    scene.until_all("RUNNING", ids)
    for failures in (5, 10, 15):
        scene.until_true(f"SELECT count(*) >= 6 {CORE}", "%")
        assert scene.value(f"SELECT count(pg_terminate_backend(pid)) {CORE}", "%") >= 6
        worker.said("loop.failed", count=failures)
    scene.open_gate(1)
    scene.until_all("SUCCESS", ids)
    assert scene.rows("SELECT DISTINCT attempt, retry_count FROM job_executions") == [(1, 0)]
    assert len(scene.incarnations(worker)) == 1
    assert worker.is_up
    scene.assert_sound()


def test_impatient_settings_of_the_database_stop_nothing(scene: Scene) -> None:
    database = scene.value("SELECT quote_ident(current_database())")
    for setting, value in IMPATIENT.items():
        scene.rows(f"ALTER DATABASE {database} SET {setting} = '{value}'")
    workers = [scene.worker(), scene.worker()]
    ids = scene.enqueue("work", count=50) + scene.enqueue("work", count=50, concurrency_key="key")
    scene.until_all("SUCCESS", ids)
    assert [worker.events("loop.failed") for worker in workers] == [[], []]
    scene.assert_sound()


@pytest.mark.parametrize("round_trip_seconds", [0, 0.2])
def test_every_connection_cut_at_random_moments_of_a_long_queue(scene: Scene, round_trip_seconds: float) -> None:
    with FaultProxy(scene.url) as proxy:
        proxy.slow(round_trip_seconds / 2)
        worker = scene.worker(url=proxy.url, WORKER__LEASE_SECONDS=20)
        ids = scene.enqueue("work", {"seconds": 0.02}, count=300)
        cut = 0
        for done in (30, 90, 150, 210):
            scene.until_true("SELECT count(*) >= %s FROM job_executions WHERE status = 'SUCCESS'", done)
            cut += proxy.cut()
        scene.until_all("SUCCESS", ids, seconds=2 * PATIENCE_SECONDS)
        assert cut >= 12
        assert worker.is_up
    assert scene.rows("SELECT DISTINCT retry_count FROM job_executions") == [(0,)]
    scene.assert_sound()
