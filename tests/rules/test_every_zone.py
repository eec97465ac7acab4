"""Every zone of the database where its clock jumps, against the walk of Debian's cron, asked from many instants.

Counts (zone, expression, instant) triples. SCHEDULER_TEST_LONG=1 tries each jump of five years with ten expressions,
from every minute around it: some fourteen million triples in a few minutes.
"""

import os
from bisect import bisect_right
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from random import Random
from zoneinfo import ZoneInfo

import pytest

from scheduler.errors import ScheduleError
from scheduler.rules.schedule import parse
from scheduler.rules.zones import load_zone, zone_names
from tests.rules import cron_oracle
from tests.rules.cron_oracle import Job
from tests.rules.generated import random_job

LONG = "SCHEDULER_TEST_LONG" in os.environ
BEGIN, YEARS = datetime(2024, 1, 1, tzinfo=UTC), 5
BEFORE, AFTER = timedelta(hours=4), timedelta(hours=6)
DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)
EXPRESSIONS = 10 if LONG else 1
INSTANTS = None if LONG else 20
"""How many instants are asked from; None: every minute."""


def jumps(zone: ZoneInfo) -> Iterator[datetime]:
    """The first minute after each change of the offset in these years, found by looking once a day."""
    days = [BEGIN + n * DAY for n in range(YEARS * 365 + 2)]
    for morning, evening in pairwise(days):
        if morning.astimezone(zone).utcoffset() != evening.astimezone(zone).utcoffset():
            minutes = [morning + n * MINUTE for n in range(1, 1_441)]
            offset = evening.astimezone(zone).utcoffset()
            yield minutes[bisect_right(minutes, False, key=lambda at: at.astimezone(zone).utcoffset() == offset)]


def check(job: Job, zone: str, jump: datetime, chance: Random) -> int:
    """How many instants were asked from; none if the expression can never fire."""
    try:
        schedule = parse(job.expression, zone, anchor=BEGIN)
    except ScheduleError as error:
        assert "would never fire" in str(error)  # noqa: PT017 - the grammar makes no other mistake
        return 0
    start, end = jump - BEFORE, jump + AFTER
    expected = cron_oracle.ticks(job, zone, start, end)
    assert list(schedule.between(start, end)) == expected, (zone, job, jump)
    minutes = range(int((end - start) / MINUTE))
    asked = minutes if INSTANTS is None else chance.sample(minutes, INSTANTS)
    for after in (start + minute * MINUTE + timedelta(seconds=minute % 60) for minute in asked):
        tick = schedule.next(after)
        assert tick is not None
        assert tick > after, (zone, job, after)
        later = bisect_right(expected, after)
        assert tick == expected[later] if later < len(expected) else tick >= end, (zone, job, after)
    return len(asked)


@pytest.mark.timeout(1_200 if LONG else 120)
def test_every_zone_at_its_jumps() -> None:
    chance, triples, events = Random(2_026), 0, 0
    for name in sorted(zone_names()):
        found = list(jumps(load_zone(name)))
        events += len(found)
        for jump in found if LONG and found else [chance.choice(found or [BEGIN + 200 * DAY])]:
            for job in (random_job(chance) for _ in range(EXPRESSIONS)):
                triples += check(job, name, jump, chance)
            cron_oracle.steps.cache_clear()
    print(f"{triples:,} (zone, expression, instant) triples over {len(zone_names())} zones with {events} jumps")
    assert events > 1_500
    assert triples > 5_000
