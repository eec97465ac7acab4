"""An expression field by field."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from scheduler.rules.expression import six_fields
from scheduler.rules.fields import DAY_OF_MONTH, DAY_OF_WEEK, HOUR, MINUTE, MONTH, SECOND, Field, values
from scheduler.rules.words.days import MONTHS, WEEKDAYS, read_dates, read_weekdays
from scheduler.rules.words.series import folded

_NUMBERS = [str(number) for number in range(60)]


@dataclass(frozen=True, slots=True)
class FieldWords:
    name: str
    """Such as `day-of-month`."""
    text: str
    """As it is written; a macro is spelled out."""
    meaning: str


def field_words(expression: str) -> tuple[FieldWords, ...]:
    """Of an accepted expression that isn't `@every`; seconds are left out where they are a mere 0."""
    second, minute, hour, day_of_month, month, day_of_week = six_fields(expression)
    columns = [
        _numbers(SECOND, second),
        _numbers(MINUTE, minute),
        _numbers(HOUR, hour),
        _dates(day_of_month),
        _numbers(MONTH, month, MONTHS),
        _weekdays(day_of_week),
    ]
    return tuple(columns if second != "0" else columns[1:])


def _numbers(field: Field, text: str, names: Sequence[str] = _NUMBERS) -> FieldWords:
    numbers = sorted(values(field, text))
    every = len(numbers) == field.last - field.first + 1
    return FieldWords(field.title, text, f"every {field.title}" if every else _listed(folded(numbers, names)))


def _dates(text: str) -> FieldWords:
    dates = read_dates(text)
    meaning = "every day" if dates.all else _listed((*folded(dates.days, _NUMBERS), *dates.specials))
    return FieldWords(DAY_OF_MONTH.title, text, meaning)


def _weekdays(text: str) -> FieldWords:
    weekdays = read_weekdays(text)
    meaning = "every day" if weekdays.all else _listed((*folded(weekdays.days, WEEKDAYS), *weekdays.specials))
    return FieldWords(DAY_OF_WEEK.title, text, meaning)


def _listed(words: Iterable[str]) -> str:
    return ", ".join(words)
