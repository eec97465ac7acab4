"""When a cron job is due: an expression and a zone become ticks.

A zone is a row of stretches of constant offset; within one, a tick is a wall-clock match minus the offset. Only where
two stretches meet does the DST rule speak (that of Debian's cron). A fixed-time job, one whose minute and hour both
begin with something else than `*`, runs once at the end of a gap that swallowed it, and in the first pass of an overlap
only; a wildcard job follows elapsed time. A jump of more than 3 h is a correction of the clock and means nothing.
"""

import re
from abc import abstractmethod
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import islice, takewhile
from zoneinfo import ZoneInfo

from apscheduler.triggers.base import BaseTrigger  # type: ignore[import-untyped]  # APScheduler 3 ships no types
from apscheduler.triggers.interval import IntervalTrigger  # type: ignore[import-untyped]

from scheduler.errors import ScheduleError
from scheduler.rules.expression import MAX_LENGTH, Calendar, parse_calendar
from scheduler.rules.instants import DAY, HORIZON, HOUR, INSTANT, MINUTE, ceil_unix, floor_unix, from_unix
from scheduler.rules.zones import Stretch, load_zone, stretch_at, tzdata_version

__all__ = ["CronSchedule", "IntervalSchedule", "Schedule", "parse", "tzdata_version"]

_HORIZON = floor_unix(HORIZON)
LONGEST_DST_JUMP = 3 * HOUR
_LONGEST_INTERVAL = 36_500 * DAY
_UNITS = {"s": 1, "m": MINUTE, "h": HOUR, "d": DAY}


@dataclass(frozen=True, slots=True, eq=False)
class Schedule(BaseTrigger):  # type: ignore[misc]  # untyped base
    """Ticks: whole seconds in UTC, from 1970 to 8999. Every datetime given must be aware; those returned are UTC.

    Also an APScheduler trigger, so that it can be used wherever one is expected.
    """

    expression: str
    zone: ZoneInfo

    def next(self, after: datetime) -> datetime | None:
        """The first tick later than `after`, or None if there will never be one."""
        return next(self.iterate(after), None)

    def iterate(self, after: datetime) -> Iterator[datetime]:
        """Every tick later than `after`, in order; the same whether iterated or asked for one by one."""
        return map(from_unix, self._ticks_from(floor_unix(after) + 1))

    def between(self, start: datetime, end: datetime) -> Iterator[datetime]:
        """Every tick in [start, end), in order."""
        return map(from_unix, self._ticks_between(start, end))

    def count(self, start: datetime, end: datetime, *, at_most: int) -> int:
        """How many ticks are in [start, end); counting stops at `at_most`."""
        return sum(1 for _ in islice(self._ticks_between(start, end), at_most))

    def newest(self, count: int, start: datetime, end: datetime) -> list[datetime]:
        """The last `count` ticks in [start, end), in order; its cost doesn't depend on how long ago `start` is."""
        width = timedelta(minutes=1)
        while count > 0 and start < end:
            begin = end - width if width < end - start else start
            found = deque(self.between(begin, end), maxlen=count)
            if len(found) == count or begin == start:
                return list(found)
            width *= 4
        return []

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime | None:
        """APScheduler's question: the tick after the previous one, else the first at or after `now`."""
        return self.next(now - INSTANT if previous_fire_time is None else previous_fire_time)

    def _ticks_between(self, start: datetime, end: datetime) -> Iterator[int]:
        until = ceil_unix(end)
        return takewhile(lambda tick: tick < until, self._ticks_from(ceil_unix(start)))

    def _ticks_from(self, start: int) -> Iterator[int]:
        return self._ticks(max(0, start)) if start < _HORIZON else iter(())

    @abstractmethod
    def _ticks(self, start: int) -> Iterator[int]:
        """Every tick from `start` to the horizon, in Unix seconds; 0 <= start < horizon."""


@dataclass(frozen=True, slots=True, eq=False)
class CronSchedule(Schedule):
    """Ticks on the wall clock of a zone."""

    calendar: Calendar

    def _ticks(self, start: int) -> Iterator[int]:
        while start < _HORIZON:
            stretch = stretch_at(self.zone, start)
            yield from self._ticks_within(stretch, start)
            start = self._resume(stretch.end)

    def _ticks_within(self, stretch: Stretch, start: int) -> Iterator[int]:
        end = min(stretch.end, _HORIZON) + stretch.offset
        local = max(start, stretch.start) + stretch.offset
        if not self.calendar.wildcard and abs(stretch.jump) <= LONGEST_DST_JUMP:
            first_pass_end = stretch.start + stretch.before
            local = max(local, first_pass_end)
            if stretch.jump > 0 and start <= stretch.start and self._fires_in(first_pass_end, local):
                yield stretch.start
                local += 1
        for match in self.calendar.times(local, end):
            yield match - stretch.offset

    def _fires_in(self, start: int, end: int) -> bool:
        return next(self.calendar.times(start, end), None) is not None

    def _resume(self, end: int) -> int:
        """Where to go on after a stretch: not at its end if no day matches for long.

        A wall clock is never two days away from UTC, jumps included: a later tick is within two days of a day that
        matches, and no such day is earlier than two days before the end.
        """
        day = next(self.calendar.days(end // DAY - 2), None)
        return _HORIZON if day is None else max(end, (day - 2) * DAY)


@dataclass(frozen=True, slots=True, eq=False)
class IntervalSchedule(Schedule):
    """`@every`: ticks at its anchor's second and each interval of elapsed time after it."""

    trigger: IntervalTrigger

    def _ticks(self, start: int) -> Iterator[int]:
        # The trigger counts in floats, which are exact here: anchor and interval are whole seconds.
        first = self.trigger.get_next_fire_time(None, from_unix(start))
        return iter(range(floor_unix(first), _HORIZON, int(self.trigger.interval_length)))


def anchor(starts_at: datetime | None, created_at: datetime, now: datetime) -> datetime:
    """Where `@every` counts from, so that a restart never shifts it; a row can't be younger than now."""
    return starts_at or min(created_at, now)


def parse(expression: str, timezone: str, *, anchor: datetime) -> Schedule:
    """What an expression means in a zone.

    `anchor` (aware) is where `@every` counts from, cut to its whole second; the other forms don't look at it.
    Raises ScheduleError whose message says which field is refused, why, and what to write instead.
    """
    if len(expression) > MAX_LENGTH:
        raise ScheduleError(f"The expression has more than {MAX_LENGTH} characters: write it shorter.")
    if any(ord(char) < 32 or ord(char) == 127 for char in expression.replace("\t", " ")):
        raise ScheduleError(f"The expression {expression!r} has a control character: write only spaces between fields.")
    if expression.lstrip(" \t").lower().startswith("@every"):
        return IntervalSchedule(expression, load_zone(timezone), _interval(expression, anchor))
    return _cron_schedule(expression, timezone)


@lru_cache(maxsize=4096)
def _cron_schedule(expression: str, timezone: str) -> CronSchedule:
    return CronSchedule(expression, load_zone(timezone), parse_calendar(expression))


def _interval(expression: str, anchor: datetime) -> IntervalTrigger:
    spelled = re.fullmatch(r"@every[ \t]+([0-9]+)([smhd])", expression.strip(" \t").lower())
    if spelled is None:
        raise ScheduleError(
            f"The interval {expression!r} can't be read: write one number and one of s, m, h, d, such as '@every 90s'."
        )
    seconds = int(spelled[1]) * _UNITS[spelled[2]]
    if not 1 <= seconds <= _LONGEST_INTERVAL:
        raise ScheduleError(f"The interval {expression!r} is out of range: write 1s to {_LONGEST_INTERVAL // DAY}d.")
    return IntervalTrigger(seconds=seconds, start_date=anchor.astimezone(UTC).replace(microsecond=0), timezone=UTC)
