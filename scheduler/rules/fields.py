"""One field of a cron expression: its numbers, names, ranges, steps and lists, and the sentence when it is refused."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import NoReturn

from scheduler.errors import ScheduleError, did_you_mean


@dataclass(frozen=True, slots=True)
class Field:
    """The bounds of a field, both inclusive; `names[i]` is another word for `first + i`."""

    title: str
    first: int
    last: int
    names: tuple[str, ...] = ()
    specials: str = ""
    """What else may stand in it, for the sentence that refuses a term."""


@dataclass(frozen=True, slots=True)
class Month:
    """The shape of a month; there are 28 of them."""

    first_weekday: int
    """Monday is 0, as in `calendar.monthrange`."""
    length: int

    def dates(self, weekday: int) -> range:
        """The dates of a cron weekday, of which 0 and 7 are Sunday."""
        return range(1 + (weekday - 1 - self.first_weekday) % 7, self.length + 1, 7)

    def last_working_day(self) -> int:
        """The last date from Monday to Friday."""
        weekday = (self.first_weekday + self.length - 1) % 7
        return self.length - max(0, weekday - 4)


SECOND = Field("second", 0, 59)
MINUTE = Field("minute", 0, 59)
HOUR = Field("hour", 0, 23)
DAY_OF_MONTH = Field("day-of-month", 1, 31, specials=", L (the last day) or LW (the last working day)")
MONTH = Field("month", 1, 12, ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"))
DAY_OF_WEEK = Field(
    title="day-of-week",
    first=0,
    last=7,
    names=("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"),
    specials=", 5L (the last Friday) or MON#2 (the second Monday)",
)

DateTerm = Callable[[Month], Iterable[int]]
"""The dates that a term of a day field stands for, in a month of that shape."""


def values(field: Field, text: str) -> frozenset[int]:
    """The numbers a field stands for. Raises ScheduleError, which names the field and what to write instead."""
    return frozenset(number for term in terms(field, text) for number in span(field, term))


def dates_by_day_of_month(text: str) -> list[DateTerm]:
    """What a day-of-month field stands for, term by term. Raises ScheduleError."""
    return [_date_term(term) for term in terms(DAY_OF_MONTH, text)]


def dates_by_day_of_week(text: str) -> list[DateTerm]:
    """What a day-of-week field stands for, term by term. Raises ScheduleError."""
    return [_weekday_term(term) for term in terms(DAY_OF_WEEK, text)]


def _date_term(term: str) -> DateTerm:
    match term:
        case "L":
            return lambda month: (month.length,)
        case "LW":
            return lambda month: (month.last_working_day(),)
    numbers = span(DAY_OF_MONTH, term)
    return lambda month: (number for number in numbers if number <= month.length)


def _weekday_term(term: str) -> DateTerm:
    if term.endswith("L"):
        last_of = _number(DAY_OF_WEEK, term[:-1], term)
        return lambda month: month.dates(last_of)[-1:]
    name, hash_mark, nth_text = term.partition("#")
    if hash_mark:
        nth_of, nth = _number(DAY_OF_WEEK, name, term), _digits(nth_text)
        if nth is None or not 1 <= nth <= 5:
            _refuse(DAY_OF_WEEK, term, "counts past a month: write #1 to #5")
        return lambda month: month.dates(nth_of)[nth - 1 : nth]
    weekdays = span(DAY_OF_WEEK, term)
    return lambda month: (date for weekday in weekdays for date in month.dates(weekday))


def terms(field: Field, text: str) -> Iterator[str]:
    """The items of a field's list, in capitals. Raises ScheduleError."""
    if not text.isascii():
        _refuse(field, text, "has characters that are not ASCII: write plain digits and letters")
    for term in text.upper().split(","):
        if not term:
            _refuse(field, text, "has an empty item: remove the extra comma")
        yield term


def span(field: Field, term: str) -> range:
    """`*`, `5`, `1-5`, and each of them with a step; a single number with a step goes on to the field's end.

    Raises ScheduleError.
    """
    bounds, slash, step_text = term.partition("/")
    low_text, dash, high_text = bounds.partition("-")
    if bounds == "*":
        low, high = field.first, field.last
    else:
        low = _number(field, low_text, term)
        high = _number(field, high_text, term) if dash else field.last if slash else low
    if low > high:
        _refuse(field, term, f"wraps around: write it as {_unwrapped(field, low_text, high_text)!r}")
    return range(low, high + 1, _step(field, step_text, term) if slash else 1)


def _step(field: Field, text: str, term: str) -> int:
    step, largest = _digits(text), len(field.names) or field.last - field.first + 1
    if step is None:
        _refuse_syntax(field, term)
    if not 1 <= step <= largest:
        _refuse(field, term, f"has a step of {step}: use 1 to {largest}")
    return step


def _number(field: Field, text: str, term: str) -> int:
    if text in field.names:
        return field.first + field.names.index(text)
    number = _digits(text)
    if number is None:
        _refuse_syntax(field, term, did_you_mean(text, field.names))
    if not field.first <= number <= field.last:
        _refuse(field, term, f"is out of range: use {field.first} to {field.last}")
    return number


def _digits(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() else None


def _unwrapped(field: Field, low: str, high: str) -> str:
    last, first = (field.names[-1], field.names[0]) if field.names else (field.last, field.first)
    return f"{low}-{last},{first}-{high}"


def _refuse_syntax(field: Field, term: str, hint: str = "") -> NoReturn:
    named = f"{field.first} to {field.last}" + (f" or {field.names[0]} to {field.names[-1]}" if field.names else "")
    _refuse(field, term, f"can't be read: write *, {named}, a range, step or list of them{field.specials}", hint)


def _refuse(field: Field, term: str, why: str, hint: str = "") -> NoReturn:
    raise ScheduleError(f"The {field.title} field {term!r} {why}.{hint}")
