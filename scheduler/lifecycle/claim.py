"""claim: PENDING and available → RUNNING and ours, in batches, a worker's queues in rotation.

The token is made here, before the statement is sent: when the answer never comes, `recover` finds by it what was taken,
and nothing else is claimed before that is known.
"""

import math
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol
from uuid import UUID, uuid4

from scheduler import failpoints
from scheduler.clock import monotonic
from scheduler.model import Claim
from scheduler.store.executions import LEVELS, NO_BOUND, Executions, LimitedQueues

BOUND_SLACK_SECONDS = 5.0
"""How far below the last claimed `available_at` a claim still looks: transactions that committed late."""
FULL_LOOK_SECONDS, LONGEST_FULL_LOOK_SECONDS = 3.0, 20.0
"""How often a queue is looked at without the bound, and how seldom while that takes long."""
FULL_LOOK_SHARE = 0.005
"""What part of the time it may take up: beside a million dead entries it takes a tenth of a second longer."""
KEYED_LOOK_SECONDS = 0.05
"""How often a queue in which keyed rows wait is asked for those whose key has become free; most queues have none."""


@dataclass(slots=True)
class _Queue:
    """What is remembered about a queue between claims."""

    name: str
    bounds: list[float] = field(default_factory=NO_BOUND.copy)
    full_look_at: float = 0.0
    keyed_look_at: float = 0.0
    keys_wait: bool = False
    """Rows with keys waited there when they were last asked for."""
    usual_seconds: float = math.inf
    """What the last claim within the bounds took; infinity: there was none."""
    batch_size: int = 1
    """How many executions a slot takes, going by what was claimed last."""

    def looked(self, began: float, *, full: bool) -> None:
        """A claim that began then has its answer."""
        now = monotonic()
        if not full:
            self.usual_seconds = now - began
            return
        longer = max(0.0, now - began - self.usual_seconds)
        seldom = min(longer / FULL_LOOK_SHARE, LONGEST_FULL_LOOK_SECONDS)
        self.full_look_at = now + max(FULL_LOOK_SECONDS, seldom)


class _Statement(Protocol):
    def __call__(
        self, worker: UUID, token: UUID, queue: str, n: int, *, bounds: Sequence[float], policies: str
    ) -> Awaitable[list[Claim]]: ...


class Claimer:
    """Claims for one worker incarnation."""

    def __init__(
        self,
        executions: Executions,
        worker: UUID,
        queues: Sequence[str],
        policies: str,
        *,
        batch_sizes: Mapping[str, int] | None = None,
        batch_max: int = 500,
    ) -> None:
        """`policies` is JSON: handler name → the retry and timeout values it declares.

        `batch_sizes` are those of the batch handlers; `batch_max` is how many rows are claimed for them at once.
        """
        self.executions, self.worker, self.policies = executions, worker, policies
        self.batch_sizes, self.batch_max = batch_sizes or {}, batch_max
        self.limited: LimitedQueues | None = None
        """The queues with limits; None: ask before the next claim."""
        self.more_waits = False
        """The last claim got all that it asked for."""
        self.tokens: set[UUID] = set()
        """Tokens of claims under way or with an unknown answer."""
        self.claimed_from: str | None = None
        """The queue that the last claims came from; None: there were none, or it isn't known."""
        self._queues = [_Queue(name) for name in queues]
        self._turn = 0

    async def claim(self, n: int, *, at_once: int | None = None) -> list[Claim]:
        """Claims for up to `n` slots from the first queue in rotation that has any; a slot takes one, or a batch.

        Of a queue with limits for no more than `at_once`, which can begin at once: what waited here would take others'
        places, and begin when its turn in the rate is over. Raises what a broken connection raises.
        """
        self.claimed_from = None
        if self.tokens:
            return await self.recover()
        if self.limited is None:
            await self.read_limits()
        for _ in self._queues:
            queue = self._queues[self._turn]
            self._turn = (self._turn + 1) % len(self._queues)
            wanted = self._rows(queue, n)
            claims = await self._claim_from(queue, wanted, wanted if at_once is None else self._rows(queue, at_once))
            self.more_waits = len(claims) >= wanted
            if claims:
                self.claimed_from = queue.name
                if self.batch_sizes:
                    queue.batch_size = min(self.batch_sizes.get(claim.handler_name, 1) for claim in claims)
                return claims
        return []

    async def read_limits(self) -> None:
        """Which queues have limits by now."""
        self.limited = await self.executions.limited_queues([queue.name for queue in self._queues])

    async def held_up(self) -> float | None:
        """Seconds until a limit lets go of something that waits; None: nothing waits for a limit."""
        limited = self.limited.claim if self.limited is not None else ()
        return await self.executions.held_up(limited) if limited else None

    @property
    def limits_claims(self) -> bool:
        """Whether some queue, as far as is known, holds up claims."""
        return self.limited is not None and bool(self.limited.claim)

    async def recover(self) -> list[Claim]:
        """What claims with an unknown answer took."""
        claims = await self.executions.find_claimed(self.worker, list(self.tokens))
        self.tokens.clear()
        return claims

    def look_at_keys(self) -> None:
        """Have the next claims ask for keyed rows at once: a key has become free, or somebody woke us."""
        for queue in self._queues:
            queue.keyed_look_at = 0.0

    def look_everywhere(self) -> None:
        """Have the next claims look below the bounds too, and at the limits anew."""
        self.limited = None
        for queue in self._queues:
            queue.full_look_at = queue.keyed_look_at = 0.0

    def _rows(self, queue: _Queue, slots: int) -> int:
        """How many rows of this queue so many slots take, as far as its last claims tell."""
        return slots if queue.batch_size == 1 else max(slots, min(slots * queue.batch_size, self.batch_max))

    async def _claim_from(self, queue: _Queue, n: int, at_once: int) -> list[Claim]:
        if self.limited is not None and queue.name in self.limited.claim:
            return await self._claim_limited(queue, min(n, at_once)) if at_once > 0 else []
        if not queue.keys_wait:
            full_look_at = queue.full_look_at
            claims = await self._claim_unkeyed(queue, n, no_keys=True)
            if claims or not await self.executions.any_keyed(queue.name):
                return claims
            queue.keys_wait, queue.keyed_look_at, queue.full_look_at = True, 0.0, full_look_at
        claims = await self._claim_keyed(queue, n) if monotonic() >= queue.keyed_look_at else []
        if len(claims) < n:
            claims += await self._claim_unkeyed(queue, n - len(claims))
        return claims

    async def _claim_keyed(self, queue: _Queue, n: int) -> list[Claim]:
        bounds = NO_BOUND if monotonic() >= queue.full_look_at else queue.bounds
        claims = await self._take(self.executions.claim_keyed, queue, n, bounds)
        queue.keyed_look_at = monotonic() + (0.0 if claims else KEYED_LOOK_SECONDS)
        queue.keys_wait = bool(claims) or await self.executions.any_keyed(queue.name)
        return claims

    async def _claim_unkeyed(self, queue: _Queue, n: int, *, no_keys: bool = False) -> list[Claim]:
        began = monotonic()
        full = began >= queue.full_look_at
        statement = partial(self.executions.claim, no_keys=no_keys)
        claims = await self._take(statement, queue, n, NO_BOUND if full else queue.bounds)
        queue.looked(began, full=full)
        _move_bounds(queue, claims, full=full)
        return claims

    async def _claim_limited(self, queue: _Queue, n: int) -> list[Claim]:
        began = monotonic()
        full = began >= queue.full_look_at
        claims = await self._take(self.executions.claim_limited, queue, n, NO_BOUND if full else queue.bounds)
        queue.looked(began, full=full)
        _move_bounds(queue, [claim for claim in claims if claim.concurrency_key is None], full=full)
        return claims

    async def _take(self, statement: _Statement, queue: _Queue, n: int, bounds: Sequence[float]) -> list[Claim]:
        token = uuid4()
        self.tokens.add(token)
        claims = await statement(self.worker, token, queue.name, n, bounds=bounds, policies=self.policies)
        if failpoints.armed:
            failpoints.hit("after_claim_commit")
        if not claims:
            self.tokens.discard(token)
        return claims

    def taken(self, claims: Sequence[Claim]) -> None:
        """These claims are in the worker's memory now; the heartbeat may hold it against the database."""
        self.tokens.difference_update({id(claim.token): claim.token for claim in claims}.values())


def _move_bounds(queue: _Queue, claims: Sequence[Claim], *, full: bool) -> None:
    """A level's next claim begins a little below the newest row taken from it: what lies before are dead entries.

    Down only after a full look: after a jump of the database's clock, for one, everything waits below the bound.
    """
    bounds = queue.bounds
    for claim in claims:
        level = LEVELS[0] - claim.priority
        bound = claim.available_at - BOUND_SLACK_SECONDS
        bounds[level] = bound if full else max(bounds[level], bound)
