"""watcher: looks for what is wrong, notes when it begins and when it is over, and has the targets told.

Of all processes one looks at a time; each sleeps in proportion to how many there are, as the pruner does. An alert and
the executions that tell of it are one commit: none is told twice, or forgotten.
"""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from scheduler.clock import monotonic
from scheduler.messages import log
from scheduler.services.alerts.words import sentence
from scheduler.store import alerts as store
from scheduler.store.alerts import Alert, AlertRules
from scheduler.store.session import Session

SLICE_SECONDS = 10.0
"""The longest that a round sleeps, so that the end of the last one tells whether it is alive."""


@dataclass(frozen=True, slots=True)
class Watch:
    """What is watched, how often, and who is told."""

    rules: AlertRules = field(default_factory=AlertRules)
    targets: Sequence[str] = ()
    queue: str = "default"
    """Under which the executions wait that tell them."""
    interval: float = 15.0
    """Seconds between two looks, of all processes together, on average."""
    quiet_seconds: float = 60.0
    """For how long something must not be seen to be over."""
    keep_days: float = 90.0


class Watcher:
    def __init__(self, session: Session, watch: Watch) -> None:
        self.session, self.watch = session, watch
        self._looks_at: float | None = None

    async def round(self) -> None:
        """A slice of the wait, or a look."""
        if self._looks_at is None:
            ((peers,),) = await self.session.run("prune_peers", {})
            self._looks_at = monotonic() + self.watch.interval * max(1, peers) * random.uniform(0, 2)
        elif (left := self._looks_at - monotonic()) > 0:
            await asyncio.sleep(min(left, SLICE_SECONDS))
        else:
            await self.look()
            self._looks_at = None

    async def look(self) -> None:
        """Once, unless another process is at it."""
        watch = self.watch
        async with self.session.transaction() as transaction:
            if not await store.take_turn(transaction):
                return
            found = await store.causes(transaction, watch.rules)
            distinct = {(cause.rule, cause.subject): cause for cause in found}.values()
            opened, seen = await store.keep(transaction, [(cause, sentence(cause)) for cause in distinct])
            closed = await store.close(transaction, seen=seen, quiet_seconds=watch.quiet_seconds)
            await store.forget(transaction, days=watch.keep_days)
            telling = [*self._telling("opened", opened), *self._telling("closed", closed)]
            await store.tell(transaction, watch.queue, telling)
        for alert in opened:
            log("alert.opened", rule=alert.rule, what=alert.message)
        for alert in closed:
            log("alert.closed", rule=alert.rule, what=alert.message)

    def _telling(self, state: str, alerts: Sequence[Alert]) -> list[dict[str, Any]]:
        return [
            {"target": target, "state": state, "alert": alert._asdict()}
            for alert in alerts
            for target in self.watch.targets
        ]
