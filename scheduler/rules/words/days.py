"""The days in words: `every day`, `on the 1st of every month`, `from Monday to Friday in July`."""

from collections.abc import Sequence
from dataclasses import dataclass

from scheduler.rules.fields import DAY_OF_MONTH, DAY_OF_WEEK, span, terms
from scheduler.rules.words.series import folded, listed, ordinal, runs, step

EVERY_DAY = "every day"
MONTHS = ("", "January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
          "November", "December")  # fmt: skip
WEEKDAYS = ("", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
"""By ISO number, as people begin their week."""
NTH = ("", "first", "second", "third", "fourth", "fifth")
LAST_DAY, LAST_WORKING_DAY = "the last day", "the last working day"

_ORDINALS = ["", *(f"the {ordinal(day)}" for day in range(1, 32))]
_SUNDAY = 7
_A_SERIES = 4


@dataclass(frozen=True, slots=True)
class Dates:
    """What a day-of-month field names."""

    days: tuple[int, ...]
    specials: tuple[str, ...]
    """`the last day` and the like, in words."""

    @property
    def all(self) -> bool:
        return len(self.days) == DAY_OF_MONTH.last

    @property
    def words(self) -> str:
        distance = step(self.days)
        if distance is not None and distance > 1 and len(self.days) >= _A_SERIES:
            series = f"every {ordinal(distance)} day from {_ORDINALS[self.days[0]]} to {_ORDINALS[self.days[-1]]}"
            return listed([series, *self.specials])
        if distance == 1 and len(self.days) > 2 and not self.specials:
            return f"from {_ORDINALS[self.days[0]]} to {_ORDINALS[self.days[-1]]}"
        return f"on {listed([*folded(self.days, _ORDINALS), *self.specials])}"


@dataclass(frozen=True, slots=True)
class Weekdays:
    """What a day-of-week field names."""

    days: tuple[int, ...]
    """ISO numbers: Monday is 1, Sunday 7."""
    specials: tuple[str, ...]
    """`the second Monday` and the like, in words; those that `days` covers are left out."""

    @property
    def all(self) -> bool:
        return len(self.days) == len(WEEKDAYS) - 1

    @property
    def plain_words(self) -> str:
        if len(self.days) > 2 and len(runs(self.days)) == 1:
            return f"from {WEEKDAYS[self.days[0]]} to {WEEKDAYS[self.days[-1]]}"
        return f"on {listed([f'{WEEKDAYS[day]}s' for day in self.days])}"


def read_dates(field: str) -> Dates:
    """Of a field that has been accepted."""
    words, days = set(terms(DAY_OF_MONTH, field)), set[int]()
    for term in words - {"L", "LW"}:
        days.update(span(DAY_OF_MONTH, term))
    specials = [said for letter, said in (("LW", LAST_WORKING_DAY), ("L", LAST_DAY)) if letter in words]
    return Dates(tuple(sorted(days)), () if len(days) == DAY_OF_MONTH.last else tuple(specials))


def read_weekdays(field: str) -> Weekdays:
    """Of a field that has been accepted."""
    days, nth = set[int](), set[tuple[int, int]]()
    for term in terms(DAY_OF_WEEK, field):
        name, hash_mark, count = term.partition("#")
        if hash_mark or term.endswith("L"):
            (number,) = span(DAY_OF_WEEK, name if hash_mark else term[:-1])
            nth.add((int(count or len(NTH)), number or _SUNDAY))
        else:
            days.update(number or _SUNDAY for number in span(DAY_OF_WEEK, term))
    specials = [f"the {(*NTH, 'last')[count]} {WEEKDAYS[day]}" for count, day in sorted(nth) if day not in days]
    return Weekdays(tuple(sorted(days)), tuple(specials))


def day_words(day_of_month: str, months: Sequence[int], day_of_week: str) -> str:
    """Fields that have been accepted; the months in order."""
    dates, weekdays = read_dates(day_of_month), read_weekdays(day_of_week)
    if day_of_month.startswith("*") or day_of_week.startswith("*"):
        return _both(dates, weekdays, months)
    if dates.all or weekdays.all:
        return f"{EVERY_DAY}{_in_months(months)}"
    either = f"{_dates_of(dates, ())} and {_weekdays_of(weekdays, ())}"
    return f"{either},{_in_months(months)}" if _in_months(months) else either


def month_words(months: Sequence[int]) -> str:
    return listed(folded(months, MONTHS))


def _both(dates: Dates, weekdays: Weekdays, months: Sequence[int]) -> str:
    match dates.all, weekdays.all:
        case True, True:
            return f"{EVERY_DAY}{_in_months(months)}"
        case True, False:
            return _weekdays_of(weekdays, months)
        case False, True:
            return _dates_of(dates, months)
        case _:
            return f"{_weekdays_of(weekdays, months)}, but only {_dates_of(dates, months)}"


def _dates_of(dates: Dates, months: Sequence[int]) -> str:
    return f"{dates.words}{_of_months(months)}"


def _weekdays_of(weekdays: Weekdays, months: Sequence[int]) -> str:
    nth = f"on {listed(weekdays.specials)}{_of_months(months)}" if weekdays.specials else ""
    plain = f"{weekdays.plain_words}{'' if nth else _in_months(months)}" if weekdays.days else ""
    return listed([words for words in (plain, nth) if words])


def _of_months(months: Sequence[int]) -> str:
    return f" of {month_words(months)}" if 0 < len(months) < len(MONTHS) - 1 else " of every month"


def _in_months(months: Sequence[int]) -> str:
    if not 0 < len(months) < len(MONTHS) - 1:
        return ""
    return f" {'from' if len(months) > 2 and step(months) == 1 else 'in'} {month_words(months)}"
