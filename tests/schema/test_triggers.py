"""What an INSERT or UPDATE by hand sets off: wake-ups, and schedules that count from now."""

from typing import LiteralString

import psycopg
import pytest

from tests.schema.asking import value
from tests.schema.conftest import Connect

CRON_JOB = """
    INSERT INTO public.cron_jobs (name, cron_expression, handler_name) VALUES ('nightly', '0 3 * * *', 'report')
"""
PLANNED = """
    UPDATE public.cron_jobs SET next_run_at = '2030-01-01 03:00+00', planned_until = '2029-12-31 03:00+00',
                                last_run_at = '2029-12-31 03:00+00', tzdata_version = '2026b'
"""


@pytest.fixture
def listener(connect: Connect) -> psycopg.Connection:
    connection = connect()
    connection.execute("LISTEN scheduler_public")
    return connection


def heard(listener: psycopg.Connection) -> int:
    """How many wake-ups have come. A mark sent behind them shows that no more are on their way."""
    listener.execute("SELECT pg_notify('scheduler_public', 'mark')")
    payloads: list[str] = []
    for notification in listener.notifies(timeout=30):
        if notification.payload == "mark":
            break
        payloads.append(notification.payload)
    else:
        raise AssertionError("the mark did not come back")
    assert set(payloads) <= {""}
    return len(payloads)


def planned(db: psycopg.Connection) -> tuple[bool, bool, bool]:
    """(next_run_at is kept, planned_until is kept, updated_at moved), for the only cron job."""
    query = """
        SELECT next_run_at IS NOT NULL, planned_until = '2029-12-31 03:00+00', updated_at > created_at
        FROM public.cron_jobs
    """
    (found,) = db.execute(query).fetchall()
    return found[0], found[1], found[2]


def test_a_row_needs_nothing_but_the_obvious(db: psycopg.Connection) -> None:
    db.execute(CRON_JOB)
    db.execute("""INSERT INTO public.job_executions (handler_name, handler_params) VALUES ('email', '{"to": "a"}')""")
    assert value(db, "SELECT created_by = current_user AND enabled AND timezone = 'UTC' FROM public.cron_jobs")
    assert value(db, "SELECT status || source || queue FROM public.job_executions") == "PENDINGenqueuedefault"
    assert value(db, "SELECT created_at > '2020-01-01' FROM public.job_executions")


def test_a_new_cron_job_counts_from_now_whatever_it_says(db: psycopg.Connection) -> None:
    db.execute(
        """INSERT INTO public.cron_jobs
               (name, cron_expression, handler_name, next_run_at, planned_until, invalid_reason)
           VALUES ('a', '* * * * *', 'b', '2001-01-01', '2001-01-01', 'bad')"""
    )
    assert value(
        db,
        """SELECT next_run_at IS NULL AND invalid_reason IS NULL
               AND planned_until > clock_timestamp() - interval '1 min'
           FROM public.cron_jobs""",
    )


@pytest.mark.parametrize(
    "edit",
    [
        "cron_expression = '0 4 * * *'",
        "timezone = 'Europe/Berlin'",
        "starts_at = now()",
        "ends_at = '2031-01-01'",
        "enabled = false",
        "cron_expression = '0 4 * * *', next_run_at = '2001-01-01', planned_until = '2001-01-01'",
    ],
)
def test_an_edit_of_the_schedule_counts_from_now(db: psycopg.Connection, edit: LiteralString) -> None:
    db.execute(CRON_JOB)
    db.execute(PLANNED)
    db.execute("UPDATE public.cron_jobs SET invalid_reason = 'bad'")
    db.execute("UPDATE public.cron_jobs SET " + edit)
    assert planned(db) == (False, False, True)
    assert value(db, "SELECT planned_until BETWEEN created_at AND clock_timestamp() FROM public.cron_jobs")
    assert value(db, "SELECT invalid_reason FROM public.cron_jobs") is None


def test_a_pause_while_the_clock_is_back_does_not_plan_anew_what_was_planned(db: psycopg.Connection) -> None:
    """Else a tick would have two rows: that of the clock which ran ahead, and one that says it fell into the pause."""
    db.execute(CRON_JOB)
    db.execute("UPDATE public.cron_jobs SET planned_until = public.job_now() + interval '1 hour'")
    until = value(db, "SELECT planned_until FROM public.cron_jobs")
    for enabled in ("false", "true"):
        db.execute(f"UPDATE public.cron_jobs SET enabled = {enabled}".encode())
        assert value(db, "SELECT planned_until FROM public.cron_jobs") == until
    assert value(db, "SELECT unplanned FROM public.cron_jobs") is None


def test_what_the_planner_writes_stays(db: psycopg.Connection) -> None:
    db.execute(CRON_JOB)
    db.execute(PLANNED)
    assert planned(db) == (True, True, False)


def test_next_run_at_set_by_hand_is_computed_anew(db: psycopg.Connection) -> None:
    db.execute(CRON_JOB)
    db.execute(PLANNED)
    db.execute("UPDATE public.cron_jobs SET next_run_at = '2001-01-01'")
    assert planned(db) == (False, True, True)


@pytest.mark.parametrize("edit", ["handler_params = '{}'", "priority = 3", "cron_expression = cron_expression"])
def test_any_other_edit_leaves_the_schedule_alone(db: psycopg.Connection, edit: LiteralString) -> None:
    db.execute(CRON_JOB)
    db.execute(PLANNED)
    db.execute("UPDATE public.cron_jobs SET " + edit)
    assert planned(db) == (True, True, True)


def test_planners_hear_of_edits_and_not_of_each_other(db: psycopg.Connection, listener: psycopg.Connection) -> None:
    db.execute(CRON_JOB)
    assert heard(listener) == 1
    db.execute(PLANNED)
    db.execute("UPDATE public.cron_jobs SET invalid_reason = 'bad'")
    assert heard(listener) == 0
    db.execute("UPDATE public.cron_jobs SET enabled = false")
    assert heard(listener) == 1


def test_an_insert_wakes_only_while_some_worker_sleeps(db: psycopg.Connection, listener: psycopg.Connection) -> None:
    db.execute("SELECT public.register_worker('a')")
    db.execute("SELECT public.enqueue_job('email')")
    assert heard(listener) == 0
    db.execute("UPDATE public.job_workers SET wake_until = public.job_now() + interval '1 hour'")
    db.execute("INSERT INTO public.job_executions (handler_name) SELECT 'email' FROM generate_series(1, 100)")
    assert heard(listener) == 1
    db.execute("UPDATE public.job_workers SET wake_until = public.job_now() - interval '1 ms'")
    db.execute("SELECT public.enqueue_job('email')")
    assert heard(listener) == 0


def test_tests_replace_the_one_clock(db: psycopg.Connection) -> None:
    with db.transaction(force_rollback=True):
        db.execute(
            """CREATE OR REPLACE FUNCTION public.job_now() RETURNS timestamptz LANGUAGE sql
               RETURN '2027-05-01 12:00:00+00'::timestamptz"""
        )
        db.execute("SELECT public.enqueue_job('email')")
        assert value(db, "SELECT created_at = '2027-05-01 12:00:00+00' FROM public.job_executions")
        assert value(db, "SELECT oldest_waiting FROM public.job_queue_status").total_seconds() == 0
