"""Rule 10: every tick up to now is accounted for once, and what is too old runs as its policy says."""

import time
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.model import CatchUp, Plan, Span
from scheduler.rules.catch_up import COUNTED, FRESH, jitter, plan
from scheduler.rules.schedule import Schedule, parse

NOW = datetime(2026, 6, 1, 12, 0, 30, 250_000, tzinfo=UTC)
JUST_BEFORE_A_JUMP = [datetime(2026, 11, 1, 4, 50, tzinfo=UTC), datetime(2026, 3, 8, 6, 20, tzinfo=UTC)]
"""New York's clock goes back at 06:00, and forward at 07:00."""
EXPRESSIONS = [
    "* * * * * *",
    "*/7 * * * * *",
    "* * * * *",
    "*/30 * * * *",
    "30 1 * * *",
    "15,45 2 * * *",
    "@every 13s",
    "0 0 29 2 *",
]


def schedule_of(expression: str, zone: str = "America/New_York") -> Schedule:
    return parse(expression, zone, anchor=datetime(2026, 1, 1, tzinfo=UTC))


def plan_of(
    expression: str,
    down: timedelta,
    catch_up: CatchUp = CatchUp.LATEST,
    limit: int = 100,
    now: datetime = NOW,
    starts_at: datetime | None = None,
    ends_at: datetime | None = None,
) -> Plan:
    return plan(
        schedule_of(expression), planned_until=now - down, now=now, catch_up=catch_up, catch_up_limit=limit,
        starts_at=starts_at, ends_at=ends_at,
    )  # fmt: skip


def clock(*texts: str) -> tuple[datetime, ...]:
    return tuple(datetime.fromisoformat(f"2026-06-01T{text}+00:00") for text in texts)


def span(first: str, last: str, count: int) -> Span:
    begin, end = clock(first, last)
    return Span(begin, end, count)


@pytest.mark.parametrize(
    ("catch_up", "due", "skipped"),
    [
        (CatchUp.SKIP, (), span("09:01:00", "12:00:00", 180)),
        (CatchUp.LATEST, clock("12:00:00"), span("09:01:00", "11:59:00", 179)),
        (CatchUp.ALL, clock("11:58:00", "11:59:00", "12:00:00"), span("09:01:00", "11:57:00", 177)),
    ],
)
def test_three_hours_down(catch_up: CatchUp, due: tuple[datetime, ...], skipped: Span) -> None:
    planned = plan_of("* * * * *", timedelta(hours=3), catch_up, limit=3)
    assert planned == Plan(planned_until=NOW, next_run_at=clock("12:01:00")[0], due=due, skipped=skipped)


@pytest.mark.parametrize("catch_up", CatchUp)
def test_ticks_up_to_ten_seconds_old_all_run(catch_up: CatchUp) -> None:
    now = NOW.replace(microsecond=0)
    planned = plan_of("* * * * * *", timedelta(seconds=11), catch_up, now=now)
    assert planned.due == tuple(now - timedelta(seconds=age) for age in range(10, -1, -1))
    assert planned.skipped is None


def test_latest_revives_nothing_beside_a_fresh_tick() -> None:
    now = clock("12:00:10")[0]
    planned = plan_of("* * * * *", timedelta(hours=1), now=now)
    assert planned.due == clock("12:00:00")
    assert planned.skipped == span("11:01:00", "11:59:00", 59)
    a_little_later = plan_of("* * * * *", timedelta(hours=1), now=now + timedelta(microseconds=1))
    assert a_little_later.due == clock("12:00:00")
    assert a_little_later.skipped == planned.skipped


def test_all_counts_fresh_ticks_apart() -> None:
    planned = plan_of("* * * * *", timedelta(hours=1), CatchUp.ALL, limit=1, now=clock("12:00:10")[0])
    assert planned.due == clock("11:59:00", "12:00:00")


def test_a_limit_of_none_revives_none() -> None:
    assert plan_of("* * * * *", timedelta(hours=1), CatchUp.ALL, limit=0).due == ()


def test_nothing_was_due() -> None:
    planned = plan_of("0 3 * * *", timedelta(hours=1))
    assert planned == Plan(planned_until=NOW, next_run_at=datetime(2026, 6, 2, 7, tzinfo=UTC))


def test_the_window_includes_its_start_and_excludes_its_end() -> None:
    starts_at, ends_at = clock("11:58:00", "12:00:00")
    planned = plan_of("* * * * *", timedelta(hours=1), CatchUp.ALL, starts_at=starts_at, ends_at=ends_at)
    assert planned == Plan(planned_until=NOW, next_run_at=None, due=clock("11:58:00", "11:59:00"))


def test_a_window_that_has_not_begun() -> None:
    planned = plan_of("* * * * *", timedelta(hours=1), starts_at=clock("15:00:00")[0], ends_at=clock("15:01:00")[0])
    assert planned == Plan(planned_until=NOW, next_run_at=clock("15:00:00")[0])
    assert plan_of("0 3 * * *", timedelta(0), ends_at=clock("23:00:00")[0]).next_run_at is None


def test_a_clock_that_went_back_plans_nothing_twice() -> None:
    planned_until = NOW + timedelta(hours=2)
    planned = plan(
        schedule_of("* * * * *"), planned_until=planned_until, now=NOW, catch_up=CatchUp.ALL, catch_up_limit=100
    )
    assert planned == Plan(planned_until=planned_until, next_run_at=clock("14:01:00")[0])


@pytest.mark.parametrize(
    ("expression", "down"), [("* * * * *", timedelta(days=365)), ("* * * * * *", timedelta(days=30))]
)
@pytest.mark.parametrize("catch_up", CatchUp)
def test_a_long_outage_costs_milliseconds(expression: str, down: timedelta, catch_up: CatchUp) -> None:
    seconds = []
    for _ in range(3):
        began = time.perf_counter()
        planned = plan_of(expression, down, catch_up)
        seconds.append(time.perf_counter() - began)
    assert min(seconds) < 0.05
    assert planned.skipped is not None
    assert (planned.skipped.count, planned.skipped.more) == (COUNTED, True)
    assert planned.skipped.first - (NOW - down) <= timedelta(minutes=1)


@pytest.mark.parametrize(("seconds", "more"), [(10_010, False), (10_011, True)])
def test_counting_stops_at_ten_thousand(seconds: int, more: bool) -> None:
    planned = plan_of("* * * * * *", timedelta(seconds=seconds), CatchUp.SKIP)
    assert planned.skipped is not None
    assert (planned.skipped.count, planned.skipped.more) == (10_000, more)
    assert planned.skipped.last == NOW.replace(microsecond=0) - FRESH


@settings(max_examples=300, deadline=None)
@given(
    expression=st.sampled_from(EXPRESSIONS),
    looks=st.lists(st.integers(0, 5_000_000), min_size=2, max_size=6).map(sorted),
    catch_up=st.sampled_from(CatchUp),
    limit=st.integers(0, 5),
    window=st.tuples(st.none() | st.integers(-100, 5_000), st.none() | st.integers(0, 6_000)),
    origin=st.sampled_from(JUST_BEFORE_A_JUMP),
)
def test_every_tick_is_accounted_for_once(
    expression: str,
    looks: list[int],
    catch_up: CatchUp,
    limit: int,
    window: tuple[int | None, int | None],
    origin: datetime,
) -> None:
    starts_at, ends_at = (None if edge is None else origin + timedelta(seconds=edge) for edge in window)
    instants = [origin + timedelta(milliseconds=look) for look in looks]
    schedule = schedule_of(expression)
    for planned_until, now in pairwise(instants):
        ticks = [
            tick
            for tick in schedule.between(origin, now + timedelta(seconds=1))
            if planned_until < tick <= now and (starts_at or tick) <= tick and (ends_at is None or tick < ends_at)
        ]
        fresh = [tick for tick in ticks if now - tick <= FRESH]
        stale = [tick for tick in ticks if now - tick > FRESH]
        revived = {CatchUp.SKIP: 0, CatchUp.LATEST: 0 if fresh else 1, CatchUp.ALL: limit}[catch_up]
        skipped = stale[: max(0, len(stale) - revived)]

        planned = plan(
            schedule, planned_until=planned_until, now=now, catch_up=catch_up, catch_up_limit=limit,
            starts_at=starts_at, ends_at=ends_at,
        )  # fmt: skip

        assert planned.due == (*stale[len(skipped) :], *fresh)
        assert planned.skipped == (Span(skipped[0], skipped[-1], len(skipped)) if skipped else None)
        assert planned.planned_until == now
        if planned.next_run_at is not None:
            assert planned.next_run_at > now
            assert (starts_at or now) <= planned.next_run_at
            assert ends_at is None or planned.next_run_at < ends_at


def test_jitter_is_the_same_for_everybody_and_spreads() -> None:
    tick, next_tick = clock("12:00:00", "12:01:00")
    delays = [jitter(cron_job_id, tick, 30, next_tick) for cron_job_id in range(1_000)]
    assert delays == [
        jitter(cron_job_id, tick.astimezone(schedule_of("@daily").zone), 30.0, next_tick)
        for cron_job_id in range(1_000)
    ]
    assert 0 <= min(delays) < 1
    assert 29 < max(delays) < 30
    assert 14 < sum(delays) / 1_000 < 16
    assert len({jitter(1, tick + timedelta(minutes=n), 30, None) for n in range(100)}) == 100


@pytest.mark.parametrize("jitter_seconds", [1.0, 3_600.0, float("inf")])
def test_jitter_never_reaches_the_next_tick(jitter_seconds: float) -> None:
    for tick, next_tick in pairwise(schedule_of("* * * * * *").between(NOW, NOW + timedelta(minutes=5))):
        delay = jitter(7, tick, jitter_seconds, next_tick)
        assert 0 <= delay < 1
        assert tick + timedelta(seconds=delay) < next_tick


@pytest.mark.parametrize("jitter_seconds", [0.0, -5.0, float("nan"), 1e-9])
def test_no_jitter(jitter_seconds: float) -> None:
    assert jitter(7, NOW, jitter_seconds, None) == 0.0


def test_jitter_of_the_last_tick_is_less_than_a_day() -> None:
    assert 0 <= jitter(7, NOW, float("inf"), None) < 86_400
