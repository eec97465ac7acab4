"""Handlers in threads."""

import asyncio
import gc
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from scheduler.errors import ControlFlow, RetryLater
from scheduler.handlers import BaseHandler, ExecutionContext, HandlerSpec, current_execution, declare
from scheduler.isolation import Isolation
from scheduler.isolation.thread import ThreadIsolation, ThreadRunning
from scheduler.testing.isolation_contract import PATIENCE_SECONDS, Ended, IsolationContract, context, ended


class TestThreadAsync(IsolationContract):
    """An `async def` with run_in="thread"."""

    def make(self) -> Isolation:
        return ThreadIsolation(4)


class TestThread(TestThreadAsync):
    """A `def`."""

    form = "def"


class Signals:
    """Between a handler in a thread and its test."""

    def __init__(self) -> None:
        self.began = threading.Event()
        self.release = threading.Event()

    async def wait_until_begun(self) -> None:
        assert await asyncio.to_thread(self.began.wait, PATIENCE_SECONDS), "the handler did not begin"


def handle(body: Callable[[], Any]) -> HandlerSpec:
    return declare("body", body, "here", {})


async def test_threads_are_reused_and_end_with_the_pool() -> None:
    isolation = ThreadIsolation(3)
    threads = {(await ended(isolation.start(handle(threading.current_thread), context()))).value for _ in range(20)}
    assert len(threads) <= 3
    assert all(thread.daemon for thread in threads)
    await isolation.close(1)
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()


async def test_no_more_threads_than_allowed() -> None:
    isolation = ThreadIsolation(2)
    signals = [Signals() for _ in range(3)]

    def hold(signal: Signals) -> HandlerSpec:
        def body() -> threading.Thread:
            signal.began.set()
            assert signal.release.wait(10)
            return threading.current_thread()

        return handle(body)

    runs = [isolation.start(hold(signal), context()) for signal in signals]
    await signals[0].wait_until_begun()
    await signals[1].wait_until_begun()
    assert not signals[2].began.is_set()
    signals[0].release.set()
    first = (await ended(runs[0])).value
    await signals[2].wait_until_begun()
    signals[1].release.set()
    signals[2].release.set()
    second, third = (await ended(runs[1])).value, (await ended(runs[2])).value
    assert third is first
    assert second is not first


async def test_stopped_while_it_waits_for_a_thread_it_ends_at_once() -> None:
    isolation = ThreadIsolation(1)
    signals = Signals()

    def hold() -> None:
        signals.began.set()
        assert signals.release.wait(10)

    called: list[int] = []
    hung = isolation.start(handle(hold), context())
    waiting = isolation.start(handle(lambda: called.append(1)), context())
    await signals.wait_until_begun()
    waiting.stop("timeout")
    assert await ended(waiting) == Ended(cancelled=True)
    assert not hung.future.done()
    signals.release.set()
    await ended(hung)
    assert called == []


async def test_a_closed_pool_gives_back_those_that_wait() -> None:
    isolation = ThreadIsolation(1)
    signals = Signals()

    def hold() -> None:
        signals.began.set()
        assert signals.release.wait(10)

    hung = isolation.start(handle(hold), context())
    waiting = isolation.start(handle(lambda: None), context())
    await signals.wait_until_begun()
    await isolation.close(0.01)
    assert waiting.future.cancelled()
    signals.release.set()
    await ended(hung)


async def test_an_awaitable_from_a_def_is_awaited() -> None:
    async def work() -> int:
        await asyncio.sleep(0)
        return current_execution().id

    assert (await ended(ThreadIsolation(1).start(handle(lambda: work()), context(id=3)))).value == 3


async def test_handle_error_of_a_def() -> None:
    class Careful(BaseHandler):
        def execute(self) -> None:
            raise ValueError("full")

        def handle_error(self, error: Exception, execution: ExecutionContext) -> ControlFlow:
            raise RetryLater(30, str(error))

    outcome = await ended(ThreadIsolation(1).start(declare("careful", Careful, "here", {}), context()))
    assert isinstance(outcome.error, RetryLater)
    assert (outcome.error.delay, outcome.error.reason) == (30.0, "full")


async def test_no_more_threads_from_the_system_is_a_fault_of_the_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    isolation = ThreadIsolation(1)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        outcome = await ended(isolation.start(handle(lambda: 1), context()))
    assert isinstance(outcome.error, RuntimeError)
    assert (await ended(isolation.start(handle(lambda: 1), context()))).value == 1


async def test_an_idle_thread_keeps_nothing_alive() -> None:
    class Payload:
        pass

    isolation = ThreadIsolation(1)
    outcome = await ended(isolation.start(handle(lambda: Payload()), context()))
    gone = weakref.ref(outcome.value)
    del outcome
    await ended(isolation.start(handle(lambda: None), context()))  # the thread has come to wait again before this ran
    gc.collect()
    assert gone() is None


def test_an_outcome_after_the_loop_is_gone_breaks_nothing() -> None:
    called: list[int] = []

    async def prepare() -> ThreadRunning:
        return ThreadRunning(handle(lambda: called.append(1)), context(), ThreadIsolation(1))

    running = asyncio.run(prepare())
    running.run()
    assert called == [1]
    assert not running.future.done()


def test_a_hung_handler_does_not_hold_the_interpreter() -> None:
    script = """
import asyncio, threading
from scheduler.handlers import declare
from scheduler.isolation.thread import ThreadIsolation, ThreadRunning
from scheduler.testing.isolation_contract import context

began = threading.Event()

def hang():
    began.set()
    threading.Event().wait()

async def main():
    isolation = ThreadIsolation(1)
    isolation.start(declare("hang", hang, "here", {}), context())
    await asyncio.to_thread(began.wait)
    await isolation.close(0.01)

asyncio.run(main())
print("left")
"""
    finished = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=True)
    assert finished.stdout == "left\n"
