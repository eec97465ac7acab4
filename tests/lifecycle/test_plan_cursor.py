"""`next_run_at` and `planned_until` are the planner's: whatever moves them, no tick is lost or doubled."""

from datetime import UTC, datetime, timedelta

import pytest

from scheduler.lifecycle.plan import plan
from scheduler.store.cron_jobs import CronJobs
from scheduler.store.session import Session
from tests.store.tables import Tables

NOON = datetime(2026, 3, 1, 12, 0, 0, 500_000, tzinfo=UTC)
DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)
TIMES = ["-infinity", "1970-01-01", "2026-02-01", "2026-03-01 12:00:30", "2036-01-01", "20000-01-01", "infinity"]


@pytest.fixture
def noon(tables: Tables) -> Tables:
    """It is half a second past noon."""
    tables.set_clock(NOON)
    return tables


def ticks(tables: Tables) -> list[datetime]:
    return tables.column("SELECT scheduled_at FROM job_executions WHERE status <> 'SKIPPED' ORDER BY scheduled_at, id")


def skip(tables: Tables, cron_job_id: int, until: datetime) -> None:
    """As an operator's skip does: a row for the ticks to come, and the cursor behind them."""
    tables.execute(
        """INSERT INTO job_executions (source, cron_job_id, handler_name, status, scheduled_at, skipped_until,
                                       skipped_count, finished_at, error)
           VALUES ('manual', %s, 'work', 'SKIPPED', job_now(), %s, 7, job_now(), 'skipped by request')""",
        cron_job_id,
        until,
    )
    tables.execute(
        "UPDATE cron_jobs SET planned_until = %s, next_run_at = %s WHERE id = %s", until, until + MINUTE, cron_job_id
    )


@pytest.mark.parametrize("time", TIMES)
async def test_next_run_at_by_hand_is_computed_anew(noon: Tables, session: Session, time: str) -> None:
    id_ = noon.cron_job("* * * * *", overlap_policy="allow")
    await plan(session)
    noon.execute("UPDATE cron_jobs SET next_run_at = %s::text::timestamptz WHERE id = %s", time, id_)
    for _ in range(3):
        await plan(session)
        noon.move_clock(60)
    assert ticks(noon) == [NOON.replace(microsecond=0) + n * MINUTE for n in (1, 2)]
    assert noon.value("SELECT count(*) FROM job_executions") == 2


@pytest.mark.parametrize("time", TIMES)
async def test_a_cursor_by_hand_makes_no_tick_twice_and_none_from_before_the_row(
    noon: Tables, session: Session, time: str
) -> None:
    id_ = noon.cron_job("* * * * *", overlap_policy="allow", catch_up="all")
    for _ in range(3):
        await plan(session)
        noon.move_clock(60)
    noon.execute("UPDATE cron_jobs SET planned_until = %s::text::timestamptz WHERE id = %s", time, id_)
    await CronJobs(session).recompute_zones("as if it were another")
    for _ in range(3):
        await plan(session)
        noon.move_clock(60)
    found = ticks(noon)
    assert len(found) == len(set(found))
    assert min(found) == NOON.replace(microsecond=0) + MINUTE
    assert max(found) == NOON.replace(microsecond=0) + 5 * MINUTE


async def test_what_was_skipped_ahead_stays_so_when_zones_change(noon: Tables, session: Session) -> None:
    id_ = noon.cron_job("* * * * *", overlap_policy="allow")
    await plan(session)
    end = NOON.replace(microsecond=0) + 7 * DAY
    skip(noon, id_, end)
    await CronJobs(session).recompute_zones("as if it were another")
    assert (await plan(session)).cron_jobs == 1
    assert noon.cron_job_row(id_)["next_run_at"] == end + MINUTE
    noon.move_clock(7 * 86_400 + 60)
    await plan(session)
    assert ticks(noon) == [end + MINUTE]


async def test_a_cursor_ahead_of_what_was_skipped_is_brought_back_to_it(noon: Tables, session: Session) -> None:
    id_ = noon.cron_job("* * * * *", overlap_policy="allow")
    await plan(session)
    end = NOON.replace(microsecond=0) + 3 * DAY
    skip(noon, id_, end)
    noon.execute("UPDATE cron_jobs SET planned_until = 'infinity' WHERE id = %s", id_)
    await CronJobs(session).recompute_zones("as if it were another")
    await plan(session)
    assert noon.cron_job_row(id_)["next_run_at"] == end + MINUTE


async def test_an_edit_of_anything_else_concerns_the_next_tick_and_moves_none(noon: Tables, session: Session) -> None:
    id_ = noon.cron_job("* * * * *", overlap_policy="allow")
    await plan(session)
    noon.move_clock(60)
    noon.execute("""UPDATE cron_jobs SET handler_params = '{"a": 2}', queue = 'other', priority = 5, jitter_seconds = 9,
                                         overlap_policy = 'queue', handler_name = 'another'""")
    await plan(session)
    row = noon.execution(noon.value("SELECT id FROM job_executions"))
    assert (row["handler_name"], row["handler_params"], row["queue"], row["priority"], row["concurrency_key"]) == (
        "another", {"a": 2}, "other", 5, f"cron:{id_}",
    )  # fmt: skip
    assert row["scheduled_at"] == NOON.replace(microsecond=0) + MINUTE


async def test_a_run_by_hand_at_the_moment_of_a_tick_takes_nothing_from_it(noon: Tables, session: Session) -> None:
    id_ = noon.cron_job("* * * * *", overlap_policy="allow")
    await plan(session)
    tick = NOON.replace(microsecond=0) + MINUTE
    noon.enqueue(source="manual", cron_job_id=id_, scheduled_at=tick)
    noon.move_clock(60)
    await plan(session)
    found = noon.rows("SELECT source, scheduled_at FROM job_executions ORDER BY id")
    assert found == [("manual", tick), ("tick", tick)]


async def test_no_tick_from_before_the_row_was_enabled(noon: Tables, session: Session) -> None:
    noon.cron_job("* * * * *", enabled=False, catch_up="all", planned_until="2020-01-01")
    noon.move_clock(3600)
    assert (await plan(session)).cron_jobs == 0
    noon.execute("UPDATE cron_jobs SET enabled = true")
    await plan(session)
    assert ticks(noon) == []
    noon.move_clock(60)
    await plan(session)
    assert ticks(noon) == [NOON.replace(microsecond=0) + timedelta(minutes=61)]


async def test_a_row_that_was_refused_runs_from_its_mending_on(noon: Tables, session: Session) -> None:
    id_ = noon.cron_job("61 * * * *", catch_up="all")
    await plan(session)
    noon.move_clock(3600)
    noon.execute("UPDATE cron_jobs SET cron_expression = '* * * * *'")
    await plan(session)
    noon.move_clock(60)
    await plan(session)
    assert ticks(noon) == [NOON.replace(microsecond=0) + timedelta(minutes=61)]
    assert noon.cron_job_row(id_)["invalid_reason"] is None
