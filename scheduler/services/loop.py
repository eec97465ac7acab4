"""A loop that survives: whatever a round raises is logged, waited out with jittered backoff, and tried again."""

import asyncio
import random
from collections.abc import Awaitable, Callable

from scheduler.clock import monotonic
from scheduler.messages import log

FIRST_WAIT_SECONDS = 0.1
LONGEST_WAIT_SECONDS = 5.0
REPEAT_SECONDS = 30.0
"""A failure that goes on is logged again after this long."""


class Loop:
    """One service. `last_success` is on the monotonic clock, None before the first."""

    def __init__(self, name: str, body: Callable[[], Awaitable[None]]) -> None:
        self.name, self.body = name, body
        self.last_success: float | None = None

    async def forever(self) -> None:
        """Run `body` over and over until cancelled."""
        failing_since: float | None = None
        logged = 0.0
        wait = FIRST_WAIT_SECONDS
        while True:
            try:
                await self.body()
            except Exception as error:  # nothing may end a loop but its cancellation
                now = monotonic()
                pause = wait * random.uniform(0.5, 1.0)
                if failing_since is None or now - logged >= REPEAT_SECONDS:
                    logged = now
                    log("loop.failed", loop=self.name, error=first_line(error), seconds=round(pause, 1))
                failing_since = failing_since or now
                await asyncio.sleep(pause)
                wait = min(LONGEST_WAIT_SECONDS, wait * 2)
            else:
                self.last_success = monotonic()
                if failing_since is not None:
                    log("loop.recovered", loop=self.name, seconds=round(self.last_success - failing_since, 1))
                    failing_since, wait = None, FIRST_WAIT_SECONDS


def first_line(error: BaseException) -> str:
    """What an error says, in one line."""
    return next(iter(str(error).strip().splitlines()), "") or type(error).__name__
