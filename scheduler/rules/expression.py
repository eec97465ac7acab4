"""A cron expression as a calendar: which wall-clock seconds it names, in no zone yet."""

import re
from bisect import bisect_left
from calendar import monthrange
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

from scheduler.errors import ScheduleError, did_you_mean
from scheduler.rules import fields
from scheduler.rules.fields import Month
from scheduler.rules.instants import DAY, HORIZON, HOUR, MINUTE

MAX_LENGTH = 200

MACROS: Mapping[str, str] = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}

_MONTHS = [Month(first_weekday, length) for first_weekday in range(7) for length in (28, 29, 30, 31)]
_LENGTHS = {month: (28, 29) if month == 2 else (30,) if month in (4, 6, 9, 11) else (31,) for month in range(1, 13)}
_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()


@dataclass(frozen=True, slots=True, eq=False)
class Calendar:
    """Wall-clock seconds, counted from 1970-01-01 00:00 on the same wall clock; days likewise.

    `in_hour` holds the seconds of an hour; `dates` the days of each shape of month, which `months` then narrows.
    """

    months: frozenset[int]
    dates: Mapping[Month, tuple[int, ...]]
    hours: tuple[int, ...]
    in_hour: tuple[int, ...]
    wildcard: bool
    """Whether minute or hour begins with `*`: it then follows elapsed time when the clock jumps."""

    def times(self, start: int, end: int) -> Iterator[int]:
        """Every named second in [start, end), in order."""
        first, time = divmod(start, DAY)
        for day in self.days(first):
            if day * DAY >= end:
                return
            for second in self._times_of_day(time if day == first else 0):
                if day * DAY + second >= end:
                    return
                yield day * DAY + second

    def days(self, first: int) -> Iterator[int]:
        """Every named day from `first` to the end of the year 9000, in order."""
        begin = date.fromordinal(_EPOCH_ORDINAL + first)
        year, month, earliest = begin.year, begin.month, begin.day
        while year <= HORIZON.year:
            if month in self.months:
                before = date(year, month, 1).toordinal() - _EPOCH_ORDINAL - 1
                for day in self.dates[Month(*monthrange(year, month))]:
                    if day >= earliest:
                        yield before + day
            year, month, earliest = (year, month + 1, 1) if month < 12 else (year + 1, 1, 1)

    def _times_of_day(self, start: int) -> Iterator[int]:
        first, rest = divmod(start, HOUR)
        for hour in self.hours:
            if hour >= first:
                skipped = bisect_left(self.in_hour, rest) if hour == first else 0
                for second in self.in_hour[skipped:]:
                    yield hour * HOUR + second


def parse_calendar(expression: str) -> Calendar:
    """Read five fields, six with seconds first, or a macro such as `@daily`.

    Raises ScheduleError whose message says which field is refused and why.
    """
    second, minute, hour, day_of_month, month, day_of_week = six_fields(expression)
    seconds, minutes = fields.values(fields.SECOND, second), fields.values(fields.MINUTE, minute)
    hours, months = fields.values(fields.HOUR, hour), fields.values(fields.MONTH, month)
    dates = _dates(day_of_month, day_of_week)
    if not any(dates[Month(weekday, length)] for m in months for length in _LENGTHS[m] for weekday in range(7)):
        raise ScheduleError(
            f"The expression would never fire: day-of-month {day_of_month!r}, month {month!r} and day-of-week "
            f"{day_of_week!r} never meet. Choose days that the month has."
        )
    return Calendar(
        months=months,
        dates=dates,
        hours=tuple(sorted(hours)),
        in_hour=tuple(sorted(m * MINUTE + s for m in minutes for s in seconds)),
        wildcard=minute.startswith("*") or hour.startswith("*"),
    )


def six_fields(expression: str) -> list[str]:
    """Second to day-of-week as they are written, macros spelled out. Raises ScheduleError if they are more or fewer."""
    words = _words(expression)
    if words and words[0].startswith("@"):
        words = _words(_macro(" ".join(words)))
    if words and "=" in words[0]:
        raise ScheduleError(
            f"The expression begins with {words[0]!r}: write only fields, and the zone into `timezone`."
        )
    if len(words) not in (5, 6):
        raise ScheduleError(
            f"The expression has {len(words)} field{'' if len(words) == 1 else 's'}: "
            "write 5 (minute, hour, day-of-month, month, day-of-week), or 6 with seconds first."
        )
    return words if len(words) == 6 else ["0", *words]


def _words(text: str) -> list[str]:
    # Not str.split(), for which a no-break space is as good as a space.
    return re.findall(r"[^ \t]+", text)


def _macro(text: str) -> str:
    macro = MACROS.get(text.lower())
    if macro is None:
        hint = did_you_mean(text.lower(), MACROS)
        raise ScheduleError(f"The macro {text!r} is unknown: write {', '.join(MACROS)} or '@every 90s'.{hint}")
    return macro


@lru_cache(maxsize=1024)
def _dates(day_of_month: str, day_of_week: str) -> Mapping[Month, tuple[int, ...]]:
    """The days that both day fields name if either begins with `*`; otherwise those that either names."""
    by_date, by_weekday = fields.dates_by_day_of_month(day_of_month), fields.dates_by_day_of_week(day_of_week)
    both = day_of_month.startswith("*") or day_of_week.startswith("*")
    dates: dict[Month, tuple[int, ...]] = {}
    for month in _MONTHS:
        left = {day for term in by_date for day in term(month)}
        right = {day for term in by_weekday for day in term(month)}
        dates[month] = tuple(sorted(left & right if both else left | right))
    return dates
