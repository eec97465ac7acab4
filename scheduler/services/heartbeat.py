"""heartbeat: a worker's lease, kept by a thread and a connection of its own, so that no handler can starve it.

One incarnation after the other: register, renew until the lease is lost, tell the loop, and register anew. A worker
stops itself before its lease ends, by its own monotonic clock; identity is a fresh UUID, never a host or a name.
"""

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from threading import Event, Thread
from typing import Protocol, TypeVar
from uuid import UUID, uuid4

from scheduler import failpoints
from scheduler.clock import monotonic
from scheduler.messages import log
from scheduler.model import LoopAge, WorkerStatus
from scheduler.services.loop import GRACE_SECONDS, Trouble, first_line
from scheduler.services.whereabouts import main_frame, place_of
from scheduler.store.executions import Pair, Settlement, Success
from scheduler.store.workers import Counters, OwnWorker, Registration

RETRY_SECONDS = 1.0
SAFETY = 0.1
"""The worker gives its lease up this fraction of it early."""
BLOCKED_SECONDS = 5.0
"""The event loop is reported when it has not answered for this long."""

Argument = TypeVar("Argument")


@dataclass(frozen=True, slots=True)
class Memory:
    """What a worker believes to hold, at one moment."""

    held: frozenset[Pair] = frozenset()
    running: frozenset[Pair] = frozenset()
    """Those of them whose outcome isn't decided yet, and whose rows are RUNNING for so long."""
    tokens: frozenset[UUID] = frozenset()
    """Claims under way."""
    spent: frozenset[Pair] = frozenset()
    """Those held that may not start again: their work is done and yet to be recorded, or began and begins only once."""


class Keeper(Protocol):
    """Whose lease it is. The first five are called from the heartbeat's thread, the others in the event loop."""

    @property
    def beat(self) -> float:
        """When the event loop last answered, on the monotonic clock."""

    def memory(self) -> Memory: ...

    def counters(self) -> Counters: ...

    def overdue(self) -> Sequence[str]:
        """Handlers of running attempts past their deadline."""

    def unwritten(self) -> tuple[Sequence[Success], Sequence[Settlement]]:
        """Outcomes on their way to the database."""

    def lease_begins(self, worker: UUID) -> None: ...

    def lease_lost(self, reason: str) -> None: ...

    def claims_lost(self, pairs: Sequence[Pair]) -> None: ...


class Heartbeat:
    name = "heartbeat"

    def __init__(
        self,
        own: OwnWorker,
        registration: Registration,
        keeper: Keeper,
        *,
        interval: float,
        loops: Callable[[], Mapping[str, LoopAge]] = dict,
        end_blocked: Callable[[UUID, float], object] | None = None,
    ) -> None:
        """`registration.id` is ignored: each incarnation gets its own. `interval`: seconds, at most half the lease.

        `loops` is asked in the heartbeat's thread what to write of the loops of this process.

        `end_blocked` ends the process when its event loop has been blocked for longer than a lease, so many seconds.
        """
        self._end_blocked, self._loops = end_blocked, loops
        self.own, self.registration, self.keeper, self.interval = own, registration, keeper, interval
        self.status = WorkerStatus.ACTIVE
        self.last_success: float | None = None
        self._made = monotonic()
        self._stopping = Event()
        self._acknowledged = Event()
        self._gave_up = Event()
        self._kept = False
        self._sent = 0.0
        self._reported_block = False
        self._trouble = Trouble("heartbeat")
        self._thread = Thread(target=self._run, name="scheduler-heartbeat", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None

    def has_begun(self) -> bool:
        """Whether there has ever been a lease."""
        return self.last_success is not None

    def age(self) -> LoopAge:
        """Since the last heartbeat that got through. From any thread."""
        since = self._made if self.last_success is None else self.last_success
        return LoopAge(monotonic() - since, self.interval + GRACE_SECONDS)

    def start(self) -> None:
        """Begin, in the running event loop."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    def drain(self) -> None:
        """From the next heartbeat on, the worker's row says that it takes no more."""
        self.status = WorkerStatus.DRAINING

    def stop(self, *, timeout: float) -> None:
        """End the incarnation: what is held yet is handed back, its row becomes STOPPED. Waits at most `timeout` s."""
        self._stopping.set()
        self._thread.join(timeout)

    def _run(self) -> None:
        while not self._stopping.is_set():
            worker = self._register()
            if worker is None:
                return
            try:
                reason = self._renew(worker)
            except Exception as error:  # without this thread the process would never get a lease again
                reason = f"its heartbeat failed: {first_line(error)}"
            if reason is None:
                self._leave(worker, WorkerStatus.STOPPED)
                return
            self._acknowledged.clear()
            self._tell(self._let_go, reason)
            while not (self._acknowledged.wait(0.5) or self._stopping.is_set()):
                pass
            self._leave(worker, WorkerStatus.LOST)

    @property
    def watch_seconds(self) -> float:
        return self.registration.lease * SAFETY / 2

    async def watch_round(self) -> None:
        """In the event loop: let go of a lease whose heartbeat hangs, waiting for a server that doesn't answer."""
        await asyncio.sleep(self.watch_seconds)
        if self._kept and self._expired():
            self._gave_up.set()
            self._let_go(self._silence())

    def _begin(self, worker: UUID) -> None:
        self._kept = True
        self.keeper.lease_begins(worker)

    def _let_go(self, reason: str) -> None:
        """In the event loop: everything is dropped, so the next incarnation may begin."""
        if self._kept:
            self._kept = False
            self.keeper.lease_lost(reason)
        self._acknowledged.set()

    def _expired(self) -> bool:
        return monotonic() > self._sent + self.registration.lease * (1 - SAFETY)

    def _silence(self) -> str:
        return f"no heartbeat got through for {monotonic() - self._sent:.0f} s"

    def _register(self) -> UUID | None:
        """A new incarnation, however long it takes; None when stopped before."""
        while not self._stopping.is_set():
            worker = uuid4()
            self._sent = monotonic()
            try:
                self.own.register(replace(self.registration, id=worker))
            except Exception as error:  # the thread must outlive whatever the database says
                self._failed(error)
                continue
            self.last_success = monotonic()
            self._trouble.worked()
            self._gave_up.clear()
            self._tell(self._begin, worker)
            return worker
        return None

    def _renew(self, worker: UUID) -> str | None:
        """Renew until stopped (None) or lost (the reason)."""
        next_beat = self._sent + self.interval
        while not self._stopping.wait(max(0.0, min(1.0, next_beat - monotonic()))):
            if reason := self._blocked(worker):
                return reason
            if monotonic() >= next_beat:
                sent = monotonic()
                try:
                    if failpoints.armed:
                        failpoints.hit("before_heartbeat")
                    if not self._beat(worker):
                        return "it was marked LOST"
                except Exception as error:  # the thread must outlive whatever the database says
                    self._failed(error)
                    next_beat = monotonic()
                else:
                    self._sent = self.last_success = sent
                    self._trouble.worked()
                    next_beat = sent + self.interval
            if self._gave_up.is_set() or self._expired():
                return self._silence()
        return None

    def _beat(self, worker: UUID) -> bool:
        """One heartbeat, and the comparison of what the database and we believe to be running here."""
        if not self.own.heartbeat(worker, self.registration.lease, self.status, self.keeper.counters(), self._loops()):
            return False
        before = self.keeper.memory()
        if self._gave_up.is_set():  # what is held was begun and dropped: the rescuer counts it as a try
            return True
        held = self.own.held(worker)
        after = self.keeper.memory()
        known, tokens = before.held | after.held, before.tokens | after.tokens
        if strangers := [pair for pair in held if pair not in known and pair[1] not in tokens]:
            released = self.own.release(strangers)
            if released:
                log("worker.strangers", ids=", ".join(map(str, released)))
        if gone := [pair for pair in before.running & after.running if pair not in held]:
            self._tell(self.keeper.claims_lost, gone)
        return True

    def _blocked(self, worker: UUID) -> str | None:
        """Report an event loop that doesn't answer; a reason to give up when work is overdue and can't be recorded."""
        silent = monotonic() - self.keeper.beat
        if silent < BLOCKED_SECONDS:
            self._reported_block = False
            return None
        overdue = self.keeper.overdue()
        if not self._reported_block:
            log("worker.loop_blocked", seconds=round(silent), place=place_of(main_frame()))
            self._reported_block = True
        if self._end_blocked is not None and silent > self.registration.lease:
            self._end_blocked(worker, silent)
        return (
            "a handler blocks the event loop past its timeout" if overdue and silent > self.registration.lease else None
        )

    def _leave(self, worker: UUID, status: WorkerStatus) -> None:
        try:
            if status is WorkerStatus.STOPPED:
                self._hand_back()
            self.own.leave(worker, status, self.keeper.counters())
        except Exception as error:  # then its lease runs out by itself
            log("loop.failed", loop="heartbeat", error=first_line(error), seconds=0)
        if self._stopping.is_set():
            self.own.session.close()

    def _hand_back(self) -> None:
        """Return what is held yet, except what could then be done twice: that is for the rescuer, who counts a try."""
        memory = self.keeper.memory()
        unfinished = memory.held - memory.spent
        if unfinished and (released := self.own.release(list(unfinished))):
            log("worker.handed_back", ids=", ".join(map(str, sorted(released))))

    def _failed(self, error: Exception) -> None:
        pause = RETRY_SECONDS * random.uniform(0.5, 1.0)
        self._trouble.failed(error, pause)
        self._stopping.wait(pause)

    def _tell(self, callback: Callable[[Argument], None], argument: Argument) -> None:
        assert self._loop is not None
        with suppress(RuntimeError):  # the loop is closed: the process is ending
            self._loop.call_soon_threadsafe(callback, argument)
