"""Handlers that tests hold on to, some with bad manners."""

import asyncio
from collections.abc import Awaitable, Callable

from scheduler.handlers import current_execution

PATIENCE_SECONDS = 40.0


class Stubborn:
    """Goes on when it is told to stop, until it is let go."""

    def __init__(self) -> None:
        self.begun, self.interrupted, self.let_go = asyncio.Event(), asyncio.Event(), asyncio.Event()

    def handler(self) -> Callable[[], Awaitable[str]]:
        async def work() -> str:
            self.begun.set()
            while not self.let_go.is_set():
                try:
                    await self.let_go.wait()
                except asyncio.CancelledError:
                    self.interrupted.set()
            return "done at last"

        return work


class Gate:
    """A handler that waits to be let through, and counts who is inside."""

    def __init__(self) -> None:
        self.inside, self.most, self.begun = 0, 0, list[int]()
        self.open = asyncio.Event()
        self.news = asyncio.Event()

    def handler(self) -> Callable[..., object]:
        async def work() -> None:
            self.begun.append(current_execution().id)
            self.inside += 1
            self.most = max(self.most, self.inside)
            self.news.set()
            try:
                await self.open.wait()
            finally:
                self.inside -= 1
                self.news.set()

        return work

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not condition():
                self.news.clear()
                await self.news.wait()


async def forever() -> None:
    """Ends when it is cancelled, and not before."""
    await asyncio.Event().wait()
