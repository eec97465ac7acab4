"""slots: what a worker holds and runs. A claim waits for a slot, becomes an attempt, and is held until settled."""

import asyncio
from collections.abc import Container, Iterable, Mapping, Sequence
from contextlib import suppress

from scheduler.clock import monotonic
from scheduler.handlers import HandlerRegistry
from scheduler.isolation import Isolation
from scheduler.lifecycle.run import ARM_SECONDS, Attempt
from scheduler.lifecycle.settle import Settled, Settler
from scheduler.messages import log
from scheduler.model import Claim, LoopAge, Outcome, OutcomeKind, Status
from scheduler.services.health import SLOTS
from scheduler.services.heartbeat import Memory
from scheduler.services.options import WorkerOptions
from scheduler.services.waiting import Group, Waiting
from scheduler.store.executions import Pair
from scheduler.store.workers import Counters

AHEAD_SECONDS = 1.0
"""At most this much measured work is claimed before there is a slot for it."""
AHEAD_CLAIMS = 2
"""And at most so many claims of `claim_batch_max`: one is worked on while the next is on its way."""
STARTS_PER_TURN = 100
"""How many attempts begin before the event loop gets to do something else."""
HUNG_SECONDS = 10.0
"""How long all slots may be taken by attempts past their end; the kill of a process takes less."""
_SMOOTHING = 0.05

Key = int
"""A claim by its identity, while it is held: the hash of a uuid costs more than all else about a look-up."""


class Slots:
    """The `Watcher` of its attempts. Everything here happens in the event loop, except what Heartbeat reads."""

    name = SLOTS

    def __init__(
        self,
        options: WorkerOptions,
        settler: Settler,
        handlers: HandlerRegistry,
        isolations: Mapping[str, Isolation],
        changed: asyncio.Event,
    ) -> None:
        """`settler` gets the outcomes; `changed` is set when a slot has become free, and by others."""
        self.options, self.handlers, self.isolations = options, handlers, dict(isolations)
        self.settler, self.changed = settler, changed
        self.batch_sizes = {spec.name: spec.batching.size for spec in handlers if spec.batching is not None}
        self.attempts: dict[Key, Attempt] = {}
        self.ended_overdue: list[Claim] = []
        """Their handlers have stopped at last, and their rows are still held back."""
        self.mean_seconds: float | None = None
        """What a slot is taken for, the latest time counting most; None before the first."""
        self.has_room = asyncio.Event()
        """More may be claimed; who waits for it clears it."""
        self.closed = False
        """Nothing begins here any more."""
        self.handed_back: list[int] = []
        self.begun = self.succeeded = self.failed = 0
        self._used = 0
        self._hung_since: float | None = None
        self._held: dict[Key, Claim] = {}
        self._waiting = Waiting(handlers, self._start_soon)
        self._returning: dict[Key, Claim] = {}
        """Being handed back: whether or not the database has answered, never to be begun here."""
        self._starting = False
        self._to_arm: list[Attempt] = []
        self._arming = False

    # What the heartbeat asks, from its thread ------------------------------------------------------------------------

    def memory(self) -> Memory:
        """What is held and what runs; of claims under way nothing is known here."""
        attempts = list(self.attempts.values())
        return Memory(
            frozenset(map(_pair, list(self._held.values()))),
            frozenset(_pair(a.claim) for a in attempts if not (a.over or a.silent or a.settles_itself)),
            spent=self.settler.decided() | {_pair(a.claim) for a in attempts if a.begun and a.claim.starts_once},
        )

    def counters(self) -> Counters:
        return Counters(len(self.attempts), self.succeeded, self.failed)

    def overdue(self) -> Sequence[str]:
        """Handlers of running attempts past their deadline."""
        now = monotonic()
        return sorted(
            {a.claim.handler_name for a in list(self.attempts.values()) if not a.over and a.context.deadline < now}
        )

    def age(self) -> LoopAge:
        """For how long nothing could begin here, because handlers would not stop. From any thread."""
        since = self._hung_since
        return LoopAge(0.0 if since is None else monotonic() - since, HUNG_SECONDS)

    # Waiting for a slot ----------------------------------------------------------------------------------------------

    def room(self) -> int:
        """How many slots to claim for now: those that are free, and what they will have done within a second."""
        options = self.options
        free = self.free
        if self.mean_seconds is None:
            return min(free, options.claim_batch_size)
        most = options.claim_batch_max
        ahead = min(AHEAD_CLAIMS * most, int(AHEAD_SECONDS * options.pool_size / max(self.mean_seconds, 1e-6)))
        wanted = min(most, free + ahead)
        return wanted if free > 0 or wanted * 10 >= min(most, ahead) * 7 else 0

    @property
    def free(self) -> int:
        """How many claims could begin now."""
        return self.options.pool_size - self._used - len(self._waiting)

    @property
    def used(self) -> int:
        """How many slots are taken."""
        return self._used

    @property
    def load(self) -> float:
        """The part of the slots that are taken."""
        return self._used / self.options.pool_size

    def hold(self, claims: Sequence[Claim]) -> None:
        """These are ours now, and wait for `start`."""
        for claim in claims:
            self._held[id(claim)] = claim
        self._waiting.add(claims)

    def holds(self, claim: Claim) -> bool:
        """Whether the database has yet to answer for it."""
        return id(claim) in self._held

    @property
    def must_return(self) -> bool:
        """A hand-back has had no answer, or every slot is taken by longer work than was measured."""
        waits_too_long = bool(self._waiting) and monotonic() - self._waiting.since > 2 * AHEAD_SECONDS
        return bool(self._returning) or (waits_too_long and self._used >= self.options.pool_size)

    def withdraw(self) -> list[Claim]:
        """What waits, and what was withdrawn before and has no answer yet. Hand it back, then call `returned`."""
        self._returning |= {id(claim): claim for claim in self._waiting.clear()}
        return list(self._returning.values())

    def returned(self, claims: Sequence[Claim], released: Iterable[int]) -> None:
        """The database has answered: of these claims it took back the ids `released`."""
        self.handed_back += sorted(released)
        for claim in claims:
            self._returning.pop(id(claim), None)
            self._held.pop(id(claim), None)

    # Running ---------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Give free slots to waiting claims, a number at a time."""
        self._starting = False
        for _ in range(STARTS_PER_TURN):
            if not self._waiting or self._used >= self.options.pool_size or self.closed:
                break
            self._begin(self._waiting.pop())
        else:
            self._start_soon()
        if self._to_arm and not self._arming:
            self._arming = True
            asyncio.get_running_loop().call_later(ARM_SECONDS / 2, self._arm)
        if not self.has_room.is_set() and self.room() > 0:
            self.has_room.set()

    def _begin(self, one: Claim | Group) -> None:
        """In one slot."""
        self._used += 1
        if not isinstance(one, Group):
            self._attempt(one).begin(self.handlers, self.isolations)
        elif len(one) == 1:
            self._attempt(one[0]).begin(self.handlers, self.isolations)
        else:
            together = [self._attempt(claim) for claim in one]
            Attempt.begin_together(together, self.handlers, self.isolations)

    def _attempt(self, claim: Claim) -> Attempt:
        self.begun += 1
        attempt = self.attempts[id(claim)] = Attempt(claim, self)
        self._to_arm.append(attempt)
        return attempt

    def _arm(self) -> None:
        """Give timers to the attempts that have not ended meanwhile."""
        self._arming = False
        begun, self._to_arm = self._to_arm, []
        for attempt in [attempt for attempt in begun if not attempt.over]:
            attempt.arm()

    def _start_soon(self) -> None:
        if not self._starting:
            self._starting = True
            asyncio.get_running_loop().call_soon(self.start)

    def look_for_hung(self) -> None:
        """Notice since when every slot is taken by an attempt that is over and whose handler goes on."""
        hung = sum(attempt.over or attempt.silent for attempt in self.attempts.values())
        self._hung_since = None if hung < self.options.pool_size else (self._hung_since or monotonic())

    def reported(self, attempt: Attempt, outcome: Outcome) -> None:
        if attempt.overdue and outcome.kind is OutcomeKind.TIMEOUT:
            outcome.min_delay = self.options.lease_seconds  # its next try must not begin beside it
            log(
                "execution.overdue",
                id=attempt.claim.id,
                handler=attempt.claim.handler_name,
                seconds=attempt.claim.timeout_seconds,
            )
        if attempt.batch is None or attempt.leads:
            mean = self.mean_seconds
            self.mean_seconds = outcome.seconds if mean is None else mean + _SMOOTHING * (outcome.seconds - mean)
        self.settler.put(attempt.claim, outcome)

    def ended(self, attempt: Attempt) -> None:
        if attempt.batch is None or attempt.batch.one_ended():
            self._used -= 1
        self.attempts.pop(id(attempt.claim), None)
        if attempt.overdue and not attempt.silent and not self.closed:
            self.ended_overdue.append(attempt.claim)
        self.changed.set()
        self._start_soon()

    def settled(self, batch: Sequence[Settled]) -> None:
        """The database has answered for these outcomes: let go of them, and count them."""
        for one in batch:
            self._held.pop(id(one.claim), None)
            if one.status is Status.SUCCESS:
                self.succeeded += 1
            elif one.outcome.kind is OutcomeKind.HANDED_BACK and one.transition.status is Status.PENDING:
                self.handed_back.append(one.claim.id)
            elif one.outcome.kind in (OutcomeKind.FAILURE, OutcomeKind.TIMEOUT, OutcomeKind.HANDED_BACK):
                self.failed += 1

    # Losing, and what is left ----------------------------------------------------------------------------------------

    def lose(self, pairs: Iterable[Pair]) -> None:
        """These rows are not ours any more: stop their attempts."""
        lost = frozenset(pairs)
        for claim in [claim for claim in self._held.values() if _pair(claim) in lost]:
            del self._held[id(claim)]
        for attempt in self.attempts_of(lost):
            if not (attempt.over or attempt.silent):
                log("execution.stale", id=attempt.claim.id, attempt=attempt.claim.attempt)
                attempt.abandon("the lease is lost")

    def lose_all(self) -> None:
        """Nothing is ours any more, except outcomes on their way: the fence decides about them."""
        for claim in [*self._waiting.clear(), *self._returning.values()]:
            self._held.pop(id(claim), None)
        self._returning.clear()
        self.lose([_pair(attempt.claim) for attempt in self.attempts.values() if not attempt.over])

    def attempts_of(self, pairs: Container[Pair]) -> list[Attempt]:
        """Those of these claims that run here."""
        return [attempt for attempt in self.attempts.values() if _pair(attempt.claim) in pairs]

    def unfinished(self) -> list[Attempt]:
        """Attempts whose outcome isn't decided yet."""
        return [attempt for attempt in list(self.attempts.values()) if not attempt.over]

    async def until_over(self, deadline: float) -> None:
        """Wait until every outcome is decided, at most until `deadline` on the monotonic clock."""
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, deadline - monotonic())):
                while self.unfinished():
                    self.changed.clear()
                    await self.changed.wait()

    def left(self) -> list[int]:
        """Ids of executions that still run or are still held."""
        return sorted({a.claim.id for a in self.attempts.values()} | {claim.id for claim in self._held.values()})


def _pair(claim: Claim) -> Pair:
    return claim.id, claim.token
