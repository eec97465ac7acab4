"""Schedules in words: a table that people have read, and the promise that the same meaning has the same words."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from scheduler.errors import ScheduleError
from scheduler.rules.expression import MAX_LENGTH
from scheduler.rules.fields import DAY_OF_MONTH, DAY_OF_WEEK, HOUR, MINUTE, MONTH, SECOND
from scheduler.rules.schedule import Schedule, parse
from scheduler.rules.words import FieldWords, field_words, in_words
from tests.rules.cron_oracle import Job
from tests.rules.generated import jobs

ANCHOR = datetime(2026, 1, 1, tzinfo=UTC)

TABLE = {
    "* * * * *": "every minute",
    "*/1 * * * *": "every minute",
    "*/5 * * * *": "every 5 minutes",
    "0,30 * * * *": "every 30 minutes",
    "*/7 * * * *": "every 7 minutes from :00 to :56 of every hour",
    "5/20 * * * *": "at :05, :25 and :45 of every hour",
    "10,20,40 * * * *": "at :10, :20 and :40 of every hour",
    "0-29 * * * *": "every minute from :00 to :29 of every hour",
    "0-29 9-17 * * *": "every minute from :00 to :29 of the hours 09 to 17, every day",
    "*/7 2 * * *": "every 7 minutes from 02:00 to 02:56, every day",
    "0-9,30 2 * * *": "at 02:00 to 02:09 and 02:30 every day",
    "* 2 * * *": "every minute from 02:00 to 02:59, every day",
    "@hourly": "every hour",
    "30 * * * *": "every hour at :30",
    "30 2 * * *": "at 02:30 every day",
    "00 09 * * *": "at 09:00 every day",
    "*/30 2 * * *": "at 02:00 and 02:30 every day",
    "0 */6 * * *": "at 00:00, 06:00, 12:00 and 18:00 every day",
    "0 */2 * * *": "every 2 hours from 00:00 to 22:00, every day",
    "30 1-23/2 * * *": "every 2 hours from 01:30 to 23:30, every day",
    "5 1,3,4,9,11 * * *": "at 01:05, 03:05, 04:05, 09:05 and 11:05 every day",
    "5 1,3,4,9,11,12,20 * * *": "at :05 of the hours 01, 03, 04, 09, 11, 12 and 20 every day",
    "*/5 9-11,13-16 * * *": "every 5 minutes from 09:00 to 11:55 and from 13:00 to 16:55, every day",
    "*/5 */2 * * *": "every 5 minutes of every 2nd hour from 00 to 22, every day",
    "0,20 */3 * * *": "at :00 and :20 of every 3rd hour from 00 to 21 every day",
    "0 9-17 * * 1-5": "every hour from 09:00 to 17:00, Monday to Friday",
    "0 9 * * MON-FRI": "at 09:00 from Monday to Friday",
    "0 9 * * 1-5,1": "at 09:00 from Monday to Friday",
    "@daily": "at 00:00 every day",
    "@midnight": "at 00:00 every day",
    "@weekly": "at 00:00 on Sundays",
    "0 0 * * 7": "at 00:00 on Sundays",
    "0 3 * * 0,6": "at 03:00 on Saturdays and Sundays",
    "0 3 * * FRI,SAT,SUN": "at 03:00 from Friday to Sunday",
    "0 3 * * mon,Wed,FRI": "at 03:00 on Mondays, Wednesdays and Fridays",
    "0 3 * * 1-7": "at 03:00 every day",
    "@monthly": "at 00:00 on the 1st of every month",
    "0 0 1,15 * *": "at 00:00 on the 1st and the 15th of every month",
    "0 0 1-7,22 * *": "at 00:00 on the 1st to the 7th and the 22nd of every month",
    "0 0 1-7 * *": "at 00:00 from the 1st to the 7th of every month",
    "0 0 */2 * *": "at 00:00 every 2nd day from the 1st to the 31st of every month",
    "0 0 L * *": "at 00:00 on the last day of every month",
    "0 0 LW 3 *": "at 00:00 on the last working day of March",
    "0 0 15,L * *": "at 00:00 on the 15th and the last day of every month",
    "0 0 1-31,L * *": "at 00:00 every day",
    "@yearly": "at 00:00 on the 1st of January",
    "0 0 29 2 *": "at 00:00 on the 29th of February",
    "0 0 1 */3 *": "at 00:00 on the 1st of January, April, July and October",
    "0 0 * JUN-AUG *": "at 00:00 every day from June to August",
    "0 0 * 1,7 MON": "at 00:00 on Mondays in January and July",
    "0 9 * * 5L": "at 09:00 on the last Friday of every month",
    "0 9 * 12 5L": "at 09:00 on the last Friday of December",
    "0 9 * * MON#2": "at 09:00 on the second Monday of every month",
    "0 9 * * MON#1,MON#3": "at 09:00 on the first Monday and the third Monday of every month",
    "0 9 * * SUN#5": "at 09:00 on the fifth Sunday of every month",
    "0 9 * * 1,MON#2": "at 09:00 on Mondays",
    "0 9 * * 1,5L": "at 09:00 on Mondays and on the last Friday of every month",
    "0 0 13 * 5": "at 00:00 on the 13th of every month and on Fridays",
    "0 0 30 2 1": "at 00:00 on the 30th of every month and on Mondays, in February",
    "0 0 1-31 * MON": "at 00:00 every day",
    "0 0 */2 * MON": "at 00:00 on Mondays, but only every 2nd day from the 1st to the 31st of every month",
    "0 0 13 * *,5": "at 00:00 on the 13th of every month",
    "* * * * * *": "every second",
    "*/10 * * * * *": "every 10 seconds",
    "0 30 2 * * *": "at 02:30 every day",
    "15 30 2 * * *": "at 02:30:15 every day",
    "15 * * * * *": "every minute, at second 15",
    "15 * 9-17 * * *": "every minute from 09:00 to 17:59, at second 15, every day",
    "5,35 * * * * *": "at seconds 5 and 35 of every minute",
    "0-9/3 * * * * *": "every 3 seconds from second 0 to 9 of every minute",
    "*/30 * 9-17 * * 1-5": "every 30 seconds from 09:00:00 to 17:59:30, Monday to Friday",
    "*/10 30 2 * * *": "at 02:30, every 10 seconds of the minute, every day",
    "15 */5 9-17 * * *": "every 5 minutes from 09:00 to 17:55, at second 15, every day",
    "@every 90s": "every 90 seconds",
    "@every 60s": "every minute",
    "@every 90m": "every 90 minutes",
    "@every 1h": "every hour",
    "@every 24h": "every 24 hours",
    "@EVERY 3d": "every 3 days of 24 hours",
}


def schedule_of(expression: str) -> Schedule:
    return parse(expression, "UTC", anchor=ANCHOR)


@pytest.mark.parametrize(("expression", "words"), TABLE.items(), ids=TABLE)
def test_words(expression: str, words: str) -> None:
    assert in_words(schedule_of(expression)) == words


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(jobs(any_day=True))
def test_the_words_come_from_the_meaning(job: Job) -> None:
    """Each field written number by number, without ranges and steps: the same words, unless a `*` gets lost."""
    minute, hour, day, month, weekday = job.expression.split()
    spelled = " ".join(
        field if field.startswith("*") else ",".join(map(str, sorted(numbers)))
        for field, numbers in (
            (minute, job.minutes), (hour, job.hours), (day, job.days), (month, job.months), (weekday, job.weekdays),
        )
    )  # fmt: skip
    assume(len(spelled) <= MAX_LENGTH)
    try:
        words = in_words(schedule_of(job.expression))
    except ScheduleError:
        return  # such as the 31st of February
    assert words == in_words(schedule_of(spelled))
    assert words.startswith(("at ", "every "))


@settings(max_examples=200, deadline=None)
@given(st.lists(jobs(any_day=True), min_size=2, max_size=2))
def test_different_times_of_day_have_different_words(pair: list[Job]) -> None:
    """What is said of the clock says all of it: two that differ there can't sound the same."""
    one, other = ((sorted(job.hours), sorted(job.minutes)) for job in pair)
    first, second = (" ".join((*job.expression.split()[:2], "* * *")) for job in pair)
    same = in_words(schedule_of(first)) == in_words(schedule_of(second))
    assert same == (one == other)


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 10**6), st.sampled_from("smhd"))
def test_intervals_of_a_length_have_the_same_words(count: int, unit: str) -> None:
    seconds = count * {"s": 1, "m": 60, "h": 3_600, "d": 86_400}[unit]
    if timedelta(seconds=seconds) <= timedelta(days=36_500):
        assert in_words(schedule_of(f"@every {count}{unit}")) == in_words(schedule_of(f"@every {seconds}s"))


def test_field_by_field() -> None:
    assert field_words("*/20 9-17 1,2,3,L jan-mar mon#1,5L") == (
        FieldWords("minute", "*/20", "0, 20, 40"),
        FieldWords("hour", "9-17", "9 to 17"),
        FieldWords("day-of-month", "1,2,3,L", "1 to 3, the last day"),
        FieldWords("month", "jan-mar", "January to March"),
        FieldWords("day-of-week", "mon#1,5L", "the first Monday, the last Friday"),
    )
    assert [words.meaning for words in field_words("@weekly")] == ["0", "0", "every day", "every month", "Sunday"]
    assert [words.name for words in field_words("5 * * * * *")] == [
        field.title for field in (SECOND, MINUTE, HOUR, DAY_OF_MONTH, MONTH, DAY_OF_WEEK)
    ]
