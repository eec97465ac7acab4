"""Which expressions deserve a word of caution, and which don't."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings

from scheduler.errors import ScheduleError
from scheduler.rules.cautions import Caution, Kind, cautions
from scheduler.rules.clock_changes import clock_changes
from scheduler.rules.schedule import parse
from tests.rules.cron_oracle import Job
from tests.rules.generated import jobs

NOW = datetime(2026, 3, 7, 12, tzinfo=UTC)


def found(expression: str, zone: str = "UTC") -> list[Caution]:
    schedule = parse(expression, zone, anchor=NOW)
    return cautions(schedule, NOW, clock_changes(schedule, NOW, NOW + timedelta(days=365)))


def said(expression: str, kind: Kind, zone: str = "UTC") -> str:
    return next(caution.sentence for caution in found(expression, zone) if caution.kind is kind)


@pytest.mark.parametrize(
    ("expression", "zone", "kinds"),
    [
        ("30 2 * * *", "Asia/Seoul", []),
        ("@daily", "America/New_York", []),
        ("@weekly", "UTC", []),
        ("*/15 9-17 * * MON-FRI", "UTC", []),
        ("0 0 L * *", "UTC", []),
        ("0 0 28-31 * *", "UTC", []),
        ("0 0 29 1 *", "UTC", []),
        ("0 0 */1 * *", "UTC", []),
        ("30 2 * * *", "America/New_York", [Kind.CLOCK_CHANGE]),
        ("0 9 * * 1-5", "UTC", [Kind.NUMERIC_WEEKDAYS]),
        ("0 9 * * 5L", "UTC", [Kind.NUMERIC_WEEKDAYS]),
        ("0 9 * * MON#2", "UTC", []),
        ("0 9 * * MON/2", "UTC", []),
        ("0 0 31 * *", "UTC", [Kind.SHORT_MONTHS]),
        ("0 0 30 1,2 *", "UTC", [Kind.SHORT_MONTHS]),
        ("0 0 29 2 *", "UTC", [Kind.LEAP_YEARS]),
        ("0 0 13 * FRI", "UTC", [Kind.EITHER_DAY]),
        ("0 0 */2 * FRI", "UTC", [Kind.BOTH_DAYS, Kind.UNEVEN_STEP]),
        ("*/7 * * * *", "UTC", [Kind.UNEVEN_STEP]),
        ("0 5/5 * * *", "UTC", [Kind.UNEVEN_STEP]),
        ("0 0 1 */5 *", "UTC", [Kind.UNEVEN_STEP]),
        ("*/40 * * * * *", "UTC", [Kind.UNEVEN_STEP, Kind.VERY_OFTEN]),
        ("*/30 * * * * *", "UTC", [Kind.VERY_OFTEN]),
        ("0-20/7 * * * *", "UTC", []),
        ("@every 90s", "UTC", [Kind.ELAPSED_TIME]),
        ("@every 10s", "Europe/Berlin", [Kind.ELAPSED_TIME, Kind.VERY_OFTEN]),
    ],
)
def test_kinds(expression: str, zone: str, kinds: list[Kind]) -> None:
    assert [caution.kind for caution in found(expression, zone)] == kinds


@pytest.mark.parametrize(
    ("written", "named"),
    [("1-5", "MON-FRI"), ("0,6", "SUN,SAT"), ("7", "SUN"), ("5L", "FRIL"), ("1#2", "MON#2"), ("1-5/2", "MON-FRI/2")],
)
def test_numeric_weekdays_are_named(written: str, named: str) -> None:
    assert f"{named} says the same as {written} " in said(f"0 9 * * {written}", Kind.NUMERIC_WEEKDAYS)


def test_where_names_would_wrap_none_are_offered() -> None:
    assert "says the same" not in said("0 9 * * 5-7", Kind.NUMERIC_WEEKDAYS)


@pytest.mark.parametrize(
    ("expression", "instead"),
    [("0 0 1-7 * MON", "MON#1"), ("0 0 8-14 * 5", "FRI#2"), ("0 0 15-21 * SUN", "SUN#3"), ("0 0 22-28 * TUE", "TUE#4")],
)
def test_a_week_of_dates_and_a_weekday_means_the_nth(expression: str, instead: str) -> None:
    sentence = said(expression, Kind.EITHER_DAY)
    assert sentence.endswith(f"write the day-of-month as * and the day-of-week as {instead}.")
    parse(f"0 0 * * {instead}", "UTC", anchor=NOW)


def test_other_dates_are_left_to_the_reader() -> None:
    assert said("0 0 1-6 * MON", Kind.EITHER_DAY).endswith("only one of them.")
    assert said("0 0 1-7 * MON,TUE", Kind.EITHER_DAY).endswith("only one of them.")


def test_a_day_field_without_an_effect() -> None:
    assert "day-of-week means nothing here" in said("0 0 1-31 * MON", Kind.EITHER_DAY)
    assert "day-of-month means nothing here" in said("0 0 13 * 0-6", Kind.EITHER_DAY)


def test_the_next_leap_year_is_named() -> None:
    assert said("0 0 29 2 *", Kind.LEAP_YEARS).endswith("the next is in 2028.")


def test_short_months_are_named() -> None:
    assert said("0 0 30 * *", Kind.SHORT_MONTHS) == "February has no day 30: nothing runs for it there."
    assert said("0 0 31 * *", Kind.SHORT_MONTHS).endswith("For the last day of each month, write L.")


def test_how_uneven_a_step_is() -> None:
    assert said("*/7 * * * *", Kind.UNEVEN_STEP) == (
        "*/7 starts anew with each hour: from minute 56 to the next 0 it is only 4, not 7. "
        "For an even distance, write '@every 7m'."
    )


@settings(max_examples=200, deadline=None)
@given(jobs(any_day=True))
def test_no_expression_is_too_odd(job: Job) -> None:
    try:
        schedule = parse(job.expression, "Europe/Berlin", anchor=NOW)
    except ScheduleError:
        return
    changes = clock_changes(schedule, NOW, NOW + timedelta(days=365))
    for caution in cautions(schedule, NOW, changes):
        assert caution.sentence.endswith(".")
