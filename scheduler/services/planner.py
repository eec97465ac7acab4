"""planner: ends pauses, plans what is due, then sleeps until the next tick, an edit, or a second has passed."""

import asyncio

from scheduler.lifecycle.plan import BATCH, plan
from scheduler.messages import log
from scheduler.rules.schedule import tzdata_version
from scheduler.services.wakeups import Wakeups
from scheduler.store.cron_jobs import CronJobs
from scheduler.store.session import Session

POLL_SECONDS = 1.0
HELD_SECONDS = 0.02
"""How soon to look again when what is due is being planned by somebody else."""

GIVE_WAY_SECONDS = 0.01
"""What rings here mostly rings for work, which the worker of this process is to claim first."""


class Planner:
    def __init__(self, session: Session, wakeups: Wakeups) -> None:
        self.session, self.wakeups = session, wakeups
        self.cron_jobs = CronJobs(session)
        self.bell = wakeups.bell()
        self._zones_checked = False
        self._looks = 0
        self._looked = asyncio.Event()

    async def round(self) -> None:
        if not self._zones_checked:
            await self.cron_jobs.recompute_zones(tzdata_version())
            self._zones_checked = True
        for name in await self.cron_jobs.resume_ended(BATCH):
            log("planner.resumed", name=name)
        report = await plan(self.session)
        if report.executions:
            self.wakeups.ring(but=self.bell)
        if not report.more:
            self._looks += 1
            self._looked.set()
            if await self.bell.wait(await self._until_next_tick()):
                await asyncio.sleep(GIVE_WAY_SECONDS)

    async def looked(self) -> None:
        """Wait for a look that begins after now and leaves nothing to plan."""
        enough = self._looks + 2  # the one under way may have begun before
        while self._looks < enough:
            self.bell.ring()
            self._looked.clear()
            await self._looked.wait()

    async def _until_next_tick(self) -> float:
        seconds = await self.cron_jobs.next_tick()
        if seconds is None:
            return POLL_SECONDS
        return min(POLL_SECONDS, seconds) if seconds > 0 else HELD_SECONDS
