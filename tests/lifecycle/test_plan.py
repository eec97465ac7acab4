"""plan: each tick once, as an execution or as part of a SKIPPED row; never early, never for a time that was paused."""

from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from scheduler.failpoints import FailpointError
from scheduler.lifecycle import plan as plan_module
from scheduler.lifecycle.plan import Report, plan
from scheduler.operations.cron_jobs import due_next
from scheduler.rules import catch_up
from scheduler.rules.schedule import tzdata_version
from scheduler.store.cron_jobs import CronJobs
from scheduler.store.session import Session, SyncSession
from tests.store.tables import Events, Tables

NOON = datetime(2026, 3, 1, 12, 0, 0, 500_000, tzinfo=UTC)
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)

Arm = Callable[[str, Callable[[], None]], None]


@pytest.fixture
def noon(tables: Tables) -> Tables:
    """It is half a second past noon."""
    tables.set_clock(NOON)
    return tables


def ticks(tables: Tables) -> list[datetime]:
    """Those that became executions."""
    return tables.column("SELECT scheduled_at FROM job_executions WHERE status <> 'SKIPPED' ORDER BY scheduled_at, id")


def skipped(tables: Tables) -> list[tuple[datetime, datetime, int, str]]:
    return tables.rows("""SELECT scheduled_at, skipped_until, skipped_count, error FROM job_executions
                          WHERE status = 'SKIPPED' ORDER BY scheduled_at""")


def moment(text: str) -> datetime:
    return datetime.fromisoformat(f"2026-03-01T{text}+00:00")


async def test_the_first_look_computes_when_the_first_tick_is_and_makes_none(noon: Tables, session: Session) -> None:
    id_ = noon.cron_job("*/5 * * * *")
    assert await plan(session) == Report(cron_jobs=1, executions=0, more=False)
    row = noon.cron_job_row(id_)
    assert row["next_run_at"] == moment("12:05")
    assert row["tzdata_version"] == tzdata_version()
    assert ticks(noon) == []
    assert await plan(session) == Report(cron_jobs=0, executions=0, more=False)


async def test_a_due_tick_becomes_an_execution_with_the_values_of_its_cron_job(noon: Tables, session: Session) -> None:
    id_ = noon.cron_job(
        "*/5 * * * *", handler_name="report", handler_params={"a": 1}, queue="slow", priority=3, timeout_seconds=7.0,
        max_retry=9, retry_backoff="linear", retry_delay_seconds=0.5,
    )  # fmt: skip
    await plan(session)
    noon.move_clock(300)
    assert (await plan(session)).executions == 1
    row = noon.execution(noon.value("SELECT id FROM job_executions"))
    wanted = {
        "source": "tick", "cron_job_id": id_, "handler_name": "report", "handler_params": {"a": 1}, "queue": "slow",
        "priority": 3, "timeout_seconds": 7.0, "max_retry": 9, "retry_backoff": "linear", "retry_delay_seconds": 0.5,
        "status": "PENDING", "scheduled_at": moment("12:05"), "available_at": moment("12:05"),
        "concurrency_key": f"cron:{id_}", "concurrency_limit": 1,
    }  # fmt: skip
    assert row.items() >= wanted.items()
    cron_job = noon.cron_job_row(id_)
    assert (cron_job["last_run_at"], cron_job["next_run_at"]) == (moment("12:05"), moment("12:10"))
    assert cron_job["planned_until"] >= NOON + timedelta(seconds=300)


async def test_each_tick_is_planned_once_whenever_somebody_looks(noon: Tables, session: Session) -> None:
    noon.cron_job("* * * * * *", overlap_policy="allow")
    for step in (0, 0.2, 0.9, 1, 3, 0, 7):
        noon.move_clock(step)
        await plan(session)
    last = noon.now().replace(microsecond=0)
    assert last >= moment("12:00:12")
    seconds = round((last - moment("12:00")).total_seconds())
    assert ticks(noon) == [moment("12:00") + n * SECOND for n in range(1, seconds + 1)]


async def test_a_clock_that_is_set_back_plans_nothing_twice(noon: Tables, session: Session) -> None:
    noon.cron_job("* * * * *", overlap_policy="allow", catch_up="all")
    for step in (300, -7200, 7260, 60):
        await plan(session)
        noon.move_clock(step)
    await plan(session)
    assert ticks(noon) == [moment("12:00") + n * MINUTE for n in range(1, 8)]


@pytest.mark.parametrize(("policy", "limit", "run"), [("skip", 100, 0), ("latest", 100, 1), ("all", 10, 10)])
async def test_an_outage_of_three_hours_is_made_up_as_the_row_says(
    noon: Tables, session: Session, policy: str, limit: int, run: int
) -> None:
    id_ = noon.cron_job("* * * * *", overlap_policy="allow", catch_up=policy, catch_up_limit=limit)
    await plan(session)
    noon.move_clock(3 * 3600 + 30)
    await plan(session)
    assert ticks(noon) == [moment("15:00") - n * MINUTE for n in reversed(range(run))]
    (span,) = skipped(noon)
    missed = 180 - run
    assert span[:3] == (moment("12:01"), moment("12:00") + missed * MINUTE, missed)
    assert span[3] == f"skipped {missed} ticks that fell due while nothing was planning (catch_up '{policy}')"
    assert noon.cron_job_row(id_)["next_run_at"] == moment("15:01")


async def test_a_span_is_counted_to_ten_thousand(noon: Tables, session: Session, events: Events) -> None:
    noon.cron_job("* * * * * *", catch_up="skip", overlap_policy="allow", name="often")
    await plan(session)
    noon.move_clock(3 * 3600)
    await plan(session)
    ((_, _, count, reason),) = skipped(noon)
    assert count == 10_000
    assert reason.startswith("skipped more than 10000 ticks that fell due")
    assert events.of("planner.skipped") == [{"name": "often", "reason": reason}]


async def test_a_span_of_one_is_told_in_the_singular(noon: Tables, session: Session) -> None:
    noon.cron_job("* * * * *", catch_up="skip", overlap_policy="allow")
    await plan(session)
    noon.move_clock(90)
    await plan(session)
    ((_, _, count, reason),) = skipped(noon)
    assert (count, reason) == (1, "skipped 1 tick that fell due while nothing was planning (catch_up 'skip')")


async def test_nothing_before_the_window_and_nothing_after_it(noon: Tables, session: Session) -> None:
    id_ = noon.cron_job("* * * * *", overlap_policy="allow", starts_at=moment("12:02"), ends_at=moment("12:04"))
    for _ in range(6):
        await plan(session)
        noon.move_clock(60)
    assert ticks(noon) == [moment("12:02"), moment("12:03")]
    assert noon.value("SELECT next_run_at = 'infinity' FROM cron_jobs WHERE id = %s", id_)
    assert (await plan(session)).cron_jobs == 0


async def test_an_interval_counts_from_starts_at_else_from_the_rows_creation(noon: Tables, session: Session) -> None:
    anchored = noon.cron_job("@every 7m", starts_at=moment("11:58"))
    free = noon.cron_job("@every 7m")
    await plan(session)
    assert noon.cron_job_row(anchored)["next_run_at"] == moment("12:05")
    row = noon.cron_job_row(free)
    assert row["next_run_at"] - row["created_at"] == pytest.approx(7 * MINUTE, abs=SECOND)


@pytest.mark.parametrize("starts_at", ["1969-12-30 05:00+00", "0044-03-15 12:00+00 BC", "-infinity"])
async def test_an_interval_that_counts_from_before_1970_is_the_same_for_a_person(
    noon: Tables, session: Session, starts_at: str
) -> None:
    noon.cron_job("@every 7d", name="weekly", starts_at=starts_at)
    with closing(SyncSession(noon.url, "public", "test")) as person:
        told = due_next(person, ["weekly"])
        await plan(session)
        assert told == due_next(person, ["weekly"]) == {"weekly": noon.value("SELECT next_run_at FROM cron_jobs")}


async def test_jitter_puts_off_by_the_hash_of_job_and_tick(noon: Tables, session: Session) -> None:
    id_ = noon.cron_job("* * * * *", overlap_policy="allow", jitter_seconds=45.0)
    await plan(session)
    noon.move_clock(60)
    await plan(session)
    ((tick, available),) = noon.rows("SELECT scheduled_at, available_at FROM job_executions")
    delay = catch_up.jitter(id_, tick, 45.0, tick + MINUTE)
    assert 0 < delay < 45
    assert available - tick == timedelta(seconds=delay)


async def test_an_edit_counts_from_now(noon: Tables, session: Session) -> None:
    edited, disabled = noon.cron_job("*/5 * * * *"), noon.cron_job("*/5 * * * *")
    await plan(session)
    noon.move_clock(301)  # both are due
    noon.execute("UPDATE cron_jobs SET cron_expression = '*/7 * * * *' WHERE id = %s", edited)
    noon.execute("UPDATE cron_jobs SET enabled = false WHERE id = %s", disabled)
    await plan(session)
    assert ticks(noon) == []
    assert noon.cron_job_row(edited)["next_run_at"] == moment("12:07")
    noon.move_clock(600)
    noon.execute("UPDATE cron_jobs SET enabled = true WHERE id = %s", disabled)
    await plan(session)
    rows = noon.rows("SELECT cron_job_id, status, scheduled_at FROM job_executions ORDER BY cron_job_id, scheduled_at")
    assert rows == [
        (edited, "SKIPPED", moment("12:05")),
        (edited, "SKIPPED", moment("12:07")),
        (edited, "PENDING", moment("12:14")),
        (disabled, "SKIPPED", moment("12:05")),
        (disabled, "SKIPPED", moment("12:10")),
    ]
    assert noon.cron_job_row(disabled)["next_run_at"] == moment("12:20")


async def test_a_deleted_cron_job_is_planned_no_more_and_what_is_planned_stays(noon: Tables, session: Session) -> None:
    noon.cron_job("* * * * *")
    await plan(session)
    noon.move_clock(60)
    await plan(session)
    noon.execute("DELETE FROM cron_jobs")
    noon.move_clock(60)
    assert (await plan(session)).cron_jobs == 0
    assert ticks(noon) == [moment("12:01")]


async def test_other_zone_data_computes_the_ticks_anew(noon: Tables, session: Session) -> None:
    old, new = noon.cron_job("0 15 * * *"), noon.cron_job("0 15 * * *")
    await plan(session)
    noon.execute("UPDATE cron_jobs SET tzdata_version = '2019a' WHERE id = %s", old)
    await CronJobs(session).recompute_zones(tzdata_version())
    assert noon.column("SELECT next_run_at IS NULL FROM cron_jobs ORDER BY id") == [True, False]
    assert (await plan(session)).cron_jobs == 1
    for row in (noon.cron_job_row(old), noon.cron_job_row(new)):
        assert (row["next_run_at"], row["tzdata_version"]) == (moment("15:00"), tzdata_version())


async def test_ticks_and_cursor_are_one_transaction(noon: Tables, session: Session, armed: Arm) -> None:
    hits = []

    def fail() -> None:
        hits.append(1)
        raise FailpointError

    id_ = noon.cron_job("* * * * *")
    await plan(session)
    before = noon.cron_job_row(id_)
    noon.move_clock(60)
    armed("before_plan_commit", fail)
    with pytest.raises(FailpointError):
        await plan(session)
    assert hits == [1]
    assert noon.cron_job_row(id_) == before
    assert ticks(noon) == []
    armed("before_plan_commit", lambda: None)
    await plan(session)
    assert ticks(noon) == [moment("12:01")]


async def test_a_full_look_says_that_there_may_be_more(
    noon: Tables, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan_module, "BATCH", 3)
    for _ in range(7):
        noon.cron_job()
    looks = [await plan(session) for _ in range(3)]
    assert [(look.cron_jobs, look.more) for look in looks] == [(3, True), (3, True), (1, False)]


async def test_a_look_ends_when_it_has_found_many_ticks(
    noon: Tables, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(5):
        noon.cron_job("* * * * *", overlap_policy="allow", catch_up="all", catch_up_limit=10)
    await plan(session)
    noon.move_clock(3600)
    monkeypatch.setattr(plan_module, "TICKS", 20)
    looks = [await plan(session) for _ in range(3)]
    assert [(look.cron_jobs, look.more) for look in looks] == [(2, True), (2, True), (1, False)]
    assert sum(look.executions for look in looks) == len(ticks(noon)) >= 50
