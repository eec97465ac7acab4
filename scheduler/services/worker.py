"""worker: keeps its slots full. Claims ahead a little, has outcomes settled, lets go of everything in time."""

import asyncio
import math
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from uuid import UUID

from scheduler.clock import monotonic
from scheduler.handlers import HandlerRegistry
from scheduler.isolation import Isolation
from scheduler.lifecycle.claim import Claimer
from scheduler.lifecycle.settle import Settled, Settler
from scheduler.messages import log
from scheduler.model import Claim, Status
from scheduler.services.breaker import Breaker
from scheduler.services.execution_log import ExecutionLog
from scheduler.services.heartbeat import Memory
from scheduler.services.meter import Meter
from scheduler.services.options import WorkerOptions
from scheduler.services.slots import Slots
from scheduler.services.upkeep import Upkeep
from scheduler.services.wakeups import Wakeups
from scheduler.store.executions import Executions, Pair, Settlement, Success
from scheduler.store.workers import Counters, Workers

FIRST_POLL_SECONDS = 0.05
TRANSIT_SECONDS = 0.01
"""By how much one statement may have been longer on its way to the server than another."""
WAKE_SECONDS = 1.0
"""How long a worker is notified after it asked for it; see the statement stay_awake."""
RENEW_WAKE_SECONDS = 0.5
PULSE_SECONDS = 0.5
INTERRUPT_SECONDS = 0.75
"""How long interrupted handlers get to end at a shutdown, and then their outcomes to be written."""
KILL_SECONDS = 0.2
"""How long the kernel may take to end a process."""
HURRY_SECONDS = 0.2
"""The same once somebody has lost patience."""
IDLE_SECONDS = 5.0
"""A loop that waits for something to happen looks so often all the same, which shows that it lives."""
EVER_SECONDS = 31_622_400.0
"""Whatever has become available in the last year waits."""


class Worker:
    """One process's share of the work. Everything here happens in its event loop, except what Heartbeat reads."""

    def __init__(
        self,
        options: WorkerOptions,
        *,
        claims: Executions,
        settles: Executions,
        upkeep: Executions,
        workers: Workers,
        handlers: HandlerRegistry,
        isolations: Mapping[str, Isolation],
        wakeups: Wakeups,
        policies: str,
        claimed: Callable[[Sequence[Claim]], None] = lambda _: None,
    ) -> None:
        """`policies` is JSON: handler name → what it declares for rows that leave it open.

        `claimed` hears of each batch that waits no more.
        """
        self.options, self.claims, self.workers, self.policies = options, claims, workers, policies
        self._changed = asyncio.Event()
        """The claim loop looked, a slot became free, an outcome was written, a lease began, or the end did."""
        self.bell = wakeups.bell()
        self._on_claim = claimed
        self.log = ExecutionLog()
        self.meter = Meter(handlers, options.queues)
        self.settler = Settler(settles, self._settled)
        self.slots = Slots(options, self.settler, handlers, isolations, self._changed)
        self.upkeep = Upkeep(self.slots, upkeep, options.lease_seconds)
        self.breaker = Breaker()
        self.claimer: Claimer | None = None
        self.beat = monotonic()
        self.looks = 0
        """How often the queues were looked at."""
        self._found_nothing = False
        self.more_waits = False
        """As far as anybody has looked, more waits than could be taken."""
        self._poll = FIRST_POLL_SECONDS
        self._woken_until = 0.0
        self._claims_ended = asyncio.Event()
        """While draining: no claim is under way any more."""

    # What the heartbeat asks, from its thread ------------------------------------------------------------------------

    def memory(self) -> Memory:
        claimer = self.claimer
        memory = self.slots.memory()
        return replace(memory, tokens=frozenset(list(claimer.tokens) if claimer is not None else ()))

    def counters(self) -> Counters:
        return self.slots.counters()

    def overdue(self) -> Sequence[str]:
        return self.slots.overdue()

    def unwritten(self) -> tuple[Sequence[Success], Sequence[Settlement]]:
        return self.settler.unwritten()

    # What the heartbeat tells, in the loop ---------------------------------------------------------------------------

    def lease_begins(self, worker: UUID) -> None:
        self.claimer = Claimer(
            self.claims,
            worker,
            self.options.queues,
            self.policies,
            batch_sizes=self.slots.batch_sizes,
            batch_max=self.options.claim_batch_max,
        )
        self._changed.set()
        self.slots.has_room.set()

    def lease_lost(self, reason: str) -> None:
        """Stop everything and tell nobody: the rows are the rescuer's now."""
        log("worker.lease_lost", reason=reason, running=len(self.slots.attempts))
        self.claimer = None
        self.meter.lease_lost()
        self.breaker.forget()
        self.slots.lose_all()

    def claims_lost(self, pairs: Sequence[Pair]) -> None:
        self.slots.lose(pairs)

    # The claim loop --------------------------------------------------------------------------------------------------

    async def claim_round(self) -> None:
        """Claim what there is room for, or sleep until there is work, room or a lease."""
        claimer = self.claimer
        if self.slots.closed:
            self._claims_ended.set()
        if claimer is None or self.slots.closed:
            self._changed.clear()
            await _a_while(self._changed.wait())
            return
        room = self.slots.room()
        if room <= 0:
            self.slots.has_room.clear()
            await _a_while(self.slots.has_room.wait())
            return
        looked_at = monotonic()
        claims = await claimer.claim(room, at_once=self.slots.free)
        held_up = None if claims else await claimer.held_up()
        self.looks += 1
        self._found_nothing = not claims and held_up is None
        self.more_waits = claimer.more_waits
        self._changed.set()
        if claims:
            self._accept(claimer, claims)
            await asyncio.sleep(0)  # they begin before the next claim is made ready
        else:
            await self._sleep(claimer, looked_at, held_up)

    def _accept(self, claimer: Claimer, claims: list[Claim]) -> None:
        self._poll = FIRST_POLL_SECONDS
        self.meter.claimed(claimer.claimed_from, claims)
        if claimer is not self.claimer:  # the lease was lost meanwhile: the rescuer returns them
            return
        if claimer.limited is not None:
            self.breaker.watch(claimer.limited.pause_after)
        self.breaker.claimed(claimer.claimed_from, claims)
        self.slots.hold(claims)
        claimer.taken(claims)
        self.slots.start()
        self._on_claim(claims)

    async def _sleep(self, claimer: Claimer, looked_at: float, held_up: float | None) -> None:
        """Nothing was found. Ask to be woken, look again a few times, then sleep until there may be something.

        `held_up`: seconds until a limit lets go of what waits.
        """
        until = monotonic() + min(self._poll, math.inf if held_up is None else held_up)
        self._poll = min(self.options.poll_interval_seconds, self._poll * 2)
        since = monotonic() - looked_at + TRANSIT_SECONDS
        next_available = await self.claims.next_available(self.options.queues, since=since)
        if next_available is not None:
            until = min(until, monotonic() + max(0.0, next_available))
        rang = False
        while not rang and (left := until - monotonic()) > 0 and not self.slots.closed and claimer is self.claimer:
            asked_at = monotonic()
            if asked_at > self._woken_until - RENEW_WAKE_SECONDS:
                await self.workers.stay_awake(claimer.worker)
                if asked_at > self._woken_until:  # what came while nobody was to be notified is found by looking
                    until = min(until, asked_at + FIRST_POLL_SECONDS)
                self._woken_until = asked_at + WAKE_SECONDS
                left = until - monotonic()
            rang = await self.bell.wait(min(left, RENEW_WAKE_SECONDS))
        if rang:
            claimer.look_at_keys()

    # The other loops -------------------------------------------------------------------------------------------------

    async def settle_round(self) -> None:
        if await _a_while(self.settler.wanted()):
            await self.settler.flush()

    def _settled(self, batch: Sequence[Settled]) -> None:
        self.slots.settled(batch)
        self.breaker.settled(batch)
        self.meter.settled(batch)
        if self.claimer is not None and self.claimer.limits_claims:  # a place may have become free
            self.bell.ring()
        for one in batch:
            if one.claim.concurrency_key is not None and self.claimer is not None:
                self.claimer.look_at_keys()
                self.bell.ring()
            elif one.status is Status.PENDING:  # it may be available sooner than what we sleep for
                self.bell.ring()
        self.log.settled(batch)
        self._changed.set()

    async def pulse_round(self) -> None:
        """Show that the event loop answers."""
        self.beat = monotonic()
        self.slots.look_for_hung()
        self.log.pulse()
        await asyncio.sleep(PULSE_SECONDS)

    async def watch_round(self) -> None:
        await asyncio.sleep(PULSE_SECONDS)
        if await self.upkeep.let_go():
            self.bell.ring()
        if self.claimer is not None:
            await self.upkeep.watch(self.claimer.worker)
            await self._watch_queues(self.claimer)
            await self._look_for_more()

    async def _watch_queues(self, claimer: Claimer) -> None:
        """Hear of new limits, and pause what fails too often."""
        executions = self.upkeep.executions
        claimer.limited = await executions.limited_queues(self.options.queues)
        self.breaker.watch(claimer.limited.pause_after)
        for queue, failures in self.breaker.tripped():
            match await executions.pause_failing(queue, failures, claimer.worker):
                case (None,):
                    log("queue.paused_itself", queue=queue, failures=failures)
                case (seconds,):
                    log("queue.paused_for", queue=queue, failures=failures, seconds=seconds)

    async def _look_for_more(self) -> None:
        """Whether anything waits, while there is no room to claim it, which would tell."""
        if self.options.tells_more_waits and self.slots.room() <= 0:
            soonest = await self.upkeep.executions.next_available(self.options.queues, since=EVER_SECONDS)
            self.more_waits = soonest is not None and soonest <= 0

    # The end ---------------------------------------------------------------------------------------------------------

    async def drain(self, seconds: float) -> list[int]:
        """Let go of everything within `seconds` plus about one; the ids of executions whose handlers would not stop.

        No new claims; what had not begun is handed back at once; running handlers see `cancelled`; what has not ended
        by then is interrupted and handed back.
        """
        deadline = monotonic() + seconds
        log("worker.stopping", running=len(self.slots.attempts), seconds=seconds)
        await self._take_no_more()
        for attempt in self.slots.attempts.values():
            attempt.warn("the worker shuts down")
        await self.slots.until_over(deadline)
        return await self._interrupt()

    async def retire(self) -> None:
        """Take no more, and wait for what runs, which is told nothing and may take as long as it does."""
        log("worker.retiring", running=len(self.slots.attempts))
        await self._take_no_more()
        await self.slots.until_over(math.inf)

    async def _take_no_more(self) -> None:
        self.slots.closed = True
        for event in (self._changed, self.slots.has_room):
            event.set()
        self.bell.ring()
        with suppress(TimeoutError):
            async with asyncio.timeout(INTERRUPT_SECONDS if self.options.queues else 0):
                await self._claims_ended.wait()
        with suppress(Exception):  # then the rescuer of another worker returns it
            async with asyncio.timeout(INTERRUPT_SECONDS):
                await self.upkeep.return_waiting()

    async def _interrupt(self) -> list[int]:
        for attempt in self.slots.unfinished():
            attempt.hand_back("the worker shuts down")
        await self.slots.until_over(monotonic() + INTERRUPT_SECONDS)
        await self._end_by_force()
        with suppress(TimeoutError):
            async with asyncio.timeout(INTERRUPT_SECONDS):
                await self.settler.drained()
        self.log.flush()
        if handed_back := self.slots.handed_back:
            log("worker.handed_back", ids=", ".join(map(str, sorted(handed_back))))
        return self.slots.left()

    def hurry(self) -> None:
        """Interrupt everything now, and wait hardly at all: the process ends within a second."""
        for attempt in self.slots.unfinished():
            attempt.hand_back("the worker was told twice to stop")
            attempt.end()
        asyncio.get_running_loop().call_later(HURRY_SECONDS, self._wait_no_longer)

    async def _end_by_force(self) -> None:
        for attempt in self.slots.unfinished():
            attempt.end()
        await self.slots.until_over(monotonic() + KILL_SECONDS)
        self._wait_no_longer()

    def _wait_no_longer(self) -> None:
        for attempt in self.slots.unfinished():
            attempt.give_up_waiting()
        self._changed.set()

    async def found_nothing(self) -> bool:
        """Wait for a look that finds nothing while nothing runs here; True if a full look finds nothing either."""
        while not self._idle:
            self._changed.clear()
            await self._changed.wait()
        enough = self.looks + 2  # the one under way may have begun before
        while self.looks < enough and self._idle:
            if self.claimer is not None:
                self.claimer.look_everywhere()
            self.bell.ring()
            self._changed.clear()
            await self._changed.wait()
        return self._idle

    @property
    def _idle(self) -> bool:
        return self._found_nothing and not (self.slots.left() or len(self.settler))


async def _a_while(event: Coroutine[object, object, object]) -> bool:
    """Wait for it, at most IDLE_SECONDS; whether it has come."""
    try:
        async with asyncio.timeout(IDLE_SECONDS):
            await event
    except TimeoutError:
        return False
    return True
