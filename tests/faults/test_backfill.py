"""Two backfills of the same days at once, one of them killed, while a planner catches up: each tick once."""

import signal
from datetime import datetime
from typing import Any

import pytest

from tests.faults.harness import Sabotage, Scene, SchedulerProcess

JOB = "often"
CURSOR = """
UPDATE cron_jobs SET created_at = job_now() - interval '10 days', planned_until = job_now() - interval '3 hours'
RETURNING created_at
"""
TICKS = (
    "SELECT count(*), count(DISTINCT scheduled_at) FROM job_executions WHERE scheduled_at <= %s AND status = 'PENDING'"
)
EXPECTED = "SELECT count(*) FROM generate_series(date_trunc('minute', %s) + interval '1 min', %s, interval '1 min')"
SOURCES = "SELECT source, count(*) > 0 FROM job_executions GROUP BY 1 ORDER BY 1"
BACKFILLERS = (
    "SELECT count(DISTINCT v.session) FROM t_audit.ev v JOIN job_executions e USING (id) WHERE e.source = 'backfill'"
)
TICK_KEY = (
    "(cron_job_id, scheduled_at, (CASE source WHEN 'manual' THEN id ELSE 0 END))"
    " WHERE cron_job_id IS NOT NULL AND status <> 'SKIPPED'"
)
NO_CONFLICT: Sabotage = ("backfill_ticks", f"ON CONFLICT {TICK_KEY} DO NOTHING", "")


@pytest.fixture
def made(scene: Scene) -> datetime:
    """When the cron job was made: its executions wait in a queue that nobody works for."""
    scene.cron_job(
        JOB, "* * * * *", "work", queue="elsewhere", overlap_policy="allow", catch_up="all", catch_up_limit=10_000
    )
    found = scene.value(CURSOR)
    assert isinstance(found, datetime)
    return found


def backfill(scene: Scene, made: datetime, *, sabotage: tuple[Sabotage, ...] = (), **settings: Any) -> SchedulerProcess:
    arguments = ("cron", "backfill", JOB, "--from", made.isoformat(), "--yes")
    return scene.command(*arguments, sabotage=sabotage, **settings)


def test_each_tick_once_whoever_backfills_plans_and_dies(scene: Scene, made: datetime) -> None:
    scene.start(only="planner", FAILPOINTS="before_plan_commit=pause:0.3")
    victim = backfill(scene, made, FAILPOINTS="after_backfill_batch=exit@3")
    scene.until_true("SELECT count(*) > 0 FROM job_executions WHERE source = 'backfill'")
    other = backfill(scene, made)
    assert victim.exit_status() == 128 + signal.SIGKILL
    assert other.exit_status() == 0
    assert scene.value(BACKFILLERS) == 2, "one of them has written nothing"
    scene.until_true("SELECT planned_until > job_now() - interval '2 min' FROM cron_jobs")
    until = scene.value("SELECT planned_until FROM cron_jobs")
    assert backfill(scene, made).exit_status() == 0
    count, ticks = scene.rows(TICKS, until)[0]
    assert count == ticks == scene.value(EXPECTED, made, until)
    assert scene.rows(SOURCES) == [("backfill", True), ("tick", True)]


def test_without_the_unique_index_ticks_are_seen_double(scene: Scene, made: datetime) -> None:
    scene.rows("DROP INDEX job_executions_tick")
    for process in [backfill(scene, made, sabotage=(NO_CONFLICT,)) for _ in range(2)]:
        assert process.exit_status() == 0
    count, ticks = scene.rows(TICKS, scene.value("SELECT planned_until FROM cron_jobs"))[0]
    assert count == 2 * ticks
