"""When ticks are: the table of instants, the walk of Debian's cron, cronsim, and the promises of `Schedule`."""

import json
import os
import re
from bisect import bisect_right
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from apscheduler.triggers.base import BaseTrigger  # type: ignore[import-untyped]  # APScheduler 3 ships no types
from cronsim import CronSim
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from scheduler.errors import ScheduleError
from scheduler.rules import schedule as schedule_module
from scheduler.rules.schedule import Schedule, parse
from scheduler.rules.zones import Stretch, load_zone, stretch_at
from tests.rules import cron_oracle
from tests.rules.cron_oracle import Job
from tests.rules.generated import jobs

CASES = json.loads((Path(__file__).parent.parent / "data" / "cron_cases.json").read_text(encoding="utf-8"))
EXAMPLES = int(os.environ.get("SCHEDULER_TEST_EXAMPLES", "400"))
DAY, MINUTE, SECOND = timedelta(days=1), timedelta(minutes=1), timedelta(seconds=1)

CLOCK_CHANGES = [
    ("America/New_York", "2026-03-08"), ("America/New_York", "2026-11-01"),
    ("Europe/Berlin", "2026-03-29"), ("Europe/Berlin", "2026-10-25"),
    ("Europe/Dublin", "2026-03-29"), ("Europe/Dublin", "2026-10-25"),
    ("Australia/Lord_Howe", "2026-04-04"), ("Australia/Lord_Howe", "2026-10-03"),  # half an hour
    ("Antarctica/Troll", "2026-03-29"), ("Antarctica/Troll", "2026-10-25"),  # two hours
    ("America/Havana", "2026-03-08"), ("America/Havana", "2025-11-02"),  # at midnight, as the next three
    ("Africa/Cairo", "2026-04-23"), ("Africa/Cairo", "2026-10-29"),
    ("America/Santiago", "2026-04-05"), ("America/Santiago", "2026-09-06"),
    ("America/Sao_Paulo", "2018-02-18"), ("America/Sao_Paulo", "2018-11-04"),
    ("Pacific/Chatham", "2026-04-04"), ("Pacific/Chatham", "2026-09-26"),
    ("America/Nuuk", "2024-03-30"), ("America/Scoresbysund", "2023-03-26"),
    ("America/Caracas", "2007-12-09"), ("America/Caracas", "2016-05-01"),  # half an hour, for good
    ("Asia/Pyongyang", "2015-08-14"), ("Asia/Pyongyang", "2018-05-04"),
    ("Asia/Kathmandu", "1985-12-31"),  # a quarter of an hour
    ("Antarctica/Casey", "2010-03-04"), ("Antarctica/Casey", "2009-10-17"),  # exactly three hours
    ("Pacific/Apia", "2011-12-30"), ("Pacific/Kwajalein", "1993-08-20"),  # a day removed
]  # fmt: skip


def at(text: str) -> datetime:
    instant = datetime.fromisoformat(text)
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


def schedule_of(expression: str, zone: str = "UTC") -> Schedule:
    return parse(expression, zone, anchor=at("2026-01-01"))


def test_every_case_of_the_table_is_there() -> None:
    assert len(CASES) == 50


@pytest.mark.parametrize("case", CASES, ids=[f"{case['tz']} {case['expr']} {case['from'][:10]}" for case in CASES])
def test_table_of_instants(case: dict[str, Any]) -> None:
    schedule = schedule_of(case["expr"], case["tz"])
    start, end = at(case["from"]), at(case["to"])
    expected = [at(text) for text in case["expect"]]
    assert list(schedule.between(start, end)) == expected
    assert schedule.newest(len(expected), start, end) == expected
    assert schedule.count(start, end, at_most=10_000) == len(expected)


@pytest.mark.parametrize(
    ("expression", "day", "count"),
    [
        ("* * * * *", "2026-03-08", 1_380),
        ("* * * * *", "2026-11-01", 1_500),
        ("0 * * * *", "2026-03-08", 23),
        ("0 * * * *", "2026-11-01", 25),
        ("0 0-23 * * *", "2026-03-08", 23),
        ("0 0-23 * * *", "2026-11-01", 24),
    ],
)
def test_counts_on_a_new_york_day(expression: str, day: str, count: int) -> None:
    zone = load_zone("America/New_York")
    start = datetime.fromisoformat(day).replace(tzinfo=zone)
    ticks = list(schedule_of(expression, "America/New_York").between(start, start + DAY))
    assert len(ticks) == len(set(ticks)) == count


@pytest.mark.parametrize(("zone", "day"), CLOCK_CHANGES)
def test_the_clock_does_change_where_the_walk_looks(zone: str, day: str) -> None:
    start, end = window(day)
    assert start.astimezone(load_zone(zone)).utcoffset() != end.astimezone(load_zone(zone)).utcoffset()


@settings(max_examples=EXAMPLES, deadline=None)
@given(job=jobs(), change=st.sampled_from(CLOCK_CHANGES), minutes=st.lists(st.integers(0, 4_000), max_size=8))
def test_agrees_with_a_walk_of_debian_cron(job: Job, change: tuple[str, str], minutes: list[int]) -> None:
    zone, day = change
    start, end = window(day)
    schedule = schedule_or_assume(job.expression, zone)
    expected = cron_oracle.ticks(job, zone, start, end)
    assert list(schedule.between(start, end)) == expected
    for after in (start + minute * MINUTE for minute in minutes):
        later = expected[bisect_right(expected, after) :]
        assert not later or schedule.next(after) == later[0]


SECONDLY = [
    Job("*/7 * * * * *", frozenset(range(60)), frozenset(range(24)), frozenset(), frozenset(range(13)),
        frozenset(range(7)), wildcard=True, both_days=False, seconds=frozenset(range(0, 60, 7))),
    Job("*/20 30 1,2 * * *", frozenset({30}), frozenset({1, 2}), frozenset(), frozenset(range(13)),
        frozenset(range(7)), wildcard=False, both_days=False, seconds=frozenset({0, 20, 40})),
    Job("15 59 0-3 * * *", frozenset({59}), frozenset(range(4)), frozenset(), frozenset(range(13)),
        frozenset(range(7)), wildcard=False, both_days=False, seconds=frozenset({15})),
]  # fmt: skip


@pytest.mark.parametrize("job", SECONDLY, ids=lambda job: job.expression)
@pytest.mark.parametrize("start", ["2026-03-08T05:00", "2026-11-01T04:00"])
def test_seconds_follow_the_same_rule(job: Job, start: str) -> None:
    begin, end = at(start), at(start) + timedelta(hours=4)
    schedule = schedule_of(job.expression, "America/New_York")
    expected = cron_oracle.ticks(job, "America/New_York", begin, end, SECOND)
    assert list(schedule.between(begin, end)) == expected


@pytest.mark.parametrize("expression", ["*/30 1 * * *", "30 1 * * *", "0 * * * *", "5,35 0-2 * * *", "30 2 * * *"])
@pytest.mark.parametrize(
    ("zone", "day"),
    [("America/New_York", "2026-11-01"), ("Antarctica/Troll", "2026-10-25"), ("Europe/Berlin", "2026-03-29")],
)
def test_restarting_at_any_second_changes_nothing(expression: str, zone: str, day: str) -> None:
    schedule, (start, end) = schedule_of(expression, zone), window(day)
    ticks = list(schedule.between(start, end))
    for after in (start + n * timedelta(seconds=97, microseconds=1) for n in range(1_500)):
        tick = schedule.next(after.astimezone(schedule.zone))
        assert tick is not None
        assert tick > after
        assert tick == ticks[bisect_right(ticks, after)] if after < ticks[-1] else tick > ticks[-1]
    for before, tick in pairwise(ticks):
        assert schedule.next(before) == schedule.next(tick - timedelta(microseconds=1)) == tick


@settings(max_examples=EXAMPLES // 4, deadline=None)
@given(
    job=jobs(any_day=True),
    start=st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1)),  # noqa: DTZ001 - Hypothesis draws naive bounds
    special=st.sampled_from(["", "", ",L", ",LW"]),
    nth=st.sampled_from(["", "", ",MON#1", ",2#5", ",5L", ",0L"]),
)
def test_agrees_with_cronsim(job: Job, start: datetime, special: str, nth: str) -> None:
    minute, hour, day, month, weekday = job.expression.split()
    expression = " ".join([minute, hour, day + special, month, weekday + nth])
    assume(not re.search(r"\b(\d+)-\1/", expression))  # cronsim takes 3-3/2 for 3/2
    ticks = islice(schedule_or_assume(expression, "UTC").iterate(start.replace(tzinfo=UTC)), 8)
    # cronsim gives up 50 years on.
    near = [tick for tick in ticks if tick < at("2060-01-01")]
    assert near == list(islice(CronSim(expression, start.replace(tzinfo=UTC)), len(near)))


EACH_KIND_OF_DAY = {
    (
        (at("2000-01-01") + n * DAY).month,
        (at("2000-01-01") + n * DAY).day,
        (at("2000-01-01") + n * DAY).isoweekday() % 7,
    )
    for n in range(28 * 366)
}


@settings(max_examples=EXAMPLES // 2, deadline=None)
@given(job=jobs(any_day=True))
def test_refused_if_and_only_if_it_never_fires(job: Job) -> None:
    fires = any(m in job.months and job.matches_day(day, weekday) for m, day, weekday in EACH_KIND_OF_DAY)
    try:
        schedule = schedule_of(job.expression)
    except ScheduleError as error:
        assert "would never fire" in str(error)  # noqa: PT017 - both ways out are judged
        assert not fires
    else:
        assert fires
        assert schedule.next(at("2026-01-01")) is not None


def test_every_counts_elapsed_time_from_its_anchor() -> None:
    anchor = at("2026-03-07T12:00:00.75")
    schedule = parse(" @every\t90s", "America/New_York", anchor=anchor)
    assert schedule.next(at("2020-01-01")) == at("2026-03-07T12:00:00")
    assert schedule.next(at("2026-03-07T12:00:00")) == at("2026-03-07T12:01:30")
    assert schedule.next(at("2026-03-07T12:01:29.999999")) == at("2026-03-07T12:01:30")
    daily = parse("@every 1d", "America/New_York", anchor=anchor)
    assert list(daily.between(at("2026-03-08"), at("2026-03-10"))) == [at("2026-03-08T12:00"), at("2026-03-09T12:00")]


@pytest.mark.parametrize(("spelled", "seconds"), [("1s", 1), ("5m", 300), ("2h", 7_200), ("36500d", 3_153_600_000)])
def test_units_of_every(spelled: str, seconds: int) -> None:
    anchor = at("2026-01-01")
    assert schedule_of(f"@every {spelled}").next(anchor) == anchor + timedelta(seconds=seconds)


def test_every_keeps_its_phase_for_centuries() -> None:
    schedule, anchor = schedule_of("@every 97s"), at("2026-01-01")
    tick = schedule.next(at("8500-01-01T00:00:00.5"))
    assert tick is not None
    assert (tick - anchor) % timedelta(seconds=97) == timedelta(0)
    assert at("8500-01-01") < tick <= at("8500-01-01") + timedelta(seconds=98)


@pytest.mark.parametrize("expression", ["* * * * * *", "0 0 29 2 *", "@every 1s"])
@pytest.mark.parametrize("zone", ["UTC", "Pacific/Kiritimati", "America/Los_Angeles"])
def test_nothing_fires_beyond_the_horizon(expression: str, zone: str) -> None:
    schedule = schedule_of(expression, zone)
    assert schedule.next(at("8999-12-31T23:59:59")) is None
    assert schedule.next(datetime.max.replace(tzinfo=UTC)) is None


@pytest.mark.parametrize("zone", ["UTC", "Africa/Monrovia", "Pacific/Apia"])
def test_asking_from_before_the_epoch_is_harmless(zone: str) -> None:
    tick = schedule_of("0 0 * * *", zone).next(datetime.min.replace(tzinfo=UTC))
    assert tick is not None
    assert at("1970-01-01") <= tick <= at("1970-01-02")


def test_newest_and_count_agree_with_the_whole_list() -> None:
    start, end = at("2024-02-10T00:00:30"), at("2026-06-01T00:00:01")
    for expression in ("0 */6 * * *", "0 0 29 2 *", "*/5 * * * 1", "@every 7h"):
        schedule = schedule_of(expression, "America/New_York")
        ticks = list(schedule.between(start, end))
        assert schedule.count(start, end, at_most=100) == min(100, len(ticks))
        for count in (0, 1, 2, 100, 1_000_000):
            assert schedule.newest(count, start, end) == (ticks[-count:] if count else [])


def test_newest_looks_back_to_the_first_year() -> None:
    leap_days = schedule_of("0 0 29 2 *").newest(1_000, datetime.min.replace(tzinfo=UTC), at("1980-01-01"))
    assert leap_days == [at("1972-02-29"), at("1976-02-29")]


def test_is_an_apscheduler_trigger_without_its_traps() -> None:
    schedule = schedule_of("*/30 1 * * *", "America/New_York")
    assert isinstance(schedule, BaseTrigger)
    tick = at("2026-11-01T05:30")  # 01:30 in the first pass
    assert schedule.get_next_fire_time(None, tick) == tick
    assert schedule.get_next_fire_time(tick, tick) == at("2026-11-01T06:00")
    assert schedule.get_next_fire_time(tick, tick - DAY) == at("2026-11-01T06:00")
    assert isinstance(schedule_of("@every 5m"), BaseTrigger)


@pytest.mark.parametrize("expression", ["0 0 29 2 */7", "0 0 1 1 *", "0 0 31 12 5#5"])
def test_a_sparse_schedule_skips_the_years_between(expression: str, monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at: list[int] = []

    def counted(zone: ZoneInfo, instant: int) -> Stretch:
        looked_at.append(instant)
        return stretch_at(zone, instant)

    monkeypatch.setattr(schedule_module, "stretch_at", counted)
    assert schedule_of(expression, "America/New_York").next(at("2026-01-02")) is not None
    assert len(looked_at) <= 4


def window(day: str) -> tuple[datetime, datetime]:
    return at(day) - DAY, at(day) + 2 * DAY


def schedule_or_assume(expression: str, zone: str) -> Schedule:
    """The schedule, leaving out an expression that never fires."""
    try:
        return schedule_of(expression, zone)
    except ScheduleError as error:
        assume("would never fire" not in str(error))
        raise
