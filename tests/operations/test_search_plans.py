"""How a search goes about many rows: never through the whole table at once, and soon, whatever is asked.

`SCHEDULER_TEST_ROWS=10000000` takes some minutes to make the rows, and prints how long each search takes.
"""

import os
from collections.abc import Iterator
from datetime import timedelta
from statistics import median
from time import monotonic
from typing import Any

import psycopg
import pytest

from scheduler.model import Status
from scheduler.operations.overview import database_time
from scheduler.operations.search import Search, newest
from scheduler.store.session import SyncSession
from scheduler.testing.postgres import ThrowawayPostgres
from tests.store.plans import explain, statement

ROWS = int(os.environ.get("SCHEDULER_TEST_ROWS", "40000"))
MEASURED = ROWS >= 1_000_000
AT_MOST = 1.0
"""Seconds for a page, where it is measured and an index or the newest rows have the answer."""
PATIENCE = 5.0

FILL = """
    ALTER TABLE job_executions SET (autovacuum_enabled = false);
    INSERT INTO cron_jobs (name, cron_expression, handler_name)
        SELECT 'job ' || n, '@hourly', 'report' FROM generate_series(1, 1000) AS n;
    INSERT INTO cron_jobs (name, cron_expression, handler_name)
        VALUES ('seldom', '@daily', 'report'), ('often', '* * * * * *', 'tick');
    INSERT INTO job_executions (source, handler_name, queue, status, cron_job_id, scheduled_at, available_at,
                                created_at, attempt, started_at, finished_at, result, error, claimed_by, claim_token)
    SELECT CASE WHEN cron IS NULL THEN 'enqueue' ELSE 'tick' END,
           CASE WHEN n = {rows} / 100 THEN 'gone' WHEN cron IS NOT NULL THEN 'report' ELSE 'email' END,
           CASE WHEN n % 10 = 4 THEN 'mail' ELSE 'default' END, status, cron, at, at, at, 1, at, at + interval '1 s',
           CASE WHEN status = 'SUCCESS' THEN '{"sent": true, "to": "somebody@example.com"}'::jsonb END,
           CASE WHEN status IN ('FAILED', 'TIMEOUT')
                THEN 'OperationalError: connection to the server timed out' || chr(10) || 'while it was asked for ' || n
                WHEN status = 'SKIPPED' THEN 'an earlier execution was not final' END,
           CASE WHEN status <> 'SKIPPED' THEN '00000000-0000-0000-0000-000000000001'::uuid END,
           CASE WHEN status <> 'SKIPPED' THEN '00000000-0000-0000-0000-000000000002'::uuid END
    FROM (SELECT n, job_now() - ({rows} - n) * (interval '30 days' / {rows}) AS at,
                 CASE WHEN n % 100 = 1 THEN 'FAILED' WHEN n % 1000 = 2 THEN 'TIMEOUT' WHEN n % 500 = 3 THEN 'SKIPPED'
                      WHEN n % 2000 = 5 THEN 'CANCELLED' ELSE 'SUCCESS' END AS status,
                 CASE WHEN n % ({rows} / 25) = 7 THEN 1001 WHEN n % 4 = 0 THEN 1002
                      WHEN n % 4 = 1 THEN n % 1000 + 1 END AS cron
          FROM generate_series(1, {rows}) AS n) AS made;
    INSERT INTO job_executions (handler_name) SELECT 'email' FROM generate_series(1, {rows} / 1000);
"""

Searches = dict[str, Search]


@pytest.fixture(scope="module")
def filled(postgres_server: ThrowawayPostgres, migrated_template: str) -> Iterator[str]:
    """A month of executions, the newest of which still wait."""
    with postgres_server.fresh_database(migrated_template) as url:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(FILL.replace("{rows}", str(ROWS)).encode())
            connection.execute("VACUUM ANALYZE")
        yield url


@pytest.fixture
def session(filled: str) -> Iterator[SyncSession]:
    session = SyncSession(filled, "public", "test")
    yield session
    session.close()


def searches(session: SyncSession) -> Searches:
    now = database_time(session)
    dead = frozenset({Status.FAILED, Status.TIMEOUT})
    return {
        "everything": Search(),
        "waiting": Search(statuses=frozenset({Status.PENDING})),
        "running": Search(statuses=frozenset({Status.RUNNING})),
        "dead": Search(statuses=dead),
        "dead of a handler that is gone": Search(statuses=dead, handler_name="gone"),
        "dead, the last 12 hours": Search(statuses=dead, since=now - timedelta(hours=12)),
        "dead, text that none holds": Search(statuses=dead, since=now - timedelta(days=1), error="no such text"),
        "skipped": Search(statuses=frozenset({Status.SKIPPED})),
        "cancelled": Search(statuses=frozenset({Status.CANCELLED})),
        "a handler of many": Search(handler_name="email"),
        "a queue": Search(queue="mail"),
        "a cron job of few": Search(cron_job="seldom"),
        "a cron job of many": Search(cron_job="often"),
        "a cron job, failed": Search(cron_job="job 2", statuses=dead),
        "a cron job, an hour": Search(
            cron_job="often", since=now - timedelta(days=20), until=now - timedelta(days=20) + timedelta(hours=1)
        ),
        "an hour, three weeks ago": Search(since=now - timedelta(days=21), until=now - timedelta(days=20, hours=23)),
        "before a time": Search(until=now - timedelta(days=29)),
        "text of many": Search(error="timed out"),
        "text, the last day": Search(error="no such text", since=now - timedelta(days=1)),
        "a handler that is gone": Search(handler_name="gone"),
        "text that none holds": Search(error="no such text"),
        "a handler that nobody has": Search(handler_name="nobody"),
    }  # fmt: skip


SLOW = {"a handler that is gone", "text that none holds", "a handler that nobody has", "dead of a handler that is gone"}
"""Where no index helps and little matches: patience bounds them."""


def test_a_page_is_there_soon_whatever_is_asked(session: SyncSession) -> None:
    lasted = {name: sorted(measured(session, search) for _ in range(5 if MEASURED else 1))
              for name, search in searches(session).items()}  # fmt: skip
    if MEASURED:
        print(f"\n{'ms of a page from ' + format(ROWS, ',') + ' rows':<42}{'median':>8}{'worst':>8}")
        for name, seconds in lasted.items():
            print(f"{name:<42}{median(seconds) * 1000:>8.0f}{seconds[-1] * 1000:>8.0f}")
    for name, seconds in lasted.items():
        assert seconds[-1] < (PATIENCE + AT_MOST if name in SLOW else AT_MOST), name


def measured(session: SyncSession, search: Search) -> float:
    began = monotonic()
    newest(session, search, patience=PATIENCE)
    return monotonic() - began


WINDOW: dict[str, Any] = {
    "first": ROWS - 5_000, "last": ROWS, "ids": None, "statuses": None, "handler_name": None, "queue": None,
    "cron_job_id": None, "since": None, "until": None, "error": None, "limit": 20,
}  # fmt: skip


@pytest.mark.parametrize(
    "filters",
    [
        {},
        {"statuses": ["FAILED", "TIMEOUT"]},
        {"statuses": ["PENDING"], "queue": "default"},
        {"cron_job_id": 1001},
        {"handler_name": "gone", "error": "x"},
        {"ids": [*range(ROWS - 3_000, ROWS, 100)], "first": 1},
    ],
    ids=str,
)
def test_a_window_is_read_by_the_primary_key(filled: str, filters: dict[str, Any]) -> None:
    with psycopg.connect(filled, autocommit=True) as connection:
        plan = explain(connection, statement("search_executions"), WINDOW | filters).shape
    assert "job_executions" not in plan.read_whole(), plan
    assert plan.indexes() - {"cron_jobs_pkey"} == {"job_executions_pkey"}, plan


@pytest.mark.parametrize(
    ("name", "values", "indexes"),
    [
        (
            "candidates_by_status",
            {"statuses": [status.value for status in Status], "queue": None, "since": None, "most": 100},
            {"job_executions_claim", "job_executions_claim_keyed", "job_executions_of_worker",
             "job_executions_dead_letters", "job_executions_skipped"},
        ),
        (
            "candidates_by_cron_job",
            {"cron_job_id": 1002, "most": 100},
            {"job_executions_tick", "job_executions_skipped"},
        ),
        ("execution_ids", {"last": None}, {"job_executions_pkey"}),
        ("execution_ids", {"last": 7}, {"job_executions_pkey"}),
        ("first_id_since", {"moment": "2026-01-01"}, {"job_executions_pkey"}),
        ("created_at_or_above", {"id": 7}, {"job_executions_pkey"}),
        ("execution_contents", {"id": 7}, {"job_executions_pkey"}),
        ("one_execution", {"id": 7}, {"job_executions_pkey", "job_executions_of_worker"}),  # or _of_key: nothing runs
        ("execution_states", {"ids": [7, 8]}, {"job_executions_pkey"}),
        ("unique_key_holder", {"id": 7}, {"job_executions_pkey", "job_executions_unique_key"}),
        (
            "act_on_one",
            {"id": 7, "statuses": ["FAILED"], "action": "retry", "reason": None, "params": None},
            {"job_executions_pkey"},
        ),
        (
            "act_on_free",
            {"ids": [*range(500)], "statuses": ["FAILED"], "action": "retry", "reason": None, "params": None},
            {"job_executions_pkey"},
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_no_statement_reads_the_whole_table(filled: str, name: str, values: dict[str, Any], indexes: set[str]) -> None:
    with psycopg.connect(filled, autocommit=True) as connection:
        plan = explain(connection, statement(name), values).shape
    assert "job_executions" not in plan.read_whole(), plan
    found = {index for index in plan.indexes() if index.startswith("job_executions")}
    assert found == indexes, plan


def test_what_waits_is_no_reason_to_read_it(filled: str) -> None:
    """The names of queues come by steps of the index and from the newest rows, not from all of them."""
    with psycopg.connect(filled, autocommit=True) as connection:
        explained = explain(connection, statement("queue_names"), {}, run=True)
    assert "job_executions" not in explained.shape.read_whole()
    assert explained.buffers < 2000


def test_candidates_that_are_too_many_are_not_all_read(filled: str) -> None:
    values = {"statuses": ["FAILED"], "queue": None, "since": None, "most": 50}
    with psycopg.connect(filled, autocommit=True) as connection:
        assert explain(connection, statement("candidates_by_status"), values, run=True).buffers < 300
