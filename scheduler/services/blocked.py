"""blocked: the end of a worker whose event loop will not turn again, told from the heartbeat's thread.

The execution to blame is charged with a failed attempt; what merely ran or waited beside it goes back without using up
a try; then the process ends, at once and whatever it was doing, for its supervisor to replace it.
"""

import os
import random
import sys
from threading import main_thread
from types import FrameType
from typing import Final
from uuid import UUID

from scheduler.isolation.task import context_in
from scheduler.lifecycle.settle import settlement
from scheduler.messages import log
from scheduler.model import Outcome, OutcomeKind, WorkerStatus
from scheduler.rules.outcome import decide
from scheduler.services.heartbeat import Keeper
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
        context = context_in(frame)
        log("worker.blocked_for_good", seconds=round(seconds), place=place_of(frame), id=context.id if context else "?")
        if context is not None:
            claim, memory = context.claim, self.keeper.memory()
            outcome = Outcome(
                OutcomeKind.FAILURE,
                seconds=seconds,
                error=f"It blocked the event loop of its worker for {seconds:.0f} s, at {place_of(frame)}. "
                'Await what takes long, or declare the handler with run_in="thread" or run_in="process".',
            )
            self.own.charge(settlement(claim, outcome, decide(claim, outcome, chance=random.random())))
            self.own.release([pair for pair in memory.held - memory.decided if pair != (claim.id, claim.token)])
        # With nobody to blame the rescuer returns them all, and each runs apart until it has shown itself harmless.
        self.own.leave(worker, WorkerStatus.LOST, self.keeper.counters())


def main_frame() -> FrameType | None:
    """Where the main thread, and with it the event loop, is."""
    return sys._current_frames().get(main_thread().ident or 0)


def place_of(frame: FrameType | None) -> str:
    """`file:line in function` of the innermost Python code."""
    return "unknown" if frame is None else f"{frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_name}"
