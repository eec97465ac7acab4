"""What differs between a declaration and its row, and who made it differ."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from scheduler.operations.differences import Columns, DeclaredRow, Difference, next_ticks, said
from scheduler.operations.json_values import same
from tests.operations.declaring import job

NOW = datetime(2026, 3, 7, 12, tzinfo=UTC)


def row(columns: Columns, applied: Columns) -> DeclaredRow:
    return DeclaredRow("a", "ours", NOW, {"enabled": True, **columns}, applied)


@pytest.mark.parametrize(
    ("declared", "has", "applied", "edited"),
    [
        (2, 1, 1, False),
        (1, 2, 1, True),
        (3, 2, 1, True),
        (1, 2, None, False),
    ],
    ids=["declaration changed", "row edited", "both", "never applied"],
)
def test_three_values_decide(declared: int, has: int, applied: int | None, edited: bool) -> None:
    wanted = job("a", priority=declared)
    found = row({**wanted.columns, "priority": has}, {} if applied is None else {"priority": applied})
    assert found.differences(wanted, overwrite=False) == (Difference("priority", has, declared, edited, left=edited),)
    assert found.differences(wanted, overwrite=True) == (Difference("priority", has, declared, edited, left=False),)


@pytest.mark.parametrize("applied", [1, 2, 3])
def test_a_row_that_is_as_declared_is_fine_whoever_made_it_so(applied: int) -> None:
    wanted = job("a", priority=2)
    assert row(wanted.columns, {"priority": applied}).differences(wanted, overwrite=False) == ()


def test_what_is_left_stays_known_as_an_edit() -> None:
    wanted = job("a", priority=3, queue="slow")
    edited = row({**wanted.columns, "priority": 2, "queue": "default"}, {"priority": 1, "queue": "default"})
    differences = edited.differences(wanted, overwrite=False)
    applied = edited.applied_after(wanted, differences)
    assert (applied["priority"], applied["queue"]) == (1, "slow")
    overwritten = edited.differences(wanted, overwrite=True)
    assert edited.applied_after(wanted, overwritten) == wanted.columns


@pytest.mark.parametrize(
    ("declared", "has", "applied", "becomes"),
    [
        (None, False, {}, None),
        (None, False, {"enabled": False}, True),
        (None, True, {"enabled": False}, None),
        (None, False, {"enabled": True}, None),
        (False, True, {}, False),
        (False, True, {"enabled": True}, False),
    ],
    ids=[
        "paused by somebody", "its declared pause is over", "its declared pause was ended by somebody",
        "its declaration is gone, paused by somebody", "paused from the beginning", "paused by its declaration",
    ],
)  # fmt: skip
def test_a_pause_belongs_to_whoever_made_it(
    declared: bool | None, has: bool, applied: Columns, becomes: bool | None
) -> None:
    wanted = job("a", enabled=declared)
    found = row({**wanted.columns, "enabled": has}, {**wanted.columns, "enabled": None, **applied})
    changes = [(difference.column, difference.declared) for difference in found.differences(wanted, overwrite=True)]
    assert changes == ([] if becomes is None else [("enabled", becomes)])


def test_a_declared_state_that_somebody_changed_is_an_edit() -> None:
    wanted = job("a", enabled=True)
    (difference,) = row({**wanted.columns, "enabled": False}, wanted.columns).differences(wanted, overwrite=False)
    assert difference == Difference("enabled", False, True, edited=True, left=True)


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        (1, 1.0, True),
        (True, 1, False),
        ({"a": [1, {"b": None}]}, {"a": [1.0, {"b": None}]}, True),
        ({"a": True}, {"a": 1}, False),
        (10**20, 1e20, True),
        (2**53, 2**53 + 1, False),
        ("1", 1, False),
        (None, 0, False),
    ],
)
def test_values_are_the_same_as_json_has_them(one: Any, other: Any, equal: bool) -> None:
    assert same(one, other) is equal


def test_a_new_row_says_what_is_not_as_usual() -> None:
    columns = [difference.column for difference in said(job("a", jitter_seconds=0, queue="slow", enabled=False))]
    assert columns == ["cron_expression", "timezone", "handler_name", "queue", "enabled"]


def ticks(expression: str, **options: Any) -> list[str]:
    wanted = job("a", expression, **options)
    return [tick.isoformat() for tick in next_ticks(wanted.columns, said(wanted), NOW, NOW)]


def test_next_ticks_are_on_the_wall_clock_of_the_zone() -> None:
    assert ticks("30 2 * * *", timezone="America/New_York") == [
        "2026-03-08T03:00:00-04:00",
        "2026-03-09T02:30:00-04:00",
    ]


def test_next_ticks_are_those_that_a_planner_will_plan() -> None:
    assert ticks("0 12 * * *")[0] == "2026-03-08T12:00:00+00:00"
    assert ticks("@every 90s")[0] == "2026-03-07T12:01:30+00:00"
    later = NOW + timedelta(days=30, seconds=7)
    assert ticks("@every 1h", starts_at=later) == ["2026-04-06T12:00:07+00:00", "2026-04-06T13:00:07+00:00"]
    assert ticks("@daily", ends_at=NOW + timedelta(hours=13)) == ["2026-03-08T00:00:00+00:00"]
    assert ticks("@daily", enabled=False) == []


def test_no_ticks_where_the_schedule_stays_or_can_not_be_read() -> None:
    wanted = job("a", queue="slow", timezone="UTC")
    found = row({**wanted.columns, "queue": "default"}, {})
    assert next_ticks(found.columns, found.differences(wanted, overwrite=False), NOW, NOW) == ()
    broken = row({**wanted.columns, "cron_expression": "no", "timezone": "Asia/Seoul"}, {"cron_expression": "@daily"})
    assert next_ticks(broken.columns, broken.differences(wanted, overwrite=False), NOW, NOW) == ()
