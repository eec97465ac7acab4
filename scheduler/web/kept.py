"""What many may ask for, and costs something: asked for by one at a time, and kept for a few seconds."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from scheduler.clock import monotonic

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    value: T
    age: float
    """Seconds since it was asked for."""


class Kept(Generic[T]):
    """Of one event loop."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._turn = asyncio.Lock()
        self._value: tuple[float, T] | None = None

    async def get(self, ask: Callable[[], Awaitable[T]]) -> Answer[T]:
        """What is kept, or what `ask` gives now. Raises what that raises; then nothing is kept."""
        async with self._turn:
            if self._value is None or monotonic() - self._value[0] >= self._seconds:
                self._value = None
                asked_at = monotonic()
                self._value = asked_at, await ask()
            return Answer(self._value[1], monotonic() - self._value[0])
