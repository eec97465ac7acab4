"""Rows that wait for a later time at a higher priority cost a claim nothing.

`SCHEDULER_TEST_ROWS=1000000` for a million of them.
"""

import os
from typing import LiteralString

import psycopg

from scheduler.clock import monotonic
from scheduler.testing.postgres import ThrowawayPostgres
from tests.store.plans import explain, statement, usual_values

ROWS = int(os.environ.get("SCHEDULER_TEST_ROWS", "20000"))
WAITING: LiteralString = "INSERT INTO job_executions (handler_name) SELECT 'work' FROM generate_series(1, 2000)"
DELAYED: LiteralString = """
    INSERT INTO job_executions (handler_name, priority, available_at)
    SELECT 'work', 9, job_now() + interval '1 hour' + n * interval '1 ms' FROM generate_series(1, %s) AS n
"""
TAKEN = 10


STATEMENTS = {name: statement(name) for name in ("claim", "lock_keyed", "lock_keyed_behind", "next_available")}
STATEMENTS["claim_jobs"] = "SELECT * FROM claim_jobs(%(worker)s, 'default', %(n)s)"


def test_what_is_delayed_at_a_higher_priority_costs_a_claim_nothing(
    postgres_server: ThrowawayPostgres, migrated_template: str
) -> None:
    with (
        postgres_server.fresh_database(migrated_template) as url,
        psycopg.connect(url, autocommit=True) as connection,
    ):
        connection.execute("ALTER TABLE job_executions SET (autovacuum_enabled = false)")
        connection.execute(WAITING)
        values = {**usual_values(connection), "n": TAKEN}
        connection.execute("VACUUM ANALYZE job_executions")
        before = {name: cost(connection, text, values) for name, text in STATEMENTS.items()}
        connection.execute(DELAYED, [ROWS])
        connection.execute("VACUUM ANALYZE job_executions")
        after = {name: cost(connection, text, values) for name, text in STATEMENTS.items()}
    for name in STATEMENTS:
        (pages, seconds), (more, longer) = before[name], after[name]
        print(f"{name}, {ROWS} delayed: {pages} -> {more} pages, {seconds * 1000:.2f} -> {longer * 1000:.2f} ms")
    for name in STATEMENTS:
        assert after[name][0] <= before[name][0] * 1.5 + 50, name  # the index is a level or two deeper


def cost(connection: psycopg.Connection, text: str, values: dict[str, object]) -> tuple[int, float]:
    """Pages touched and seconds taken, the least of some."""
    looks = []
    for _ in range(5):
        began = monotonic()
        looks.append((explain(connection, text, values, run=True).buffers, monotonic() - began))
    return min(pages for pages, _ in looks), min(seconds for _, seconds in looks)
