"""What somebody who lives in psql sees: rows start to tick, stop, and say what is wrong with them."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from tests.faults.harness import Scene

TICKS = "SELECT count(*) FROM job_executions WHERE cron_job_id = %s AND status = 'SUCCESS' AND scheduled_at > %s"


@pytest.fixture
def stranger(scene: Scene) -> Iterator[psycopg.Connection[Any]]:
    """A session that finds nothing of ours without its schema."""
    with psycopg.connect(scene.url, autocommit=True, options="-c search_path=pg_catalog") as session:
        yield session


def insert(session: psycopg.Connection[Any], name: str, expression: str) -> int:
    sql = "INSERT INTO public.cron_jobs (name, cron_expression, handler_name) VALUES (%s, %s, 'work') RETURNING id"
    row = session.execute(sql, [name, expression]).fetchone()
    assert row is not None
    return int(row[0])


def test_a_row_starts_ticking_and_stops(scene: Scene, stranger: psycopg.Connection[Any]) -> None:
    scene.worker()
    ticking, other = insert(stranger, "t", "* * * * * *"), insert(stranger, "other", "* * * * * *")
    scene.until_true("SELECT count(*) > 0 FROM job_executions WHERE cron_job_id = %s", ticking)
    scene.until_true("SELECT count(*) > 0 FROM job_executions WHERE cron_job_id = %s AND status = 'SUCCESS'", ticking)
    stranger.execute("UPDATE public.cron_jobs SET enabled = false WHERE name = 't'")
    disabled = scene.value("SELECT clock_timestamp()")
    scene.until_true(f"SELECT ({TICKS}) >= 2", other, disabled)
    assert (
        scene.value("SELECT count(*) FROM job_executions WHERE cron_job_id = %s AND created_at > %s", ticking, disabled)
        == 0
    )
    story = "SELECT enabled, last_status, next_run_at IS NULL FROM public.cron_job_status WHERE name = 't'"
    assert stranger.execute(story).fetchone() == (False, "SUCCESS", True)


def test_a_row_that_cannot_be_planned_says_why_and_the_others_go_on(
    scene: Scene, stranger: psycopg.Connection[Any]
) -> None:
    scene.worker()
    minute, zone = insert(stranger, "bad minute", "61 * * * *"), insert(stranger, "bad zone", "0 3 * * *")
    stranger.execute("UPDATE public.cron_jobs SET timezone = 'Europe/Berlim' WHERE id = %s", [zone])
    good = insert(stranger, "good", "* * * * * *")
    why = "SELECT count(*) FROM cron_jobs WHERE id = ANY(%s) AND invalid_reason IS NOT NULL"
    scene.until(2, why, [minute, zone])
    reasons = dict(
        scene.rows("SELECT cron_job_id, invalid_reason FROM cron_job_status WHERE invalid_reason IS NOT NULL")
    )
    assert "61" in reasons[minute]
    assert "Did you mean 'Europe/Berlin'?" in reasons[zone]
    since = scene.value("SELECT clock_timestamp()")
    scene.until_true(f"SELECT ({TICKS}) >= 1", good, since)
    stranger.execute("UPDATE public.cron_jobs SET cron_expression = '* * * * * *' WHERE id = %s", [minute])
    scene.until_true(f"SELECT ({TICKS}) >= 1", minute, since)
    scene.rows("UPDATE cron_jobs SET enabled = false")
    scene.until(0, "SELECT count(*) FROM job_executions WHERE status IN ('PENDING', 'RUNNING')")
    scene.assert_sound()
