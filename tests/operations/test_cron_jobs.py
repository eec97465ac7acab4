"""Adding cron jobs, and how they do."""

from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from scheduler.errors import ConflictError, NotFoundError, RefusedError, ScheduleError
from scheduler.operations.cron_jobs import CronJobDefinition, CronJobStatus, add, id_of, statuses
from scheduler.operations.overview import database_time, upcoming
from scheduler.store.session import SyncSession

INSERT = "INSERT INTO cron_jobs (name, cron_expression, handler_name) VALUES (%s, %s, 'h')"


def new(name: str, expression: str = "@daily", timezone: str = "UTC") -> CronJobDefinition:
    return CronJobDefinition(name=name, cron_expression=expression, handler_name="h", timezone=timezone)


def only(session: SyncSession) -> CronJobStatus:
    (status,) = statuses(session)
    return status


def test_what_is_not_given_is_what_the_table_says(session: SyncSession, psql: psycopg.Connection) -> None:
    add(session, new("a"))
    psql.execute(INSERT, ("b", "@daily"))
    differing = psql.execute(
        "SELECT a.key FROM cron_jobs x, cron_jobs y, jsonb_each(to_jsonb(x)) a JOIN jsonb_each(to_jsonb(y)) b"
        " USING (key) WHERE x.name = 'a' AND y.name = 'b' AND a.value IS DISTINCT FROM b.value ORDER BY 1"
    )
    assert {key for (key,) in differing} == {"id", "name", "created_at", "updated_at", "planned_until"}


def test_added_is_there(session: SyncSession) -> None:
    added = add(session, new("a", "0 3 * * *", "Asia/Seoul"))
    status = only(session)
    assert (status.id, status.name, status.enabled, status.failures_in_a_row) == (added.id, "a", True, 0)
    assert abs(added.created_at - database_time(session)) < timedelta(minutes=1)
    assert id_of(session, "a") == added.id


def test_each_refusal_has_its_error(session: SyncSession) -> None:
    add(session, new("a"))
    with pytest.raises(ConflictError, match="'a' is already there"):
        add(session, new("a"))
    with pytest.raises(ScheduleError, match="minute"):
        add(session, new("b", "61 * * * *"))
    with pytest.raises(ScheduleError, match="'Nowhere' is unknown"):
        add(session, new("b", timezone="Nowhere"))
    with pytest.raises(RefusedError, match="priority must be from -9 to 9"):
        add(session, CronJobDefinition(name="b", cron_expression="@daily", handler_name="h", priority=10))
    with pytest.raises(RefusedError, match="NUL"):
        add(session, new("a\0b"))
    with pytest.raises(NotFoundError, match="Did you mean 'a'"):
        id_of(session, "aa")
    assert [status.name for status in statuses(session)] == ["a"]


def test_the_next_tick_is_known_before_a_planner_has_looked(session: SyncSession) -> None:
    add(session, new("a", "0 3 * * *", "Asia/Seoul"))
    tick = only(session).next_run_at
    assert tick is not None
    assert tick.hour == 18
    assert tick > database_time(session)


def test_what_the_planner_says_is_believed(session: SyncSession, psql: psycopg.Connection) -> None:
    psql.execute(INSERT, ("a", "@daily"))
    at = datetime(2030, 1, 1, 12, 34, 56, 789_012, tzinfo=UTC)
    psql.execute("UPDATE cron_jobs SET next_run_at = %s, planned_until = job_now()", (at,))
    assert only(session).next_run_at == at
    psql.execute("UPDATE cron_jobs SET next_run_at = 'infinity', planned_until = job_now() + interval '1 s'")
    assert only(session).next_run_at is None


def test_starts_and_ends_are_kept(session: SyncSession, psql: psycopg.Connection) -> None:
    psql.execute(INSERT, ("a", "@daily"))
    psql.execute("UPDATE cron_jobs SET starts_at = '2090-05-01 00:00+00', ends_at = '2090-05-02'")
    assert only(session).next_run_at == datetime(2090, 5, 1, tzinfo=UTC)
    psql.execute("UPDATE cron_jobs SET ends_at = '2090-05-01 00:00+00'")
    assert only(session).next_run_at is None


@pytest.mark.parametrize("at", ["infinity", "-infinity", "4713-01-01 BC", "294000-01-01"])
def test_an_absurd_time_hides_nothing(session: SyncSession, psql: psycopg.Connection, at: str) -> None:
    psql.execute(INSERT, ("a", "@every 90s"))
    psql.execute("UPDATE cron_jobs SET starts_at = %s, last_run_at = %s, created_at = %s", (at, at, at))
    psql.execute(INSERT, ("b", "@daily"))
    absurd, good = statuses(session)
    assert absurd.last_run_at is not None
    assert good.next_run_at is not None
    assert "b" in [tick.name for tick in upcoming(session, 5)]


def test_a_bad_row_hides_nothing(session: SyncSession, psql: psycopg.Connection) -> None:
    psql.execute(INSERT, ("a", "61 * * * *"))
    psql.execute(INSERT, ("b", "@daily"))
    psql.execute("UPDATE cron_jobs SET timezone = 'Nowhere' WHERE name = 'a'")
    bad, good = statuses(session)
    assert bad.next_run_at is None
    assert good.next_run_at is not None
    assert [tick.name for tick in upcoming(session, 5)] == ["b"]


def test_upcoming_is_the_soonest_planned_or_not(session: SyncSession, psql: psycopg.Connection) -> None:
    for name, expression in (
        ("late", "@yearly"),
        ("planned", "@daily"),
        ("soon", "* * * * * *"),
        ("paused", "@hourly"),
    ):
        psql.execute(INSERT, (name, expression))
    psql.execute("UPDATE cron_jobs SET enabled = false WHERE name = 'paused'")
    planned = (
        "UPDATE cron_jobs SET next_run_at = job_now() + interval '30 s', planned_until = job_now() WHERE name = %s"
    )
    psql.execute(planned, ("planned",))
    psql.execute("UPDATE cron_jobs SET timezone = 'Asia/Seoul' WHERE name = 'soon'")
    first, second = upcoming(session, 2)
    assert (first.name, second.name) == ("soon", "planned")
    assert first.at.utcoffset() == timedelta(hours=9)


def test_a_zone_that_only_another_host_knows(session: SyncSession, psql: psycopg.Connection) -> None:
    psql.execute(INSERT, ("a", "@daily"))
    psql.execute("UPDATE cron_jobs SET timezone = 'Mars/Olympus'")
    psql.execute("UPDATE cron_jobs SET next_run_at = '2090-01-01 00:00+00', planned_until = job_now()")
    assert [(tick.name, tick.at) for tick in upcoming(session, 5)] == [("a", datetime(2090, 1, 1, tzinfo=UTC))]
