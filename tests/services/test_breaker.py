"""The breaker: failures in a row, queue by queue."""

from collections.abc import Sequence
from uuid import uuid4

from scheduler.lifecycle.settle import Settled
from scheduler.model import Claim, Outcome, OutcomeKind, Status, Transition
from scheduler.services.breaker import Breaker
from tests.store import tables

FAILED, TIMED_OUT, WELL, LATER = OutcomeKind.FAILURE, OutcomeKind.TIMEOUT, OutcomeKind.SUCCESS, OutcomeKind.SNOOZED


def ended(breaker: Breaker, queue: str | None, kinds: Sequence[OutcomeKind]) -> None:
    claims: list[Claim] = [tables.claim(id=n, token=uuid4()) for n in range(len(kinds))]
    breaker.claimed(queue, claims)
    breaker.settled(
        [
            Settled(claim, Outcome(kind), Transition(Status.FAILED, 1), Status.FAILED)
            for claim, kind in zip(claims, kinds, strict=True)
        ]
    )


def watching(**most: int) -> Breaker:
    breaker = Breaker()
    breaker.watch(most)
    return breaker


def test_failures_in_a_row_trip_it_once() -> None:
    breaker = watching(mail=3)
    ended(breaker, "mail", [FAILED, TIMED_OUT])
    assert breaker.tripped() == []
    ended(breaker, "mail", [FAILED, FAILED])
    assert breaker.tripped() == [("mail", 4)]
    assert breaker.tripped() == []


def test_the_next_failure_trips_it_again_and_a_success_ends_the_trial() -> None:
    breaker = watching(mail=2)
    ended(breaker, "mail", [FAILED, FAILED])
    assert breaker.tripped()
    ended(breaker, "mail", [FAILED])
    assert breaker.tripped() == [("mail", 2)]
    ended(breaker, "mail", [WELL, FAILED])
    assert breaker.tripped() == []


def test_only_failures_and_successes_count() -> None:
    breaker = watching(mail=2)
    ended(breaker, "mail", [FAILED, LATER, FAILED])
    assert breaker.tripped() == [("mail", 2)]


def test_each_queue_counts_for_itself_and_others_not_at_all() -> None:
    breaker = watching(mail=2, web=2)
    ended(breaker, "mail", [FAILED])
    ended(breaker, "web", [FAILED])
    ended(breaker, "other", [FAILED] * 5)
    ended(breaker, None, [FAILED] * 5)
    assert breaker.tripped() == []


def test_what_was_lost_is_not_counted() -> None:
    breaker = watching(mail=1)
    claim = tables.claim()
    breaker.claimed("mail", [claim])
    breaker.forget()
    breaker.settled([Settled(claim, Outcome(FAILED), Transition(Status.FAILED, 1), Status.FAILED)])
    assert breaker.tripped() == []


def test_a_breaker_that_was_taken_out_forgets() -> None:
    breaker = watching(mail=2)
    ended(breaker, "mail", [FAILED])
    breaker.watch({})
    breaker.watch({"mail": 2})
    ended(breaker, "mail", [FAILED])
    assert breaker.tripped() == []
