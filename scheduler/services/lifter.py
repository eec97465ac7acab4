"""lifter: lifts executions that have waited for long by a level, in queues whose settings say so (`aging_seconds`).

Every process does it, and they don't have to agree: what was lifted says so itself, and a second time changes nothing.
"""

import asyncio

from scheduler import failpoints
from scheduler.clock import monotonic
from scheduler.store.aging import LIFTED_FROM, Aging, AgingQueue
from scheduler.store.session import Session

ROUND_SECONDS = 5.0
SLICE_SECONDS = 5.0
"""The longest that a round works, so that the end of the last one tells whether it is alive."""
BATCH = 500
LEAST_PAUSE_SECONDS = 0.005


class Lifter:
    def __init__(self, session: Session) -> None:
        self.aging = Aging(session)

    async def round(self) -> None:
        """A slice of the work; where it is done, the wait for more."""
        if await self.lift(monotonic() + SLICE_SECONDS):
            await asyncio.sleep(ROUND_SECONDS)

    async def lift(self, until: float) -> bool:
        """Lift what has waited for long enough by now; False if that isn't done at `until` (monotonic)."""
        for queue in await self.aging.queues():
            if not await self._lift_in(queue, until):
                return False
            await self.aging.done(queue)
        return True

    async def _lift_in(self, queue: AgingQueue, until: float) -> bool:
        """From the top down, so that nothing is met again on the level that it was lifted to."""
        for level in LIFTED_FROM:
            while True:
                if monotonic() >= until:
                    return False
                began = monotonic()
                if not await self.aging.lift(queue, level, BATCH):
                    break
                if failpoints.armed:
                    failpoints.hit("after_lift")
                await asyncio.sleep(max(LEAST_PAUSE_SECONDS, monotonic() - began))  # others come first
        return True
