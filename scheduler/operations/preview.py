"""The ticks of an expression, before there is a row."""

from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Self

from scheduler.rules.instants import HORIZON
from scheduler.rules.schedule import Schedule, parse

COUNT = 10
"""Ticks shown when neither an end nor a number is given."""
AT_MOST = 10_000
"""Ticks shown up to an end when no number is given."""


@dataclass(frozen=True, slots=True)
class Tick:
    utc: datetime
    local: datetime
    """The same instant in the zone of the schedule."""

    @classmethod
    def of(cls, schedule: Schedule, instant: datetime) -> Self:
        return cls(instant, instant.astimezone(schedule.zone))


@dataclass(frozen=True, slots=True)
class Preview:
    ticks: tuple[Tick, ...]
    cut: bool
    """There are more than `AT_MOST`, and nobody said how many are wanted."""


def preview(
    expression: str,
    timezone: str,
    *,
    after: datetime,
    until: datetime | None = None,
    count: int | None = None,
    anchor: datetime | None = None,
) -> Preview:
    """The ticks in [after, until), both aware; at most `count` of them. `@every` counts from `anchor`, or else `after`.

    Raises ScheduleError.
    """
    schedule = parse(expression, timezone, anchor=anchor or after)
    found = schedule.between(after, until or HORIZON)
    wanted = count if count is not None else AT_MOST if until is not None else COUNT
    ticks = tuple(Tick.of(schedule, tick) for tick in islice(found, wanted))
    cut = count is None and until is not None and next(found, None) is not None
    return Preview(ticks, cut)
