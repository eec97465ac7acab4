"""EXPLAIN of the doctor's statements on a backlog: no table of executions or cron ticks is ever read whole."""

import os
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import psycopg
import pytest

from scheduler.testing.postgres import ThrowawayPostgres
from tests.store.plans import FILL, explain, statement, usual_values

ROWS = int(os.environ.get("SCHEDULER_TEST_ROWS", "20000"))
INDEXES = {
    "doctor_abandoned": {"job_executions_of_worker"},
    "doctor_overdue": {"job_executions_of_worker"},
    "doctor_workers": {"job_executions_of_worker"},
    "doctor_waiting": {"job_executions_claim", "job_executions_claim_keyed"},
    "doctor_limits": {"job_executions_claim", "job_executions_claim_keyed", "job_executions_of_worker"},
    "doctor_waiting_handlers": {"job_executions_claim", "job_executions_claim_keyed"},
    "doctor_failed_handlers": {"job_executions_dead_letters"},
    "doctor_never": {"job_executions_skipped"},
    "doctor_streaks": {"job_executions_tick", "job_executions_pkey"},
}
SMALL = {"job_workers_pkey", "cron_jobs_plan", "cron_jobs_pkey"}
VALUES: dict[str, Any] = {"seconds": 60.0, "known": ["email"], "beginning": "No handler"}
PAGES = 3_000
"""What a statement may touch, with each level of each queue probed and a thousand rows read at random."""


@pytest.fixture(scope="module")
def filled(postgres_server: ThrowawayPostgres, migrated_template: str) -> Iterator[psycopg.Connection]:
    with (
        postgres_server.fresh_database(migrated_template) as url,
        psycopg.connect(url, autocommit=True) as connection,
    ):
        connection.execute(FILL.replace("{rows}", str(ROWS)).encode())
        connection.execute("VACUUM ANALYZE")
        connection.execute(
            "INSERT INTO job_queues (name, max_running, rate_limit, rate_period_seconds, max_pending)"
            " VALUES ('default', 7, 5, 1, 1000)"
        )
        usual_values(connection)
        yield connection


@pytest.mark.parametrize("name", INDEXES)
def test_it_goes_by_the_index(name: str, filled: psycopg.Connection) -> None:
    for mode in ("custom", "generic"):
        plan = explain(filled, statement(name), VALUES, mode=mode).shape
        assert "job_executions" not in plan.read_whole(), plan
        assert plan.indexes() - SMALL <= INDEXES[name], plan


@pytest.mark.parametrize("name", INDEXES)
def test_its_cost_is_bounded(name: str, filled: psycopg.Connection) -> None:
    """By a number, and by the size of cron_jobs, which people write by hand."""
    size = filled.execute("SELECT pg_table_size('cron_jobs') / current_setting('block_size')::integer").fetchone()
    assert size is not None
    assert explain(filled, statement(name), VALUES, run=True).buffers < PAGES + size[0]


def test_decisions_that_are_settled_are_not_read(filled: psycopg.Connection) -> None:
    filled.execute(
        "INSERT INTO job_transactions (gid, decision, settled_at)"
        " SELECT 'sched:' || n, 'COMMIT', CASE WHEN n > 10 THEN job_now() END FROM generate_series(1, 20000) AS n"
    )
    filled.execute("VACUUM ANALYZE job_transactions")
    plan = explain(filled, statement("doctor_undelivered"), VALUES).shape
    assert plan.indexes() == {"job_transactions_unsettled"}, plan


def test_every_statement_on_executions_is_looked_at() -> None:
    text = files("scheduler.store").joinpath("doctor.sql").read_text()
    parts = text.split("-- name: ")[1:]
    assert {part.split()[0] for part in parts if "job_executions AS" in part} == set(INDEXES)
