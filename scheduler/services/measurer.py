"""measurer: asks the database what metrics tell about it, when it is asked to; and how its clock compares to ours."""

import asyncio
from contextlib import suppress

from scheduler.clock import monotonic
from scheduler.services.meter import Meter
from scheduler.store.measuring import Measured, measure
from scheduler.store.session import Session

INTERVAL_SECONDS = 10.0


class Measurer:
    def __init__(self, session: Session, meter: Meter, *, always: bool) -> None:
        """`always`: every round; else only after `ask()`, of which one process of a host is enough."""
        self.session, self.meter, self._always = session, meter, always
        self.measured: Measured = []
        """Taken last."""
        self.measured_at: float | None = None
        """When, on the monotonic clock; None: never yet."""
        self._asked = asyncio.Event()

    def ask(self) -> None:
        """Measure at once. In the event loop."""
        self._asked.set()

    async def round(self) -> None:
        sent = monotonic()
        ((now,),) = await self.session.run("now", {})
        self.meter.database_clock = now - (sent + monotonic()) / 2
        if self._always or self._asked.is_set():
            self._asked.clear()
            self.measured = await measure(self.session)
            self.measured_at = monotonic()
        with suppress(TimeoutError):
            async with asyncio.timeout(INTERVAL_SECONDS):
                await (asyncio.sleep(INTERVAL_SECONDS) if self._always else self._asked.wait())
