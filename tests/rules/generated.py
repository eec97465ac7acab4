"""Hypothesis strategies for cron expressions, each field drawn as text together with the numbers it stands for."""

from typing import NamedTuple

from hypothesis import strategies as st

from tests.rules.cron_oracle import Job


class Drawn(NamedTuple):
    text: str
    numbers: frozenset[int]


@st.composite
def terms(draw: st.DrawFn, first: int, last: int, likely: int) -> Drawn:
    """One term; a bound is at most `likely` four times in five, so that fields meet where clocks jump."""
    bound = st.integers(first, draw(st.sampled_from([likely] * 4 + [last])))
    low, high = sorted((draw(bound), draw(bound)))
    step = draw(st.integers(1, last - first))
    match draw(st.sampled_from(["*", "*/", "n", "n", "n", "n/", "-", "-", "-/"])):
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
    parts = draw(st.lists(terms(first, last, last if likely is None else likely), min_size=1, max_size=3))
    return Drawn(",".join(part.text for part in parts), frozenset().union(*(part.numbers for part in parts)))


STAR = Drawn("*", frozenset(range(60)))


@st.composite
def jobs(draw: st.DrawFn, *, any_day: bool = False) -> Job:
    """Five fields; the day fields are free in one of three, unless `any_day` always frees them."""
    free = any_day or draw(st.sampled_from([True, False, False]))
    minute, hour = draw(fields(0, 59)), draw(fields(0, 23, likely=4))
    day, month, weekday = (draw(fields(1, 31)), draw(fields(1, 12)), draw(fields(0, 7))) if free else (STAR, STAR, STAR)
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
