"""The real protocols break nothing in any order of steps; without any one of their rules, something breaks."""

from dataclasses import replace

import pytest

from tests.model import claims, two_phase
from tests.model.claims import Guard, Protocol
from tests.model.search import STUCK, Step, explore
from tests.model.two_phase import Decision

OLD_OVER_NEW = "an old attempt writes over a newer one"
NOT_RUNNING = "an outcome is written to a row that is not RUNNING"
TWICE = "it starts twice though max_retry allows one start"
TOO_OFTEN = "it starts more often than max_retry allows"
ONCE = Protocol(max_retry=1)
WITHOUT = {
    "any guard": (Protocol(guard=Guard.NONE), NOT_RUNNING),
    "the token, only the status": (Protocol(guard=Guard.STATUS), OLD_OVER_NEW),
    "the token, only the worker's name": (Protocol(guard=Guard.OWNER), OLD_OVER_NEW),
    "a second look by the rescuer": (Protocol(rescue_checks_again=False), "a living worker's row is rescued"),
    "counting a lost attempt": (Protocol(rescue_counts=False, claims=3), TOO_OFTEN),
    "rescuing by state": (Protocol(rescue_by_state=False), STUCK),
    "looking for unanswered claims, or for strangers": (
        Protocol(finds_unanswered_claims=False, hands_back_strangers=False), STUCK,
    ),
    "sparing claims under way": (Protocol(spares_claims_under_way=False), "it runs twice in one worker"),
    "failing what may start once and is interrupted": (replace(ONCE, starts_once=False), TWICE),
    "cancels that outlive a rescue": (Protocol(cancel_outlives_rescue=False), "a cancel is forgotten"),
}  # fmt: skip
DECISIONS = {
    Decision.LOOKED_UP: "SUCCESS without its effect",
    Decision.NONE: "SUCCESS without its effect",
    Decision.BEFORE_PREPARED: "SUCCESS without its effect",
    Decision.PRUNED_EARLY: "SUCCESS without its effect",
}


@pytest.mark.parametrize(("most_claims", "retries_by_hand"), [(3, 0), (2, 1)])
@pytest.mark.parametrize("max_retry", [1, 2])
def test_the_protocol_of_claims(max_retry: int, most_claims: int, retries_by_hand: int) -> None:
    found = claims.check(Protocol(max_retry=max_retry, claims=most_claims, retries_by_hand=retries_by_hand))
    assert not found.violations, str(found)
    assert found.states > 3_000


@pytest.mark.parametrize("missing", WITHOUT)
def test_no_rule_of_it_can_go(missing: str) -> None:
    protocol, invariant = WITHOUT[missing]
    found = claims.check(protocol)
    print(f"without {missing}: {found}")
    assert invariant in found.violations


def test_the_protocol_of_commits() -> None:
    found = two_phase.check(Decision.FIRST_WINS)
    assert not found.violations, str(found)
    assert found.states > 20


@pytest.mark.parametrize("decision", DECISIONS)
def test_no_weaker_decision_will_do(decision: Decision) -> None:
    found = two_phase.check(decision)
    print(f"{decision}: {found}")
    assert DECISIONS[decision] in found.violations


def test_the_shortest_story_is_told() -> None:
    def count(n: int) -> list[Step[int]]:
        return [Step("two", n + 2), Step("one", n + 1, wrong="seven" if n == 6 else None)] if n < 8 else []

    found = explore(0, count, lambda n: n >= 8)
    assert found.violations == {"seven": ["two", "two", "two", "one"]}


def test_what_never_ends_is_found_though_a_fault_could_end_it() -> None:
    steps = {0: [Step("on", 1)], 1: [Step("round", 1), Step("it is killed", 2, fault=True)], 2: []}
    assert explore(0, lambda n: steps[n], lambda n: n == 2).violations == {STUCK: []}
