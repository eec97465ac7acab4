"""How a sleeping loop of this process is woken: by the listener, by the planner next to it, by a shutdown."""

import asyncio
from contextlib import suppress


class Wakeups:
    """Every sleeper has a bell of its own, so that none takes another's ring."""

    def __init__(self) -> None:
        self._bells: list[Bell] = []

    def bell(self) -> "Bell":
        bell = Bell()
        self._bells.append(bell)
        return bell

    def ring(self, *, but: "Bell | None" = None) -> None:
        """Wake everybody, except who found out himself."""
        for bell in self._bells:
            if bell is not but:
                bell.ring()


class Bell:
    def __init__(self) -> None:
        self._event = asyncio.Event()

    def ring(self) -> None:
        self._event.set()

    async def wait(self, seconds: float) -> bool:
        """Sleep until the next ring, at most `seconds`; True if it rang."""
        if seconds > 0 and not self._event.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._event.wait()
        rang = self._event.is_set()
        self._event.clear()
        return rang
