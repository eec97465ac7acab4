"""Rule 11: what due ticks do while an earlier execution of their cron job isn't final."""

from datetime import UTC, datetime, timedelta

import pytest

from scheduler.model import OverlapPolicy
from scheduler.rules.overlap import KEY_LIMIT, Decision, because, concurrency_key, decide

TICKS = tuple(datetime(2026, 6, 1, 12, tzinfo=UTC) + timedelta(minutes=n) for n in range(4))
KEYED = [policy for policy in OverlapPolicy if policy is not OverlapPolicy.ALLOW]


def decided(
    policy: OverlapPolicy, *, waiting: int = 0, running: int = 0, limit: int = 100, ticks: tuple[datetime, ...] = TICKS
) -> Decision:
    """The decision, in which no tick is lost, doubled or out of order."""
    decision = decide(policy, ticks, waiting=waiting, running=running, limit=limit)
    assert tuple(sorted(decision.run + decision.skipped)) == ticks
    return decision


@pytest.mark.parametrize("policy", OverlapPolicy)
@pytest.mark.parametrize("limit", [1, 100])
def test_a_tick_with_nothing_before_it_runs(policy: OverlapPolicy, limit: int) -> None:
    assert decided(policy, ticks=TICKS[:1], limit=limit) == Decision(TICKS[:1])


@pytest.mark.parametrize("policy", OverlapPolicy)
def test_no_tick_needs_no_decision(policy: OverlapPolicy) -> None:
    assert decided(policy, ticks=(), running=1) == Decision(())


def test_allow_runs_all_whatever_runs() -> None:
    assert decided(OverlapPolicy.ALLOW, waiting=400, running=100, limit=1).run == TICKS


@pytest.mark.parametrize(("waiting", "running", "run"), [(0, 0, 1), (1, 0, 0), (0, 1, 0), (3, 1, 0)])
def test_skip_runs_the_first_if_nothing_is_unfinished(waiting: int, running: int, run: int) -> None:
    decision = decided(OverlapPolicy.SKIP, waiting=waiting, running=running)
    assert decision.run == TICKS[:run]
    assert not decision.replaces


@pytest.mark.parametrize(
    ("waiting", "running", "run"), [(0, 0, 2), (0, 1, 2), (1, 0, 1), (1, 1, 1), (2, 1, 0), (5, 1, 0)]
)
def test_queue_lets_at_most_the_limit_wait(waiting: int, running: int, run: int) -> None:
    assert decided(OverlapPolicy.QUEUE, waiting=waiting, running=running, limit=2).run == TICKS[:run]


@pytest.mark.parametrize(("waiting", "running", "replaces"), [(0, 0, False), (1, 0, True), (0, 1, True)])
def test_replace_runs_the_newest_and_clears_the_way(waiting: int, running: int, replaces: bool) -> None:
    decision = decided(OverlapPolicy.REPLACE, waiting=waiting, running=running)
    assert (decision.run, decision.replaces) == (TICKS[-1:], replaces)


@pytest.mark.parametrize(
    ("policy", "execution_id", "sentence"),
    [
        (OverlapPolicy.SKIP, 42, "overlap with execution 42, which has not finished"),
        (OverlapPolicy.SKIP, None, "overlap with the tick before it, which has not finished"),
        (OverlapPolicy.QUEUE, 42, "7 executions of this cron job already wait (catch_up_limit 5)"),
        (OverlapPolicy.REPLACE, 42, "replaced by execution 42, of a newer tick"),
        (OverlapPolicy.REPLACE, None, "replaced by a newer tick"),
    ],
)
def test_the_reason_is_a_sentence(policy: OverlapPolicy, execution_id: int | None, sentence: str) -> None:
    assert because(policy, execution_id=execution_id, waiting=7, limit=5) == sentence


def test_all_but_allow_share_a_key_that_one_may_hold() -> None:
    assert concurrency_key(OverlapPolicy.ALLOW, 7) is None
    assert {concurrency_key(policy, 7) for policy in KEYED} == {"cron:7"}
    assert KEY_LIMIT == 1
