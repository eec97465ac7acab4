"""Each tick of the schedule in force is accounted for once: by an execution, or by a SKIPPED row that says why."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from scheduler.lifecycle.plan import plan
from scheduler.rules.schedule import parse
from scheduler.store.cron_jobs import CronJobs
from scheduler.store.session import Session
from tests.store.tables import Tables

BEGIN = datetime(2026, 3, 28, 22, 0, 0, 500_000, tzinfo=UTC)
"""Berlin's clock goes forward at 01:00."""
MINUTE = timedelta(minutes=1)
PAUSED = "skipped {} that fell due while the cron job was paused"
PAUSE = "skipped {} that nobody had planned before the pause"
EDIT = "skipped {} that nobody had planned before the schedule was edited"
MISSED = "skipped {} that fell due while nothing was planning (catch_up 'skip')"


@pytest.fixture
def night(tables: Tables) -> Tables:
    tables.set_clock(BEGIN)
    return tables


def told(tables: Tables) -> list[tuple[datetime, datetime, int, str]]:
    return tables.rows("""SELECT scheduled_at, skipped_until, skipped_count, error FROM job_executions
                          WHERE status = 'SKIPPED' ORDER BY scheduled_at""")


def after(minutes: int) -> datetime:
    return BEGIN.replace(microsecond=0) + minutes * MINUTE


def pause(tables: Tables, *, paused: bool = True) -> None:
    tables.execute("UPDATE cron_jobs SET enabled = %s", not paused)


async def test_a_pause_leaves_a_row_that_says_so(night: Tables, session: Session) -> None:
    night.cron_job("*/10 * * * *")
    await plan(session)
    pause(night)
    night.move_clock(3600)
    pause(night, paused=False)
    await plan(session)
    assert told(night) == [(after(10), after(60), 6, PAUSED.format("6 ticks"))]
    assert night.value("SELECT unplanned IS NULL AND next_run_at IS NOT NULL FROM cron_jobs")
    night.move_clock(600)
    assert (await plan(session)).executions == 1
    assert len(told(night)) == 1


async def test_what_was_due_before_a_pause_or_an_edit_is_told_apart(night: Tables, session: Session) -> None:
    night.cron_job("*/10 * * * *", catch_up="skip", overlap_policy="allow")
    await plan(session)
    night.move_clock(650)
    pause(night)
    night.move_clock(600)
    night.execute("UPDATE cron_jobs SET cron_expression = '*/5 * * * *'")
    night.move_clock(600)
    pause(night, paused=False)
    night.move_clock(600)
    night.execute("UPDATE cron_jobs SET timezone = 'Europe/Berlin', cron_expression = '7 * * * *'")
    night.move_clock(3600)
    await plan(session)
    assert told(night) == [
        (after(10), after(10), 1, PAUSE.format("1 tick")),
        (after(20), after(20), 1, PAUSED.format("1 tick")),
        (after(25), after(30), 2, PAUSED.format("2 ticks")),
        (after(35), after(40), 2, EDIT.format("2 ticks")),
        (after(67), after(67), 1, MISSED.format("1 tick")),
    ]


async def test_a_stretch_without_a_tick_leaves_no_row(night: Tables, session: Session) -> None:
    night.cron_job("0 12 * * *")
    await plan(session)
    pause(night)
    night.move_clock(3600)
    pause(night, paused=False)
    await plan(session)
    assert told(night) == []


@pytest.mark.parametrize(
    "unplanned",
    [
        "[7]",
        "[{}]",
        '[{"since": "soon", "until": "infinity", "starts_at": null, "ends_at": null}]',
        '[{"since": "2026-01-01", "until": "2026-01-02", "starts_at": null, "ends_at": null, "cron_expression": [],'
        ' "timezone": "UTC", "because": "edit"}]',
        "[" * 3000 + "]" * 3000,
    ],
    ids=["a number", "empty", "no times", "a list", "deep"],
)
async def test_nonsense_by_hand_is_left_out(night: Tables, session: Session, unplanned: str) -> None:
    night.cron_job("* * * * *")
    night.execute("UPDATE cron_jobs SET unplanned = %s", unplanned)
    await plan(session)
    night.move_clock(60)
    assert (await plan(session)).executions == 1
    assert told(night) == []


async def test_a_row_that_nobody_plans_remembers_its_last_hundred_edits(night: Tables, session: Session) -> None:
    night.cron_job("* * * * *")
    await plan(session)
    for n in range(130):
        night.move_clock(60)
        night.execute("UPDATE cron_jobs SET timezone = %s", ["UTC", "Asia/Seoul"][n % 2])
    assert night.value("SELECT jsonb_array_length(unplanned) FROM cron_jobs") == 100
    await plan(session)
    assert [count for _, _, count, _ in told(night)] == [1] * 100


@pytest.mark.parametrize("seed", range(8))
async def test_whatever_happens_each_tick_is_accounted_for_once(night: Tables, session: Session, seed: int) -> None:
    """Looks, gaps, pauses and edits by chance; the oracle keeps its own list of which schedule was in force when."""
    chance = Random(seed)
    expressions = ["* * * * *", "*/7 * * * *", "30 2 * * *", "*/20 * * * * *", "0 * * * *"]
    zones = ["UTC", "Europe/Berlin", "America/New_York"]
    schedule = (chance.choice(expressions), chance.choice(zones))
    id_ = night.cron_job(
        schedule[0], timezone=schedule[1], overlap_policy=chance.choice(["allow", "skip", "queue", "replace"]),
        catch_up=chance.choice(["latest", "skip", "all"]), catch_up_limit=chance.choice([1, 5, 100]),
    )  # fmt: skip
    began, in_force = night.cron_job_row(id_)["planned_until"], []
    for _ in range(60):
        night.move_clock(chance.choice([0, 1, 5, 30, 600, 7200]))
        match chance.choice(["look", "look", "look", "pause", "edit"]):
            case "look":
                await plan(session)
                continue
            case "pause":
                night.execute("UPDATE cron_jobs SET enabled = NOT enabled")
            case "edit":
                new = (chance.choice(expressions), chance.choice(zones))
                if new == schedule:
                    continue
                in_force.append((schedule, began, began := edited(night, id_, new)))
                schedule = new
    night.execute("UPDATE cron_jobs SET enabled = true")
    await plan(session)
    in_force.append((schedule, began, night.cron_job_row(id_)["planned_until"]))
    expected = Counter(tick for (text, zone), since, until in in_force for tick in ticks(text, zone, since, until))
    assert Counter(accounted(night, in_force)) == expected
    assert max(expected.values()) == 1


def edited(tables: Tables, id_: int, schedule: tuple[str, str]) -> datetime:
    """Since when the new schedule is in force."""
    tables.execute("UPDATE cron_jobs SET cron_expression = %s, timezone = %s WHERE id = %s", *schedule, id_)
    found = tables.cron_job_row(id_)["planned_until"]
    assert isinstance(found, datetime)
    return found


def ticks(expression: str, zone: str, since: datetime, until: datetime) -> list[datetime]:
    """Those in (since, until]."""
    instant = timedelta(microseconds=1)
    return list(parse(expression, zone, anchor=BEGIN).between(since + instant, until + instant))


def accounted(tables: Tables, in_force: list[tuple[tuple[str, str], datetime, datetime]]) -> Iterator[datetime]:
    """The ticks that rows stand for: one each, or all of a span, whose count must be right."""
    rows = tables.rows("SELECT status, scheduled_at, skipped_until, skipped_count, error FROM job_executions")
    for status, first, last, count, error in rows:
        if status != "SKIPPED":
            yield first
            continue
        assert error
        (text, zone) = next(schedule for schedule, since, until in in_force if since < first <= until)
        span = ticks(text, zone, first - timedelta(microseconds=1), last)
        assert (span[0], span[-1], len(span)) == (first, last, count)
        yield from span


async def look(session: Session) -> int:
    """As the planner looks: how many executions it plans."""
    await CronJobs(session).resume_ended(500)
    return (await plan(session)).executions


async def test_a_pause_ends_by_itself_and_is_not_made_up_for(night: Tables, session: Session) -> None:
    night.cron_job("*/10 * * * *", overlap_policy="allow")
    await look(session)
    night.execute("SELECT pause_cron_job(name, 'the source\nis down', %s) FROM cron_jobs", after(60))
    night.move_clock(3000)
    assert await look(session) == 0
    assert night.value("SELECT enabled FROM cron_jobs") is False
    night.move_clock(700)
    assert await look(session) == 1
    assert told(night) == [(after(10), after(50), 5, f"{PAUSED.format('5 ticks')} (the source is down)")]
    assert night.rows("SELECT scheduled_at FROM job_executions WHERE status = 'PENDING'") == [(after(60),)]
    assert night.rows("SELECT enabled, paused_reason, resume_at FROM cron_jobs") == [(True, None, None)]


@pytest.mark.parametrize("by_hand", [False, True])
async def test_a_pause_that_nobody_was_there_to_end_ended_when_it_was_to_end(
    night: Tables, session: Session, by_hand: bool
) -> None:
    night.cron_job("*/10 * * * *", catch_up="all", overlap_policy="allow")
    await look(session)
    night.execute("SELECT pause_cron_job(name, resume_at => %s) FROM cron_jobs", after(25))
    night.move_clock(3000)
    assert night.value("SELECT late_by > '20 min' FROM cron_job_status")
    if by_hand:
        pause(night, paused=False)
    assert await look(session) == 3
    assert told(night) == [(after(10), after(20), 2, PAUSED.format("2 ticks"))]
    assert night.value("SELECT min(scheduled_at) FROM job_executions WHERE status = 'PENDING'") == after(30)


async def test_an_edit_after_the_end_of_a_pause_is_what_its_ticks_count_from(night: Tables, session: Session) -> None:
    night.cron_job("*/10 * * * *", catch_up="all", overlap_policy="allow")
    await look(session)
    night.execute("SELECT pause_cron_job(name, resume_at => %s) FROM cron_jobs", after(15))
    night.move_clock(1800)
    night.execute("UPDATE cron_jobs SET cron_expression = '*/5 * * * *'")
    night.move_clock(600)
    assert await look(session) == 2
    assert told(night) == [(after(10), after(30), 3, PAUSED.format("3 ticks"))]


@pytest.mark.parametrize("moment", ["'-infinity'", "'4714-11-24 00:00:00+00 BC'", "'1969-01-01'", "'epoch'"])
async def test_an_end_that_nobody_means_is_past(night: Tables, session: Session, moment: str) -> None:
    night.cron_job("*/10 * * * *")
    await look(session)
    pause(night)
    night.execute(f"UPDATE cron_jobs SET resume_at = {moment}")
    night.move_clock(60)
    await look(session)
    assert night.value("SELECT enabled AND next_run_at IS NOT NULL FROM cron_jobs")


async def test_a_pause_for_ever_keeps_nobody_awake(night: Tables, session: Session) -> None:
    night.cron_job("*/10 * * * *")
    pause(night)
    night.execute("UPDATE cron_jobs SET resume_at = 'infinity'")
    assert await look(session) == 0
    assert await CronJobs(session).next_tick() is None
    night.execute("UPDATE cron_jobs SET resume_at = %s", night.now() + MINUTE)
    assert await CronJobs(session).next_tick() == pytest.approx(60, abs=30)
