"""What people who write an expression often don't mean by it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from scheduler.errors import ScheduleError
from scheduler.rules import fields
from scheduler.rules.clock_changes import ClockChange, Effect
from scheduler.rules.expression import six_fields
from scheduler.rules.fields import DAY_OF_MONTH, DAY_OF_WEEK, Field
from scheduler.rules.schedule import CronSchedule, IntervalSchedule, Schedule
from scheduler.rules.words.days import MONTHS, NTH, WEEKDAYS, Dates, Weekdays, read_dates, read_weekdays
from scheduler.rules.words.series import listed

_LENGTHS = {month: 29 if month == 2 else 30 if month in (4, 6, 9, 11) else 31 for month in range(1, 13)}
_A_DAY, _FOUR_YEARS = timedelta(days=1), timedelta(days=4 * 366)
_OFTEN = 1_440
"""More ticks a day than one a minute are worth a word."""
_NUMBER_OF_A_DAY = re.compile(r"(?<![/#\d])\d+")


class Kind(StrEnum):
    NUMERIC_WEEKDAYS = "numeric weekdays"
    EITHER_DAY = "either day field"
    BOTH_DAYS = "both day fields"
    SHORT_MONTHS = "short months"
    LEAP_YEARS = "leap years"
    UNEVEN_STEP = "uneven step"
    CLOCK_CHANGE = "clock change"
    ELAPSED_TIME = "elapsed time"
    VERY_OFTEN = "very often"


@dataclass(frozen=True, slots=True)
class Caution:
    kind: Kind
    sentence: str


def cautions(schedule: Schedule, now: datetime, changes: list[ClockChange]) -> list[Caution]:
    """The doubtful first. `changes` are those of the time to come."""
    match schedule:
        case CronSchedule():
            found = [*_of_calendar(schedule, now), *_of_changes(changes)]
        case IntervalSchedule():
            found = [_elapsed_time(schedule)]
        case _:
            raise TypeError(type(schedule))
    return [*found, *_of_frequency(schedule, now)]


def _of_calendar(schedule: CronSchedule, now: datetime) -> Iterator[Caution]:
    second, minute, hour, day_of_month, month, day_of_week = six_fields(schedule.expression)
    months = sorted(schedule.calendar.months)
    yield from _of_both_days(day_of_month, day_of_week)
    yield from _of_numeric_weekdays(schedule.expression, day_of_week)
    if day_of_week == "*":
        yield from _of_short_months(schedule, day_of_month, months, now)
    for field, text, begins in (
        (fields.SECOND, second, "minute"),
        (fields.MINUTE, minute, "hour"),
        (fields.HOUR, hour, "day"),
        (fields.MONTH, month, "year"),
    ):
        yield from _of_uneven_steps(field, text, begins)
    yield from _of_steps_of_days(day_of_month)


def _of_both_days(day_of_month: str, day_of_week: str) -> Iterator[Caution]:
    dates, weekdays = read_dates(day_of_month), read_weekdays(day_of_week)
    if day_of_month.startswith("*") or day_of_week.startswith("*"):
        if not dates.all and not weekdays.all:
            starred = "day-of-month" if day_of_month.startswith("*") else "day-of-week"
            yield Caution(Kind.BOTH_DAYS, f"The {starred} field begins with *, so a day has to match both day fields.")
        return
    if dates.all or weekdays.all:
        idle, field = ("day-of-week", "day-of-month") if dates.all else ("day-of-month", "day-of-week")
        yield Caution(
            Kind.EITHER_DAY,
            f"A day has to match only one of the day fields, and {field} names every day: {idle} means nothing here. "
            f"Write {field} as * to need {idle} too.",
        )
        return
    yield Caution(
        Kind.EITHER_DAY,
        "Neither day field begins with *, so a day has to match only one of them." + _nth_instead(dates, weekdays),
    )


def _nth_instead(dates: Dates, weekdays: Weekdays) -> str:
    """Who writes `1-7 * MON` wants the first Monday."""
    weeks = [tuple(range(first, first + 7)) for first in (1, 8, 15, 22)]
    if dates.days not in weeks or len(weekdays.days) != 1 or weekdays.specials or dates.specials:
        return ""
    nth, name = weeks.index(dates.days) + 1, WEEKDAYS[weekdays.days[0]]
    return f" For the {NTH[nth]} {name}, write the day-of-month as * and the day-of-week as {name[:3].upper()}#{nth}."


def _of_numeric_weekdays(expression: str, day_of_week: str) -> Iterator[Caution]:
    if expression.lstrip().startswith("@") or not _NUMBER_OF_A_DAY.search(day_of_week):
        return
    named = _with_names(day_of_week)
    yield Caution(
        Kind.NUMERIC_WEEKDAYS,
        "Days of the week count from Sunday here (0 and 7), elsewhere often from Monday"
        + (f": {named} says the same as {day_of_week} and can't be misread." if named else "."),
    )


def _with_names(day_of_week: str) -> str | None:
    """The field with names for numbers, if it then still means the same."""
    named = _NUMBER_OF_A_DAY.sub(lambda found: DAY_OF_WEEK.names[int(found[0]) % 7], day_of_week).upper()
    try:
        return named if read_weekdays(named) == read_weekdays(day_of_week) else None
    except ScheduleError:
        return None


def _of_short_months(schedule: CronSchedule, text: str, months: list[int], now: datetime) -> Iterator[Caution]:
    if text.startswith("*"):
        return
    dates = read_dates(text).days
    if months == [2] and dates == (29,):
        yield Caution(Kind.LEAP_YEARS, f"A 29th of February comes in leap years only{_next_leap(schedule, now)}.")
        return
    last = max(dates, default=0)
    short = [MONTHS[month] for month in months if _LENGTHS[month] < last]
    if short and not (set(range(28, last + 1)) <= set(dates)):
        instead = " For the last day of each month, write L." if last == DAY_OF_MONTH.last else ""
        have = "has" if len(short) == 1 else "have"
        yield Caution(Kind.SHORT_MONTHS, f"{listed(short)} {have} no day {last}: nothing runs for it there.{instead}")


def _next_leap(schedule: CronSchedule, now: datetime) -> str:
    tick = schedule.next(now)
    return f": the next is in {tick.astimezone(schedule.zone).year}" if tick is not None else ""


def _of_uneven_steps(field: Field, text: str, begins: str) -> Iterator[Caution]:
    size = field.last - field.first + 1
    for term in fields.terms(field, text):
        numbers = fields.span(field, term)
        if "/" not in term or "-" in term or len(numbers) < 2 or size % numbers.step == 0:
            continue
        rest = size - numbers[-1] + numbers[0]
        every = f" For an even distance, write '@every {numbers.step}{field.title[0]}'." if begins != "year" else ""
        yield Caution(
            Kind.UNEVEN_STEP,
            f"{term} starts anew with each {begins}: from {field.title} {numbers[-1]} to the next {numbers[0]} "
            f"it is only {rest}, not {numbers.step}.{every}",
        )


def _of_steps_of_days(text: str) -> Iterator[Caution]:
    for term in fields.terms(DAY_OF_MONTH, text):
        if "/" in term and "-" not in term and (step := fields.span(DAY_OF_MONTH, term).step) > 1:
            yield Caution(
                Kind.UNEVEN_STEP,
                f"{term} starts anew with each month. For an even distance, write '@every {step}d'.",
            )


def _of_changes(changes: list[ClockChange]) -> Iterator[Caution]:
    met = [change for change in changes if change.effect in (Effect.RUNS_AFTER, Effect.FIRST_PASS)]
    if met:
        hours = dict.fromkeys(sorted(_hours_of(change) for change in met))
        yield Caution(
            Kind.CLOCK_CHANGE,
            f"{listed(list(hours))} is where the clock of this zone jumps; any other time, or the zone UTC, avoids it.",
        )


def _hours_of(change: ClockChange) -> str:
    low, high = sorted((change.wall_before.replace(tzinfo=None), change.wall_after.replace(tzinfo=None)))
    return f"{low:%H:%M}–{high:%H:%M}"


def _elapsed_time(schedule: IntervalSchedule) -> Caution:
    return Caution(
        Kind.ELAPSED_TIME,
        "Elapsed time counts from `starts_at`, or else from when the cron job was created; the wall clock and its zone "
        "don't matter.",
    )


def _of_frequency(schedule: Schedule, now: datetime) -> Iterator[Caution]:
    first = schedule.next(now)
    if first is None:
        return
    ticks = schedule.count(first, first + _A_DAY, at_most=2 * 86_400)
    if ticks > _OFTEN:
        yield Caution(Kind.VERY_OFTEN, f"It ticks {ticks:,} times a day, and each tick is a row of job_executions.")
