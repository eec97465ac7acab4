"""A worker that dies in the middle of a batch: each execution is one, with its own tries and its own outcome."""

from tests.faults.harness import LEASE_SECONDS, Scene
from tests.faults.test_crash import HELD, kill

RESCUE_SECONDS = LEASE_SECONDS + 5.0


def test_a_batch_that_dies_with_its_worker_costs_each_of_it_a_try(scene: Scene) -> None:
    scene.add("batch_jobs.py")
    victim = scene.worker()
    ids = scene.enqueue("index", {"gated": True}, count=20)
    scene.until(20, HELD, *scene.incarnations(victim))
    assert kill(scene, victim) == 20
    scene.open_gate(2)
    scene.worker()
    scene.until_all("SUCCESS", ids, seconds=2 * RESCUE_SECONDS + 60)  # suspects, each in a process of its own
    assert scene.rows("SELECT DISTINCT attempt, retry_count, result -> 'attempt' FROM job_executions") == [(2, 1, 2)]
    assert scene.rows("SELECT DISTINCT outcome FROM job_attempts") == [("lost",)]
    scene.assert_sound()


def test_what_a_killed_worker_had_in_batches_is_done_by_the_other_and_recorded_once(scene: Scene) -> None:
    scene.add("batch_jobs.py")
    victim, survivor = scene.worker(), scene.worker()
    ids = scene.enqueue("index", {"gated": True}, count=400)
    for worker in (victim, survivor):
        scene.until_true(f"SELECT ({HELD}) > 20", *scene.incarnations(worker))
    left = kill(scene, victim)
    scene.open_gate(1)
    scene.open_gate(2)
    scene.until_all("SUCCESS", ids, seconds=2 * RESCUE_SECONDS + 60)
    assert sum(event["count"] for event in survivor.events("rescuer.rescued")) == left > 20
    assert scene.value("SELECT count(*) FROM job_attempts WHERE outcome = 'lost'") == left
    assert scene.value("SELECT bool_and(attempt = retry_count + 1) FROM job_executions") is True
    scene.assert_sound()


def test_outcomes_of_a_batch_that_were_not_written_are_a_try_of_each(scene: Scene) -> None:
    scene.add("batch_jobs.py")
    ids = scene.enqueue("index", count=20)
    victim = scene.start(FAILPOINTS="before_settle=exit")
    assert victim.exit_status() == 137
    assert (held := scene.value(HELD, *scene.incarnations(victim))) > 0
    scene.worker()
    scene.until_all("SUCCESS", ids, seconds=2 * RESCUE_SECONDS + 60)
    assert scene.value("SELECT count(*) FROM job_attempts WHERE outcome = 'lost'") == held
    scene.assert_sound()
