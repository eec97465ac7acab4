"""EXPLAIN of the line's statements on a backlog: these indexes, never a whole table, the same plan custom and generic.

`SCHEDULER_TEST_ROWS` says how many rows wait, are delayed and are final, each; at least 20,000.
"""

import os
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from scheduler.testing.postgres import ThrowawayPostgres
from tests.store.plans import FILL, explain, statement, usual_values

ROWS = int(os.environ.get("SCHEDULER_TEST_ROWS", "20000"))
BIG = {"job_executions", "cron_jobs", "job_messages"}
KEYED = {"job_executions_claim_keyed", "job_executions_claim", "job_executions_of_key", "job_executions_pkey"}
INDEXES = {
    "claim": {"job_executions_claim", "job_executions_claim_keyed"},
    "any_keyed": {"job_executions_claim_keyed"},
    "lock_keyed": KEYED,
    "lock_keyed_behind": KEYED,
    "claim_keyed": {"job_executions_of_key", "job_executions_pkey"},
    "find_claimed": {"job_executions_of_worker"},
    "next_available": {"job_executions_claim", "job_executions_claim_keyed"},
    "held_up": {"job_executions_claim", "job_executions_claim_keyed", "job_executions_of_worker"},
    "settle_success": {"job_executions_pkey"},
    "settle_other": {"job_executions_pkey"},
    "read_claims": {"job_executions_pkey"},
    "hold_back": {"job_executions_pkey"},
    "let_go": {"job_executions_pkey"},
    "write_progress": {"job_executions_pkey"},
    "release": {"job_executions_pkey"},
    "cancels_asked": {"job_executions_of_worker"},
    "held": {"job_executions_of_worker"},
    "rescue": {"job_executions_of_worker", "job_executions_pkey"},
    "lift": {"job_executions_claim", "job_executions_claim_keyed", "job_executions_pkey"},
    "lock_due": {"cron_jobs_plan", "job_executions_skipped"},
    "next_tick": {"cron_jobs_plan", "cron_jobs_resume"},
    "resume_ended": {"cron_jobs_pkey", "cron_jobs_resume"},
    "unfinished": {"job_executions_of_key"},
    "message_room": {"job_executions_of_key", "job_executions_claim", "job_executions_claim_keyed"},
    "take_messages": {"job_messages_pkey"},
    "consumer_counts": {"job_executions_of_key"},
    "prune_look": {"job_executions_pkey", "job_executions_tick", "cron_jobs_pkey"},
    "prune_count": {"job_executions_pkey"},
    "prune_bound": {"job_executions_pkey"},
    "prune_delete": {"job_executions_pkey"},
    "bench_use": {"job_executions_claim", "job_executions_claim_keyed"},
}
RUNNING_KEY = """
    INSERT INTO job_executions (handler_name, concurrency_key, status, claimed_by, claim_token, started_at, attempt)
    VALUES ('work', 'busy', 'RUNNING', gen_random_uuid(), gen_random_uuid(), job_now(), 1)
"""
LONG_LINE = """
    INSERT INTO job_executions (handler_name, concurrency_key, priority)
    SELECT 'work', 'busy', 5 FROM generate_series(1, 20000)
"""
SMALL = {"job_workers_pkey", "job_queues_pkey", "job_transactions_unsettled"}
LIMITED = """
    INSERT INTO job_queues (name, max_running, key_limit, rate_limit, rate_period_seconds)
    VALUES ('default', 1000000, 2, 1000000, 1)
"""
SCANS = "SELECT seq_scan FROM pg_stat_xact_user_tables WHERE relname = 'job_executions'"
FREE = {"find_claimed", "cancels_asked", "held", "unfinished", "take_messages", "message_room"}
"""One index each, of which some rows or many may come: the server may go through it either way."""
BROKEN = {
    "settle_success": [("e.status = expected.status", "e.status = 'RUNNING'")],
    "lock_due": [("u.next_run_at IS NULL", "(u.next_run_at IS NULL OR u.next_run_at <= (SELECT now()))")],
}

Values = dict[str, Any]


@pytest.fixture(scope="module")
def filled(postgres_server: ThrowawayPostgres, migrated_template: str) -> Iterator[psycopg.Connection]:
    """A backlog whose statistics are those of an idle hour: when they were taken, nothing was running."""
    with (
        postgres_server.fresh_database(migrated_template) as url,
        psycopg.connect(url, autocommit=True) as connection,
    ):
        connection.execute(FILL.replace("{rows}", str(ROWS)).encode())
        connection.execute("VACUUM ANALYZE")
        yield connection


@pytest.fixture(scope="module")
def values(filled: psycopg.Connection) -> Values:
    return usual_values(filled)


def given(name: str, values: Values) -> Values:
    ids = {"claim_keyed": "keyed_ids", "take_messages": "message_ids"}.get(name, "ids")
    return values | {"ids": values[ids]}


def check(name: str, connection: psycopg.Connection, values: Values, text: str | None = None) -> None:
    """The plan is as it should be."""
    plans = [
        explain(connection, text or statement(name), given(name, values), mode=mode).shape
        for mode in ("custom", "generic")
    ]
    for plan in plans:
        assert not plan.read_whole() & BIG, plan
        assert plan.indexes() - SMALL == INDEXES[name], plan
    assert name in FREE or plans[0] == plans[1]


@pytest.mark.parametrize("name", INDEXES)
def test_the_plan_with_the_statistics_of_an_idle_hour(name: str, filled: psycopg.Connection, values: Values) -> None:
    check(name, filled, values)


@pytest.mark.parametrize("name", INDEXES)
def test_the_plan_with_the_statistics_of_a_busy_hour(name: str, filled: psycopg.Connection, values: Values) -> None:
    with filled.transaction(force_rollback=True):
        filled.execute("ANALYZE job_executions")
        check(name, filled, values)


def test_running_rows_are_not_read_once_for_each_of_a_batch(filled: psycopg.Connection, values: Values) -> None:
    """What the form of settle_success is for: the cost of one more outcome is that of one more row."""
    for name in ("settle_success", "settle_other"):
        many = explain(filled, statement(name), values, run=True).buffers
        half = {key: value[:250] if isinstance(value, list) else value for key, value in values.items()}
        few = explain(filled, statement(name), half, run=True).buffers
        assert many < 3 * few


@pytest.mark.parametrize(
    "name", ["claim", "lock_keyed", "lock_keyed_behind", "claim_limited", "held_up", "next_available", "lock_due"]
)
def test_the_cost_does_not_grow_with_what_is_not_taken(name: str, filled: psycopg.Connection, values: Values) -> None:
    before, after = growth(filled, statement(name), values)
    assert after < before * 1.5 + 100


@pytest.mark.parametrize("mode", ["custom", "generic"])
@pytest.mark.parametrize("keys", ["", "waiting"])
def test_a_claim_from_a_queue_with_limits_reads_no_whole_table(
    filled: psycopg.Connection, values: Values, mode: str, keys: str
) -> None:
    """Its statements are within job_claim(), where EXPLAIN doesn't look: the server counts what they do."""
    with filled.transaction(force_rollback=True):
        filled.execute(f"SET LOCAL plan_cache_mode = force_{mode}_plan".encode())
        filled.execute(LIMITED)
        filled.execute("UPDATE job_workers SET heartbeat_at = job_now()")
        if not keys:
            filled.execute("UPDATE job_executions SET status = 'CANCELLED', finished_at = job_now() WHERE priority = 2")
        before = filled.execute(SCANS).fetchone()
        taken = filled.execute(statement("claim_limited"), values | {"n": 20}).fetchall()
        after = filled.execute(SCANS).fetchone()
    assert len(taken) == 20
    assert before == after


def test_a_volatile_bound_would_read_all_that_is_delayed(filled: psycopg.Connection, values: Values) -> None:
    bound, none = 'w.available_at <= (SELECT "public".job_now())', 'w.available_at <= "public".job_now()'
    sound = statement("claim")
    assert bound in sound
    few = values | {"n": 20, "no_keys": False}
    cost, worse = (explain(filled, text, few, run=True).buffers for text in (sound, sound.replace(bound, none)))
    assert worse > 3 * cost


@pytest.mark.parametrize("name", ["lock_keyed", "lock_keyed_behind"])
def test_the_cost_does_not_grow_with_the_line_behind_a_full_key(
    name: str, filled: psycopg.Connection, values: Values
) -> None:
    costs = []
    with filled.transaction(force_rollback=True):
        filled.execute(RUNNING_KEY)
        for _ in range(2):
            filled.execute(LONG_LINE)
            filled.execute("ANALYZE job_executions")
            costs.append(explain(filled, statement(name), values | {"n": 20}, run=True).buffers)
    assert costs[1] < costs[0] * 1.2 + 100


def growth(connection: psycopg.Connection, text: str, values: Values) -> tuple[int, int]:
    """The pages that a statement touches, before and after many rows came that it has nothing to do with."""

    def cost() -> int:
        return min(explain(connection, text, values | {"n": 20, "no_keys": False}, run=True).buffers for _ in range(2))

    before = cost()
    with connection.transaction(force_rollback=True):
        connection.execute("""
            INSERT INTO job_executions (handler_name, priority, available_at, concurrency_key)
                SELECT 'work', 9, job_now() + n * interval '1 hour', nullif('key ' || mod(n, 3), 'key 0')
                FROM generate_series(1, 5000) AS n;
            INSERT INTO job_executions (handler_name, status, finished_at)
                SELECT 'work', 'CANCELLED', job_now() FROM generate_series(1, 5000);
            INSERT INTO cron_jobs (name, handler_name, cron_expression)
                SELECT 'later ' || n, 'work', '@daily' FROM generate_series(1, 2000) AS n;
            UPDATE cron_jobs SET next_run_at = 'infinity', planned_until = job_now() - interval '1 s'
            WHERE name LIKE 'later %'""")
        return before, cost()


@pytest.mark.parametrize("name", BROKEN)
def test_a_form_that_plans_worse_is_noticed(name: str, filled: psycopg.Connection, values: Values) -> None:
    text = statement(name)
    for part, instead in BROKEN[name]:
        assert part in text
        text = text.replace(part, instead)
    with pytest.raises(AssertionError):
        check(name, filled, values, text)
