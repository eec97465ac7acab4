"""rescuer: marks workers without a valid lease LOST, and returns the rows of every worker that is gone.

It judges by state alone, in statements that check again under the row's lock; and only after its own view has been
steady for a while, so that an outage of the database, or a jump of its clock, doesn't make everybody look dead.
"""

import asyncio

from scheduler import failpoints
from scheduler.clock import monotonic
from scheduler.messages import log
from scheduler.services.wakeups import Wakeups
from scheduler.store.executions import Executions
from scheduler.store.session import Session
from scheduler.store.workers import Workers

ROUND_SECONDS = 2.0
BATCH = 500
CLOCK_STEP_SECONDS = 2.0


class Rescuer:
    def __init__(self, session: Session, wakeups: Wakeups, *, steady_seconds: float) -> None:
        """`steady_seconds`: how long connection and clock must have been steady before it judges."""
        self.session, self.wakeups, self.steady_seconds = session, wakeups, steady_seconds
        self.executions, self.workers = Executions(session), Workers(session)
        self._steady_since = monotonic()
        self._opened = -1
        self._offset = 0.0

    async def round(self) -> None:
        if await self._steady():
            await self.rescue()
        await asyncio.sleep(ROUND_SECONDS)

    async def rescue(self) -> int:
        """Mark, return, log; how many executions were returned."""
        if lost := await self.workers.mark_lost():
            log("rescuer.workers_lost", workers=", ".join(f"{name} ({id_})" for id_, name in lost))
        if failpoints.armed:
            failpoints.hit("before_rescue")
        total = 0
        while rescued := await self.executions.rescue(BATCH):
            log(
                "rescuer.rescued",
                count=len(rescued),
                ids=", ".join(str(id_) for id_, _ in rescued[:20]) + (" …" if len(rescued) > 20 else ""),
            )
            total += len(rescued)
            self.wakeups.ring()
        return total

    async def _steady(self) -> bool:
        (now,) = (await self.session.run("now", {}))[0]
        here = monotonic()
        offset = now - here
        if self.session.opened != self._opened or abs(offset - self._offset) > CLOCK_STEP_SECONDS:
            self._steady_since = here
        self._opened, self._offset = self.session.opened, offset
        return here - self._steady_since >= self.steady_seconds
