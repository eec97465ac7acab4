"""Attempts without a worker: begun by hand, and heard of as a worker hears of them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from scheduler.handlers import HandlerRegistry, declare
from scheduler.isolation import Isolation
from scheduler.isolation.task import TaskIsolation
from scheduler.isolation.thread import ThreadIsolation
from scheduler.lifecycle.run import Attempt
from scheduler.model import Outcome
from tests.lifecycle.handlers import PATIENCE_SECONDS
from tests.store.tables import claim


class Runner:
    """Begins attempts, and hears of them as the worker does."""

    def __init__(self) -> None:
        self.isolations: dict[str, Isolation] = {"task": TaskIsolation(), "thread": ThreadIsolation(4)}
        self.outcomes: list[tuple[Attempt, Outcome]] = []
        self.ends: list[Attempt] = []
        self._news = asyncio.Event()

    def begin(
        self, handler: Callable[..., Any], *, params: str = "{}", timeout: float = 300.0, suspect: bool = False
    ) -> Attempt:
        attempt = Attempt(claim(params_text=params, timeout_seconds=timeout, suspect=suspect), self)
        attempt.begin(HandlerRegistry([declare("work", handler, "here", {})]), self.isolations)
        attempt.arm()
        return attempt

    def reported(self, attempt: Attempt, outcome: Outcome) -> None:
        assert attempt not in self.ends
        self.outcomes.append((attempt, outcome))
        self._news.set()

    def ended(self, attempt: Attempt) -> None:
        self.ends.append(attempt)
        self._news.set()

    async def outcome(self, attempt: Attempt) -> Outcome:
        """Wait until the outcome is told."""
        await self._until(lambda: any(one is attempt for one, _ in self.outcomes))
        (found,) = (outcome for one, outcome in self.outcomes if one is attempt)
        return found

    async def end(self, attempt: Attempt) -> None:
        """Wait until the handler has ended."""
        await self._until(lambda: attempt in self.ends)

    async def _until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not condition():
                self._news.clear()
                await self._news.wait()


@pytest.fixture
async def runner() -> AsyncIterator[Runner]:
    runner = Runner()
    yield runner
    for isolation in runner.isolations.values():
        await isolation.close(PATIENCE_SECONDS)
