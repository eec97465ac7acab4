"""Signals: the first one asks, the second one hurries, and the process ends in time whatever keeps its loop."""

import asyncio
import os
import signal
import threading
from collections.abc import Iterator

import pytest

from scheduler.services import stopping as stopping_module
from scheduler.services.stopping import HURRY, LAST_WORDS_SECONDS, SIGNALS, SLACK_SECONDS, Stopping

PATIENCE_SECONDS = 40.0


class Exit:
    """Stands for the end of the process."""

    def __init__(self) -> None:
        self.status: int | None = None
        self.happened = threading.Event()

    def __call__(self, status: int) -> None:
        self.status = status
        self.happened.set()


@pytest.fixture
def exit_(monkeypatch: pytest.MonkeyPatch) -> Exit:
    exit_ = Exit()
    monkeypatch.setattr(os, "_exit", exit_)
    return exit_


@pytest.fixture(autouse=True)
def _handlers_as_before() -> Iterator[None]:
    before = [signal.getsignal(each) for each in SIGNALS]
    yield
    assert [signal.getsignal(each) for each in SIGNALS] == before


@pytest.fixture
def _ignored_afterwards(_handlers_as_before: None) -> Iterator[None]:
    """A supervised process that is ending dies of no signal."""
    before = {each: signal.getsignal(each) for each in (*SIGNALS, HURRY)}
    yield
    for each, handler in before.items():
        signal.signal(each, handler)


def send(number: signal.Signals) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", SIGNALS)
async def test_the_first_signal_asks_and_the_second_hurries(exit_: Exit, number: signal.Signals) -> None:
    hurried = asyncio.Event()
    async with asyncio.timeout(PATIENCE_SECONDS):
        with Stopping(60.0, hurried.set, lambda: None) as stopping:
            assert not stopping.asked.is_set()
            send(number)
            await stopping.asked.wait()
            assert not hurried.is_set()
            send(number)
            await hurried.wait()
            send(number)
    assert not exit_.happened.is_set()


async def test_a_process_that_takes_too_long_is_ended(exit_: Exit) -> None:
    said = threading.Event()
    with Stopping(-SLACK_SECONDS, lambda: None, said.set):
        send(signal.SIGTERM)
        assert await asyncio.to_thread(exit_.happened.wait, PATIENCE_SECONDS)
    assert exit_.status == 1
    assert said.is_set()


async def test_last_words_that_fail_or_hang_delay_nothing(exit_: Exit) -> None:
    for words in (lambda: 1 / 0, threading.Event().wait):
        exit_.happened.clear()
        with Stopping(-SLACK_SECONDS, lambda: None, lambda words=words: words()):  # type: ignore[misc]
            send(signal.SIGTERM)
            assert await asyncio.to_thread(exit_.happened.wait, PATIENCE_SECONDS)


async def test_the_second_signal_ends_it_within_a_second_though_a_handler_keeps_the_loop(
    exit_: Exit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stopping_module, "SECOND_SIGNAL_SECONDS", 0.02)
    with Stopping(60.0, lambda: None, lambda: None):
        send(signal.SIGTERM)
        send(signal.SIGTERM)
        assert exit_.happened.wait(PATIENCE_SECONDS)  # without giving the event loop a turn
    assert exit_.status == 1


async def test_one_that_ends_in_time_is_left_alone(exit_: Exit) -> None:
    with Stopping(LAST_WORDS_SECONDS - SLACK_SECONDS + 0.02, lambda: None, lambda: None) as stopping:
        send(signal.SIGTERM)
        timers = stopping._timers
    for timer in timers:
        await asyncio.to_thread(timer.join, PATIENCE_SECONDS)
    assert not exit_.happened.is_set()


@pytest.mark.usefixtures("_ignored_afterwards")
async def test_under_a_supervisor_the_first_signal_may_come_twice(exit_: Exit) -> None:
    """From it, and from whatever ends a whole service."""
    hurried = asyncio.Event()
    async with asyncio.timeout(PATIENCE_SECONDS):
        with Stopping(60.0, hurried.set, lambda: None, supervised=True) as stopping:
            for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGINT):
                send(number)
            await stopping.asked.wait()
            assert len(stopping._timers) == 2
            assert not hurried.is_set()
            send(HURRY)
            await hurried.wait()
        send(signal.SIGTERM)  # late: it is ending
    assert {signal.getsignal(each) for each in (*SIGNALS, HURRY)} == {signal.SIG_IGN}
    assert not exit_.happened.is_set()


@pytest.mark.usefixtures("_ignored_afterwards")
async def test_hurried_at_once_it_asks_too(exit_: Exit) -> None:
    hurried = asyncio.Event()
    async with asyncio.timeout(PATIENCE_SECONDS):
        with Stopping(60.0, hurried.set, lambda: None, supervised=True) as stopping:
            send(HURRY)
            await stopping.asked.wait()
            await hurried.wait()
    assert not exit_.happened.is_set()
