"""Counts, spans of time and lists of names, as every face says them."""

import math
from collections.abc import Iterable
from datetime import timedelta
from itertools import pairwise

_UNITS = (("s", 1), ("min", 60), ("h", 3_600), ("d", 86_400))
_TWICE = 2
"""A unit is used up to two of the next, unless it makes exactly one of that: 90 min, but 1 h."""
_SHOWN = 5


def count_of(count: int, one: str, many: str | None = None) -> str:
    """`1 cron job`, `2,000 cron jobs`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def span(duration: timedelta | float) -> str:
    """Rounded, in one unit: `40 s`, `90 min`, `3 h`, `12 d`; in seconds where it is a number. `ever` without an end."""
    seconds = max(0.0, duration.total_seconds() if isinstance(duration, timedelta) else duration)
    if math.isinf(seconds):
        return "ever"
    for (name, unit), (_, larger) in pairwise(_UNITS):
        count = round(seconds / unit)
        if count * unit < _TWICE * larger and count * unit != larger:
            return f"{count} {name}"
    name, unit = _UNITS[-1]
    return f"{round(seconds / unit):,} {name}"


def listed(names: Iterable[object]) -> str:
    """The first few, and how many more."""
    every = [str(name) for name in names]
    shown = ", ".join(every[:_SHOWN])
    return shown if len(every) <= _SHOWN else f"{shown} and {len(every) - _SHOWN} more"
