"""What a long line behind one full key, as a backfill makes it, costs whoever has nothing to do with it.

The statistics say that nearly every row has that key and that queue, so that a plan which trusts them reads the table.
"""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from scheduler.testing.postgres import ThrowawayPostgres
from tests.store.plans import explain, statement

ROWS = 50_000
FILL = """
    ALTER TABLE job_executions SET (autovacuum_enabled = false);
    INSERT INTO cron_jobs (name, cron_expression, handler_name) SELECT 'job ' || n, '@daily', 'work'
        FROM generate_series(1, 50) AS n;
    INSERT INTO job_executions (source, cron_job_id, handler_name, status, scheduled_at, finished_at)
        SELECT 'tick', job, 'work', CASE WHEN tick > 3 THEN 'FAILED' ELSE 'SUCCESS' END,
               '2026-01-01'::timestamptz + tick * interval '1 day', job_now()
        FROM generate_series(2, 50) AS job, generate_series(1, 5) AS tick;
"""
LINE = """
    INSERT INTO job_executions (source, cron_job_id, handler_name, priority, scheduled_at, concurrency_key)
        SELECT 'backfill', 1, 'work', -1, '2020-01-01'::timestamptz + tick * interval '1 min', 'cron:1'
        FROM generate_series(%s::int, %s::int) AS tick
"""
FULL = """
    INSERT INTO job_executions (source, cron_job_id, handler_name, concurrency_key, status, claimed_by, claim_token,
                                started_at, attempt)
    VALUES ('tick', 1, 'work', 'cron:1', 'RUNNING', gen_random_uuid(), gen_random_uuid(), job_now(), 1)
"""
UNFINISHED = {"keys": ["cron:1", "cron:2"]}
ONE = "SELECT * FROM cron_job_status WHERE name = %(name)s"
COUNTED_BY_EQUALITY = """
    SELECT c.name, e.count FROM cron_jobs c CROSS JOIN LATERAL (
        SELECT count(*) FROM job_executions w WHERE w.concurrency_key = 'cron:' || c.id AND w.status = 'PENDING'
    ) e
"""


MORE_CRON_JOBS = """
    INSERT INTO cron_jobs (name, cron_expression, handler_name) SELECT 'more ' || n, '@daily', 'work'
        FROM generate_series(1, 5000) AS n
"""


@pytest.fixture(scope="module")
def line(postgres_server: ThrowawayPostgres, migrated_template: str) -> Iterator[psycopg.Connection]:
    with (
        postgres_server.fresh_database(migrated_template) as url,
        psycopg.connect(url, autocommit=True) as connection,
    ):
        for query in (FILL, FULL):
            connection.execute(query)
        connection.execute(LINE, [1, ROWS])
        connection.execute("ANALYZE")
        yield connection


def growth(connection: psycopg.Connection, text: str, values: dict[str, Any]) -> tuple[int, int]:
    """The pages that it touches, and those that it touches once the line is twice as long."""

    def touched() -> int:
        return min(explain(connection, text, values, run=True).buffers for _ in range(2))

    before = touched()
    with connection.transaction(force_rollback=True):
        connection.execute(LINE, [ROWS + 1, 2 * ROWS])
        connection.execute("ANALYZE job_executions")
        return before, touched()


@pytest.mark.parametrize("behind", [False, True], ids=["nothing to claim", "something behind"])
def test_a_claim_by_function(line: psycopg.Connection, behind: bool) -> None:
    with line.transaction(force_rollback=True):
        (worker,) = line.execute("SELECT register_worker('w')").fetchone() or (None,)
        if behind:
            line.execute("SELECT enqueue_job('a', concurrency_key => 'k', priority => -2) FROM generate_series(1, 20)")
        text = "SELECT * FROM claim_jobs(%(worker)s, 'default', 10)"
        before, after = growth(line, text, {"worker": worker})
        assert after < before * 1.5 + 100 < ROWS / 10  # a level more of the index, for each of the first 510 rows
        line.execute("SET LOCAL plan_cache_mode = force_generic_plan")
        claimed = line.execute("SELECT * FROM claim_jobs(%s, 'default', 10)", [worker]).fetchall()
        assert len(claimed) == behind


def test_what_a_tick_asks(line: psycopg.Connection) -> None:
    for mode in ("custom", "generic"):
        assert explain(line, statement("unfinished"), UNFINISHED, mode=mode).shape.indexes() == {
            "job_executions_of_key"
        }
    before, after = growth(line, statement("unfinished"), UNFINISHED)
    assert after < before + 10 < 100


def test_the_status_of_all_cron_jobs_and_of_queues(line: psycopg.Connection) -> None:
    for view in ("cron_job_status", "job_queue_status"):
        plan = explain(line, f"SELECT * FROM {view}", {}).shape
        assert "job_executions" not in plan.read_whole(), plan
    last = "SELECT last_status, failures_in_a_row, running, waiting FROM cron_job_status WHERE name = %s"
    assert line.execute(last, ["job 2"]).fetchall() == [("FAILED", 2, 0, 0)]
    assert line.execute(last, ["job 1"]).fetchall() == [(None, 0, 1, ROWS)]
    counts = "SELECT queue, waiting, delayed, running FROM job_queue_status"
    assert line.execute(counts).fetchall() == [("default", ROWS, 0, 1)]


def test_by_equality_of_the_key_the_whole_table_would_be_read(line: psycopg.Connection) -> None:
    """The broken variant: what the test above would see."""
    assert explain(line, COUNTED_BY_EQUALITY, {}).shape.read_whole() >= {"job_executions"}


def test_the_status_of_another_cron_job(line: psycopg.Connection) -> None:
    before, after = growth(line, ONE, {"name": "job 2"})
    assert after < before + 10 < 100


@pytest.mark.parametrize("name", ["one_cron_job", "cron_jobs_named", "next_ticks_of_cron_jobs", "cron_job_to_skip"])
def test_one_cron_job_costs_the_same_among_many(line: psycopg.Connection, name: str) -> None:
    values = {"name": "job 2", "names": ["job 2"]}
    before = min(explain(line, statement(name), values, run=True).buffers for _ in range(2))
    with line.transaction(force_rollback=True):
        line.execute(MORE_CRON_JOBS)
        line.execute("ANALYZE cron_jobs")
        assert explain(line, statement(name), values, run=True).buffers < before + 10 < 60


def test_the_last_outcome_is_looked_for_among_ten_thousand(line: psycopg.Connection) -> None:
    text = "SELECT last_status, failures_in_a_row FROM cron_job_status WHERE name = %(name)s"
    before, after = growth(line, text, {"name": "job 1"})
    assert after < before * 1.2 + 100
