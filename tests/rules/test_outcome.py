"""The decision after an attempt, over everything that it depends on."""

from itertools import product
from typing import Any
from uuid import uuid4

import pytest

from scheduler.model import Claim, Outcome, OutcomeKind, Status
from scheduler.rules.outcome import MOST_FAILURES, decide
from scheduler.rules.retry import delay_seconds

FAILED_TRIES = (OutcomeKind.FAILURE, OutcomeKind.TIMEOUT, OutcomeKind.LOST)
COUNTS = (0, 1, 2, 3, 7)
LIMITS = (0, 1, 2, 3, 4, 8)
NO_JITTER = 0.5


def claim(**fields: Any) -> Claim:
    usual = Claim(
        id=1, handler_name="work", params_text="{}", priority=0, available_at=0.0, scheduled_at=0.0, attempt=9,
        timeout_seconds=300.0, retry_count=0, max_retry=3, retry_backoff="linear", retry_delay_seconds=2.0,
        cron_job_id=None, concurrency_key=None, suspect=False, token=uuid4(),
    )  # fmt: skip
    return usual._replace(**fields)


@pytest.mark.parametrize("kind", FAILED_TRIES)
def test_a_failed_try_counts_and_is_the_last_when_max_retry_says_so(kind: OutcomeKind) -> None:
    final = Status.TIMEOUT if kind is OutcomeKind.TIMEOUT else Status.FAILED
    for count, limit, permanent in product(COUNTS, LIMITS, (False, True)):
        row = claim(retry_count=count, max_retry=limit)
        decision = decide(row, Outcome(kind, error="e", permanent=permanent), chance=NO_JITTER)
        again = count + 1 < limit and not permanent
        assert decision.status is (Status.PENDING if again else final), (count, limit, permanent)
        assert decision.retry_count == count + 1
        assert decision.records_error
        assert decision.error == "e"


@pytest.mark.parametrize("limit", [0, 1])
@pytest.mark.parametrize("kind", FAILED_TRIES)
def test_max_retry_0_and_1_both_mean_no_second_try(kind: OutcomeKind, limit: int) -> None:
    assert decide(claim(max_retry=limit), Outcome(kind), chance=NO_JITTER).status is not Status.PENDING


@pytest.mark.parametrize("kind", [OutcomeKind.FAILURE, OutcomeKind.TIMEOUT])
@pytest.mark.parametrize("backoff", ["fixed", "linear", "exponential"])
def test_the_next_try_waits_for_what_was_asked_else_for_the_backoff(kind: OutcomeKind, backoff: str) -> None:
    for count, asked, at_least in product((0, 1, 5), (None, 0.0, 7.0), (0.0, 30.0)):
        row = claim(retry_count=count, max_retry=9, retry_backoff=backoff)
        wait = decide(row, Outcome(kind, delay=asked, min_delay=at_least), chance=NO_JITTER).delay
        usual = max(at_least, delay_seconds(backoff, 2.0, count + 1))
        assert wait == pytest.approx(usual if asked is None else asked), (count, asked, at_least)


def test_chance_spreads_the_waits() -> None:
    row = claim(retry_delay_seconds=100.0)
    waits = [decide(row, Outcome(OutcomeKind.FAILURE), chance=chance).delay for chance in (0.0, 0.5, 0.999)]
    assert waits == pytest.approx([90.0, 100.0, 110.0], rel=1e-3)


def test_a_lost_one_returns_at_once_and_is_suspect() -> None:
    for suspect in (False, True):
        decision = decide(claim(suspect=suspect), Outcome(OutcomeKind.LOST), chance=NO_JITTER)
        assert (decision.status, decision.delay, decision.suspect) == (Status.PENDING, 0.0, True)
    assert decide(claim(max_retry=1), Outcome(OutcomeKind.LOST), chance=NO_JITTER).suspect


@pytest.mark.parametrize("kind", [k for k in OutcomeKind if k not in (OutcomeKind.LOST, OutcomeKind.HANDED_BACK)])
def test_an_outcome_of_its_own_clears_the_suspicion(kind: OutcomeKind) -> None:
    assert not decide(claim(suspect=True), Outcome(kind), chance=NO_JITTER).suspect


@pytest.mark.parametrize("suspect", [False, True])
def test_a_hand_back_uses_up_no_try_and_proves_nothing(suspect: bool) -> None:
    for count, limit in product(COUNTS, LIMITS):
        row = claim(retry_count=count, max_retry=limit, suspect=suspect)
        begun = limit > 1
        decision = decide(row, Outcome(OutcomeKind.HANDED_BACK, begun=begun), chance=NO_JITTER)
        assert (decision.status, decision.retry_count, decision.delay) == (Status.PENDING, count, 0.0)
        assert decision.suspect is suspect
        assert not decision.records_error


@pytest.mark.parametrize("limit", [0, 1])
@pytest.mark.parametrize("suspect", [False, True])
def test_what_may_start_once_is_not_handed_back_when_it_has_begun(limit: int, suspect: bool) -> None:
    outcome = Outcome(OutcomeKind.HANDED_BACK, error="the worker shuts down")
    decision = decide(claim(max_retry=limit, suspect=suspect), outcome, chance=NO_JITTER)
    assert (decision.status, decision.retry_count, decision.suspect) == (Status.FAILED, 1, suspect)
    assert decision.error == f"Interrupted: the worker shuts down. max_retry {limit} allows no second start."
    assert decision.records_error


@pytest.mark.parametrize("delay", [None, 0.0, 90.0])
def test_a_snooze_uses_up_no_try(delay: float | None) -> None:
    for count, limit in product(COUNTS, LIMITS):
        row = claim(retry_count=count, max_retry=limit)
        decision = decide(row, Outcome(OutcomeKind.SNOOZED, delay=delay), chance=NO_JITTER)
        assert (decision.status, decision.retry_count, decision.delay) == (Status.PENDING, count, delay or 0.0)
        assert not decision.records_error


def test_success_and_cancellation_are_final_and_count_nothing() -> None:
    for count, limit in product(COUNTS, LIMITS):
        row = claim(retry_count=count, max_retry=limit)
        won = decide(row, Outcome(OutcomeKind.SUCCESS), chance=NO_JITTER)
        assert (won.status, won.retry_count, won.error, won.records_error) == (Status.SUCCESS, count, None, False)
        cancelled = decide(row, Outcome(OutcomeKind.CANCELLED, error="not needed"), chance=NO_JITTER)
        assert (cancelled.status, cancelled.retry_count, cancelled.error) == (Status.CANCELLED, count, "not needed")


def test_a_count_that_is_full_stays_storable() -> None:
    row = claim(retry_count=MOST_FAILURES, max_retry=MOST_FAILURES)
    assert decide(row, Outcome(OutcomeKind.FAILURE), chance=NO_JITTER).retry_count == MOST_FAILURES
