"""Many cron jobs at once, and many that aren't due. SCHEDULER_TEST_LONG=1 holds them to the promised figures."""

import os
from pathlib import Path

import pytest

from tests.faults import audit
from tests.faults.harness import Scene, SchedulerProcess

LONG = "SCHEDULER_TEST_LONG" in os.environ
DUE = 10_000 if LONG else 3_000
IDLE = 100_000 if LONG else 10_000
LATE_SECONDS = 1.0 if LONG else 5.0
"""The short form runs beside other tests, on few cores."""
GROWTH_KB = 16_000
IDLE_SHARE = 0.01 if LONG else 0.05
IDLE_SECONDS = 20 if LONG else 3
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")

ALL_AT = """
INSERT INTO cron_jobs (name, cron_expression, timezone, handler_name, handler_params, overlap_policy)
SELECT 'job ' || n, to_char(at, 'SS MI HH24 DD MM *'), 'UTC', 'work', jsonb_build_object('text', repeat('x', 10000)),
       (ARRAY['skip', 'allow', 'queue', 'replace'])[1 + mod(n, 4)]
FROM generate_series(1, %s) AS n, (SELECT (job_now() + interval '6 s') AT TIME ZONE 'UTC' AS at) AS due
"""
OTHERS = """
INSERT INTO cron_jobs (name, cron_expression, timezone, handler_name)
SELECT 'later ' || n, mod(n, 60) || ' 3 1 1 *', 'Europe/Berlin', 'work' FROM generate_series(1, %s) AS n
"""
COMPUTED = "SELECT count(*) FROM cron_jobs WHERE next_run_at IS NULL"
LATENESS = """
SELECT percentile_cont(ARRAY[0.5, 0.99, 1]) WITHIN GROUP (ORDER BY extract(epoch FROM created_at - scheduled_at)::float)
FROM job_executions
"""


def memory_kb(process: SchedulerProcess, field: str) -> int:
    """VmRSS or VmHWM (the most it ever was)."""
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:"))


def cpu_seconds(process: SchedulerProcess) -> float:
    """Of all its threads, in user and system mode."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND


@pytest.fixture
def needs_proc() -> None:
    if not Path("/proc/self/status").exists():
        pytest.skip("memory and CPU are read from /proc")


@pytest.mark.usefixtures("needs_proc")
def test_thousands_due_in_one_second_are_planned_once_and_soon(scene: Scene) -> None:
    planners = [scene.planner(LOG__LEVEL="debug") for _ in range(2)]
    scene.rows(ALL_AT, DUE)
    scene.until(0, COMPUTED, seconds=60)
    assert scene.value("SELECT min(next_run_at) > job_now() FROM cron_jobs"), "the machine is too slow for this test"
    before = [memory_kb(planner, "VmRSS") for planner in planners]
    scene.until(DUE, "SELECT count(*) FROM job_executions", seconds=60)
    assert scene.rows("SELECT DISTINCT status FROM job_executions") == [("PENDING",)]
    assert scene.value("SELECT count(DISTINCT cron_job_id) FROM job_executions") == DUE
    assert all(planner.events("planner.planned") for planner in planners), "one planner did it all"
    assert "I6" not in audit.violations(scene.connection, but=audit.UNFINISHED)
    p50, p99, most = scene.value(LATENESS)
    grown = [memory_kb(planner, "VmHWM") - kb for planner, kb in zip(planners, before, strict=True)]
    print(
        f"{DUE} cron jobs due in one second: p50 {p50:.3f} s, p99 {p99:.3f} s, most {most:.3f} s; grown by {grown} kB"
    )
    assert p99 < LATE_SECONDS
    assert max(grown) < GROWTH_KB


@pytest.mark.usefixtures("needs_proc")
@pytest.mark.timeout(300)
def test_a_planner_with_little_to_do_does_little(scene: Scene) -> None:
    scene.rows(OTHERS, IDLE)
    few = [scene.cron_job(f"soon {n}", "*/2 * * * * *", "work", overlap_policy="allow") for n in range(3)]
    planner = scene.planner()
    scene.until(0, COMPUTED, seconds=120)
    scene.rows("VACUUM ANALYZE cron_jobs")
    began, used = scene.value("SELECT clock_timestamp()"), cpu_seconds(planner)
    scene.until_true("SELECT clock_timestamp() > %s + make_interval(secs => %s)", began, IDLE_SECONDS, seconds=60)
    share = (cpu_seconds(planner) - used) / IDLE_SECONDS
    planned = scene.value("SELECT count(*) FROM job_executions WHERE scheduled_at > %s", began)
    print(f"{IDLE} cron jobs, {planned} ticks in {IDLE_SECONDS} s: {share:.2%} of a core")
    assert planned >= len(few) * (IDLE_SECONDS // 2 - 1)
    assert share < IDLE_SHARE
