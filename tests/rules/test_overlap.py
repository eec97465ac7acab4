"""Rule 11: what a tick does while an earlier execution of its cron job isn't final."""

from datetime import UTC, datetime, timedelta

import pytest

from scheduler.model import OverlapPolicy
from scheduler.rules.overlap import INSERT, KEY_LIMIT, Decision, concurrency_key, decide, decide_all

TICKS = [datetime(2026, 6, 1, 12, tzinfo=UTC) + timedelta(minutes=n) for n in range(4)]


def inserted(decisions: list[Decision]) -> list[bool]:
    return [decision.inserts for decision in decisions]


@pytest.mark.parametrize("policy", OverlapPolicy)
def test_nothing_unfinished_means_insert(policy: OverlapPolicy) -> None:
    assert decide(policy, unfinished=0, waiting=0, limit=0) == INSERT
    assert INSERT.inserts


def test_skip_names_the_execution_in_the_way() -> None:
    decision = decide(OverlapPolicy.SKIP, unfinished=1, waiting=0, limit=100, blocking_id=42)
    assert not decision.inserts
    assert decision.skipped_because == "overlap with execution 42, which has not finished"


def test_allow_always_inserts() -> None:
    assert decide(OverlapPolicy.ALLOW, unfinished=500, waiting=400, limit=1, blocking_id=42) == INSERT


@pytest.mark.parametrize(("waiting", "inserts"), [(0, True), (2, True), (3, False), (4, False)])
def test_queue_lets_at_most_the_limit_wait(waiting: int, inserts: bool) -> None:
    decision = decide(OverlapPolicy.QUEUE, unfinished=waiting + 1, waiting=waiting, limit=3, blocking_id=42)
    assert decision.inserts is inserts
    assert inserts or decision.skipped_because == f"{waiting} executions of this cron job already wait (limit 3)"


def test_replace_inserts_and_clears_the_way() -> None:
    decision = decide(OverlapPolicy.REPLACE, unfinished=1, waiting=0, limit=100, blocking_id=42)
    assert decision.inserts
    assert decision.replaces


def test_skip_within_one_look_lets_the_first_through() -> None:
    decisions = decide_all(OverlapPolicy.SKIP, TICKS, unfinished=0, waiting=0, limit=100)
    assert inserted(decisions) == [True, False, False, False]
    assert decisions[1].skipped_because == "overlap with the tick before it, which has not finished"


def test_skip_within_one_look_keeps_naming_what_was_there_before() -> None:
    decisions = decide_all(OverlapPolicy.SKIP, TICKS, unfinished=1, waiting=1, limit=100, blocking_id=42)
    assert {decision.skipped_because for decision in decisions} == {"overlap with execution 42, which has not finished"}


def test_queue_within_one_look_stops_at_the_limit() -> None:
    assert inserted(decide_all(OverlapPolicy.QUEUE, TICKS, unfinished=1, waiting=0, limit=2)) == [
        True, True, False, False,
    ]  # fmt: skip


def test_allow_within_one_look_inserts_all() -> None:
    assert inserted(decide_all(OverlapPolicy.ALLOW, TICKS, unfinished=9, waiting=9, limit=1)) == [True] * 4


@pytest.mark.parametrize("unfinished", [0, 1])
def test_replace_within_one_look_inserts_only_the_newest(unfinished: int) -> None:
    decisions = decide_all(OverlapPolicy.REPLACE, TICKS, unfinished=unfinished, waiting=0, limit=100)
    assert inserted(decisions) == [False, False, False, True]
    assert decisions[0].skipped_because == "replaced by the tick of 2026-06-01T12:03:00+00:00"
    assert decisions[-1].replaces is bool(unfinished)


@pytest.mark.parametrize("policy", OverlapPolicy)
def test_no_tick_needs_no_decision(policy: OverlapPolicy) -> None:
    assert decide_all(policy, [], unfinished=1, waiting=0, limit=100) == []


def test_all_but_allow_share_a_key_that_one_may_hold() -> None:
    assert concurrency_key(OverlapPolicy.ALLOW, 7) is None
    assert {concurrency_key(policy, 7) for policy in OverlapPolicy if policy is not OverlapPolicy.ALLOW} == {"cron:7"}
    assert KEY_LIMIT == 1
