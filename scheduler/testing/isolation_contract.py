"""The behaviour that every isolation shares, as tests. Derive a test class and say how handlers run in it:

    class TestTask(IsolationContract):
        run_in = "task"

        def make(self) -> Isolation:
            return TaskIsolation()

Needs pytest-asyncio in its auto mode.
"""

import asyncio
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, ClassVar, NamedTuple
from uuid import uuid4

from pydantic import BaseModel

from scheduler.clock import monotonic
from scheduler.errors import ControlFlow, FailPermanently, ParamsError, RetryLater, SchedulerError
from scheduler.handlers import BaseHandler, ExecutionContext, HandlerSpec, RunIn, current_execution, declare
from scheduler.isolation import Isolation, Running
from scheduler.model import Claim

_PATIENCE = 10.0  # seconds after which a test gives up; none of them waits that long unless it fails


class Ended(NamedTuple):
    """How an attempt ended."""

    value: Any = None
    error: BaseException | None = None
    cancelled: bool = False


def claim(params_text: str = "{}", *, id: int = 1, attempt: int = 1, name: str = "contract") -> Claim:  # noqa: A002 - the column's name
    """A claimed row with nothing unusual about it."""
    return Claim(
        id=id, handler_name=name, params_text=params_text, priority=0, available_at=0.0, scheduled_at=0.0,
        attempt=attempt, timeout_seconds=300.0, retry_count=attempt - 1, max_retry=3, retry_backoff="fixed",
        retry_delay_seconds=2.0, cron_job_id=None, concurrency_key=None, suspect=False, token=uuid4(),
    )  # fmt: skip


def context(params_text: str = "{}", *, id: int = 1, attempt: int = 1) -> ExecutionContext:  # noqa: A002
    return ExecutionContext(claim(params_text, id=id, attempt=attempt), monotonic() + 300.0)


async def ended(running: Running) -> Ended:
    """Wait for the real end of an attempt."""
    done, _ = await asyncio.wait([running.future], timeout=_PATIENCE)
    assert done, "the attempt did not end"
    if running.future.cancelled():
        return Ended(cancelled=True)
    error = running.future.exception()
    return Ended(error=error) if error else Ended(value=running.future.result())


class Address(BaseModel):
    to: str
    copies: int = 1


class Signals:
    """Between a handler and its test, whichever thread either runs in."""

    def __init__(self) -> None:
        self.began = threading.Event()
        self.release = threading.Event()

    async def wait_until_begun(self) -> None:
        assert await asyncio.to_thread(self.began.wait, _PATIENCE), "the handler did not begin"


class IsolationContract:
    run_in: ClassVar[RunIn]

    def make(self) -> Isolation:
        """A fresh isolation; one that has a limit allows at least two attempts at once."""
        raise NotImplementedError

    def spec(self, body: Callable[..., Any]) -> HandlerSpec:
        """The handler that calls `body`: as an `async def` here, in the form that the isolation is for elsewhere."""

        async def handle(params: Any) -> Any:
            return body(params)

        handle.__annotations__["params"] = body.__annotations__.get("params", dict)
        return declare("contract", handle, "isolation_contract.py", {"run_in": self.run_in})

    def holding(self, signals: Signals) -> HandlerSpec:
        """A handler that begins, and then listens to nothing until it is released."""

        async def stubborn() -> str:
            signals.began.set()
            released = asyncio.ensure_future(asyncio.to_thread(signals.release.wait, _PATIENCE))
            while not released.done():
                with suppress(asyncio.CancelledError):
                    await asyncio.shield(released)
            return "released"

        return declare("contract", stubborn, "isolation_contract.py", {"run_in": self.run_in})

    def listening(self, signals: Signals) -> HandlerSpec:
        """A handler that begins, and then waits until it is asked to stop."""

        async def listen() -> None:
            signals.began.set()
            await asyncio.Event().wait()

        return declare("contract", listen, "isolation_contract.py", {"run_in": self.run_in})

    @asynccontextmanager
    async def isolation(self) -> AsyncIterator[Isolation]:
        isolation = self.make()
        yield isolation
        await isolation.close(_PATIENCE)

    async def attempt(self, body: Callable[..., Any], params_text: str = "{}") -> Ended:
        async with self.isolation() as isolation:
            return await ended(isolation.start(self.spec(body), context(params_text)))

    async def test_the_value_is_what_the_handler_returned(self) -> None:
        outcome = await self.attempt(lambda params: {"got": params}, '{"a": [1, null]}')
        assert outcome == Ended({"got": {"a": [1, None]}})

    async def test_params_are_validated_before_the_call(self) -> None:
        def send(params: Address) -> object:
            return type(params), params.to, params.copies

        assert (await self.attempt(send, '{"to": "a@example.com"}')).value == (Address, "a@example.com", 1)

    async def test_params_that_do_not_fit_never_reach_the_handler(self) -> None:
        called: list[Address] = []

        def send(params: Address) -> None:
            called.append(params)

        outcome = await self.attempt(send, '{"to": 7}')
        assert isinstance(outcome.error, ParamsError)
        assert "to: Input should be a valid string" in str(outcome.error)
        assert called == []

    async def test_a_fault_reaches_the_caller(self) -> None:
        def fail(params: dict[str, Any]) -> None:
            raise LookupError("nothing there")

        outcome = await self.attempt(fail)
        assert isinstance(outcome.error, LookupError)
        assert str(outcome.error) == "nothing there"

    async def test_control_flow_passes_unchanged(self) -> None:
        def later(params: dict[str, Any]) -> None:
            raise RetryLater(12.5, "not yet")

        outcome = await self.attempt(later)
        assert isinstance(outcome.error, RetryLater)
        assert (outcome.error.delay, outcome.error.reason) == (12.5, "not yet")

    async def test_a_handler_can_not_end_its_worker(self) -> None:
        def leave(params: dict[str, Any]) -> None:
            sys.exit("bye")

        def interrupt(params: dict[str, Any]) -> None:
            raise KeyboardInterrupt

        async with self.isolation() as isolation:
            for body, name in ((leave, "SystemExit: bye"), (interrupt, "KeyboardInterrupt")):
                outcome = await ended(isolation.start(self.spec(body), context()))
                assert isinstance(outcome.error, SchedulerError)
                assert name in str(outcome.error)
            outcome = await ended(isolation.start(self.spec(lambda params: "still here"), context()))
            assert outcome.value == "still here"

    async def test_an_exception_that_futures_refuse_is_still_a_fault(self) -> None:
        def stop(params: dict[str, Any]) -> None:
            raise StopIteration

        outcome = await self.attempt(stop)
        assert isinstance(outcome.error, RuntimeError)
        assert "StopIteration" in str(outcome.error)

    async def test_the_handler_sees_its_own_execution_and_only_there(self) -> None:
        def look(params: dict[str, Any]) -> tuple[int, int, object]:
            execution = current_execution()
            return execution.id, execution.attempt, execution.params

        async with self.isolation() as isolation:
            runs = [isolation.start(self.spec(look), context(f'{{"n": {n}}}', id=n, attempt=2)) for n in range(20)]
            assert [(await ended(run)).value for run in runs] == [(n, 2, {"n": n}) for n in range(20)]
        try:
            current_execution()
        except SchedulerError as error:
            assert "inside a handler" in str(error)  # noqa: PT017 - this module is shipped, and doesn't import pytest
        else:
            raise AssertionError("an execution leaked out of its attempt")

    async def test_each_attempt_gets_a_fresh_object(self) -> None:
        class Counting(BaseHandler):
            def __init__(self) -> None:
                self.calls = 0

            async def execute(self) -> int:
                self.calls += 1
                return self.calls

        spec = declare("contract", Counting, "isolation_contract.py", {"run_in": self.run_in})
        async with self.isolation() as isolation:
            runs = [isolation.start(spec, context()) for _ in range(3)]
            assert [(await ended(run)).value for run in runs] == [1, 1, 1]

    async def test_handle_error_may_turn_a_fault_into_a_decision(self) -> None:
        class Careful(BaseHandler):
            async def execute(self, params: dict[str, Any]) -> None:
                raise ValueError("no such account")

            async def handle_error(self, error: Exception, execution: ExecutionContext) -> ControlFlow:
                return FailPermanently(f"execution {execution.id}: {error}")

        spec = declare("contract", Careful, "isolation_contract.py", {"run_in": self.run_in})
        async with self.isolation() as isolation:
            outcome = await ended(isolation.start(spec, context(id=8)))
        assert isinstance(outcome.error, FailPermanently)
        assert outcome.error.reason == "execution 8: no such account"
        assert isinstance(outcome.error.__cause__, ValueError)

    async def test_progress_reaches_the_worker(self) -> None:
        def report(params: dict[str, Any]) -> None:
            current_execution().progress(0.4, "four of ten")

        async with self.isolation() as isolation:
            execution = context()
            await ended(isolation.start(self.spec(report), execution))
            assert execution.take_progress() == (0.4, "four of ten")

    async def test_stop_ends_a_handler_that_listens(self) -> None:
        signals = Signals()
        async with self.isolation() as isolation:
            execution = context()
            running = isolation.start(self.listening(signals), execution)
            await signals.wait_until_begun()
            running.stop("cancelled by request")
            assert (await ended(running)).error is None
        assert (execution.cancelled, execution.cancel_reason) == (True, "cancelled by request")

    async def test_stopped_at_once_it_never_begins(self) -> None:
        called: list[object] = []

        def note(params: dict[str, Any]) -> None:
            called.append(params)

        async with self.isolation() as isolation:
            execution = context()
            execution.cancel("shutting down")  # before a thread could be quicker than the stop below
            running = isolation.start(self.spec(note), execution)
            running.stop("shutting down")
            assert await ended(running) == Ended(cancelled=True)
        assert called == []

    async def test_one_that_will_not_stop_is_told_from_one_that_ended(self) -> None:
        signals = Signals()
        async with self.isolation() as isolation:
            execution = context()
            running = isolation.start(self.holding(signals), execution)
            await signals.wait_until_begun()
            running.stop("timeout")
            other = isolation.start(self.spec(lambda params: "a neighbour"), context())
            assert (await ended(other)).value == "a neighbour"
            assert execution.cancelled
            assert not running.future.done()
            signals.release.set()
            assert (await ended(running)).value == "released"

    async def test_close_does_not_wait_for_ever(self) -> None:
        signals = Signals()
        isolation = self.make()
        running = isolation.start(self.holding(signals), context())
        await signals.wait_until_begun()
        await asyncio.wait_for(isolation.close(0.01), _PATIENCE)
        signals.release.set()
        assert (await ended(running)).value == "released"
