"""Statements that lift what has waited for long: queue by queue, a small batch at a time."""

from dataclasses import dataclass

from scheduler.store.executions import LEVELS
from scheduler.store.session import Session

LIFTED_FROM = LEVELS[1:]
"""From the highest there is nowhere to go."""


@dataclass(frozen=True, slots=True)
class AgingQueue:
    """A queue, and the stretch of time in which rows of it have waited for long enough."""

    name: str
    seconds: float
    since: float  # Unix seconds
    until: float  # Unix seconds


class Aging:
    def __init__(self, session: Session) -> None:
        self.session = session

    async def queues(self) -> list[AgingQueue]:
        """Those that are to be looked at by now."""
        return [AgingQueue(*row) for row in await self.session.run("aging_queues", {})]

    async def lift(self, queue: AgingQueue, level: int, n: int) -> int:
        """Lift up to `n` rows of this level; how many."""
        values = {"queue": queue.name, "aging": queue.seconds, "since": queue.since, "until": queue.until}
        return len(await self.session.run("lift", {**values, "level": level, "n": n}))

    async def done(self, queue: AgingQueue) -> None:
        """What had waited for long enough by then is lifted."""
        await self.session.run("aged", {"queue": queue.name, "aging": queue.seconds, "until": queue.until})
