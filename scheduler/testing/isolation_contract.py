"""The behaviour that every isolation shares, as tests. Derive a test class and say how handlers run in it:

    class TestTask(IsolationContract):
        def make(self) -> Isolation:
            return TaskIsolation()

The handlers are those of `contract_handlers`, by name, and outcomes are compared in words, so that a test means the
same where a handler has a memory of its own. Needs pytest-asyncio in its auto mode.
"""

import asyncio
import json
import os
import select
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple, Self
from uuid import uuid4

from scheduler.clock import monotonic
from scheduler.errors import ControlFlow, ParamsError, SchedulerError
from scheduler.handlers import (
    ExecutionContext,
    HandlerRegistry,
    HandlerSpec,
    current_execution,
    describe_error,
    encode_result,
)
from scheduler.handlers.registry import declared_in
from scheduler.isolation import Isolation, Running
from scheduler.model import Claim
from scheduler.testing import contract_handlers
from scheduler.testing.contract_handlers import BEGAN, CALLED, DECISIONS, RELEASE

HANDLERS = HandlerRegistry(declared_in([contract_handlers.__name__]))
PATIENCE_SECONDS = 10.0
"""After which a test gives up; none of them waits that long unless it fails."""


class Ended(NamedTuple):
    """How an attempt ended."""

    value: Any = None
    error: BaseException | None = None
    cancelled: bool = False


class Told(NamedTuple):
    """The same in words: what would be stored."""

    result: Any = None
    fault: str = ""
    cancelled: bool = False


def claim(
    params_text: str = "{}",
    *,
    id: int = 1,  # noqa: A002 - the column's name
    attempt: int = 1,
    name: str = "contract",
    timeout: float = 300.0,
) -> Claim:
    """A claimed row with nothing unusual about it."""
    return Claim(
        id=id, handler_name=name, params_text=params_text, priority=0, available_at=0.0, scheduled_at=0.0,
        attempt=attempt, timeout_seconds=timeout, retry_count=attempt - 1, max_retry=3, retry_backoff="fixed",
        retry_delay_seconds=2.0, cron_job_id=None, concurrency_key=None, suspect=False, token=uuid4(),
    )  # fmt: skip


def context(
    params_text: str = "{}",
    *,
    id: int = 1,  # noqa: A002
    attempt: int = 1,
    name: str = "contract",
    timeout: float = 300.0,
) -> ExecutionContext:
    row = claim(params_text, id=id, attempt=attempt, name=name, timeout=timeout)
    return ExecutionContext(row, monotonic() + timeout)


async def ended(running: Running) -> Ended:
    """Wait for the real end of an attempt."""
    done, _ = await asyncio.wait([running.future], timeout=PATIENCE_SECONDS)
    assert done, "the attempt did not end"
    if running.future.cancelled():
        return Ended(cancelled=True)
    error = running.future.exception()
    return Ended(error=error) if error else Ended(value=running.future.result())


async def told(running: Running) -> Told:
    """The same in words."""
    value, error, cancelled = await ended(running)
    if error is not None:
        return Told(fault=describe_error(error)[0])
    return Told(cancelled=True) if cancelled else Told(json.loads(encode_result(value).text or "null"))


class Signals:
    """Between a handler and its test, whichever thread or process either runs in."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ends: dict[str, int] = {}
        for name in (BEGAN, RELEASE):
            os.mkfifo(folder / name)
            self._ends[name] = os.open(folder / name, os.O_RDWR)  # so that whoever opens it waits for nobody

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()
        for end in self._ends.values():
            os.close(end)

    @property
    def params_text(self) -> str:
        return json.dumps({"folder": str(self.folder)})

    @property
    def was_called(self) -> bool:
        return (self.folder / CALLED).exists()

    async def begun(self) -> None:
        """Wait until the handler has begun."""
        assert await asyncio.to_thread(self._came, PATIENCE_SECONDS), "the handler did not begin"

    def has_begun(self) -> bool:
        return self._came(0)

    def release(self) -> None:
        os.write(self._ends[RELEASE], b".")

    def _came(self, seconds: float) -> bool:
        ready, _, _ = select.select([self._ends[BEGAN]], [], [], seconds)
        return bool(ready and os.read(self._ends[BEGAN], 1))


class IsolationContract:
    form: ClassVar[Literal["async", "def"]] = "async"

    def make(self) -> Isolation:
        """A fresh isolation; one that has a limit allows at least two attempts at once."""
        raise NotImplementedError

    def spec(self, name: str) -> HandlerSpec:
        return HANDLERS.get(name if self.form == "async" else f"{name}_def")

    @asynccontextmanager
    async def isolation(self) -> AsyncIterator[Isolation]:
        isolation = self.make()
        yield isolation
        await isolation.close(PATIENCE_SECONDS)

    def start(self, isolation: Isolation, name: str, params_text: str = "{}", **fields: Any) -> Running:
        spec = self.spec(name)
        return isolation.start(spec, context(params_text, name=spec.name, **fields))

    async def attempt(self, name: str, params_text: str = "{}", **fields: Any) -> Told:
        async with self.isolation() as isolation:
            return await told(self.start(isolation, name, params_text, **fields))

    async def test_the_value_is_what_the_handler_returned(self) -> None:
        assert await self.attempt("echo", '{"a": [1, null]}') == Told({"got": {"a": [1, None]}})

    async def test_params_are_validated_before_the_call(self) -> None:
        assert await self.attempt("send", '{"to": "a@example.com"}') == Told(["Address", "a@example.com", 1])

    async def test_params_that_do_not_fit_never_reach_the_handler(self, tmp_path: Path) -> None:
        async with self.isolation() as isolation:
            outcome = await ended(self.start(isolation, "send", '{"to": 7}'))
            assert isinstance(outcome.error, ParamsError)
            assert "to: Input should be a valid string" in str(outcome.error)
            assert isinstance((await ended(self.start(isolation, "note", '{"folder": 7}'))).error, ParamsError)
        assert not (tmp_path / CALLED).exists()

    async def test_a_fault_reaches_the_caller(self) -> None:
        async with self.isolation() as isolation:
            outcome = await ended(self.start(isolation, "fail"))
        assert outcome.error is not None
        headline, traceback = describe_error(outcome.error)
        assert headline == "LookupError: nothing there"
        assert 'raise LookupError("nothing there")' in traceback
        assert "/scheduler/isolation/" not in traceback

    async def test_a_fault_is_told_whatever_is_in_it(self) -> None:
        assert await self.attempt("fail_badly") == Told(fault="ValueError: before \ufffd between \ufffd after")

    async def test_decisions_pass_unchanged(self) -> None:
        async with self.isolation() as isolation:
            for what, decision in DECISIONS.items():
                outcome = await ended(self.start(isolation, "decide", json.dumps({"what": what})))
                assert isinstance(outcome.error, ControlFlow)
                assert type(outcome.error) is type(decision)
                for part in ("delay", "reason"):
                    assert getattr(outcome.error, part, None) == getattr(decision, part, None)

    async def test_a_handler_can_not_end_its_worker(self) -> None:
        async with self.isolation() as isolation:
            for name, error in (("leave", "SystemExit: bye"), ("interrupt", "KeyboardInterrupt")):
                outcome = await told(self.start(isolation, name))
                assert outcome.fault.startswith(f"SchedulerError: The handler raised {error}.")
            assert await told(self.start(isolation, "echo")) == Told({"got": {}})

    async def test_an_exception_that_futures_refuse_is_still_a_fault(self) -> None:
        outcome = await self.attempt("stop_iteration")
        assert outcome.fault.startswith("RuntimeError: ")
        assert "StopIteration" in outcome.fault

    async def test_what_can_not_be_stored_is_replaced(self) -> None:
        async with self.isolation() as isolation:
            outcome = await ended(self.start(isolation, "unstorable"))
        text, changed = encode_result(outcome.value)
        assert (text, changed) == ('{"fine":1,"thing":"<object is not JSON>"}', True)

    async def test_large_params_and_results(self) -> None:
        text = "large \N{GRINNING FACE} " * 90_000
        assert len(json.dumps({"back": text}, ensure_ascii=False).encode()) > 900_000
        assert await self.attempt("large", json.dumps({"text": text})) == Told({"back": text})

    async def test_the_handler_sees_its_own_execution_and_only_there(self) -> None:
        async with self.isolation() as isolation:
            runs = [self.start(isolation, "look", f'{{"n": {n}}}', id=n, attempt=2) for n in range(20)]
            assert [(await told(run)).result for run in runs] == [[n, 2, {"n": n}] for n in range(20)]
        try:
            current_execution()
        except SchedulerError as error:
            assert "inside a handler" in str(error)  # noqa: PT017 - this module is shipped, and doesn't import pytest
        else:
            raise AssertionError("an execution leaked out of its attempt")

    async def test_the_handler_knows_how_long_it_may_take(self) -> None:
        outcome = await self.attempt("time_left", timeout=100.0)
        assert 90.0 < outcome.result <= 100.0

    async def test_each_attempt_gets_a_fresh_object(self) -> None:
        async with self.isolation() as isolation:
            runs = [self.start(isolation, "count") for _ in range(3)]
            assert [(await told(run)).result for run in runs] == [1, 1, 1]

    async def test_handle_error_may_turn_a_fault_into_a_decision(self) -> None:
        outcome = await self.attempt("careful", id=8)
        assert outcome.fault == "FailPermanently: execution 8: no such account"

    async def test_the_latest_progress_reaches_the_worker(self) -> None:
        async with self.isolation() as isolation:
            spec = self.spec("report")
            execution = context(name=spec.name)
            assert await told(isolation.start(spec, execution)) == Told()
        assert execution.take_progress() == (0.4, "4 of ten")

    async def test_warned_it_may_finish_early_and_is_not_interrupted(self, tmp_path: Path) -> None:
        with Signals(tmp_path) as signals:
            async with self.isolation() as isolation:
                running = self.start(isolation, "heed", signals.params_text)
                await signals.begun()
                running.warn("the worker shuts down")
                assert await told(running) == Told("the worker shuts down")

    async def test_stop_ends_a_handler_that_listens(self, tmp_path: Path) -> None:
        with Signals(tmp_path) as signals:
            async with self.isolation() as isolation:
                spec = self.spec("listen")
                execution = context(signals.params_text, name=spec.name)
                running = isolation.start(spec, execution)
                await signals.begun()
                running.stop("cancelled by request")
                assert (await ended(running)).error is None
        assert (execution.cancelled, execution.cancel_reason) == (True, "cancelled by request")

    async def test_stopped_twice_the_first_reason_stays(self, tmp_path: Path) -> None:
        with Signals(tmp_path) as signals:
            async with self.isolation() as isolation:
                spec = self.spec("listen")
                execution = context(signals.params_text, name=spec.name)
                running = isolation.start(spec, execution)
                await signals.begun()
                running.stop("timeout")
                running.stop("shutting down")
                assert (await ended(running)).error is None
                running.stop("it has ended")
        assert execution.cancel_reason == "timeout"

    async def test_stopped_at_once_it_never_begins(self, tmp_path: Path) -> None:
        async with self.isolation() as isolation:
            spec = self.spec("note")
            with Signals(tmp_path) as signals:
                execution = context(signals.params_text, name=spec.name)
                execution.cancel("shutting down")  # before a thread could be quicker than the stop below
                running = isolation.start(spec, execution)
                running.stop("shutting down")
                assert await told(running) == Told(cancelled=True)
        assert not signals.was_called

    async def test_one_that_will_not_stop_is_told_from_one_that_ended(self, tmp_path: Path) -> None:
        with Signals(tmp_path) as signals:
            async with self.isolation() as isolation:
                running = self.start(isolation, "hold", signals.params_text)
                await signals.begun()
                running.stop("timeout")
                assert await told(self.start(isolation, "echo")) == Told({"got": {}})
                assert not running.future.done()
                running.end()
                signals.release()
                assert await told(running) == Told("released")

    async def test_close_does_not_wait_for_ever(self, tmp_path: Path) -> None:
        with Signals(tmp_path) as signals:
            isolation = self.make()
            running = self.start(isolation, "hold", signals.params_text)
            await signals.begun()
            await asyncio.wait_for(isolation.close(0.01), PATIENCE_SECONDS)
            signals.release()
            assert await told(running) == Told("released")
