"""Several attempts in one call: each is told its own outcome, and the call stops when all of them are to."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from scheduler.errors import RetryLater, Snooze
from scheduler.handlers import HandlerRegistry, current_batch, declare
from scheduler.lifecycle.run import Attempt
from scheduler.model import Outcome, OutcomeKind
from tests.lifecycle.handlers import Stubborn
from tests.lifecycle.runner import Runner, runner
from tests.store.tables import claim

__all__ = ["runner"]


def begin(runner: Runner, handler: Callable[..., Any], count: int, *, timeout: float = 300.0) -> list[Attempt]:
    attempts = [Attempt(claim(id=n, timeout_seconds=timeout), runner) for n in range(1, count + 1)]
    spec = declare("work", handler, "here", {"batch_size": 100})
    Attempt.begin_together(attempts, HandlerRegistry([spec]), runner.isolations)
    for attempt in attempts:
        attempt.arm()
    return attempts


async def outcomes(runner: Runner, attempts: list[Attempt]) -> list[Outcome]:
    found = [await runner.outcome(attempt) for attempt in attempts]
    for attempt in attempts:
        await runner.end(attempt)
    return found


class Held:
    """A batch handler that holds what it was given until it is let go, and listens when it is told to stop."""

    def __init__(self) -> None:
        self.begun, self.let_go, self.interrupted = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.cancelled: list[bool] = []
        self.answer: list[Any] | None = None

    def handler(self) -> Callable[..., Any]:
        async def work(batch: list[dict[str, Any]]) -> list[Any] | None:
            self.begun.set()
            try:
                await self.let_go.wait()
            except asyncio.CancelledError:
                self.interrupted.set()
                raise
            self.cancelled = [execution.cancelled for execution in current_batch()]
            return self.answer

        return work


async def test_each_has_its_own_outcome(runner: Runner) -> None:
    async def work(batch: list[dict[str, Any]]) -> list[Any]:
        return [1, ValueError("no"), RetryLater(5, "not yet"), Snooze(7), None]

    told = await outcomes(runner, begin(runner, work, 5))
    kinds = [OutcomeKind.SUCCESS, OutcomeKind.FAILURE, OutcomeKind.FAILURE, OutcomeKind.SNOOZED, OutcomeKind.SUCCESS]
    assert [outcome.kind for outcome in told] == kinds
    assert [outcome.result for outcome in told] == ["1", None, None, None, None]
    assert (told[1].error, told[2].delay, told[3].delay) == ("ValueError: no", 5, 7)


@pytest.mark.parametrize("is_async", [True, False])
async def test_what_the_call_raises_is_the_failure_of_each(runner: Runner, is_async: bool) -> None:
    def work(batch: list[dict[str, Any]]) -> None:
        raise ValueError("all of you")

    async def work_async(batch: list[dict[str, Any]]) -> None:
        work(batch)

    told = await outcomes(runner, begin(runner, work_async if is_async else work, 3))
    assert {(outcome.kind, outcome.error) for outcome in told} == {(OutcomeKind.FAILURE, "ValueError: all of you")}


async def test_what_no_future_can_carry_is_a_failure_all_the_same(runner: Runner) -> None:
    def work(batch: list[dict[str, Any]]) -> None:
        raise StopIteration

    told = await outcomes(runner, begin(runner, work, 2))
    said = "SchedulerError: The handler ended this execution with StopIteration."
    assert {(outcome.kind, outcome.error) for outcome in told} == {(OutcomeKind.FAILURE, said)}


async def test_a_handler_that_would_end_its_worker_fails_its_batch(runner: Runner) -> None:
    async def work(batch: list[dict[str, Any]]) -> None:
        raise SystemExit(3)

    told = await outcomes(runner, begin(runner, work, 2))
    assert {outcome.kind for outcome in told} == {OutcomeKind.FAILURE}


@pytest.mark.parametrize("seconds", [0.05, 0.2])
async def test_one_timeout_strikes_all(runner: Runner, seconds: float) -> None:
    held = Held()
    told = await outcomes(runner, begin(runner, held.handler(), 3, timeout=seconds))
    assert {outcome.kind for outcome in told} == {OutcomeKind.TIMEOUT}
    assert held.interrupted.is_set()
    assert all(outcome.seconds > 0.5 * seconds for outcome in told)  # the first that began has the timer


async def test_a_batch_that_would_not_stop_is_told_on_time_and_ends_later(runner: Runner) -> None:
    stubborn = Stubborn()

    async def work(batch: list[dict[str, Any]]) -> None:
        await stubborn.handler()()

    attempts = begin(runner, work, 3, timeout=0.05)
    told = [await runner.outcome(attempt) for attempt in attempts]
    assert {outcome.kind for outcome in told} == {OutcomeKind.TIMEOUT}
    assert [attempt.overdue for attempt in attempts] == [True] * 3
    assert runner.ends == []
    stubborn.let_go.set()
    for attempt in attempts:
        await runner.end(attempt)
    assert len(runner.outcomes) == 3


@pytest.mark.parametrize("failed", [False, True])
async def test_one_that_is_cancelled_goes_on_with_the_others_and_success_still_wins(
    runner: Runner, failed: bool
) -> None:
    held = Held()
    attempts = begin(runner, held.handler(), 3)
    await held.begun.wait()
    attempts[1].ask_to_stop("enough")
    held.answer = [1, ValueError("stopped") if failed else 2, 3]
    held.let_go.set()
    first, second, third = await outcomes(runner, attempts)
    assert held.cancelled == [False, True, False]
    assert (first.result, third.result) == ("1", "3")
    expected = (OutcomeKind.CANCELLED, "enough") if failed else (OutcomeKind.SUCCESS, None)
    assert (second.kind, second.error) == expected
    assert not held.interrupted.is_set()


async def test_when_each_is_cancelled_the_call_is_interrupted(runner: Runner) -> None:
    held = Held()
    attempts = begin(runner, held.handler(), 3)
    await held.begun.wait()
    for attempt in attempts:
        attempt.ask_to_stop("enough")
    told = await outcomes(runner, attempts)
    assert held.interrupted.is_set()
    assert {(outcome.kind, outcome.error) for outcome in told} == {(OutcomeKind.CANCELLED, "enough")}


async def test_at_a_shutdown_all_are_handed_back(runner: Runner) -> None:
    held = Held()
    attempts = begin(runner, held.handler(), 3)
    await held.begun.wait()
    for attempt in attempts:
        attempt.warn("the worker shuts down")
    for attempt in attempts:
        attempt.hand_back("the worker shuts down")
    told = await outcomes(runner, attempts)
    assert {(outcome.kind, outcome.begun) for outcome in told} == {(OutcomeKind.HANDED_BACK, True)}


async def test_one_that_is_lost_is_told_to_nobody_and_the_others_end_as_they_do(runner: Runner) -> None:
    held = Held()
    attempts = begin(runner, held.handler(), 3)
    await held.begun.wait()
    attempts[0].abandon("the lease is lost")
    held.let_go.set()
    for attempt in attempts:
        await runner.end(attempt)
    assert [attempt.claim.id for attempt, _ in runner.outcomes] == [2, 3]
    assert {outcome.kind for _, outcome in runner.outcomes} == {OutcomeKind.SUCCESS}


async def test_progress_is_that_of_each(runner: Runner) -> None:
    def work(batch: list[dict[str, Any]]) -> None:
        for execution in current_batch():
            execution.progress(execution.id / 10)

    attempts = begin(runner, work, 2)
    await outcomes(runner, attempts)
    latest = [attempt.context.take_progress() for attempt in attempts]
    assert [each and each.fraction for each in latest] == [0.1, 0.2]
