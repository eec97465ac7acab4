"""Skips and the planner: no tick before the end of a skip, each one after it, whoever edits, ends or extends it."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from scheduler.lifecycle.plan import plan
from scheduler.operations.skip import end_skip, skip
from scheduler.store.cron_jobs import CronJobs
from scheduler.store.session import Session, SyncSession
from tests.store.tables import Tables

NOON = datetime(2026, 3, 1, 12, 0, 0, 500_000, tzinfo=UTC)
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


@pytest.fixture
def noon(tables: Tables) -> Tables:
    """It is half a second past noon."""
    tables.set_clock(NOON)
    return tables


@pytest.fixture
def person(line_url: str) -> Iterator[SyncSession]:
    session = SyncSession(line_url, "public", "test")
    yield session
    session.close()


def moment(text: str) -> datetime:
    return datetime.fromisoformat(f"2026-03-01T{text}+00:00")


def rows(tables: Tables) -> list[tuple[Any, ...]]:
    return tables.rows("""SELECT status, scheduled_at, skipped_until, skipped_count FROM job_executions
                          ORDER BY scheduled_at""")


async def plan_until(tables: Tables, session: Session, text: str) -> None:
    """A look each minute, as if a planner had been there all the time."""
    while tables.now() < moment(text):
        await plan(session)
        tables.move_clock(60)
    await plan(session)


def allow(tables: Tables, **columns: Any) -> int:
    return tables.cron_job("* * * * *", name="often", overlap_policy="allow", **columns)


async def test_no_tick_before_the_end_and_each_one_from_it_on(
    noon: Tables, session: Session, person: SyncSession
) -> None:
    allow(noon)
    await plan(session)
    skipped = skip(person, "often", moment("12:04"))
    assert (skipped.count, skipped.more, skipped.given_back) == (3, False, 0)
    assert skipped.next_tick is not None
    assert skipped.next_tick.utc == moment("12:04")
    await plan_until(noon, session, "12:05")
    assert rows(noon) == [
        ("SKIPPED", moment("12:01"), moment("12:03"), 3),
        ("PENDING", moment("12:04"), None, None),
        ("PENDING", moment("12:05"), None, None),
    ]
    assert noon.value("SELECT error FROM job_executions WHERE status = 'SKIPPED'").startswith(
        "skipped until 2026-03-01 12:04:00+00:00 by request of "
    )


@pytest.mark.parametrize("days", [2, 400])
async def test_it_lasts_for_days_whatever_makes_the_planner_compute_anew(
    noon: Tables, session: Session, person: SyncSession, days: int
) -> None:
    id_ = noon.cron_job("@hourly", name="often")
    until = (NOON + days * DAY).replace(minute=30)
    skip(person, "often", until)
    for undone in ("tzdata_version = '2019a'", "next_run_at = NULL", "next_run_at = '1970-01-01'"):
        noon.connection.execute(f"UPDATE cron_jobs SET {undone}".encode())
        await CronJobs(session).recompute_zones("other")
        await plan(session)
        assert noon.cron_job_row(id_)["next_run_at"] == until.replace(minute=0, microsecond=0) + 60 * MINUTE
    noon.move_clock(days * 86_400 - 3_600)
    await plan(session)
    assert [row[0] for row in rows(noon)] == ["SKIPPED"]
    noon.move_clock(7_201)
    await plan(session)
    assert [row[0] for row in rows(noon)] == ["SKIPPED", "PENDING"]


async def test_what_is_due_and_not_planned_is_skipped_too(noon: Tables, session: Session, person: SyncSession) -> None:
    allow(noon)
    await plan(session)
    noon.move_clock(120)
    skip(person, "often", moment("12:05"))
    await plan_until(noon, session, "12:05")
    assert rows(noon) == [("SKIPPED", moment("12:01"), moment("12:04"), 4), ("PENDING", moment("12:05"), None, None)]


async def test_a_second_one_is_longer_or_shorter(noon: Tables, session: Session, person: SyncSession) -> None:
    allow(noon)
    await plan(session)
    first = skip(person, "often", moment("12:04"))
    longer = skip(person, "often", moment("12:09"))
    assert (longer.count, longer.given_back, longer.execution_id) == (8, 0, first.execution_id)
    shorter = skip(person, "often", moment("12:06"))
    assert (shorter.count, shorter.given_back, shorter.execution_id) == (5, 3, first.execution_id)
    await plan_until(noon, session, "12:06")
    assert rows(noon) == [("SKIPPED", moment("12:01"), moment("12:05"), 5), ("PENDING", moment("12:06"), None, None)]


async def test_an_end_gives_back_what_is_to_come(noon: Tables, session: Session, person: SyncSession) -> None:
    allow(noon)
    await plan(session)
    skip(person, "often", moment("12:09"))
    noon.move_clock(120)
    await plan(session)
    ended = end_skip(person, "often")
    assert (ended.count, ended.given_back) == (2, 6)
    await plan_until(noon, session, "12:03")
    assert rows(noon) == [("SKIPPED", moment("12:01"), moment("12:02"), 2), ("PENDING", moment("12:03"), None, None)]


async def test_ended_before_its_first_tick_it_leaves_nothing(
    noon: Tables, session: Session, person: SyncSession
) -> None:
    allow(noon)
    await plan(session)
    skip(person, "often", moment("12:09"))
    ended = end_skip(person, "often")
    assert (ended.count, ended.given_back, ended.execution_id) == (0, 8, None)
    await plan_until(noon, session, "12:01")
    assert rows(noon) == [("PENDING", moment("12:01"), None, None)]


async def test_to_end_none_swallows_no_tick_that_is_due(noon: Tables, session: Session, person: SyncSession) -> None:
    allow(noon)
    await plan(session)
    noon.move_clock(60)
    ended = end_skip(person, "often")
    assert (ended.count, ended.given_back) == (0, 0)
    await plan(session)
    assert rows(noon) == [("PENDING", moment("12:01"), None, None)]


async def test_a_skip_without_a_tick_writes_nothing(noon: Tables, session: Session, person: SyncSession) -> None:
    id_ = noon.cron_job("0 18 * * *", name="often")
    await plan(session)
    before = noon.cron_job_row(id_)
    skipped = skip(person, "often", moment("17:00"))
    assert (skipped.count, skipped.execution_id) == (0, None)
    assert skipped.next_tick is not None
    assert skipped.next_tick.utc == moment("18:00")
    assert (noon.cron_job_row(id_), rows(noon)) == (before, [])


async def test_a_skip_is_no_row_of_an_earlier_one(noon: Tables, session: Session, person: SyncSession) -> None:
    """Its last tick is over, but not its time."""
    noon.cron_job("0 12-14 * * *", name="often")
    await plan(session)
    skip(person, "often", moment("20:00"))
    noon.move_clock(7 * 3_600)
    second = skip(person, "often", moment("23:00") + DAY)
    assert rows(noon) == [
        ("SKIPPED", moment("13:00"), moment("14:00"), 2),
        ("SKIPPED", moment("12:00") + DAY, moment("14:00") + DAY, 3),
    ]
    assert second.count == 3


async def test_the_window_of_the_cron_job_is_kept(noon: Tables, session: Session, person: SyncSession) -> None:
    allow(noon, starts_at=moment("12:05"), ends_at=moment("12:08"))
    await plan(session)
    skipped = skip(person, "often", moment("13:00"))
    assert rows(noon) == [("SKIPPED", moment("12:05"), moment("12:07"), 3)]
    assert skipped.next_tick is None
    assert noon.value("SELECT next_run_at = 'infinity' FROM cron_jobs")


EDITS = ["timezone = 'Asia/Seoul'", "enabled = false", "cron_expression = '*/2 * * * *'"]


@pytest.mark.parametrize("edit", EDITS)
async def test_an_edit_of_the_schedule_and_a_pause_end_it(
    noon: Tables, session: Session, person: SyncSession, edit: str
) -> None:
    allow(noon)
    await plan(session)
    skip(person, "often", moment("12:30"))
    noon.move_clock(120)
    noon.connection.execute(f"UPDATE cron_jobs SET {edit}".encode())
    noon.execute("UPDATE cron_jobs SET enabled = true")
    await plan_until(noon, session, "12:04")
    (skipped, *executions) = rows(noon)
    assert skipped == ("SKIPPED", moment("12:01"), moment("12:02"), 2)
    assert executions[-1] == ("PENDING", moment("12:04"), None, None)
    assert noon.value("SELECT error FROM job_executions WHERE status = 'SKIPPED'") == (
        "skipped 2 ticks that somebody had asked to skip, until an edit of the schedule or a pause ended that"
    )


async def test_whoever_may_edit_may_end_a_skip(noon: Tables, session: Session, person: SyncSession) -> None:
    """It takes no right to executions."""
    allow(noon)
    await plan(session)
    skip(person, "often", moment("12:30"))
    with noon.connection.transaction(force_rollback=True):
        noon.execute("CREATE ROLE editor")
        noon.execute("GRANT SELECT, UPDATE ON cron_jobs TO editor")
        noon.execute("SET LOCAL ROLE editor")
        noon.execute("UPDATE cron_jobs SET enabled = false")
        noon.execute("RESET ROLE")
        assert rows(noon) == []


@pytest.mark.parametrize("edit", EDITS)
async def test_edited_before_its_first_tick_it_leaves_nothing(
    noon: Tables, session: Session, person: SyncSession, edit: str
) -> None:
    allow(noon)
    await plan(session)
    skip(person, "often", moment("12:30"))
    noon.connection.execute(f"UPDATE cron_jobs SET {edit}".encode())
    assert rows(noon) == []


async def test_what_an_edit_took_from_the_planner_is_written_all_the_same(
    noon: Tables, session: Session, person: SyncSession
) -> None:
    allow(noon)
    await plan(session)
    noon.move_clock(120)
    noon.execute("UPDATE cron_jobs SET cron_expression = '*/2 * * * *'")
    skip(person, "often", moment("12:07"))
    await plan(session)
    assert rows(noon) == [
        ("SKIPPED", moment("12:01"), moment("12:02"), 2),
        ("SKIPPED", moment("12:04"), moment("12:06"), 2),
    ]
    assert noon.value("SELECT next_run_at FROM cron_jobs") == moment("12:08")


@pytest.mark.parametrize("edit", ["handler_name = 'other'", "priority = 3", "cron_expression = cron_expression"])
async def test_any_other_edit_leaves_it_alone(noon: Tables, session: Session, person: SyncSession, edit: str) -> None:
    allow(noon)
    await plan(session)
    skip(person, "often", moment("12:03"))
    noon.connection.execute(f"UPDATE cron_jobs SET {edit}".encode())
    await plan_until(noon, session, "12:03")
    assert rows(noon) == [("SKIPPED", moment("12:01"), moment("12:02"), 2), ("PENDING", moment("12:03"), None, None)]
