"""States that a row can't be in are refused by the tables themselves, whoever writes."""

from collections.abc import Mapping
from typing import LiteralString

import psycopg
import pytest

CLAIMED = "claimed_by = gen_random_uuid(), claim_token = gen_random_uuid(), started_at = now()"

EXECUTIONS: Mapping[LiteralString, str] = {
    "status = 'RUNNING'": "job_executions_running_check",
    "status = 'RUNNING', claim_token = gen_random_uuid(), started_at = now()": "job_executions_running_check",
    f"status = 'RUNNING', finished_at = now(), {CLAIMED}": "job_executions_finished_check",
    "status = 'SUCCESS'": "job_executions_finished_check",
    "finished_at = now()": "job_executions_finished_check",
    "claim_token = gen_random_uuid()": "job_executions_waiting_check",
    "claimed_by = gen_random_uuid()": "job_executions_waiting_check",
    f"status = 'SKIPPED', finished_at = now(), {CLAIMED}": "job_executions_waiting_check",
    "status = 'DONE', finished_at = now()": "job_executions_status_check",
    "source = 'magic'": "job_executions_source_check",
    "handler_name = ''": "job_executions_handler_name_check",
    "queue = repeat('x', 201)": "job_executions_queue_check",
    "priority = 10": "job_executions_priority_check",
    "timeout_seconds = 0": "job_executions_timeout_seconds_check",
    "timeout_seconds = 'NaN'": "job_executions_timeout_seconds_check",
    "timeout_seconds = 'Infinity'": "job_executions_timeout_seconds_check",
    "max_retry = -1": "job_executions_max_retry_check",
    "retry_backoff = 'never'": "job_executions_retry_backoff_check",
    "retry_delay_seconds = 'NaN'": "job_executions_retry_delay_seconds_check",
    "progress = 1.1": "job_executions_progress_check",
    "errors = '{}'": "job_executions_errors_check",
    "unique_until = 'tomorrow'": "job_executions_unique_until_check",
    "concurrency_limit = 1": "job_executions_concurrency_limit_check",
    "concurrency_key = 'a', concurrency_limit = 0": "job_executions_concurrency_limit_check",
    "skipped_count = 1": "job_executions_skipped_check",
    "available_at = 'infinity'": "job_executions_times_check",
    "scheduled_at = '-infinity'": "job_executions_times_check",
}
CRON_JOBS: Mapping[LiteralString, str] = {
    "name = ''": "cron_jobs_name_check",
    "priority = -10": "cron_jobs_priority_check",
    "overlap_policy = 'wait'": "cron_jobs_overlap_policy_check",
    "catch_up = 'some'": "cron_jobs_catch_up_check",
    "catch_up_limit = 0": "cron_jobs_catch_up_limit_check",
    "jitter_seconds = 'NaN'": "cron_jobs_jitter_seconds_check",
}


def refusal(db: psycopg.Connection, statement: LiteralString) -> str | None:
    """The name of the CHECK that refused it."""
    with pytest.raises(psycopg.errors.CheckViolation) as refused:
        db.execute(statement)
    return refused.value.diag.constraint_name


def test_an_execution_that_cannot_be(db: psycopg.Connection) -> None:
    db.execute("INSERT INTO public.job_executions (handler_name) VALUES ('email')")
    refused = {change: refusal(db, "UPDATE public.job_executions SET " + change) for change in EXECUTIONS}
    assert refused == EXECUTIONS


def test_a_cron_job_that_cannot_be(db: psycopg.Connection) -> None:
    db.execute("INSERT INTO public.cron_jobs (name, cron_expression, handler_name) VALUES ('a', '@daily', 'b')")
    assert {change: refusal(db, "UPDATE public.cron_jobs SET " + change) for change in CRON_JOBS} == CRON_JOBS


def test_a_tick_happens_once_but_may_be_skipped_beside(db: psycopg.Connection) -> None:
    tick = """
        INSERT INTO public.job_executions (cron_job_id, scheduled_at, handler_name, status, finished_at)
        VALUES (1, '2030-01-01', 'a', %s, %s)
    """
    db.execute(tick, ["PENDING", None])
    db.execute(tick, ["SKIPPED", "2030-01-01"])
    with pytest.raises(psycopg.errors.UniqueViolation, match="job_executions_tick"):
        db.execute(tick, ["SUCCESS", "2030-01-01"])


def test_what_is_started_by_hand_is_no_tick(db: psycopg.Connection) -> None:
    """Two at once, or at the very moment of a tick, are in nobody's way."""
    db.execute("INSERT INTO public.cron_jobs (name, cron_expression, handler_name) VALUES ('a', '@daily', 'b')")
    with db.transaction(force_rollback=True):
        db.execute(
            """CREATE OR REPLACE FUNCTION public.job_now() RETURNS timestamptz LANGUAGE sql
               RETURN '2030-01-01 00:00:00+00'::timestamptz"""
        )
        db.execute("SELECT public.run_cron_job('a'), public.run_cron_job('a')")
        db.execute(
            """INSERT INTO public.job_executions (source, cron_job_id, scheduled_at, handler_name)
               VALUES ('tick', 1, public.job_now(), 'b')"""
        )
        found = db.execute("SELECT source FROM public.job_executions WHERE scheduled_at = public.job_now() ORDER BY id")
        assert found.fetchall() == [("manual",), ("manual",), ("tick",)]


def test_one_name_one_cron_job(db: psycopg.Connection) -> None:
    insert = b"INSERT INTO public.cron_jobs (name, cron_expression, handler_name) VALUES ('a', '@daily', 'b')"
    db.execute(insert)
    with pytest.raises(psycopg.errors.UniqueViolation, match="cron_jobs_name_key"):
        db.execute(insert)


def test_a_decision_is_made_once(db: psycopg.Connection) -> None:
    db.execute("INSERT INTO public.job_transactions (gid, decision) VALUES ('g', 'COMMIT')")
    with pytest.raises(psycopg.errors.UniqueViolation):
        db.execute("INSERT INTO public.job_transactions (gid, decision) VALUES ('g', 'ABORT')")
