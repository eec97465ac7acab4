"""Each recipe of docs/sql.md, run on sample.sql: what it answers, or what it leaves behind."""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from scheduler.store.migration import migrate
from scheduler.testing.postgres import ThrowawayPostgres
from scheduler.testing.sql_page import Recipe, recipes
from tests.schema.asking import value

SAMPLE = Path(__file__).with_name("sample.sql")

Rows = Sequence[Mapping[str, Any]]

ANSWERS: Mapping[str, Rows] = {
    "What failed last night, and why?": [
        {"id": 9, "handler_name": "sync", "status": "TIMEOUT", "why": "took longer than 300 s"},
        {"id": 7, "handler_name": "email", "status": "FAILED", "attempt": 2, "why": "TimeoutError: timed out"},
    ],
    "Where in my code did it fail?": [
        {"attempt": 1, "outcome": "failure", "error": "OSError: no route", "traceback": "line 1"},
        {"attempt": 2, "outcome": "failure", "error": "TimeoutError: timed out", "traceback": "line 2"},
    ],
    "Retry all of that": [{"id": 7, "retry_job": "PENDING"}],
    "What runs now?": [{"id": 8, "handler_name": "import", "progress": 0.4, "worker": "web-1:7"}],
    "What is late?": [{"name": "late"}],
    "What waits, for how long, and what for?": [
        {"id": 20, "what_for": "its turn"},
        {"id": 21, "what_for": "another one with its concurrency_key"},
        {"id": 22, "what_for": "its time, 2999-01-01 00:00:00+00"},
        {"id": 23, "what_for": "its next try at 2999-01-02 00:00:00+00"},
        {"id": 24, "what_for": "no worker serves the queue"},
        {"id": 25, "what_for": "the queue is paused: until the fair is over"},
    ],
    "Why didn't it run?": [
        {
            "covers": True, "status": "SKIPPED", "why": "overlap with execution 10, which has not finished",
            "execution_id": 11, "enabled": True, "invalid_reason": None,
        },
    ],
    "What became of each tick?": [
        {"execution_id": 10, "status": "SUCCESS", "why": None},
        {"execution_id": 11, "status": "SKIPPED", "why": "overlap with execution 10, which has not finished"},
    ],
    "What will run next?": [{"name": "late"}, {"name": "nightly"}],
    "Which cron jobs are broken?": [
        {"name": "broken", "invalid_reason": "The minute field '61' is out of range: use 0 to 59."}
    ],
    "How long does it take?": [
        {"handler_name": "work", "successes": 3, "p50": Decimal("2.000"), "p95": Decimal("2.900"), "longest": 3},
        {"handler_name": "report", "successes": 1, "p50": Decimal("2.000")},
        {"handler_name": "sync", "successes": 1, "p50": Decimal("0.000")},
    ],
    "Who is working?": [{"name": "web-1:7", "status": "ACTIVE", "state": "active", "busy": "1 of 5"}],
    "How full are the queues?": [
        {"queue": "default", "waiting": 2, "delayed": 2, "running": 1, "workers": 1},
        {"queue": "lonely", "waiting": 1, "delayed": 0, "running": 0, "workers": 0},
        {"queue": "mail", "waiting": 0, "delayed": 0, "running": 0, "workers": 1},
        {"queue": "quiet", "paused": True, "waiting": 1},
    ],
    "Run it now": [{"run_cron_job": 101}],
    "Stop one execution": [{"cancel_job": "RUNNING"}],
    "Stop a queue for an hour": [{"pause_queue": ""}],
    "Let a queue go on": [{"resume_queue": ""}],
    "Let no more than seven of a queue run at once": [{"limit_queue": ""}],
    "Add a cron job": [],
    "Change a schedule": [{"name": "nightly", "next_run_at": None, "invalid_reason": None}],
    "Pause a cron job": [{"pause_cron_job": ""}],
    "Remove a cron job": [],
    "Enqueue in a transaction of my own": [{"enqueue_job": 101}],
    "Enqueue it at most once": [{"enqueue_job": 101}],
    "One at a time for each customer": [{"enqueue_job": 101}],
    "Which executions had these params?": [{"id": 7, "status": "FAILED"}],
    "Clean up by hand": [],
}  # fmt: skip

LEAVES_BEHIND: Mapping[str, str] = {
    "Retry all of that": "SELECT status = 'PENDING' AND retry_count = 0 FROM job_executions WHERE id = 7",
    "Run it now": "SELECT source = 'manual' AND concurrency_key = 'cron:1' FROM job_executions WHERE id = 101",
    "Stop one execution": "SELECT cancel_reason = 'wrong customer' FROM job_executions WHERE id = 8",
    "Stop a queue for an hour": "SELECT paused AND resume_at > now() FROM job_queue_status WHERE queue = 'mail'",
    "Let a queue go on": "SELECT count(*) = 1 FROM job_queues",
    "Let no more than seven of a queue run at once": "SELECT max_running = 7 FROM job_queues WHERE name = 'mail'",
    "Add a cron job": "SELECT count(*) = 1 FROM cron_jobs WHERE name = 'weekly' AND id = 101",
    "Change a schedule": "SELECT cron_expression = '30 2 * * *' FROM cron_jobs WHERE name = 'nightly'",
    "Pause a cron job": "SELECT NOT enabled FROM cron_jobs WHERE name = 'nightly'",
    "Remove a cron job": "SELECT count(*) = 2 FROM job_executions WHERE cron_job_id = 1",
    "Enqueue in a transaction of my own": "SELECT count(*) = 1 FROM orders, job_executions e WHERE e.id = 101",
    "Enqueue it at most once": "SELECT enqueue_job('invoice', unique_key => 'invoice 2026-03') = 101",
    "One at a time for each customer": "SELECT concurrency_limit IS NULL FROM job_executions WHERE id = 101",
    "Clean up by hand": "SELECT min(id) > 1 AND count(*) > 10 FROM job_executions",
}


@pytest.fixture(scope="module")
def sample(postgres_server: ThrowawayPostgres) -> str:
    """A template with the sample's rows; moments are counted from when it was made."""

    def fill(url: str) -> None:
        migrate(url)
        with psycopg.connect(url) as connection:
            connection.execute(SAMPLE.read_bytes())

    return postgres_server.template("recipes", fill)


@pytest.fixture
def morning(postgres_server: ThrowawayPostgres, sample: str) -> Iterator[psycopg.Connection]:
    with (
        postgres_server.fresh_database(sample) as url,
        psycopg.connect(url, autocommit=True, options="-c timezone=UTC") as connection,
    ):
        yield connection


def answered(connection: psycopg.Connection, recipe: Recipe) -> list[dict[str, Any]]:
    """The rows of its last statement that has any; typed in as it stands."""
    rows: list[dict[str, Any]] = []
    with connection.cursor(row_factory=dict_row) as cursor:
        cursor.execute(recipe.sql.encode())
        for result in cursor.results():
            rows = result.fetchall() if result.description else rows
    return rows


@pytest.mark.parametrize("recipe", recipes(), ids=lambda recipe: recipe.anchor)
def test_recipe(morning: psycopg.Connection, recipe: Recipe) -> None:
    rows, expected = answered(morning, recipe), ANSWERS[recipe.title]
    told = [{name: row[name] for name in wanted} for row, wanted in zip(rows, expected, strict=True)]
    assert told == expected
    if state := LEAVES_BEHIND.get(recipe.title):
        with morning.cursor() as cursor:
            assert cursor.execute(state.encode()).fetchone() == (True,)


def test_every_answer_is_that_of_a_recipe() -> None:
    found = [recipe.title for recipe in recipes()]
    assert sorted(found) == sorted(ANSWERS)
    assert LEAVES_BEHIND.keys() <= ANSWERS.keys()
    assert len({recipe.anchor for recipe in recipes()}) == len(found)


def test_what_only_asks_changes_nothing(morning: psycopg.Connection) -> None:
    asks = [recipe for recipe in recipes() if recipe.title not in LEAVES_BEHIND]
    assert len(asks) > 10
    with morning.transaction(force_rollback=True):
        morning.execute("SET TRANSACTION READ ONLY")
        for recipe in asks:
            answered(morning, recipe)
        assert value(morning, "SELECT pg_current_xact_id_if_assigned() IS NULL")
