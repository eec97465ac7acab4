"""Cron expressions by chance, each field drawn as text together with the numbers it stands for."""

from collections.abc import Sequence
from random import Random
from typing import NamedTuple

from hypothesis import strategies as st

from tests.rules.cron_oracle import Job


class Drawn(NamedTuple):
    text: str
    numbers: frozenset[int]


FORMS = ("*", "*/", "n", "n", "n", "n/", "-", "-", "-/")


@st.composite
def terms(draw: st.DrawFn, first: int, last: int, likely: int) -> Drawn:
    """One term; a bound is at most `likely` four times in five, so that fields meet where clocks jump."""
    bound = st.integers(first, draw(st.sampled_from([likely] * 4 + [last])))
    low, high = sorted((draw(bound), draw(bound)))
    return _term(draw(st.sampled_from(FORMS)), first, last, low, high, draw(st.integers(1, last - first)))


def _term(form: str, first: int, last: int, low: int, high: int, step: int) -> Drawn:
    match form:
        case "*":
            return Drawn("*", frozenset(range(first, last + 1)))
        case "*/":
            return Drawn(f"*/{step}", frozenset(range(first, last + 1, step)))
        case "n":
            return Drawn(f"{low}", frozenset({low}))
        case "n/":
            return Drawn(f"{low}/{step}", frozenset(range(low, last + 1, step)))
        case "-":
            return Drawn(f"{low}-{high}", frozenset(range(low, high + 1)))
        case _:
            return Drawn(f"{low}-{high}/{step}", frozenset(range(low, high + 1, step)))


@st.composite
def fields(draw: st.DrawFn, first: int, last: int, likely: int | None = None) -> Drawn:
    return _list(draw(st.lists(terms(first, last, last if likely is None else likely), min_size=1, max_size=3)))


def _list(parts: Sequence[Drawn]) -> Drawn:
    return Drawn(",".join(part.text for part in parts), frozenset().union(*(part.numbers for part in parts)))


STAR = Drawn("*", frozenset(range(60)))


@st.composite
def jobs(draw: st.DrawFn, *, any_day: bool = False) -> Job:
    """Five fields; the day fields are free in one of three, unless `any_day` always frees them."""
    free = any_day or draw(st.sampled_from([True, False, False]))
    minute, hour = draw(fields(0, 59)), draw(fields(0, 23, likely=4))
    day, month, weekday = (draw(fields(1, 31)), draw(fields(1, 12)), draw(fields(0, 7))) if free else (STAR, STAR, STAR)
    return _job(minute, hour, day, month, weekday)


def _job(minute: Drawn, hour: Drawn, day: Drawn, month: Drawn, weekday: Drawn) -> Job:
    return Job(
        expression=" ".join(field.text for field in (minute, hour, day, month, weekday)),
        minutes=minute.numbers,
        hours=hour.numbers,
        days=day.numbers,
        months=month.numbers,
        weekdays=frozenset(number % 7 for number in weekday.numbers),
        wildcard=minute.text[0] == "*" or hour.text[0] == "*",
        both_days=day.text[0] == "*" or weekday.text[0] == "*",
    )


def random_job(chance: Random) -> Job:
    """Five fields as `jobs()` draws them, for runs that are too long for Hypothesis."""
    minute, hour = _random_field(chance, 0, 59), _random_field(chance, 0, 23, likely=4)
    free = chance.random() < 1 / 3
    day = _random_field(chance, 1, 31) if free else STAR
    month = _random_field(chance, 1, 12) if free else STAR
    weekday = _random_field(chance, 0, 7) if free else STAR
    return _job(minute, hour, day, month, weekday)


def _random_field(chance: Random, first: int, last: int, likely: int | None = None) -> Drawn:
    parts = [
        _random_term(chance, first, last, last if likely is None else likely) for _ in range(chance.choice([1, 1, 2]))
    ]
    return _list(parts)


def _random_term(chance: Random, first: int, last: int, likely: int) -> Drawn:
    bound = last if chance.random() < 1 / 5 else likely
    low, high = sorted((chance.randint(first, bound), chance.randint(first, bound)))
    form = chance.choice(FORMS)
    return _term(form, first, last, low, high, chance.randint(1, last - first))
