"""Skips as somebody asks for them: what is refused, and what two at once come to. With a planner: test_plan_skip.py."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from scheduler.errors import ConflictError, NotFoundError, QueryExecutionError, RefusedError, ScheduleError
from scheduler.operations.overview import database_time
from scheduler.operations.skip import end_skip, skip
from scheduler.store.session import SyncSession

HOUR = timedelta(hours=1)
INSERT = "INSERT INTO cron_jobs (name, cron_expression, handler_name) VALUES ('often', '* * * * *', 'work')"
STATE = "SELECT planned_until, next_run_at FROM cron_jobs"


@pytest.fixture(autouse=True)
def job(psql: psycopg.Connection) -> None:
    psql.execute(INSERT)


def spans(psql: psycopg.Connection) -> int:
    row = psql.execute("SELECT count(*) FROM job_executions WHERE status = 'SKIPPED'").fetchone()
    assert row is not None
    return int(row[0])


def test_each_refusal_has_its_error_and_writes_nothing(session: SyncSession, psql: psycopg.Connection) -> None:
    later = database_time(session) + HOUR
    before = psql.execute(STATE).fetchall()
    with pytest.raises(NotFoundError, match="Did you mean 'often'"):
        skip(session, "oftne", later)
    with pytest.raises(NotFoundError, match="Did you mean 'often'"):
        end_skip(session, "oftne")
    with pytest.raises(RefusedError, match="is past"):
        skip(session, "often", datetime(2026, 1, 1, tzinfo=UTC))
    assert psql.execute(STATE).fetchall() == before
    psql.execute("UPDATE cron_jobs SET invalid_reason = 'Too odd.'")
    with pytest.raises(RefusedError, match=r"'often' has no ticks to skip\. Too odd\."):
        skip(session, "often", later)
    psql.execute("UPDATE cron_jobs SET cron_expression = '61 * * * *'")
    with pytest.raises(ScheduleError, match="minute"):
        skip(session, "often", later)
    psql.execute("UPDATE cron_jobs SET enabled = false")
    with pytest.raises(ConflictError, match="is paused"):
        skip(session, "often", later)
    assert spans(psql) == 0


def test_it_is_written_as_a_whole_or_not_at_all(session: SyncSession, psql: psycopg.Connection) -> None:
    before = psql.execute(STATE).fetchall()
    psql.execute(
        """CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
           BEGIN RAISE EXCEPTION 'not today' USING ERRCODE = 'lock_not_available'; END $$"""
    )
    psql.execute("CREATE TRIGGER refuse BEFORE UPDATE ON cron_jobs FOR EACH ROW EXECUTE FUNCTION refuse()")
    with pytest.raises(QueryExecutionError, match="not today"):
        skip(session, "often", database_time(session) + HOUR)
    assert (psql.execute(STATE).fetchall(), spans(psql)) == (before, 0)


def test_two_at_once_are_one_after_the_other(session: SyncSession, migrated_url: str, psql: psycopg.Connection) -> None:
    other, now = SyncSession(migrated_url, "public", "other"), database_time(session)
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(skip, session, "often", now + HOUR)
        second = threads.submit(skip, other, "often", now + 2 * HOUR)
        found = {first.result().execution_id, second.result().execution_id}
    other.close()
    assert (len(found), spans(psql)) == (1, 1)


@pytest.mark.parametrize("at", ["infinity", "294000-01-01", "2100-01-01", "-infinity", "1970-01-01"])
def test_a_cursor_that_a_hand_has_moved_hurts_nobody(session: SyncSession, psql: psycopg.Connection, at: str) -> None:
    psql.execute("UPDATE cron_jobs SET planned_until = %s", (at,))
    skipped = skip(session, "often", database_time(session) + HOUR)
    assert 59 <= skipped.count <= 61
    ended = end_skip(session, "often")
    assert (ended.count, spans(psql)) in ((0, 0), (1, 1))
    row = psql.execute("SELECT planned_until <= job_now(), next_run_at > job_now() - interval '5 s' FROM cron_jobs")
    assert row.fetchone() == (True, True)


def test_a_row_of_the_planner_is_none_of_its_own(session: SyncSession, psql: psycopg.Connection) -> None:
    """As it lies in the future after the clock was set back."""
    psql.execute("UPDATE cron_jobs SET planned_until = job_now() + interval '3 h'")
    psql.execute(
        """INSERT INTO job_executions (source, cron_job_id, handler_name, status, scheduled_at, skipped_until,
                                       skipped_count, finished_at, error)
           SELECT 'tick', id, 'work', 'SKIPPED', job_now(), job_now() + interval '3 h', 180, job_now(), 'overlap'
           FROM cron_jobs"""
    )
    assert end_skip(session, "often").given_back == 0
    row = psql.execute("SELECT error, skipped_count FROM job_executions").fetchall()
    assert row == [("overlap", 180)]


def test_a_skip_for_ever_is_counted_to_ten_thousand(session: SyncSession, psql: psycopg.Connection) -> None:
    skipped = skip(session, "often", datetime(8900, 1, 1, tzinfo=UTC))
    assert (skipped.count, skipped.more) == (10_000, True)
    assert skipped.last is not None
    assert skipped.last.utc == datetime(8899, 12, 31, 23, 59, tzinfo=UTC)
    assert end_skip(session, "often").given_back == 10_000


def test_one_whose_row_is_gone_can_be_ended(session: SyncSession, psql: psycopg.Connection) -> None:
    skip(session, "often", database_time(session) + 48 * HOUR)
    psql.execute("DELETE FROM job_executions")
    ended = end_skip(session, "often")
    assert ended.next_tick is not None
    assert psql.execute("SELECT next_run_at < job_now() + interval '2 min' FROM cron_jobs").fetchone() == (True,)


def test_the_keys_of_cron_jobs_are_theirs(psql: psycopg.Connection) -> None:
    for key in ("cron:1", "backfill:1"):
        with pytest.raises(psycopg.errors.CheckViolation, match="job_executions_cron_key_check"):
            psql.execute("INSERT INTO job_executions (handler_name, concurrency_key) VALUES ('x', %s)", [key])
    psql.execute("INSERT INTO job_executions (handler_name, concurrency_key) VALUES ('x', 'crons:1')")
