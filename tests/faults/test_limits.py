"""Limits of queues under load and kills: an observer of its own never sees more than they allow."""

import random
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import Event, Thread

import psycopg
import pytest

from tests.faults.harness import Scene, SchedulerProcess

PATIENCE = 90.0
DEFINITION = "SELECT pg_get_functiondef('job_claim'::regproc)"
LOCK = "EXIT WHEN pg_try_advisory_xact_lock(hashtextextended(job_claim.queue, 'job_queues'::regclass::bigint))"
COUNTED = "IF room <= 0 THEN"
NO_LOCK = ((LOCK, "EXIT WHEN true"), (COUNTED, "PERFORM pg_sleep(0.02); IF room <= 0 THEN"))
"""Everybody counts before anybody has claimed."""
NO_RECORD = (("SET rate_taken_at = kept.ats, rate_taken = kept.counts,", "SET"),)
OVERSHOT = """
SELECT count(*) > 0 FROM (
    SELECT sum((new_status = 'RUNNING')::int - (old_status IS NOT DISTINCT FROM 'RUNNING')::int)
               OVER (ORDER BY n) AS running
    FROM t_audit.ev) AS each
WHERE running > %s
"""
"""By the order of all changes: a claim counts in a statement that sees what was settled before it."""
KEYS_OVERSHOT = """
SELECT count(*) > 0 FROM (
    SELECT sum((new_status = 'RUNNING')::int - (old_status IS NOT DISTINCT FROM 'RUNNING')::int)
               OVER (PARTITION BY e.concurrency_key ORDER BY n) AS running
    FROM t_audit.ev v JOIN job_executions e USING (id)) AS each
WHERE running > %s
"""
TOO_FAST = """
SELECT count(*) > 0
FROM (SELECT at - lag(at, %s) OVER (ORDER BY at) AS took FROM t_audit.ev WHERE new_status = 'RUNNING') AS each
WHERE took < make_interval(secs => %s)
"""
"""One more than the rate was claimed within a period, wherever it begins."""
FAST_ENOUGH = """
SELECT count(*) > 0
FROM (SELECT pg_sleep(0.5)) AS pause,
     (SELECT at - lag(at, %s) OVER (ORDER BY at) AS took FROM t_audit.ev WHERE new_status = 'RUNNING') AS each
WHERE took <= make_interval(secs => %s)
"""


HOLDING = """
SELECT w.pid FROM job_executions e JOIN job_workers w ON w.id = e.claimed_by WHERE e.status = 'RUNNING' GROUP BY w.pid
"""


class Observer:
    """Counts what runs, in transactions of its own, as fast as it can."""

    def __init__(self, url: str) -> None:
        self.url, self.most, self.looks = url, 0, 0
        self._over = Event()

    def look(self) -> None:
        with psycopg.connect(self.url) as connection:
            while not self._over.is_set():
                with connection.transaction():
                    found = connection.execute(
                        "SELECT count(*) FROM job_executions WHERE status = 'RUNNING'"
                    ).fetchone()
                assert found is not None
                self.most, self.looks = max(self.most, found[0]), self.looks + 1
                self._over.wait(0.002)

    @contextmanager
    def looking(self) -> Iterator[None]:
        thread = Thread(target=self.look)
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()


def kill(scene: Scene, workers: list[SchedulerProcess], chance: random.Random) -> None:
    """One at random of those that hold something, and any of them if that has just ended."""
    holding = {row[0] for row in scene.rows(HOLDING)}
    victim = chance.choice([worker for worker in workers if worker.pid in holding] or workers)
    victim.send(signal.SIGKILL)
    victim.exit_status()
    workers.remove(victim)


def break_claim(scene: Scene, edits: Sequence[tuple[str, str]]) -> None:
    definition = scene.value(DEFINITION)
    for sound, broken in edits:
        assert definition.count(sound) == 1, f"job_claim no longer says {sound!r}"
        definition = definition.replace(sound, broken)
    scene.rows(definition.replace("%", "%%"))


def test_never_more_than_max_running_whoever_is_killed(scene: Scene) -> None:
    scene.rows("SELECT limit_queue('default', '{\"max_running\": 7}')")
    observer, chance = Observer(scene.url), random.Random(7)
    workers = [scene.worker(WORKER__POOL_SIZE=50) for _ in range(4)]
    with observer.looking():
        ids = scene.enqueue("work", {"seconds": 0.1}, count=250, max_retry=20)
        for done in (30, 80, 130):
            scene.until_true(
                "SELECT count(*) >= %s FROM job_executions WHERE status = 'SUCCESS'", done, seconds=PATIENCE
            )
            scene.until_true("SELECT count(*) > 0 FROM job_executions WHERE status = 'RUNNING'")
            kill(scene, workers, chance)
            workers.append(scene.worker(WORKER__POOL_SIZE=50))
        scene.until_all("SUCCESS", ids, seconds=PATIENCE)
    assert 0 < observer.most <= 7
    assert observer.looks > 100
    assert not scene.value(OVERSHOT, 7)
    assert scene.value(OVERSHOT, 6)  # what was allowed was used
    assert scene.value("SELECT sum(retry_count) > 0 FROM job_executions")  # who was killed held something
    scene.assert_sound()


def test_claims_that_count_without_the_lock_would_overshoot(scene: Scene) -> None:
    break_claim(scene, NO_LOCK)
    scene.rows("SELECT limit_queue('default', '{\"max_running\": 7}')")
    for _ in range(3):
        scene.worker(WORKER__POOL_SIZE=50)
    scene.enqueue("work", {"seconds": 0.02}, count=3000)
    scene.until_true(OVERSHOT, 7, seconds=PATIENCE)


def test_a_place_that_is_lost_with_its_worker_comes_back_with_the_lease(scene: Scene) -> None:
    scene.rows("SELECT limit_queue('default', '{\"max_running\": 2}')")
    first = scene.worker()
    held = scene.enqueue("gated", count=2, max_retry=5)
    scene.until_all("RUNNING", held)
    waiting = scene.enqueue("work", count=3)
    first.send(signal.SIGKILL)
    first.exit_status()
    scene.worker()
    scene.open_gate(2)
    scene.until_all("SUCCESS", [*held, *waiting])
    assert not scene.value(OVERSHOT, 2)
    scene.assert_sound()


def test_the_key_limit_holds_over_many_keys(scene: Scene) -> None:
    scene.rows("SELECT limit_queue('default', '{\"key_limit\": 1, \"max_running\": 20}')")
    workers = [scene.worker(WORKER__POOL_SIZE=20) for _ in range(3)]
    ids = [
        row[0]
        for row in scene.rows(
            """INSERT INTO job_executions (handler_name, concurrency_key, max_retry)
               SELECT 'work', 'key ' || mod(n, 1000), 20 FROM generate_series(1, 2000) AS n RETURNING id"""
        )
    ]
    scene.until_true("SELECT count(*) >= 300 FROM job_executions WHERE status = 'SUCCESS'", seconds=PATIENCE)
    workers[0].send(signal.SIGKILL)
    scene.until_all("SUCCESS", ids, seconds=PATIENCE)
    assert not scene.value(KEYS_OVERSHOT, 1)
    assert not scene.value(OVERSHOT, 20)
    scene.assert_sound()


def test_a_rate_is_reached_and_never_exceeded_in_any_second(scene: Scene) -> None:
    scene.rows("SELECT limit_queue('default', '{\"rate_limit\": 100, \"rate_period_seconds\": 1}')")
    for _ in range(2):
        scene.worker(WORKER__POOL_SIZE=20)
    scene.enqueue("work", count=15000)
    scene.until_true(FAST_ENOUGH, 1000, 1000 / 95, seconds=PATIENCE)
    assert not scene.value(TOO_FAST, 100, 1)


def test_a_rate_that_is_not_recorded_would_be_exceeded(scene: Scene) -> None:
    break_claim(scene, NO_RECORD)
    scene.rows("SELECT limit_queue('default', '{\"rate_limit\": 20, \"rate_period_seconds\": 60}')")
    scene.worker(WORKER__POOL_SIZE=20)
    scene.enqueue("work", count=200)
    scene.until_true(TOO_FAST, 20, 60)


def test_until_idle_works_off_what_a_rate_holds_up(scene: Scene) -> None:
    scene.rows("SELECT limit_queue('default', '{\"rate_limit\": 5, \"rate_period_seconds\": 0.5}')")
    ids = scene.enqueue("work", count=12)
    assert scene.start("--until-idle").exit_status() == 0
    scene.until_all("SUCCESS", ids, seconds=0)
    assert not scene.value(TOO_FAST, 5, 0.5)


@pytest.mark.parametrize("limits", ['{"max_running": 3}', '{"rate_limit": 1000, "rate_period_seconds": 1}'])
def test_a_limit_that_is_set_and_lifted_while_work_goes_on_loses_nothing(scene: Scene, limits: str) -> None:
    scene.worker()
    ids = scene.enqueue("work", {"seconds": 0.005}, count=150)
    scene.until_true("SELECT count(*) > 20 FROM job_executions WHERE status = 'SUCCESS'")
    scene.rows("SELECT limit_queue('default', %s)", limits)
    scene.until_true("SELECT count(*) > 80 FROM job_executions WHERE status = 'SUCCESS'")
    scene.rows("UPDATE job_queues SET max_running = NULL, rate_limit = NULL, rate_period_seconds = NULL")
    scene.until_all("SUCCESS", ids)
    scene.assert_sound()


def test_a_queue_pauses_itself_after_failures_in_a_row_and_goes_on_by_itself(scene: Scene) -> None:
    scene.rows("SELECT limit_queue('default', '{\"pause_after_failures\": 5, \"pause_seconds\": 1.5}')")
    worker = scene.worker(WORKER__POOL_SIZE=1)
    scene.enqueue("nobody has this", count=5, max_retry=1)
    said = worker.said("queue.paused_for")[0]
    assert (said["queue"], said["failures"], said["seconds"]) == ("default", 5, 1.5)
    reason = scene.value("SELECT paused_reason FROM job_queues")
    assert reason.startswith("5 failures in a row at worker ")
    ids = scene.enqueue("work", count=3)
    scene.until_all("SUCCESS", ids)
    assert scene.value(
        """SELECT min(v.at) >= max(q.resume_at) FROM t_audit.ev v JOIN job_executions e USING (id), job_queues q
           WHERE e.handler_name = 'work' AND v.new_status = 'RUNNING'"""
    )
    scene.enqueue("nobody has this", count=2, max_retry=1)
    scene.until(7, "SELECT count(*) FROM job_executions WHERE status = 'FAILED'")
    assert len(worker.events("queue.paused_for")) == 1  # a success in between begins the count anew


def test_a_queue_at_its_limit_keeps_no_other_queue_waiting(scene: Scene) -> None:
    scene.rows("SELECT limit_queue('default', '{\"max_running\": 1}')")
    scene.worker(WORKER__QUEUES='["default", "other"]')
    held = scene.enqueue("gated")
    scene.until_all("RUNNING", held)
    waiting = scene.enqueue("work", count=20)
    others = scene.enqueue("work", count=20, queue="other")
    scene.until_all("SUCCESS", others)
    scene.until_all("PENDING", waiting, seconds=0)
    scene.open_gate(1)
    scene.until_all("SUCCESS", [*held, *waiting])
    assert not scene.value(
        OVERSHOT.replace("FROM t_audit.ev)", "FROM t_audit.ev JOIN job_executions USING (id) WHERE queue = 'default')"),
        1,
    )
    scene.assert_sound()
