"""worker: keeps its slots full. Claims ahead a little, runs, has outcomes settled, lets go of everything in time."""

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from uuid import UUID

from scheduler.clock import monotonic
from scheduler.handlers import HandlerRegistry
from scheduler.isolation import Isolation
from scheduler.lifecycle.claim import Claimer
from scheduler.lifecycle.run import Attempt
from scheduler.lifecycle.settle import Settled, Settler
from scheduler.messages import log
from scheduler.model import Claim, Outcome, OutcomeKind, Status
from scheduler.rules.retry import delay_seconds
from scheduler.services.execution_log import ExecutionLog
from scheduler.services.heartbeat import Memory
from scheduler.services.wakeups import Wakeups
from scheduler.store.executions import Executions, Pair
from scheduler.store.workers import Counters, Workers

AHEAD_SECONDS = 1.0
"""At most this much measured work is claimed before there is a slot for it."""
FIRST_POLL_SECONDS = 0.05
TRANSIT_SECONDS = 0.01
"""By how much one statement may have been longer on its way to the server than another."""
WAKE_SECONDS = 1.0
"""How long a worker is notified after it asked for it; see the statement stay_awake."""
RENEW_WAKE_SECONDS = 0.5
PULSE_SECONDS = 0.5
INTERRUPT_SECONDS = 0.75
"""How long interrupted handlers get to end at a shutdown, and then their outcomes to be written."""
STARTS_PER_TURN = 100
"""How many attempts begin before the event loop gets to do something else."""
_SMOOTHING = 0.05


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """Plain values; see the settings of the same names."""

    queues: Sequence[str] = ("default",)
    pool_size: int = 5
    poll_interval_seconds: float = 5.0
    claim_batch_size: int = 10
    claim_batch_max: int = 500
    lease_seconds: float = 30.0


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
    ) -> None:
        """`policies` is JSON: handler name → what it declares for rows that leave it open."""
        self.options, self.claims, self.upkeep, self.workers = options, claims, upkeep, workers
        self.handlers, self.isolations, self.policies = handlers, dict(isolations), policies
        self.bell = wakeups.bell()
        self.settler = Settler(settles, self._settled)
        self.log = ExecutionLog()
        self.claimer: Claimer | None = None
        self.beat = monotonic()
        self.draining = False
        self.looks = 0
        """How often the queues were looked at."""
        self._found_nothing = False
        self.handed_back: list[int] = []
        self.succeeded = self.failed = 0
        self._held: dict[Pair, Claim] = {}
        self._attempts: dict[Pair, Attempt] = {}
        self._buffer: deque[Claim] = deque()
        self._buffered_at = 0.0
        self._returning: dict[Pair, Claim] = {}
        """Being handed back: whether or not the database has answered, never to be begun here."""
        self._ended_overdue: list[Claim] = []
        self._slots_used = 0
        self._mean_seconds: float | None = None
        self._poll = FIRST_POLL_SECONDS
        self._woken_until = 0.0
        self._starting = False
        self._room = asyncio.Event()
        self._changed = asyncio.Event()
        self._claims_ended = asyncio.Event()
        """While draining: no claim is under way any more."""

    # What the heartbeat asks, from its thread ------------------------------------------------------------------------

    def memory(self) -> Memory:
        claimer = self.claimer
        attempts = list(self._attempts.items())
        return Memory(
            frozenset(list(self._held)),
            frozenset(pair for pair, attempt in attempts if not (attempt.over or attempt.silent)),
            frozenset(list(claimer.tokens) if claimer is not None else ()),
        )

    def counters(self) -> Counters:
        return Counters(len(self._attempts), self.succeeded, self.failed)

    def overdue(self) -> Sequence[str]:
        now = monotonic()
        return sorted(
            {a.claim.handler_name for a in list(self._attempts.values()) if not a.over and a.context.deadline < now}
        )

    # What the heartbeat tells, in the loop ---------------------------------------------------------------------------

    def lease_begins(self, worker: UUID) -> None:
        self.claimer = Claimer(self.claims, worker, self.options.queues, self.policies)
        self._changed.set()
        self._room.set()

    def lease_lost(self, reason: str) -> None:
        """Stop everything and tell nobody: the rows are the rescuer's now."""
        log("worker.lease_lost", reason=reason, running=len(self._attempts))
        self.claimer = None
        for pair in [*((claim.id, claim.token) for claim in self._buffer), *self._returning]:
            self._held.pop(pair, None)
        self._buffer.clear()
        self._returning.clear()
        self.claims_lost([pair for pair, attempt in self._attempts.items() if not attempt.over])

    def claims_lost(self, pairs: Sequence[Pair]) -> None:
        """These rows are not ours any more: stop their attempts."""
        for pair in pairs:
            self._held.pop(pair, None)
            attempt = self._attempts.get(pair)
            if attempt is not None and not (attempt.over or attempt.silent):
                log("execution.stale", id=attempt.claim.id, attempt=attempt.claim.attempt)
                attempt.abandon("the lease is lost")

    # The claim loop --------------------------------------------------------------------------------------------------

    async def claim_round(self) -> None:
        """Claim what there is room for, or sleep until there is work, room or a lease."""
        claimer = self.claimer
        if self.draining:
            self._claims_ended.set()
        if claimer is None or self.draining:
            self._changed.clear()
            await self._changed.wait()
            return
        room = self._wanted()
        if room <= 0:
            self._room.clear()
            await self._room.wait()
            return
        looked_at = monotonic()
        claims = await claimer.claim(room)
        self.looks += 1
        self._found_nothing = not claims
        self._changed.set()
        if claims:
            self._accept(claimer, claims)
        else:
            await self._sleep(claimer, looked_at)

    def _wanted(self) -> int:
        """How many rows to claim now: free slots, and what they will have done within a second."""
        options = self.options
        free = options.pool_size - self._slots_used - len(self._buffer)
        if self._mean_seconds is None:
            return min(free, options.claim_batch_size)
        ahead = min(options.claim_batch_max, int(AHEAD_SECONDS * options.pool_size / max(self._mean_seconds, 1e-6)))
        wanted = min(options.claim_batch_max, free + ahead)
        return wanted if free > 0 or wanted * 2 >= ahead else 0

    def _accept(self, claimer: Claimer, claims: list[Claim]) -> None:
        self._poll = FIRST_POLL_SECONDS
        if claimer is not self.claimer:  # the lease was lost meanwhile: the rescuer returns them
            return
        if not self._buffer:
            self._buffered_at = monotonic()
        for claim in claims:
            self._held[claim.id, claim.token] = claim
        claimer.taken(claims)
        self._buffer.extend(claims)
        self._start()

    async def _sleep(self, claimer: Claimer, looked_at: float) -> None:
        """Nothing was found. Ask to be woken, look again a few times, then sleep until there may be something."""
        until = monotonic() + self._poll
        self._poll = min(self.options.poll_interval_seconds, self._poll * 2)
        since = monotonic() - looked_at + TRANSIT_SECONDS
        next_available = await self.claims.next_available(self.options.queues, since=since)
        if next_available is not None:
            until = min(until, monotonic() + max(0.0, next_available))
        rang = False
        while not rang and (left := until - monotonic()) > 0 and not self.draining and claimer is self.claimer:
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

    # Running ---------------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        """Give free slots to waiting claims, a number at a time."""
        self._starting = False
        for _ in range(STARTS_PER_TURN):
            if not self._buffer or self._slots_used >= self.options.pool_size or self.draining:
                break
            claim = self._buffer.popleft()
            attempt = Attempt(claim, self)
            self._slots_used += 1
            self._attempts[claim.id, claim.token] = attempt
            attempt.begin(self.handlers, self.isolations)
        else:
            self._start_soon()
        if not self._room.is_set() and self._wanted() > 0:
            self._room.set()

    def _start_soon(self) -> None:
        if not self._starting:
            self._starting = True
            asyncio.get_running_loop().call_soon(self._start)

    def reported(self, attempt: Attempt, outcome: Outcome) -> None:
        if attempt.overdue and outcome.kind is OutcomeKind.TIMEOUT:
            outcome.min_delay = self.options.lease_seconds  # its next try must not begin beside it
            log(
                "execution.overdue",
                id=attempt.claim.id,
                handler=attempt.claim.handler_name,
                seconds=f"{attempt.claim.timeout_seconds:g}",
            )
        mean = self._mean_seconds
        self._mean_seconds = outcome.seconds if mean is None else mean + _SMOOTHING * (outcome.seconds - mean)
        self.settler.put(attempt.claim, outcome)

    def ended(self, attempt: Attempt) -> None:
        self._slots_used -= 1
        self._attempts.pop((attempt.claim.id, attempt.claim.token), None)
        if attempt.overdue and not attempt.silent and not self.draining:
            self._ended_overdue.append(attempt.claim)
        self._changed.set()
        self._start_soon()

    def _settled(self, batch: Sequence[Settled]) -> None:
        for one in batch:
            self._held.pop((one.claim.id, one.claim.token), None)
            if one.status is Status.SUCCESS:
                self.succeeded += 1
            elif one.outcome.kind in (OutcomeKind.FAILURE, OutcomeKind.TIMEOUT):
                self.failed += 1
            elif one.outcome.kind is OutcomeKind.HANDED_BACK:
                self.handed_back.append(one.claim.id)
            if one.claim.concurrency_key is not None and self.claimer is not None:
                self.claimer.look_at_keys()
                self.bell.ring()
            elif one.status is Status.PENDING:  # it may be available sooner than what we sleep for
                self.bell.ring()
        self.log.settled(batch)
        self._changed.set()

    # The settle loop -------------------------------------------------------------------------------------------------

    async def settle_round(self) -> None:
        await self.settler.wanted()
        await self.settler.flush()

    # Looking after what runs -----------------------------------------------------------------------------------------

    async def pulse_round(self) -> None:
        """Show that the event loop answers."""
        self.beat = monotonic()
        self.log.pulse()
        await asyncio.sleep(PULSE_SECONDS)

    async def watch_round(self) -> None:
        """Cancels, progress, claims that wait too long for a slot, attempts that won't stop."""
        await asyncio.sleep(PULSE_SECONDS)
        if self._ended_overdue:
            await self._let_go()
        if self.claimer is not None and self._attempts:
            await self._watch_cancels(self.claimer.worker)
            await self._write_progress()
            await self._return_stale_buffer()
            await self._hold_back_overdue()

    async def _watch_cancels(self, worker: UUID) -> None:
        for id_, token, reason in await self.upkeep.cancels_asked(worker):
            if (attempt := self._attempts.get((id_, token))) is not None:
                attempt.ask_to_stop(reason)

    async def _write_progress(self) -> None:
        reports = [
            (a.claim.id, a.claim.token, latest.fraction, latest.message)
            for a in list(self._attempts.values())
            if not a.over and (latest := a.context.take_progress()) is not None
        ]
        if reports:
            await self.upkeep.write_progress(reports)

    async def _return_stale_buffer(self) -> None:
        """Every slot is taken by longer work than was measured: let others have what waits here."""
        waits_too_long = self._buffer and monotonic() - self._buffered_at > 2 * AHEAD_SECONDS
        if self._returning or (waits_too_long and self._slots_used >= self.options.pool_size):
            await self._return_buffer()

    async def _return_buffer(self) -> None:
        """Hand back what was claimed and not begun."""
        self._returning |= {(claim.id, claim.token): claim for claim in self._buffer}
        self._buffer.clear()
        if self._returning:
            claims = list(self._returning.values())
            self.handed_back += sorted(await self.upkeep.release(claims))
            for claim in claims:
                self._returning.pop((claim.id, claim.token), None)
                self._held.pop((claim.id, claim.token), None)

    async def _hold_back_overdue(self) -> None:
        overdue = [a.claim for a in self._attempts.values() if a.overdue]
        if overdue:
            await self.upkeep.hold_back([(c.id, c.attempt, self.options.lease_seconds) for c in overdue])

    async def _let_go(self) -> None:
        while self._ended_overdue:
            claim = self._ended_overdue[0]
            wait = delay_seconds(claim.retry_backoff, claim.retry_delay_seconds, claim.retry_count + 1)
            await self.upkeep.let_go(claim.id, claim.attempt, wait)
            self._ended_overdue.pop(0)

    # The end ---------------------------------------------------------------------------------------------------------

    async def drain(self, seconds: float) -> list[int]:
        """Let go of everything within `seconds` plus about one; the ids of executions whose handlers would not stop.

        No new claims; what had not begun is handed back at once; running handlers see `cancelled`; what has not ended
        by then is interrupted and handed back.
        """
        deadline = monotonic() + seconds
        self.draining = True
        log("worker.stopping", running=len(self._attempts), seconds=f"{seconds:g}")
        for event in (self._changed, self._room):
            event.set()
        self.bell.ring()
        with suppress(TimeoutError):
            async with asyncio.timeout(INTERRUPT_SECONDS if self.options.queues else 0):
                await self._claims_ended.wait()
        with suppress(Exception):  # then the rescuer of another worker returns it
            async with asyncio.timeout(INTERRUPT_SECONDS):
                await self._return_buffer()
        for attempt in self._attempts.values():
            attempt.warn("the worker shuts down")
        await self._until_all_over(deadline)
        return await self._interrupt()

    async def _interrupt(self) -> list[int]:
        unfinished = [a for a in self._attempts.values() if not a.over]
        for attempt in unfinished:
            attempt.hand_back("the worker shuts down")
        await self._until_all_over(monotonic() + INTERRUPT_SECONDS)
        stubborn = [a for a in self._attempts.values() if not a.over]
        for attempt in stubborn:
            attempt.give_up_waiting()
        with suppress(TimeoutError):
            async with asyncio.timeout(INTERRUPT_SECONDS):
                await self.settler.drained()
        self.log.flush()
        if self.handed_back:
            log("worker.handed_back", ids=", ".join(map(str, sorted(self.handed_back))))
        return sorted({a.claim.id for a in self._attempts.values()} | {claim.id for claim in self._held.values()})

    async def _until_all_over(self, deadline: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, deadline - monotonic())):
                while any(not attempt.over for attempt in self._attempts.values()):
                    self._changed.clear()
                    await self._changed.wait()

    def hurry(self) -> None:
        """Interrupt everything now; the process ends within a second."""
        for attempt in list(self._attempts.values()):
            attempt.hand_back("the worker was told twice to stop")

    async def found_nothing(self) -> bool:
        """Wait for a full look at all queues; True if it found nothing while nothing ran here."""
        enough = self.looks + 2  # the one under way may have begun before
        while self.looks < enough:
            if self.claimer is not None:
                self.claimer.look_everywhere()
            self.bell.ring()
            self._changed.clear()
            await self._changed.wait()
        return self._found_nothing and not (self._held or self._attempts or len(self.settler))
