"""pruner: deletes what is over and old enough, a few hundred rows at a time, and in no hurry.

Of all processes one prunes at a time. Each sleeps in proportion to how many there are, so that together they look about
once in the interval, without anybody who would have to be chosen for it.
"""

import asyncio
import random

from scheduler.clock import monotonic
from scheduler.errors import RightsError
from scheduler.messages import log
from scheduler.rules.retention import Retention
from scheduler.store.retention import Pruned, Pruning, Step, following, rights_as_error
from scheduler.store.session import Row, Session

IDLE = 9.0
"""Times as long as a step took is waited after it: pruning keeps one connection busy for a tenth of the time."""
LEAST_PAUSE_SECONDS = 0.005
LONGEST_PAUSE_SECONDS = 5.0


class Pruner:
    def __init__(self, session: Session, turn: Session, rules: Retention, *, interval: float) -> None:
        """`turn` holds the lock while `session` works; `interval` in seconds."""
        self.session, self.turn, self.rules, self.interval = session, turn, rules, interval
        self._unknown: set[str] = set()

    async def round(self) -> None:
        ((peers,),) = await self.session.run("prune_peers", {})
        await asyncio.sleep(self.interval * max(1, peers) * random.uniform(0, 2))
        try:
            await self.prune()
        except RightsError as error:
            log("pruner.may_not", error=error)

    async def prune(self) -> Pruned | None:
        """Delete all that may go now; None if another process is at it. Raises RightsError."""
        pruning = Pruning(self.rules)
        try:
            with rights_as_error():
                async with self.turn.transaction() as turn:
                    if not (await turn.run("prune_turn", {}))[0][0]:
                        return None
                    steps = pruning.steps()
                    step = next(steps, None)
                    while step is not None:
                        step = following(steps, await self._take(step))
                        await turn.run("now", {})  # still ours; one that says nothing is ended
        finally:
            await self.turn.close()
            self._tell(pruning.pruned)
        return pruning.pruned

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
