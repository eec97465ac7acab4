"""Debian's cron as a walk along the clock: slow, obvious, and sharing no code with the package.

At each step it does what that daemon does on waking: it compares the wall clock with the last one it served. One step
on: run all jobs. Up to 3 h ahead: run wildcard jobs for now and fixed-time jobs for each wall time that was jumped
over. Up to 3 h behind: only wildcard jobs, until the old wall time is passed. Further: believe the new clock.
"""

from collections.abc import Sequence, Set
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache

from scheduler.rules.zones import load_zone

LONGEST = timedelta(hours=3)


@dataclass(frozen=True, repr=False)
class Job:
    """The numbers of each field, made together with the text, so that the text needs no second parser."""

    expression: str
    minutes: Set[int]
    hours: Set[int]
    days: Set[int]
    months: Set[int]
    weekdays: Set[int]
    """0 to 6, Sunday is 0."""
    wildcard: bool
    both_days: bool
    seconds: Set[int] = frozenset({0})

    def __repr__(self) -> str:
        return repr(self.expression)

    def matches(self, wall: datetime) -> bool:
        return (
            wall.minute in self.minutes
            and wall.hour in self.hours
            and wall.second in self.seconds
            and wall.month in self.months
            and self.matches_day(wall.day, wall.isoweekday() % 7)
        )

    def matches_day(self, day: int, weekday: int) -> bool:
        hits = (day in self.days, weekday in self.weekdays)
        return all(hits) if self.both_days else any(hits)


@dataclass(frozen=True)
class Step:
    """One waking of the daemon: when, the wall clock, and the wall times for which fixed-time jobs run."""

    instant: datetime
    wall: datetime
    served: Sequence[datetime]


@cache
def steps(zone: str, start: datetime, end: datetime, step: timedelta) -> list[Step]:
    walked: list[Step] = []
    served_until = _wall(zone, start - step)
    instant = start
    while instant < end:
        wall = _wall(zone, instant)
        ahead = wall - served_until
        if -LONGEST < ahead <= timedelta(0):
            served: list[datetime] = []
        elif timedelta(0) < ahead <= LONGEST + step:
            served = [served_until + n * step for n in range(1, ahead // step + 1)]
        else:
            served = [wall]
        walked.append(Step(instant, wall, served))
        served_until = served[-1] if served else served_until
        instant += step
    return walked


def ticks(
    job: Job, zone: str, start: datetime, end: datetime, step: timedelta = timedelta(minutes=1)
) -> list[datetime]:
    """The job's ticks in [start, end)."""
    return [
        moment.instant
        for moment in steps(zone, start, end, step)
        if (job.matches(moment.wall) if job.wildcard else any(map(job.matches, moment.served)))
    ]


def _wall(zone: str, instant: datetime) -> datetime:
    return instant.astimezone(load_zone(zone)).replace(tzinfo=None, fold=0)
