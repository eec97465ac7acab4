"""What a schedule does where the wall clock of its zone jumps."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from enum import StrEnum
from itertools import islice
from typing import assert_never

from scheduler.rules.instants import DAY, HOUR, MINUTE, floor_unix, from_unix
from scheduler.rules.schedule import LONGEST_DST_JUMP, CronSchedule, IntervalSchedule, Schedule
from scheduler.rules.words.series import listed
from scheduler.rules.zones import Stretch, jumps

_NAMED = 3
"""So many wall-clock times are named one by one."""


class Effect(StrEnum):
    """What becomes of the ticks whose wall-clock time a jump leaves out or repeats."""

    NONE = "none"
    """There are none."""
    RUNS_AFTER = "runs once after"
    """A fixed-time job: they run as one, at the end of the gap."""
    LEFT_OUT = "left out"
    FIRST_PASS = "first pass only"
    """A fixed-time job: they run once, though the time comes twice."""
    TWICE = "twice"
    MOVES = "moves"
    """`@every`: its ticks keep their distance, and so come at another wall-clock time from then on."""


@dataclass(frozen=True, slots=True)
class ClockChange:
    at: datetime
    """The instant, in UTC."""
    wall_before: datetime
    """The wall clock as it would have gone on; with the offset in force until then."""
    wall_after: datetime
    effect: Effect
    affected: int
    """Ticks whose wall-clock time is left out or comes twice."""
    ticks: int
    """On that day, from its midnight to the next on the wall clock."""
    usual_ticks: int | None
    """On such a day without a jump; None for `@every`, which knows no days."""
    sentence: str


def clock_changes(schedule: Schedule, start: datetime, end: datetime) -> list[ClockChange]:
    """Every jump of the schedule's zone in [start, end), in order. Both are aware."""
    return [_change(schedule, jump) for jump in jumps(schedule.zone, floor_unix(start), floor_unix(end))]


def _change(schedule: Schedule, jump: Stretch) -> ClockChange:
    day = (jump.start + min(jump.before, jump.offset)) // DAY
    midnight, next_midnight = day * DAY - jump.before, (day + 1) * DAY - jump.offset
    ticks = schedule.count(from_unix(midnight), from_unix(next_midnight), at_most=2 * DAY)
    effect, affected, usual, sentence = Effect.NONE, 0, None, ""
    match schedule:
        case CronSchedule():
            usual = sum(1 for _ in schedule.calendar.times(day * DAY, (day + 1) * DAY))
            effect, affected, sentence = _effect_on_calendar(schedule, jump)
            if usual != ticks and affected:
                sentence += f" On that day it ticks {_times(ticks)} instead of {usual:,}."
        case IntervalSchedule():
            effect, sentence = _effect_on_interval(int(schedule.trigger.interval_length), jump)
    instant = from_unix(jump.start)
    return ClockChange(
        at=instant,
        wall_before=instant.astimezone(timezone(timedelta(seconds=jump.before))),
        wall_after=instant.astimezone(timezone(timedelta(seconds=jump.offset))),
        effect=effect,
        affected=affected,
        ticks=ticks,
        usual_ticks=usual,
        sentence=sentence or "It touches no tick.",
    )


def _effect_on_calendar(schedule: CronSchedule, jump: Stretch) -> tuple[Effect, int, str]:
    low, high = sorted((jump.start + jump.before, jump.start + jump.offset))
    affected = sum(1 for _ in schedule.calendar.times(low, high))
    if not affected:
        return Effect.NONE, 0, ""
    effect = _effect(schedule, jump)
    times, one = _named(schedule.calendar.times(low, high), affected), affected == 1
    match effect:
        case Effect.RUNS_AFTER:
            at = _clock(jump.start + jump.offset)
            together = "it runs once" if one else "all of them run as one tick"
            return effect, affected, f"{times} {'does' if one else 'do'} not exist on that day: {together}, at {at}."
        case Effect.LEFT_OUT:
            return effect, affected, f"{times} {'does' if one else 'do'} not exist on that day and {_left_out(one)}."
        case Effect.FIRST_PASS:
            runs = "it runs" if one else "they run"
            return effect, affected, f"{times} {_comes(one)} twice on that day: {runs} the first time only."
        case Effect.TWICE:
            return effect, affected, f"{times} {_comes(one)} twice on that day, and so does each tick."
        case Effect.NONE | Effect.MOVES:
            raise ValueError(effect)
        case _:
            assert_never(effect)


def _effect(schedule: CronSchedule, jump: Stretch) -> Effect:
    fixed = not schedule.calendar.wildcard and abs(jump.jump) <= LONGEST_DST_JUMP
    if jump.jump > 0:
        return Effect.RUNS_AFTER if fixed else Effect.LEFT_OUT
    return Effect.FIRST_PASS if fixed else Effect.TWICE


def _effect_on_interval(seconds: int, jump: Stretch) -> tuple[Effect, str]:
    if jump.jump % seconds == 0:
        return Effect.NONE, ""
    direction = "later" if jump.jump > 0 else "earlier"
    by = _length(abs(jump.jump))
    return Effect.MOVES, f"Elapsed time goes on evenly: from then on, the wall clock shows each tick {by} {direction}."


def _named(times: Iterator[int], count: int) -> str:
    if count > _NAMED:
        first, *_, last = times
        return f"The {count:,} times from {_clock(first)} to {_clock(last)}"
    return listed([_clock(time) for time in islice(times, count)])


def _clock(wall: int) -> str:
    """Of a second of the wall clock, counted from 1970."""
    hour, rest = divmod(wall % DAY, HOUR)
    minute, second = divmod(rest, MINUTE)
    return f"{hour:02}:{minute:02}" + (f":{second:02}" if second else "")


def _length(seconds: int) -> str:
    hours, minutes = divmod(seconds // MINUTE, 60)
    return " ".join([*([f"{hours} h"] if hours else []), *([f"{minutes} min"] if minutes else [])]) or f"{seconds} s"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count:,} times"


def _comes(one: bool) -> str:
    return "comes" if one else "come"


def _left_out(one: bool) -> str:
    return "is left out" if one else "are left out"
