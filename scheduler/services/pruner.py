"""pruner: deletes what is over and old enough, a few hundred rows at a time, and in no hurry.

Of all processes one prunes at a time. Each sleeps in proportion to how many there are, so that together they look about
once in the interval, without anybody who would have to be chosen for it.
"""

import asyncio
import math
import random

from scheduler.clock import monotonic
from scheduler.errors import RightsError
from scheduler.messages import log
from scheduler.rules.retention import Retention
from scheduler.store.retention import Pruned, Pruning, Step, following, rights_as_error
from scheduler.store.session import Row, Session, Transaction

SLICE_SECONDS = 30.0
"""The longest that a round sleeps or works, so that the end of the last one tells whether it is alive."""
IDLE = 9.0
"""Times as long as a step took is waited after it: pruning keeps one connection busy for a tenth of the time."""
LEAST_PAUSE_SECONDS = 0.005
LONGEST_PAUSE_SECONDS = 5.0


class _Walk:
    """A pruning under way, and its next step."""

    def __init__(self, rules: Retention) -> None:
        pruning = Pruning(rules)
        self.pruned = pruning.pruned
        self._steps = pruning.steps()
        self.step: Step | None = next(self._steps, None)

    def answer(self, rows: list[Row]) -> None:
        self.step = following(self._steps, rows)


class Pruner:
    def __init__(self, session: Session, turn: Session, rules: Retention, *, interval: float) -> None:
        """`turn` holds the lock while `session` works; `interval` in seconds."""
        self.session, self.turn, self.rules, self.interval = session, turn, rules, interval
        self._unknown: set[str] = set()
        self._begins: float | None = None
        self._walk: _Walk | None = None

    async def round(self) -> None:
        """A slice of the wait, or of the work."""
        if self._begins is None:
            self._begins = monotonic() + await self.pause()
            return  # at once, so that it is told when this has worked again
        if (left := self._begins - monotonic()) > 0:
            await asyncio.sleep(min(left, SLICE_SECONDS))
            return
        try:
            await self.prune(SLICE_SECONDS)
        except RightsError as error:
            log("pruner.may_not", error=error)
        if self._walk is None:
            self._begins = None

    async def pause(self) -> float:
        """Seconds until it is to look again: as many times the interval as there are processes, on average."""
        ((peers,),) = await self.session.run("prune_peers", {})
        return float(self.interval * max(1, peers) * random.uniform(0, 2))

    async def prune(self, seconds: float = math.inf) -> Pruned | None:
        """Delete what may go now, or go on with that, for so long; None if another process is at it.

        Raises RightsError.
        """
        walk, self._walk = self._walk or _Walk(self.rules), None
        try:
            with rights_as_error():
                async with self.turn.transaction() as turn:
                    if not (await turn.run("prune_turn", {}))[0][0]:
                        return None
                    if await self._go_on(walk, turn, monotonic() + seconds):
                        self._walk = walk
        finally:
            await self.turn.close()
            if self._walk is None:
                self._tell(walk.pruned)
        return walk.pruned

    async def _go_on(self, walk: "_Walk", turn: Transaction, until: float) -> bool:
        """Take a step at least. Whether there is more to do."""
        while walk.step is not None:
            walk.answer(await self._take(walk.step))
            await turn.run("now", {})  # still ours; one that says nothing is ended
            if monotonic() >= until:
                break
        return walk.step is not None

    async def _take(self, step: Step) -> list[Row]:
        began = monotonic()
        rows = await self.session.run(*step)
        pause = IDLE * (monotonic() - began)
        await asyncio.sleep(min(max(pause, LEAST_PAUSE_SECONDS), LONGEST_PAUSE_SECONDS))
        return rows

    def _tell(self, pruned: Pruned) -> None:
        for name in pruned.unknown:
            if name not in self._unknown:
                log("pruner.unknown", name=name)
        self._unknown = set(pruned.unknown)
        if pruned.total or pruned.workers or pruned.messages:
            each = (f"{count:,} {status} of {queue}" for (status, queue), count in sorted(pruned.executions.items()))
            kinds = ", ".join(each) or "none"
            log(
                "pruner.pruned",
                executions=pruned.total,
                kinds=kinds,
                workers=pruned.workers,
                messages=pruned.messages,
            )
