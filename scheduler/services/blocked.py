"""blocked: the end of a worker whose event loop will not turn again, told from the heartbeat's thread.

The execution to blame is charged with a failed attempt; what merely ran or waited beside it goes back without using up
a try; then the process ends, at once and whatever it was doing, for its supervisor to replace it.
"""

import os
import random
from typing import Final
from uuid import UUID

from scheduler.handlers import ExecutionContext
from scheduler.isolation.task import context_in
from scheduler.lifecycle.settle import settlement
from scheduler.messages import log
from scheduler.model import Outcome, OutcomeKind, WorkerStatus
from scheduler.rules.outcome import decide
from scheduler.services.heartbeat import Keeper
from scheduler.services.whereabouts import main_frame, place_of
from scheduler.store.workers import OwnWorker

EXIT_STATUS: Final = 75
"""EX_TEMPFAIL of sysexits.h: another try will do."""


class BlockedEnd:
    def __init__(self, own: OwnWorker, keeper: Keeper) -> None:
        self.own, self.keeper = own, keeper

    def __call__(self, worker: UUID, seconds: float) -> None:
        """End this process, whose loop has been blocked for so long; with whatever of the story can be told."""
        try:
            self._tell(worker, seconds)
        finally:
            os._exit(EXIT_STATUS)

    def _tell(self, worker: UUID, seconds: float) -> None:
        frame = main_frame()
        guilty, place = context_in(frame), place_of(frame)
        log("worker.blocked_for_good", seconds=round(seconds), place=place, id=guilty.id if guilty else "?")
        if guilty is not None:
            for each in guilty.members:
                self._charge(each, seconds, place)
            self._release_neighbours(guilty)
        # With nobody to blame the rescuer returns them all, and each runs apart until it has shown itself harmless.
        self.own.settle(*self.keeper.unwritten())
        self.own.leave(worker, WorkerStatus.LOST, self.keeper.counters())

    def _charge(self, guilty: ExecutionContext, seconds: float, place: str) -> None:
        outcome = Outcome(
            OutcomeKind.FAILURE,
            seconds=seconds,
            error=f"It blocked the event loop of its worker for {seconds:.0f} s, at {place}. "
            'Await what takes long, or declare the handler with run_in="thread" or run_in="process".',
        )
        transition = decide(guilty.claim, outcome, chance=random.random())
        self.own.settle([], [settlement(guilty.claim, outcome, transition)])

    def _release_neighbours(self, guilty: ExecutionContext) -> None:
        memory = self.keeper.memory()
        charged = {(each.id, each.token) for each in guilty.members}
        self.own.release(list(memory.held - memory.spent - charged))
