"""Statements on job_executions that the line uses: claim, settle, release, rescue."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, NamedTuple
from uuid import UUID

from scheduler.model import Claim, Status
from scheduler.store.arrays import float8s, int8s
from scheduler.store.session import Session

LEVELS = list(range(9, -10, -1))
"""The 19 priorities, highest first."""
NO_BOUND = [float("-inf")] * len(LEVELS)

_BY_AGE, _BY_PRIORITY = attrgetter("available_at", "id"), attrgetter("priority")

Pair = tuple[int, UUID]
"""The id and the token of one claim: the fence."""


class Success(NamedTuple):
    """What settle_success writes about one claim. A tuple, for the reason that Claim is one."""

    id: int
    token: UUID
    seconds: float
    result: str | None


@dataclass(frozen=True, slots=True)
class Settlement:
    """What settle_other writes about one claim. `seconds` None leaves started_at alone; `entry` is JSON for errors."""

    id: int
    token: UUID
    status: Status
    retry_count: int
    delay: float
    suspect: bool
    seconds: float | None
    error: str | None
    entry: str | None


@dataclass(frozen=True, slots=True)
class LimitedQueues:
    claim: frozenset[str]
    """Only `claim_limited` takes from these."""
    pause_after: Mapping[str, int]
    """These pause themselves after so many failures in a row."""


class Executions:
    def __init__(self, session: Session) -> None:
        self.session = session

    async def claim(
        self,
        worker: UUID,
        token: UUID,
        queue: str,
        n: int,
        *,
        bounds: Sequence[float],
        policies: str,
        no_keys: bool = False,
    ) -> list[Claim]:
        """Up to `n` rows of `queue` without a concurrency key. `bounds`: Unix seconds per level, highest first.

        `no_keys`: none if a row with a key waits there.
        """
        rows = await self.session.run(
            "claim",
            {
                "worker": worker,
                "token": token,
                "queue": queue,
                "n": n,
                "levels": LEVELS,
                "bounds": list(bounds),
                "policies": policies,
                "no_keys": no_keys,
            },
            binary=True,
        )
        return _claims(rows, token)

    async def claim_keyed(
        self, worker: UUID, token: UUID, queue: str, n: int, *, bounds: Sequence[float], policies: str
    ) -> list[Claim]:
        """Up to `n` rows of `queue` with a concurrency key, never more of a key at once than its limit."""
        async with self.session.transaction() as transaction:
            look = {"queue": queue, "n": n, "levels": LEVELS, "bounds": list(bounds)}
            locked = await transaction.run("lock_keyed", look) or await transaction.run("lock_keyed_behind", look)
            if not locked:
                return []
            rows = await transaction.run(
                "claim_keyed",
                {
                    "worker": worker,
                    "token": token,
                    "queue": queue,
                    "policies": policies,
                    "ids": [row[0] for row in locked],
                    "keys": [row[1] for row in locked],
                    "limits": [row[2] for row in locked],
                },
            )
        return _claims(rows, token)

    async def any_keyed(self, queue: str) -> bool:
        """Whether a row with a concurrency key waits in `queue`."""
        return bool(await self.session.run("any_keyed", {"queue": queue}))

    async def claim_limited(
        self, worker: UUID, token: UUID, queue: str, n: int, *, bounds: Sequence[float], policies: str
    ) -> list[Claim]:
        """Up to `n` rows of `queue`, with and without a key, never more than its limits allow.

        Nothing, too, while somebody else claims from it at this moment.
        """
        values = {"worker": worker, "token": token, "queue": queue, "n": n, "bounds": list(bounds)}
        return _claims(await self.session.run("claim_limited", values | {"policies": policies}), token)

    async def limited_queues(self, queues: Sequence[str]) -> LimitedQueues:
        """Those of them with limits."""
        rows = await self.session.run("limited_queues", {"queues": list(queues)})
        return LimitedQueues(
            frozenset(name for name, limited, _ in rows if limited),
            {name: failures for name, _, failures in rows if failures is not None},
        )

    async def pause_failing(self, queue: str, failures: int, worker: UUID) -> tuple[float | None] | None:
        """Have a queue pause itself; for how many seconds (None: until it is resumed). None if it did not."""
        rows = await self.session.run("pause_failing", {"queue": queue, "failures": failures, "worker": worker})
        return (rows[0][0],) if rows else None

    async def held_up(self, queues: Iterable[str]) -> float | None:
        """Seconds until one of these queues may be claimed from again; None if nothing waits there for its limits.

        Infinity: when something has ended.
        """
        return _seconds(await self.session.run("held_up", {"queues": list(queues), "levels": LEVELS}))

    async def find_claimed(self, worker: UUID, tokens: Sequence[UUID]) -> list[Claim]:
        """What claims with an unknown answer took."""
        rows = await self.session.run("find_claimed", {"worker": worker, "tokens": list(tokens)})
        return _in_order(list(map(Claim._make, rows)))

    async def next_available(self, queues: Sequence[str], *, since: float = 0.0) -> float | None:
        """Seconds until the next row of these queues becomes available; not above 0 if one did in the last `since`."""
        rows = await self.session.run("next_available", {"queues": list(queues), "levels": LEVELS, "since": since})
        return _seconds(rows)

    async def settle_successes(self, batch: Sequence[Success]) -> list[Status | None]:
        """The status that each row of the batch has now; None: it was not ours any more, and nothing was written."""
        rows = await self.session.run("settle_success", success_values(batch))
        if len(rows) == len(batch):
            return [Status.SUCCESS] * len(batch)
        places = {row[0] for row in rows}
        return [Status.SUCCESS if place in places else None for place in range(1, len(batch) + 1)]

    async def settle_others(self, batch: Sequence[Settlement]) -> list[Status | None]:
        """The same for every outcome but success."""
        rows = await self.session.run("settle_other", settle_values(batch))
        statuses = {row[0]: Status(row[1]) for row in rows}
        return [statuses.get(place) for place in range(1, len(batch) + 1)]

    async def read(self, ids: Sequence[int]) -> Mapping[int, tuple[Status, UUID | None, int]]:
        """(status, token, attempt) by id."""
        return {
            row[0]: (Status(row[1]), row[2], row[3])
            for row in await self.session.run("read_claims", {"ids": list(ids)})
        }

    async def release(self, claims: Sequence[Claim]) -> set[int]:
        """Hand back claims that were not begun; the ids that were ours."""
        rows = await self.session.run("release", release_values([(c.id, c.token) for c in claims]))
        return {row[0] for row in rows}

    async def hold_back(self, attempts: Sequence[tuple[int, int, float]]) -> None:
        """(id, attempt, seconds): keep the next try of attempts that still run from beginning."""
        ids, numbers, delays = zip(*attempts, strict=True)
        await self.session.run("hold_back", {"ids": list(ids), "attempts": list(numbers), "delays": list(delays)})

    async def let_go(self, id: int, attempt: int, delay: float) -> None:  # noqa: A002 - the column's name
        """The held attempt ended: its next try may begin in `delay` seconds."""
        await self.session.run("let_go", {"id": id, "attempt": attempt, "delay": delay})

    async def cancels_asked(self, worker: UUID) -> list[tuple[int, UUID, str]]:
        """(id, token, reason) of running rows that somebody asked to stop."""
        return [(row[0], row[1], row[2]) for row in await self.session.run("cancels_asked", {"worker": worker})]

    async def write_progress(self, reports: Sequence[tuple[int, UUID, float, str]]) -> None:
        """(id, token, progress 0..1, message)."""
        ids, tokens, progresses, texts = zip(*reports, strict=True)
        await self.session.run(
            "write_progress",
            {"ids": list(ids), "tokens": list(tokens), "progresses": list(progresses), "messages": list(texts)},
        )

    async def rescue(self, n: int) -> list[tuple[int, Status]]:
        """Return up to `n` rows of workers that are gone; (id, status now)."""
        return [(row[0], Status(row[1])) for row in await self.session.run("rescue", {"n": n})]


def success_values(batch: Sequence[Success]) -> dict[str, Any]:
    """What one claim took shares one token: each is sent once, and of each row the place of its token among them."""
    ids, tokens, seconds, results = zip(*batch, strict=True)
    distinct = {id(token): token for token in tokens}
    places = {key: place for place, key in enumerate(distinct, 1)}
    return {
        "ids": int8s(ids),
        "claims": int8s([places[id(token)] for token in tokens]),
        "tokens": list(distinct.values()),
        "seconds": float8s(seconds),
        "results": None if results.count(None) == len(results) else list(results),
    }


def settle_values(batch: Sequence[Settlement]) -> dict[str, Any]:
    return {
        "ids": [s.id for s in batch],
        "tokens": [s.token for s in batch],
        "statuses": [s.status.value for s in batch],
        "retry_counts": [s.retry_count for s in batch],
        "delays": [s.delay for s in batch],
        "suspects": [s.suspect for s in batch],
        "seconds": [s.seconds for s in batch],
        "errors": [s.error for s in batch],
        "entries": [s.entry for s in batch],
    }


def release_values(pairs: Sequence[tuple[int, UUID]]) -> dict[str, Any]:
    return {"ids": [id_ for id_, _ in pairs], "tokens": [token for _, token in pairs]}


def _claims(rows: Sequence[tuple[Any, ...]], token: UUID) -> list[Claim]:
    """What one claim took: the rows lack its token, which is known here and need not be read once for each."""
    return _in_order([Claim._make((*row, token)) for row in rows])


def _in_order(claims: list[Claim]) -> list[Claim]:
    """In the order of the queue; UPDATE … RETURNING gives none."""
    claims.sort(key=_BY_AGE)
    claims.sort(key=_BY_PRIORITY, reverse=True)
    return claims


def _seconds(rows: Sequence[tuple[Any, ...]]) -> float | None:
    return None if not rows or rows[0][0] is None else float(rows[0][0])
