"""What is said about a jump of the clock is what the schedule does there."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.errors import ScheduleError
from scheduler.rules.clock_changes import ClockChange, Effect, clock_changes
from scheduler.rules.schedule import parse
from tests.rules.cron_oracle import Job
from tests.rules.generated import jobs

YEAR_2026 = datetime(2026, 1, 1, tzinfo=UTC)
NEW_YORK, BERLIN = "America/New_York", "Europe/Berlin"


def changes(expression: str, zone: str, start: datetime = YEAR_2026) -> list[ClockChange]:
    return clock_changes(parse(expression, zone, anchor=start), start, start + timedelta(days=365))


@pytest.mark.parametrize(
    ("expression", "zone", "effects"),
    [
        ("30 2 * * *", NEW_YORK, [Effect.RUNS_AFTER, Effect.NONE]),
        ("30 1 * * *", NEW_YORK, [Effect.NONE, Effect.FIRST_PASS]),
        ("0 * * * *", NEW_YORK, [Effect.LEFT_OUT, Effect.TWICE]),
        ("0 4 * * *", NEW_YORK, [Effect.NONE, Effect.NONE]),
        ("30 2 * * MON", NEW_YORK, [Effect.NONE, Effect.NONE]),
        ("30 0 * * *", "Africa/Cairo", [Effect.RUNS_AFTER, Effect.NONE]),
        ("@every 7h", NEW_YORK, [Effect.MOVES, Effect.MOVES]),
        ("@every 5m", NEW_YORK, [Effect.NONE, Effect.NONE]),
        ("@every 1h", "Australia/Lord_Howe", [Effect.MOVES, Effect.MOVES]),
        ("* * * * *", "Asia/Seoul", []),
    ],
)
def test_effects(expression: str, zone: str, effects: list[Effect]) -> None:
    assert [change.effect for change in changes(expression, zone)] == effects


def test_a_change_in_numbers() -> None:
    spring, autumn = changes("* * * * *", NEW_YORK)
    assert (spring.affected, spring.ticks, spring.usual_ticks) == (60, 1_380, 1_440)
    assert (autumn.affected, autumn.ticks, autumn.usual_ticks) == (60, 1_500, 1_440)
    assert spring.at == datetime(2026, 3, 8, 7, tzinfo=UTC)
    assert (spring.wall_before.isoformat(), spring.wall_after.isoformat()) == (
        "2026-03-08T02:00:00-05:00", "2026-03-08T03:00:00-04:00",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("expression", "sentence"),
    [
        ("30 2 * * *", "02:30 does not exist on that day: it runs once, at 03:00."),
        (
            "0,20,40 2,3 * * *",
            "02:00, 02:20 and 02:40 do not exist on that day: all of them run as one tick, at 03:00. "
            "On that day it ticks 3 times instead of 6.",
        ),
        (
            "*/10 * * * *",
            "The 6 times from 02:00 to 02:50 do not exist on that day and are left out. "
            "On that day it ticks 138 times instead of 144.",
        ),
        ("15 30 2 * * *", "02:30:15 does not exist on that day: it runs once, at 03:00."),
        ("0 5 * * *", "It touches no tick."),
    ],
)
def test_sentences(expression: str, sentence: str) -> None:
    assert changes(expression, BERLIN)[0].sentence == sentence


def test_a_removed_day_is_a_correction_of_the_clock() -> None:
    (change,) = clock_changes(
        parse("30 12 * * *", "Pacific/Apia", anchor=YEAR_2026),
        datetime(2011, 12, 1, tzinfo=UTC),
        datetime(2012, 1, 31, tzinfo=UTC),
    )
    assert (change.effect, change.affected, change.ticks, change.usual_ticks) == (Effect.LEFT_OUT, 1, 0, 1)


@settings(max_examples=150, deadline=None)
@given(jobs(), st.sampled_from([NEW_YORK, BERLIN, "Australia/Lord_Howe", "Africa/Cairo", "America/Santiago"]))
def test_what_is_said_happens(job: Job, zone: str) -> None:
    try:
        schedule = parse(job.expression, zone, anchor=YEAR_2026)
    except ScheduleError:
        return
    for change in clock_changes(schedule, YEAR_2026, YEAR_2026 + timedelta(days=365)):
        before, after = change.wall_before.replace(tzinfo=None), change.wall_after.replace(tzinfo=None)
        moments = schedule.between(change.at - abs(after - before), change.at + abs(after - before))
        ticks = [tick.astimezone(schedule.zone).replace(tzinfo=None) for tick in moments]
        low, high = min(before, after), max(before, after)
        within = [tick for tick in ticks if low <= tick < high]
        match change.effect:
            case Effect.NONE:
                assert not within
            case Effect.RUNS_AFTER:
                assert not within
                assert ticks.count(after) == 1
            case Effect.LEFT_OUT:
                assert not within
            case Effect.FIRST_PASS:
                assert len(within) == len(set(within)) == change.affected
            case Effect.TWICE:
                assert len(within) == 2 * change.affected == 2 * len(set(within))
            case Effect.MOVES:
                raise AssertionError("a calendar doesn't move")
