"""A loop that survives: whatever a round raises is logged, waited out with jittered backoff, and tried again."""

import asyncio
import random
from collections.abc import Awaitable, Callable

from scheduler import failpoints
from scheduler.clock import monotonic
from scheduler.messages import log
from scheduler.model import LoopAge

FIRST_WAIT_SECONDS = 0.1
LONGEST_WAIT_SECONDS = 5.0
REPEAT_SECONDS = 30.0
"""A failure that goes on is logged again after this long."""


class Trouble:
    """Tells of a failure when it begins, every 30 s while it lasts, and when it is over."""

    def __init__(self, loop: str) -> None:
        self.loop = loop
        self._since: float | None = None
        self._told = 0.0

    def failed(self, error: BaseException, pause: float) -> None:
        """`pause`: seconds until the next try."""
        now = monotonic()
        if self._since is None or now - self._told >= REPEAT_SECONDS:
            self._told = now
            log("loop.failed", loop=self.loop, error=first_line(error), seconds=round(pause, 1))
        self._since = self._since or now

    def worked(self) -> None:
        if self._since is not None:
            log("loop.recovered", loop=self.loop, seconds=round(monotonic() - self._since, 1))
            self._since = None


GRACE_SECONDS = 10.0
"""How much longer than its longest sleep a round may take: for slow statements, and for a failure that passes."""


class Loop:
    """One service. `last_success` is on the monotonic clock, None before the first."""

    def __init__(self, name: str, body: Callable[[], Awaitable[None]], *, sleeps: float) -> None:
        """`sleeps`: for how many seconds a round of `body` waits at the most when all is well."""
        self.name, self.body, self.sleeps = name, body, sleeps
        self.last_success: float | None = None
        self._made = monotonic()

    def age(self) -> LoopAge:
        """Since its last success; one that has just been made is young. From any thread."""
        since = self._made if self.last_success is None else self.last_success
        return LoopAge(monotonic() - since, self.sleeps + GRACE_SECONDS)

    async def forever(self) -> None:
        """Run `body` over and over until cancelled."""
        trouble = Trouble(self.name)
        wait = FIRST_WAIT_SECONDS
        while True:
            try:
                if failpoints.armed:
                    await failpoints.reached(f"loop:{self.name}")
                await self.body()
            except Exception as error:  # nothing may end a loop but its cancellation
                pause = wait * random.uniform(0.5, 1.0)
                trouble.failed(error, pause)
                await asyncio.sleep(pause)
                wait = min(LONGEST_WAIT_SECONDS, wait * 2)
            else:
                self.last_success = monotonic()
                trouble.worked()
                wait = FIRST_WAIT_SECONDS


def first_line(error: BaseException) -> str:
    """What an error says, in one line."""
    return next(iter(str(error).strip().splitlines()), "") or type(error).__name__
