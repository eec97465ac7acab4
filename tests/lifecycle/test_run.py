"""run: one outcome for each attempt, told on time; a slot only when the handler has really ended."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from pydantic import BaseModel

from scheduler.clock import monotonic
from scheduler.errors import CancelExecution, ControlFlow, FailPermanently, RetryLater, Snooze
from scheduler.handlers import ExecutionContext, HandlerRegistry, HandlerSpec, current_execution, declare
from scheduler.handlers.faults import ToldFault
from scheduler.lifecycle.run import UNKNOWN_HANDLER_DELAY_SECONDS, Attempt
from scheduler.model import Outcome, OutcomeKind
from tests.lifecycle.handlers import PATIENCE_SECONDS, Stubborn, forever
from tests.lifecycle.runner import Runner
from tests.store.tables import Events, claim


async def test_what_it_returns_is_the_result(runner: Runner) -> None:
    async def work(params: dict[str, int]) -> dict[str, int]:
        return {"twice": params["n"] * 2}

    attempt = runner.begin(work, params='{"n": 21}')
    outcome = await runner.outcome(attempt)
    assert (outcome.kind, outcome.result) == (OutcomeKind.SUCCESS, '{"twice":42}')
    await runner.end(attempt)
    assert attempt.over
    assert not attempt.overdue


async def test_a_result_that_had_to_be_changed_is_a_warning(runner: Runner, events: Events) -> None:
    async def work() -> dict[str, object]:
        return {"kept": 1, "lost": object()}

    outcome = await runner.outcome(runner.begin(work))
    assert (outcome.kind, outcome.result) == (OutcomeKind.SUCCESS, '{"kept":1,"lost":"<object is not JSON>"}')
    assert events == [("execution.result_changed", {"id": 1, "handler": "work"})]


@pytest.mark.parametrize("stop", [Attempt.abandon, Attempt.hand_back])
async def test_a_result_that_nobody_stores_is_not_complained_of(
    runner: Runner, events: Events, stop: Callable[[Attempt, str], None]
) -> None:
    begun, let_go = asyncio.Event(), asyncio.Event()

    async def work() -> object:
        begun.set()
        with suppress(asyncio.CancelledError):
            await let_go.wait()
        return object()

    attempt = runner.begin(work)
    await begun.wait()
    stop(attempt, "enough")
    attempt.give_up_waiting()
    await runner.end(attempt)
    assert events == []


async def test_what_it_raises_is_the_error(runner: Runner) -> None:
    def work() -> None:
        raise ValueError("no such address")

    outcome = await runner.outcome(runner.begin(work))
    assert (outcome.kind, outcome.error) == (OutcomeKind.FAILURE, "ValueError: no such address")
    assert outcome.traceback is not None
    assert "no such address" in outcome.traceback
    assert not outcome.permanent


async def test_params_that_do_not_fit_fail_for_good(runner: Runner) -> None:
    class Params(BaseModel):
        n: int

    def work(params: Params) -> int:
        return params.n

    outcome = await runner.outcome(runner.begin(work, params='{"n": "many"}'))
    assert (outcome.kind, outcome.permanent) == (OutcomeKind.FAILURE, True)
    assert "n: Input should be a valid integer" in str(outcome.error)


async def test_an_unknown_handler_waits_for_a_worker_that_has_it(runner: Runner) -> None:
    attempt = Attempt(claim(handler_name="wrok"), runner)
    attempt.begin(HandlerRegistry([declare("work", forever, "here", {})]), runner.isolations)
    ((_, outcome),) = runner.outcomes
    assert (outcome.kind, outcome.min_delay) == (OutcomeKind.FAILURE, UNKNOWN_HANDLER_DELAY_SECONDS)
    assert "Did you mean 'work'?" in str(outcome.error)
    assert runner.ends == [attempt]


class OwnDecision(ControlFlow):
    pass


@pytest.mark.parametrize(("raised", "wanted"), [
    (RetryLater(7.5, "busy"), Outcome(OutcomeKind.FAILURE, error="busy", delay=7.5)),
    (RetryLater(float("inf"), "x"), Outcome(OutcomeKind.FAILURE, error="x", delay=31_622_400.0)),
    (RetryLater(float("nan"), "x"), Outcome(OutcomeKind.FAILURE, error="x", delay=0.0)),
    (RetryLater(-1.0, "a\0b"), Outcome(OutcomeKind.FAILURE, error="a\N{REPLACEMENT CHARACTER}b", delay=0.0)),
    (FailPermanently("gone"), Outcome(OutcomeKind.FAILURE, error="gone", permanent=True)),
    (RetryLater(timedelta(minutes=2), "busy"), Outcome(OutcomeKind.FAILURE, error="busy", delay=120.0)),
    (Snooze(60.0), Outcome(OutcomeKind.SNOOZED, delay=60.0)),
    (Snooze(timedelta(hours=1)), Outcome(OutcomeKind.SNOOZED, delay=3600.0)),
    (CancelExecution("not needed"), Outcome(OutcomeKind.CANCELLED, error="not needed")),
    (OwnDecision("what"), Outcome(OutcomeKind.FAILURE, error="OwnDecision: what")),
], ids=lambda value: repr(value) if isinstance(value, ControlFlow) else "")  # fmt: skip
async def test_a_handler_may_decide_itself(runner: Runner, raised: ControlFlow, wanted: Outcome) -> None:
    async def work() -> None:
        raise raised

    outcome = await runner.outcome(runner.begin(work))
    outcome.seconds = 0.0
    assert outcome == wanted


async def test_a_handler_that_cancels_itself_has_failed(runner: Runner) -> None:
    async def work() -> None:
        raise asyncio.CancelledError

    outcome = await runner.outcome(runner.begin(work))
    assert (outcome.kind, outcome.error) == (OutcomeKind.FAILURE, "CancelledError: the handler cancelled its own task.")


async def test_a_timeout_ends_what_waits(runner: Runner) -> None:
    attempt = runner.begin(forever, timeout=0.02)
    outcome = await runner.outcome(attempt)
    await runner.end(attempt)
    assert (outcome.kind, outcome.error, outcome.result) == (OutcomeKind.TIMEOUT, "Timed out after 0.02 s.", None)
    assert 0.02 <= outcome.seconds < 0.02 + 10
    assert attempt.context.cancel_reason == "timed out after 0.02 s"
    assert not attempt.overdue


async def test_cleaning_up_within_the_grace_is_no_success(runner: Runner) -> None:
    async def work() -> str:
        try:
            await forever()
        except asyncio.CancelledError:
            return "cleaned up"
        return "unreachable"

    outcome = await runner.outcome(runner.begin(work, timeout=0.02))
    assert (outcome.kind, outcome.result) == (OutcomeKind.TIMEOUT, None)


@pytest.mark.parametrize("kind", ["task", "thread"])
async def test_a_timeout_is_told_on_time_though_the_handler_goes_on(runner: Runner, kind: str) -> None:
    stubborn, hung = Stubborn(), threading.Event()

    def hang() -> None:
        hung.wait(PATIENCE_SECONDS)

    before = monotonic()
    attempt = runner.begin(stubborn.handler() if kind == "task" else hang, timeout=0.05)
    try:
        outcome = await runner.outcome(attempt)
        assert monotonic() - before < 0.05 + 10
        assert (outcome.kind, attempt.overdue) == (OutcomeKind.TIMEOUT, True)
        assert runner.ends == []
    finally:
        stubborn.let_go.set()
        hung.set()
    await runner.end(attempt)
    assert len(runner.outcomes) == 1


async def test_timeout_and_end_at_the_same_moment_are_one_outcome(runner: Runner) -> None:
    def ending(offset: float) -> Callable[[], Awaitable[str]]:
        async def work() -> str:
            await asyncio.sleep(current_execution().deadline + offset - monotonic())
            return "in time"

        return work

    # The first and the last are there for a machine that stalls just then, where all the others end alike.
    offsets = [-0.9, *(step / 4000 for step in range(-20, 21)), 30.0]
    attempts = [runner.begin(ending(offset), timeout=1.0) for offset in offsets for _ in range(5)]
    outcomes = [await runner.outcome(attempt) for attempt in attempts]
    for attempt in attempts:
        await runner.end(attempt)
    assert len(runner.outcomes) == len(runner.ends) == len(attempts)
    kinds = {outcome.kind: outcome.result for outcome in outcomes}
    assert kinds == {OutcomeKind.SUCCESS: '"in time"', OutcomeKind.TIMEOUT: None}


async def test_a_handler_sees_the_warning_and_may_finish(runner: Runner) -> None:
    begun, warned = asyncio.Event(), asyncio.Event()

    async def work() -> str:
        begun.set()
        await warned.wait()
        return "early" if current_execution().cancelled else "late"

    attempt = runner.begin(work)
    await begun.wait()
    attempt.warn("the worker shuts down")
    warned.set()
    outcome = await runner.outcome(attempt)
    assert (outcome.kind, outcome.result) == (OutcomeKind.SUCCESS, '"early"')


async def test_a_cancel_interrupts_and_names_its_reason(runner: Runner) -> None:
    attempt = runner.begin(forever)
    attempt.ask_to_stop("not needed any more")
    attempt.ask_to_stop("said twice")
    outcome = await runner.outcome(attempt)
    assert (outcome.kind, outcome.error) == (OutcomeKind.CANCELLED, "not needed any more")


@pytest.mark.parametrize("stop", [Attempt.ask_to_stop, Attempt.hand_back])
async def test_success_wins_over_being_stopped(runner: Runner, stop: Callable[[Attempt, str], None]) -> None:
    stubborn = Stubborn()
    attempt = runner.begin(stubborn.handler())
    await stubborn.begun.wait()
    stop(attempt, "enough")
    stubborn.let_go.set()
    outcome = await runner.outcome(attempt)
    assert (outcome.kind, outcome.result) == (OutcomeKind.SUCCESS, '"done at last"')
    stop(attempt, "too late")
    assert len(runner.outcomes) == 1


async def test_a_hand_back_interrupts(runner: Runner) -> None:
    attempt = runner.begin(forever)
    attempt.hand_back("the worker shuts down")
    assert (await runner.outcome(attempt)).kind is OutcomeKind.HANDED_BACK


async def test_a_timeout_in_its_grace_is_not_handed_back(runner: Runner) -> None:
    stubborn = Stubborn()
    attempt = runner.begin(stubborn.handler(), timeout=0.0)
    await stubborn.begun.wait()
    await stubborn.interrupted.wait()
    attempt.hand_back("the worker shuts down")
    stubborn.let_go.set()
    assert (await runner.outcome(attempt)).kind is OutcomeKind.TIMEOUT


async def test_one_that_will_not_be_handed_back_is_told_without_it(runner: Runner) -> None:
    stubborn = Stubborn()
    attempt = runner.begin(stubborn.handler())
    await stubborn.begun.wait()
    attempt.hand_back("the worker shuts down")
    attempt.give_up_waiting()
    assert (await runner.outcome(attempt)).kind is OutcomeKind.HANDED_BACK
    assert attempt.overdue
    assert runner.ends == []
    stubborn.let_go.set()
    await runner.end(attempt)
    assert len(runner.outcomes) == 1


@pytest.mark.parametrize("seconds", [300.0, 0.02])
async def test_an_abandoned_one_is_stopped_and_told_to_nobody(runner: Runner, seconds: float) -> None:
    stubborn = Stubborn()
    attempt = runner.begin(stubborn.handler(), timeout=seconds)
    await stubborn.begun.wait()
    attempt.abandon("the lease is lost")
    assert attempt.context.cancelled
    stubborn.let_go.set()
    await runner.end(attempt)
    assert runner.outcomes == []


class Prepared:
    """Stands for a process: it is there when the test says so, and ends as the test says."""

    grace_seconds = 0.0

    def __init__(self) -> None:
        self.preparing = True
        self.begun = False
        self.future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.heard: list[str] = []
        self.context: ExecutionContext | None = None

    def start(self, spec: HandlerSpec, context: ExecutionContext) -> "Prepared":
        self.context = context
        return self

    def warn(self, reason: str) -> None:
        self.heard.append(f"warned: {reason}")

    def stop(self, reason: str) -> None:
        self.heard.append(f"stopped: {reason}")

    def end(self) -> None:
        self.heard.append("ended")

    async def close(self, timeout: float) -> None:  # noqa: ASYNC109 - see the contract
        """There is nothing to give back."""


@pytest.fixture
async def prepared(runner: Runner) -> Prepared:
    runner.isolations["process"] = found = Prepared()
    return found


async def test_a_suspect_runs_in_a_process_whatever_its_handler_says(runner: Runner, prepared: Prepared) -> None:
    attempt = runner.begin(forever, suspect=True)
    assert prepared.context is attempt.context
    prepared.future.set_result("harmless")
    assert (await runner.outcome(attempt)).result == '"harmless"'


async def test_no_time_runs_out_while_the_process_is_prepared(runner: Runner, prepared: Prepared) -> None:
    attempt = runner.begin(forever, suspect=True, timeout=0.02)
    first = attempt.context.deadline
    while attempt.context.deadline == first:  # noqa: ASYNC110 - the timer announces nothing
        await asyncio.sleep(0.002)
    assert (prepared.heard, attempt.over) == ([], False)
    prepared.preparing = False
    outcome = await runner.outcome(attempt)
    assert (outcome.kind, outcome.traceback) == (OutcomeKind.TIMEOUT, None)
    assert prepared.heard == ["stopped: timed out after 0.02 s"]
    prepared.future.cancel()
    await runner.end(attempt)


async def test_warned_before_it_has_begun_it_goes_back(runner: Runner, prepared: Prepared) -> None:
    attempt = runner.begin(forever, suspect=True)
    attempt.warn("the worker shuts down")
    assert prepared.heard == ["warned: the worker shuts down"]
    prepared.future.cancel()
    assert (await runner.outcome(attempt)).kind is OutcomeKind.HANDED_BACK


async def test_how_it_was_ended_is_told_with_a_cancel(runner: Runner, prepared: Prepared) -> None:
    attempt = runner.begin(forever, suspect=True)
    attempt.ask_to_stop("not needed")
    prepared.future.set_exception(ToldFault("It had to be killed.", "1.0 s: SIGTERM\n2.0 s: SIGKILL"))
    outcome = await runner.outcome(attempt)
    assert (outcome.kind, outcome.error) == (OutcomeKind.CANCELLED, "not needed")
    assert outcome.traceback == "1.0 s: SIGTERM\n2.0 s: SIGKILL"


async def test_ended_by_force_only_once_it_runs(runner: Runner, prepared: Prepared) -> None:
    attempt = runner.begin(forever, suspect=True)
    attempt.hand_back("the worker was told twice to stop")
    attempt.end()
    assert prepared.heard == ["stopped: the worker was told twice to stop", "ended"]
    prepared.future.set_exception(ToldFault("It had to be killed.", ""))
    assert (await runner.outcome(attempt)).kind is OutcomeKind.HANDED_BACK
