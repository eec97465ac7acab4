"""claim: PENDING and available → RUNNING and ours, in batches, a worker's queues in rotation.

The token is made here, before the statement is sent: when the answer never comes, `recover` finds by it what was taken,
and nothing else is claimed before that is known.
"""

from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol
from uuid import UUID, uuid4

from scheduler import failpoints
from scheduler.clock import monotonic
from scheduler.model import Claim
from scheduler.store.executions import LEVELS, NO_BOUND, Executions

BOUND_SLACK_SECONDS = 5.0
"""How far below the last claimed `available_at` a claim still looks: transactions that committed late."""
FULL_LOOK_SECONDS = 3.0
"""How often a queue is looked at without the bound."""
KEYED_LOOK_SECONDS = 0.02
"""How often a busy queue is asked for keyed rows; most queues have none."""


@dataclass(slots=True)
class _Queue:
    """What is remembered about a queue between claims."""

    name: str
    bounds: list[float] = field(default_factory=NO_BOUND.copy)
    full_look_at: float = 0.0
    keyed_look_at: float = 0.0
    batch_size: int = 1
    """How many executions a slot takes, going by what was claimed last."""


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
        self.more_waits = False
        """The last claim got all that it asked for."""
        self.tokens: set[UUID] = set()
        """Tokens of claims under way or with an unknown answer."""
        self._queues = [_Queue(name) for name in queues]
        self._turn = 0

    async def claim(self, n: int) -> list[Claim]:
        """Claims for up to `n` slots from the first queue in rotation that has any; a slot takes one, or a batch.

        Raises what a broken connection raises.
        """
        if self.tokens:
            return await self.recover()
        for _ in self._queues:
            queue = self._queues[self._turn]
            self._turn = (self._turn + 1) % len(self._queues)
            wanted = n if queue.batch_size == 1 else max(n, min(n * queue.batch_size, self.batch_max))
            claims = await self._claim_from(queue, wanted)
            self.more_waits = len(claims) >= wanted
            if claims:
                if self.batch_sizes:
                    queue.batch_size = min(self.batch_sizes.get(claim.handler_name, 1) for claim in claims)
                return claims
        return []

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
        """Have the next claims look below the bounds too."""
        for queue in self._queues:
            queue.full_look_at = queue.keyed_look_at = 0.0

    async def _claim_from(self, queue: _Queue, n: int) -> list[Claim]:
        now = monotonic()
        full = now >= queue.full_look_at
        bounds = NO_BOUND if full else queue.bounds
        claims: list[Claim] = []
        if now >= queue.keyed_look_at:
            claims = await self._take(self.executions.claim_keyed, queue, n, bounds)
            queue.keyed_look_at = monotonic() + (0.0 if claims else KEYED_LOOK_SECONDS)
        if len(claims) < n:
            unkeyed = await self._take(self.executions.claim, queue, n - len(claims), bounds)
            if full:
                queue.full_look_at = monotonic() + FULL_LOOK_SECONDS
            _move_bounds(queue, unkeyed, full=full)
            claims += unkeyed
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
        self.tokens.difference_update({claim.token for claim in claims})


def _move_bounds(queue: _Queue, claims: Sequence[Claim], *, full: bool) -> None:
    """A level's next claim begins a little below the newest row taken from it: what lies before are dead entries.

    Down only after a full look: after a jump of the database's clock, for one, everything waits below the bound.
    """
    bounds = queue.bounds
    for claim in claims:
        level = LEVELS[0] - claim.priority
        bound = claim.available_at - BOUND_SLACK_SECONDS
        bounds[level] = bound if full else max(bounds[level], bound)
