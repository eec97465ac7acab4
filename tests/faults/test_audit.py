"""The judge is judged: each invariant finds its own violation, made by hand."""

from collections.abc import Iterator
from typing import Any, LiteralString

import psycopg
import pytest

from tests.faults import audit

# A row of some worker, running, and final; written as a worker's statements would.
ROW = "INSERT INTO job_executions (handler_name, max_retry) VALUES ('x', 2)"
CLAIM = """
UPDATE job_executions
SET status = 'RUNNING', attempt = attempt + 1, started_at = job_now(),
    claimed_by = gen_random_uuid(), claim_token = gen_random_uuid()
"""
SUCCEED = """UPDATE job_executions SET status = 'SUCCESS', finished_at = job_now(), result = '{"attempt": 1}'"""
REOPEN = "UPDATE job_executions SET status = 'PENDING', finished_at = NULL, claimed_by = NULL, claim_token = NULL"
TICK = """
INSERT INTO job_executions (source, cron_job_id, handler_name, scheduled_at) VALUES ('tick', 1, 'x', '2026-01-01Z')
"""
KEYED = "INSERT INTO job_executions (handler_name, concurrency_key) VALUES ('x', 'k')"
UNTIED = "ALTER TABLE job_executions DROP CONSTRAINT job_executions_waiting_check"

VIOLATIONS: dict[str, list[LiteralString]] = {
    "I1": [ROW, CLAIM, SUCCEED, REOPEN, CLAIM, SUCCEED],
    "I2": [ROW, CLAIM, SUCCEED, REOPEN],
    "I3": [ROW, SUCCEED],
    "I4": [ROW, CLAIM, "UPDATE job_executions SET attempt = 0"],
    "I5": [ROW, CLAIM, SUCCEED, "UPDATE job_executions SET attempt = 2"],
    "I6": ["DROP INDEX job_executions_tick", TICK, TICK],
    "I7": [ROW, "UPDATE job_executions SET retry_count = 3"],
    "I8": [ROW, CLAIM],
    "I9": [UNTIED, ROW, CLAIM, "UPDATE job_executions SET status = 'PENDING'"],
    "I16": [ROW],
    "S30": [KEYED, KEYED, CLAIM],
}  # fmt: skip


@pytest.fixture
def connection(migrated_url: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(migrated_url, autocommit=True) as connection:
        audit.install(connection)
        yield connection


def test_an_ordinary_life_violates_nothing(connection: psycopg.Connection[Any]) -> None:
    for statement in (KEYED, CLAIM, SUCCEED, TICK, "DELETE FROM job_executions WHERE source = 'tick'"):
        connection.execute(statement)
    assert audit.violations(connection) == {}


@pytest.mark.parametrize("name", VIOLATIONS)
def test_each_violation_is_found(connection: psycopg.Connection[Any], name: str) -> None:
    for statement in VIOLATIONS[name]:
        connection.execute(statement)
    assert name in audit.violations(connection)


def test_a_forgotten_transaction_of_the_core_is_found(connection: psycopg.Connection[Any], migrated_url: str) -> None:
    question = audit.INVARIANTS["I14"].replace("interval '5 s'", "interval '0 s'")
    with psycopg.connect(migrated_url, application_name="scheduler claim") as forgetful:
        assert connection.execute(question.encode()).fetchall() == []
        forgetful.execute("SELECT 1")
        assert connection.execute(question.encode()).fetchall() == [("scheduler claim",)]


def test_every_invariant_has_its_violation() -> None:
    assert audit.INVARIANTS.keys() == VIOLATIONS.keys() | {"I14"}
