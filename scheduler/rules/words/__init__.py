"""A schedule in plain English, for people who read cron expressions once a year.

    in_words ─┬─ times    at 02:30, every 15 minutes from 09:00 to 17:45        series   lists, runs, steps
              └─ days     every day, on the last Friday of every month          columns  field by field

The words come from the numbers that the fields stand for, not from how they are written: `@daily`, `0 0 * * *` and
`00 0 1-31 * 0-6` say the same because they mean the same. (That `*` in minute or hour makes a difference when clocks
change is told with the clock changes.)
"""

from scheduler.rules.expression import six_fields
from scheduler.rules.instants import DAY, HOUR, MINUTE
from scheduler.rules.schedule import CronSchedule, IntervalSchedule, Schedule
from scheduler.rules.words.columns import FieldWords, field_words
from scheduler.rules.words.days import EVERY_DAY, day_words
from scheduler.rules.words.times import time_words

__all__ = ["FieldWords", "field_words", "in_words"]

_UNITS = ((DAY, "day"), (HOUR, "hour"), (MINUTE, "minute"), (1, "second"))


def in_words(schedule: Schedule) -> str:
    """Such as `at 02:30 every day`, without a full stop; its zone is not part of it."""
    match schedule:
        case CronSchedule():
            return _calendar_words(schedule)
        case IntervalSchedule():
            return _interval_words(int(schedule.trigger.interval_length))
        case _:
            raise TypeError(type(schedule))


def _calendar_words(schedule: CronSchedule) -> str:
    calendar = schedule.calendar
    _, _, _, day_of_month, _, day_of_week = six_fields(schedule.expression)
    minutes, seconds = ({moment // MINUTE for moment in calendar.in_hour}, {m % MINUTE for m in calendar.in_hour})
    time = time_words(calendar.hours, sorted(minutes), sorted(seconds))
    days = day_words(day_of_month, sorted(calendar.months), day_of_week)
    if days == EVERY_DAY and len(calendar.hours) == 24:
        return time
    if time.startswith("at") and "second" not in time:
        return f"{time} {days}"
    return f"{time}, {days.removeprefix('from ')}"


def _interval_words(seconds: int) -> str:
    size, unit = next((size, unit) for size, unit in _UNITS if seconds % size == 0)
    count = seconds // size
    if unit == "day":
        return "every 24 hours" if count == 1 else f"every {count} days of 24 hours"
    return f"every {unit}" if count == 1 else f"every {count} {unit}s"
