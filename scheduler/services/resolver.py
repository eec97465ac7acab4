"""resolver: settles what a crash left prepared in the databases of a two-phase commit, for as long as it takes."""

import asyncio
import random
from collections.abc import Sequence
from itertools import groupby

from scheduler.database.database import Atomicity, Database
from scheduler.database.recovery import CarriedOut, recover
from scheduler.messages import log
from scheduler.services.loop import Trouble

ROUND_SECONDS = 5.0
LONGEST_ROUND_SECONDS = ROUND_SECONDS * 1.2


class Resolver:
    def __init__(self, job: Database, others: Sequence[Database]) -> None:
        """`others` may hold prepared transactions of ours; those that never prepare are left in peace."""
        self.job = job
        self.others = [each for each in others if each is not job and each.options.atomicity is Atomicity.TWO_PHASE]
        self._troubles = {each.name: Trouble(f"resolver of {each.name}") for each in self.others}

    async def round(self) -> None:
        if self.others:
            await self.resolve()
        await asyncio.sleep(ROUND_SECONDS * random.uniform(0.8, 1.2))

    async def resolve(self) -> None:
        """Settle what can be settled now. One database that is away keeps nobody from the others."""
        report = await recover(self.job, self.others)
        for name, trouble in self._troubles.items():
            if (error := report.failed.get(name)) is not None:
                trouble.failed(error, ROUND_SECONDS)
            else:
                trouble.worked()
        _tell(report.carried_out)


def _tell(carried_out: Sequence[CarriedOut]) -> None:
    def kind(each: CarriedOut) -> tuple[str, str]:
        return each.database, each.decision

    for (database, decision), each in groupby(sorted(carried_out, key=kind), kind):
        gids = [one.gid for one in each]
        shown = ", ".join(gids[:20]) + (" …" if len(gids) > 20 else "")
        log("resolver.carried_out", count=len(gids), database=database, decision=decision, gids=shown)
