"""The decision after an attempt: outcome in, transition out. Pure, so that it can be tried exhaustively."""

from functools import lru_cache
from typing import assert_never

from scheduler.model import Claim, Outcome, OutcomeKind, Status, Transition
from scheduler.rules.retry import delay_seconds, jittered

MOST_FAILURES = 2**31 - 1
"""What `retry_count` can hold; a row written by hand may begin there."""


def decide(claim: Claim, outcome: Outcome, *, chance: float) -> Transition:
    """What becomes of the row that `claim` holds, with `chance` in [0, 1) for the jitter.

    A cancel that was requested meanwhile is known to the row alone: the settle statement turns every decision but
    SUCCESS into CANCELLED there.
    """
    match outcome.kind:
        case OutcomeKind.SUCCESS:
            return _succeeded(claim.retry_count)
        case OutcomeKind.CANCELLED:
            return Transition(Status.CANCELLED, claim.retry_count, error=outcome.error, records_error=True)
        case OutcomeKind.SNOOZED:
            return Transition(Status.PENDING, claim.retry_count, delay=outcome.delay or 0.0)
        case OutcomeKind.HANDED_BACK if outcome.begun and claim.starts_once:
            return _interrupted(claim, outcome)
        case OutcomeKind.HANDED_BACK:
            return Transition(Status.PENDING, claim.retry_count, suspect=claim.suspect)
        case OutcomeKind.FAILURE:
            return _failed(claim, outcome, Status.FAILED, chance)
        case OutcomeKind.TIMEOUT:
            return _failed(claim, outcome, Status.TIMEOUT, chance)
        case OutcomeKind.LOST:
            return _failed(claim, outcome, Status.FAILED, chance)
        case _:
            assert_never(outcome.kind)


@lru_cache(maxsize=64)
def _succeeded(failures: int) -> Transition:
    """Most succeed at their first try: one value says it for all of them."""
    return Transition(Status.SUCCESS, failures)


def _interrupted(claim: Claim, outcome: Outcome) -> Transition:
    """At most once is kept even where nobody is to blame."""
    failures = min(claim.retry_count + 1, MOST_FAILURES)
    error = f"Interrupted: {outcome.error or 'its worker stopped'}. max_retry {claim.max_retry} allows no second start."
    return Transition(Status.FAILED, failures, suspect=claim.suspect, error=error, records_error=True)


def _failed(claim: Claim, outcome: Outcome, final: Status, chance: float) -> Transition:
    failures = min(claim.retry_count + 1, MOST_FAILURES)
    lost = outcome.kind is OutcomeKind.LOST
    if outcome.permanent or failures >= claim.max_retry:
        return Transition(final, failures, suspect=lost, error=outcome.error, records_error=True)
    return Transition(
        Status.PENDING,
        failures,
        _wait(claim, outcome, failures, chance),
        suspect=lost,
        error=outcome.error,
        records_error=True,
    )


def _wait(claim: Claim, outcome: Outcome, failures: int, chance: float) -> float:
    if outcome.kind is OutcomeKind.LOST:
        return 0.0
    if outcome.delay is not None:
        return outcome.delay
    backoff = jittered(delay_seconds(claim.retry_backoff, claim.retry_delay_seconds, failures), chance)
    return max(outcome.min_delay, backoff)
