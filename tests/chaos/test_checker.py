"""The judge is judged: what the chaos adds to the audit's invariants finds its own violation, made by hand."""

from collections.abc import Iterator
from dataclasses import dataclass

import psycopg
import pytest

from scheduler.testing.postgres import ThrowawayPostgres
from tests.chaos.checker import _OF_THE_CHAOS, CLAIMS, INVARIANTS, judged
from tests.chaos.workload import Workload
from tests.faults import audit

RAN = """
INSERT INTO job_executions (id, handler_name, status, attempt, claim_token, claimed_by, started_at)
VALUES (1, 'in_task', 'RUNNING', 1, gen_random_uuid(), gen_random_uuid(), job_now())
"""
PAIRED = RAN.replace("in_task", "paired")
SUCCEED = """UPDATE job_executions SET status = 'SUCCESS', finished_at = job_now(), result = '{"attempt": 1}'"""
FAIL = "UPDATE job_executions SET status = 'FAILED', finished_at = job_now()"
REOPEN = "SELECT retry_job(1)"
CANCEL = "SELECT cancel_job(1)"
BEGAN = "INSERT INTO begun VALUES (1, 1)"
WROTE = "INSERT INTO paired VALUES (1)"
# Ten seconds of ticks, on whole seconds.
CRON_JOB = """
INSERT INTO cron_jobs (id, name, cron_expression, handler_name, created_at)
VALUES (1, 'each', '*/2 * * * * *', 'in_task', '2026-01-01 00:00:00Z');
INSERT INTO chaos.horizon VALUES (1, '2026-01-01 00:00:10Z')
"""
TICKS = """
INSERT INTO job_executions (source, cron_job_id, handler_name, scheduled_at, status, finished_at)
SELECT 'tick', 1, 'in_task', at, 'CANCELLED', at
FROM generate_series('2026-01-01 00:00:02Z', '2026-01-01 00:00:04Z', interval '2 s') AS at
"""
SPAN = """
INSERT INTO job_executions
    (source, cron_job_id, handler_name, scheduled_at, status, finished_at, skipped_count, skipped_until)
VALUES ('tick', 1, 'in_task', '2026-01-01 00:00:{}Z', 'SKIPPED', job_now(), 1, '2026-01-01 00:00:10Z')
"""


@dataclass(frozen=True, slots=True)
class Case:
    here: tuple[str, ...] = ()
    elsewhere: tuple[str, ...] = ()


SOUND: dict[str, Case] = {
    "a success": Case((RAN, SUCCEED), (BEGAN,)),
    "a transactional one": Case((PAIRED, SUCCEED, WROTE), (WROTE,)),
    "a failure returned by the operator": Case(
        (RAN, FAIL, "INSERT INTO chaos.retried (execution_id) VALUES (1)", REOPEN, CANCEL), (BEGAN,)
    ),
    "ticks that ran, and a span of others": Case((CRON_JOB, TICKS, SPAN.format("06"))),
}
VIOLATIONS: dict[str, Case] = {
    "I2": Case((RAN, FAIL, REOPEN, CANCEL)),
    "I6b": Case((CRON_JOB, TICKS, SPAN.format("08"))),
    "I10": Case((PAIRED, FAIL, WROTE)),
    "I11": Case((PAIRED, SUCCEED, WROTE)),
    "I12": Case((PAIRED, SUCCEED, WROTE, WROTE), (WROTE,)),
    "I13": Case(("BEGIN", "SELECT 1", "PREPARE TRANSACTION 'left'")),
    "E1": Case((RAN, SUCCEED)),
    "E2": Case((RAN, FAIL), (BEGAN, BEGAN)),
}


@pytest.fixture
def business_url(postgres_server: ThrowawayPostgres) -> Iterator[str]:
    with postgres_server.fresh_database() as url:
        yield url


@pytest.fixture
def urls(migrated_url: str, business_url: str) -> tuple[str, str]:
    with psycopg.connect(migrated_url, autocommit=True) as connection:
        audit.install(connection)
    Workload(migrated_url, 0).prepare(business_url)
    return migrated_url, business_url


def violated(urls: tuple[str, str], case: Case) -> set[str]:
    for url, statements in zip(urls, (case.here, case.elsewhere), strict=True):
        with psycopg.connect(url, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())
    return {verdict.invariant for verdict in judged(*urls) if not verdict.holds}


@pytest.mark.parametrize("name", SOUND)
def test_what_is_sound_violates_nothing(urls: tuple[str, str], name: str) -> None:
    assert violated(urls, SOUND[name]) == set()


@pytest.mark.parametrize("name", VIOLATIONS)
def test_each_violation_is_found(urls: tuple[str, str], name: str) -> None:
    assert violated(urls, VIOLATIONS[name]) == {name}


def test_every_invariant_is_judged_and_has_its_violation() -> None:
    assert INVARIANTS.keys() == CLAIMS.keys()
    assert _OF_THE_CHAOS.keys() == VIOLATIONS.keys()
