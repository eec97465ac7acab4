"""What became of a tick: each one is accounted for, and found by two indexes however long the history is."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from scheduler.testing.postgres import ThrowawayPostgres
from tests.store.plans import explain

SPANS = """
    SET timezone = 'UTC';
    INSERT INTO cron_jobs (name, cron_expression, handler_name)
    VALUES ('nightly', '0 3 * * *', 'report'), ('other', '@daily', 'sync');
    INSERT INTO job_executions (id, source, cron_job_id, handler_name, status, scheduled_at, started_at, finished_at,
                                skipped_count, skipped_until, error)
    SELECT id, source, cron_job_id, 'report', status, tick::timestamptz, began::timestamptz, ended::timestamptz, count,
           last::timestamptz, error
    FROM (VALUES
        (1, 'tick', 1, 'SUCCESS', '2026-03-01 03:00', '2026-03-01 03:01', '2026-03-01 03:05', NULL::int, NULL, NULL),
        (2, 'tick', 1, 'SKIPPED', '2026-03-02 03:00', NULL, '2026-03-05 12:00', 3, '2026-03-04 03:00',
            'nobody was planning' || chr(10) || 'at all'),
        (3, 'tick', 1, 'FAILED', '2026-03-05 03:00', '2026-03-05 12:00', '2026-03-05 12:01', NULL, NULL,
            'boom' || chr(10) || 'line 7'),
        (4, 'manual', 1, 'SUCCESS', '2026-03-05 18:00', '2026-03-05 18:00', '2026-03-05 18:01', NULL, NULL, NULL),
        (5, 'backfill', 2, 'SUCCESS', '2026-03-05 18:30', '2026-03-05 18:30', '2026-03-05 18:31', NULL, NULL, NULL)
    ) AS e (id, source, cron_job_id, status, tick, began, ended, count, last, error)
"""
HISTORY = """
    ALTER TABLE job_executions SET (autovacuum_enabled = false);
    INSERT INTO cron_jobs (name, cron_expression, handler_name)
        SELECT 'job ' || n, '* * * * *', 'work' FROM generate_series(1, 20) n;
    INSERT INTO job_executions (source, cron_job_id, handler_name, status, scheduled_at, finished_at)
        SELECT 'tick', n % 20 + 1, 'work', CASE WHEN n % 7 = 0 THEN 'SKIPPED' ELSE 'SUCCESS' END,
               '2026-01-01'::timestamptz + n / 20 * interval '1 min', '2026-02-01'
        FROM generate_series(1, 20000) n;
    ANALYZE;
"""
RANGE = """
    SELECT * FROM cron_job_ticks
    WHERE name = %(name)s AND scheduled_at >= '2026-01-01 10:00+00' AND scheduled_at < '2026-01-01 11:00+00'
"""


@pytest.fixture
def ticks(migrated_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(migrated_url, autocommit=True, options="-c timezone=UTC") as connection:
        connection.execute(SPANS)
        yield connection


@pytest.fixture(scope="module")
def history(postgres_server: ThrowawayPostgres, migrated_template: str) -> Iterator[psycopg.Connection]:
    with (
        postgres_server.fresh_database(migrated_template) as url,
        psycopg.connect(url, autocommit=True) as connection,
    ):
        connection.execute(HISTORY)
        yield connection


def test_each_tick_and_nothing_else(ticks: psycopg.Connection) -> None:
    rows = ticks.execute(
        """SELECT execution_id, status, why, took::text, skipped_count FROM cron_job_ticks
           WHERE name = 'nightly' ORDER BY scheduled_at"""
    ).fetchall()
    assert rows == [
        (1, "SUCCESS", None, "00:04:00", None),
        (2, "SKIPPED", "nobody was planning", None, 3),
        (3, "FAILED", "boom", "00:01:00", None),
    ]


@pytest.mark.parametrize(
    ("at", "found"),
    [
        ("2026-02-28 03:00", None),
        ("2026-03-01 03:00", (True, 1, "SUCCESS", None)),
        ("2026-03-01 03:01", (False, 1, "SUCCESS", None)),
        ("2026-03-03 03:00", (True, 2, "SKIPPED", "nobody was planning")),
        ("2026-03-04 03:00", (True, 2, "SKIPPED", "nobody was planning")),
        ("2026-03-04 04:00", (False, 2, "SKIPPED", "nobody was planning")),
        ("2026-03-05 03:00", (True, 3, "FAILED", "boom")),
        ("2027-01-01 03:00", (False, 3, "FAILED", "boom")),
    ],
)
def test_what_accounts_for_an_instant(ticks: psycopg.Connection, at: str, found: tuple[Any, ...] | None) -> None:
    asked = "SELECT covers, execution_id, status, why FROM cron_job_tick_at('nightly', %s)"
    assert ticks.execute(asked, [at]).fetchone() == found


def test_a_backfilled_tick_is_one(ticks: psycopg.Connection) -> None:
    assert ticks.execute("SELECT status FROM cron_job_tick_at('other')").fetchone() == ("SUCCESS",)


def test_a_range_of_one_cron_job_reads_two_ranges_of_two_indexes(history: psycopg.Connection) -> None:
    for mode in ("custom", "generic"):
        plan = explain(history, RANGE, {"name": "job 7"}, mode=mode).shape
        assert "job_executions" not in plan.read_whole(), plan
        assert plan.indexes() >= {"job_executions_tick", "job_executions_skipped"}, plan
    assert explain(history, RANGE, {"name": "job 7"}, run=True).buffers < 200


def test_without_its_index_the_whole_table_is_read(history: psycopg.Connection) -> None:
    """The broken variant: what the test above would see."""
    with history.transaction(force_rollback=True):
        history.execute("DROP INDEX job_executions_skipped")
        assert explain(history, RANGE, {"name": "job 7"}).shape.read_whole() >= {"job_executions"}


def test_an_instant_costs_the_same_at_the_end_of_a_long_history(history: psycopg.Connection) -> None:
    early, late = (
        explain(history, f"SELECT * FROM cron_job_tick_at('job 7', '{at}')", {}, run=True).buffers
        for at in ("2026-01-01 00:10+00", "2027-01-01 00:00+00")
    )
    assert late < early + 50
