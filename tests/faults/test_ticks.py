"""Three `scheduler run` on one database, killed and replaced at random: each tick is accounted for once.

The oracle knows nothing of expressions: it counts whole periods of the clock. SCHEDULER_TEST_LONG=1 runs five minutes.
"""

import os
import signal
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import datetime
from random import Random

import pytest

from tests.faults import audit
from tests.faults.harness import Sabotage, Scene

LONG = "SCHEDULER_TEST_LONG" in os.environ
ACCOUNTED = """
SELECT c.id, c.planned_until, e.scheduled_at, coalesce(e.skipped_until, e.scheduled_at)
FROM cron_jobs c JOIN job_executions e ON e.cron_job_id = c.id
"""
PLANNED_FOR = """
SELECT max(planned_until) > job_now() - interval '3 s' AND min(created_at) < job_now() - make_interval(secs => %s)
FROM cron_jobs
"""
LATENESS = """
SELECT count(*), percentile_cont(ARRAY[0.5, 0.99, 1])
                 WITHIN GROUP (ORDER BY 1000 * extract(epoch FROM started_at - scheduled_at))
FROM job_executions WHERE status = 'SUCCESS' AND attempt = 1
"""
TICK_KEY = (
    "(cron_job_id, scheduled_at, (CASE source WHEN 'manual' THEN id ELSE 0 END))"
    " WHERE cron_job_id IS NOT NULL AND status <> 'SKIPPED'"
)
NO_LOCK: Sabotage = ("lock_due", "FOR UPDATE SKIP LOCKED", "")
NO_CONFLICT: Sabotage = ("insert_ticks", f"ON CONFLICT {TICK_KEY} DO NOTHING", "")


def periods(after: datetime, until: datetime, seconds: int) -> Iterator[int]:
    """The whole multiples of a period of the clock in (after, until], as Unix seconds."""
    first = (int(after.timestamp()) // seconds + 1) * seconds
    return iter(range(first, int(until.timestamp()) + 1, seconds))


class Timetable:
    """Cron jobs of known periods, all of them there before anybody plans."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self._began: dict[int, datetime] = {}
        self._period: dict[int, int] = {}

    def add(self, count: int, expression: str, period: int, overlap_policy: str) -> None:
        for n in range(count):
            id_ = self.scene.cron_job(
                f"{overlap_policy} {expression} {n}", expression, "work", overlap_policy=overlap_policy, max_retry=99
            )
            self._period[id_] = period
            self._began[id_] = self.scene.value("SELECT planned_until FROM cron_jobs WHERE id = %s", id_)

    def planned_for(self, seconds: float) -> bool:
        """Whether this much of the clock has passed since the cron jobs were made."""
        return bool(
            self.scene.value("SELECT job_now() - max(created_at) > make_interval(secs => %s) FROM cron_jobs", seconds)
        )

    def run_for(self, seconds: float) -> None:
        """Wait until this much of the clock is planned."""
        self.scene.until_true(PLANNED_FOR, seconds, seconds=seconds + 10)

    def errors(self) -> dict[int, tuple[Counter[int], Counter[int]]]:
        """For each cron job that isn't right: its ticks that are missing, and those that are too many."""
        accounted: dict[int, Counter[int]] = defaultdict(Counter)
        expected: dict[int, Counter[int]] = {}
        for id_, planned_until, first, last in self.scene.rows(ACCOUNTED):
            period = self._period[id_]
            accounted[id_].update(range(int(first.timestamp()), int(last.timestamp()) + 1, period))
            expected[id_] = Counter(periods(self._began[id_], planned_until, period))
        assert expected.keys() == self._period.keys()
        wrong = {id_: (expected[id_] - accounted[id_], accounted[id_] - expected[id_]) for id_ in expected}
        return {id_: error for id_, error in wrong.items() if any(error)}


@pytest.mark.timeout(480 if LONG else 120)
def test_each_tick_happens_once_whoever_plans_and_whoever_dies(scene: Scene) -> None:
    timetable, duration, chance = Timetable(scene), 300 if LONG else 10, Random(4)
    timetable.add(5, "* * * * * *", 1, "allow")
    timetable.add(5, "* * * * * *", 1, "skip")
    timetable.add(40 if LONG else 10, "*/5 * * * * *", 5, "skip")
    doomed = scene.start(FAILPOINTS="before_plan_commit=exit@2")
    planners = [scene.worker() for _ in range(3)]
    assert doomed.exit_status() == 137, "nobody died between the ticks and their commit"
    killed = 0
    planned = "SELECT count(DISTINCT v.session) FROM t_audit.ev v WHERE v.old_status IS NULL"
    while killed < duration // 5 or not timetable.planned_for(duration) or scene.value(planned) < 3:
        for place in chance.sample(range(3), chance.choice([1, 1, 2, 3])):
            planners[place].send(signal.SIGKILL)
            assert planners[place].exit_status() == -signal.SIGKILL
            planners[place], killed = scene.worker(), killed + 1
    timetable.run_for(duration)
    assert timetable.errors() == {}
    assert scene.value(planned) >= 3, "not all of the three have planned"
    scene.rows("UPDATE cron_jobs SET enabled = false")
    scene.until(0, "SELECT count(*) FROM job_executions WHERE status IN ('PENDING', 'RUNNING')")
    assert scene.value("SELECT count(*) FROM job_executions WHERE status NOT IN ('SUCCESS', 'SKIPPED')") == 0
    scene.assert_sound()
    print(f"{killed} planners killed")
    report_lateness(scene)


def report_lateness(scene: Scene) -> None:
    count, (p50, p99, most) = scene.rows(LATENESS)[0]
    print(f"{count} ticks, from due to begun: p50 {p50:.1f} ms, p99 {p99:.1f} ms, most {most:.1f} ms")


def test_without_lock_and_unique_index_the_oracle_sees_double(scene: Scene) -> None:
    timetable = Timetable(scene)
    timetable.add(3, "* * * * * *", 1, "allow")
    scene.rows("DROP INDEX job_executions_tick")
    for _ in range(2):
        scene.worker(sabotage=[NO_LOCK, NO_CONFLICT], FAILPOINTS="before_plan_commit=pause:0.2")
    scene.until_true("SELECT count(*) > count(DISTINCT (cron_job_id, scheduled_at)) FROM job_executions")
    assert any(too_many for _, too_many in timetable.errors().values())
    assert "I6" in audit.violations(scene.connection, but=audit.UNFINISHED)
