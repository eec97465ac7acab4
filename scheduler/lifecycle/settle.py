"""settle: outcome → decision (rules/outcome.py) → one fenced UPDATE, batched with others.

A flush takes what has come in while the last one was under way, so batches grow with the load by themselves; under load
it gathers a few milliseconds longer, and a lone outcome waits for nothing. Outcomes are kept until the database has
answered for them: after a lost connection the same flush is sent again, and what the first one wrote is recognised by
its token.
"""

import asyncio
import json
import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TypeVar
from uuid import UUID

from scheduler import failpoints
from scheduler.handlers.results import REFUSED
from scheduler.model import FINAL, Claim, Outcome, OutcomeKind, Status, Transition
from scheduler.rules.outcome import decide
from scheduler.store.executions import Executions, Pair, Settlement, Success
from scheduler.store.session import RowRefused

MAX_BATCH = 1000
BUSY, ENOUGH, GATHER_SECONDS = 100, 500, 0.01
"""After a flush of `BUSY` outcomes the next one waits for `ENOUGH`, but no longer than this."""
_UNSTORABLE_ERROR = "The error could not be stored: the database refused its text."

Item = TypeVar("Item", Success, Settlement)
Answer = Status | Exception | None
"""A row's status now, or None if it was no longer ours, or why the database refused what was to be written."""


@dataclass(slots=True, eq=False)
class Settled:
    """What the database answered for one outcome."""

    claim: Claim
    outcome: Outcome
    transition: Transition
    status: Status | None = None
    """The row's status now; None when the write was refused: the row was no longer ours."""


class Settler:
    """Collects outcomes and writes them. `on_settled` hears of every one once the database has answered."""

    def __init__(self, executions: Executions, on_settled: Callable[[Sequence[Settled]], None]) -> None:
        self.executions, self.on_settled = executions, on_settled
        self._waiting: list[Settled] = []
        self._wanted = asyncio.Event()
        self._enough = asyncio.Event()
        self._flushed = 0
        """How many the last flush was for."""
        self._idle = asyncio.Event()
        self._idle.set()

    def put(self, claim: Claim, outcome: Outcome) -> None:
        """Have it written with the next flush, unless it is recorded already."""
        transition = decide(claim, outcome, chance=random.random())
        if outcome.settled:
            self.on_settled([Settled(claim, outcome, transition, Status.SUCCESS)])
            return
        self._waiting.append(Settled(claim, outcome, transition))
        waiting = len(self._waiting)
        if waiting == 1:
            self._wanted.set()
            self._idle.clear()
        elif waiting == ENOUGH:
            self._enough.set()

    def __len__(self) -> int:
        """How many outcomes wait for the database."""
        return len(self._waiting)

    def decided(self) -> frozenset[Pair]:
        """The claims with an outcome that waits for the database, but those handed back. May be asked in any thread."""
        waiting = list(self._waiting)
        return frozenset(_pair(s) for s in waiting if not _handed_back(s))

    def unwritten(self) -> tuple[list[Success], list[Settlement]]:
        """What waits, as it is to be written; for whoever ends this process in place of its loop. In any thread."""
        successes, others = _by_outcome(list(self._waiting))
        return list(map(_success, successes)), list(map(_other, others))

    async def wanted(self) -> None:
        """Wait until there is something to flush, and while much comes in, until it is worth a statement."""
        await self._wanted.wait()
        if self._flushed >= BUSY and len(self._waiting) < ENOUGH:
            self._enough.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(GATHER_SECONDS):
                    await self._enough.wait()

    async def drained(self) -> None:
        """Wait until everything put so far is written."""
        await self._idle.wait()

    async def flush(self) -> None:
        """Write what waits, once. Raises what the database raises; nothing is lost, so call it again."""
        batch = self._waiting[:MAX_BATCH]
        if failpoints.armed:
            failpoints.hit("before_settle")
        self._flushed = len(batch)
        refused = await self._write_all(batch)
        self._waiting[: len(batch)] = refused
        if not self._waiting:
            self._wanted.clear()
            self._idle.set()
        if answered := [settled for settled in batch if settled not in refused] if refused else batch:
            self.on_settled(answered)
        for error in refused.values():
            raise error

    async def _write_all(self, batch: Sequence[Settled]) -> dict[Settled, Exception]:
        """Say of each what became of it; those that can't be written in any form, and why."""
        successes, others = _by_outcome(batch)
        answers = await _write(self.executions.settle_successes, list(map(_success, successes)), _storable_success)
        answers += await _write(self.executions.settle_others, list(map(_other, others)), _storable_settlement)
        unsure, refused = list[Settled](), dict[Settled, Exception]()
        for settled, answer in zip(successes + others, answers, strict=True):
            if isinstance(answer, Exception):
                refused[settled] = answer
            elif answer is None:
                unsure.append(settled)
            else:
                settled.status = answer
        if unsure:
            rows = await self.executions.read([settled.claim.id for settled in unsure])
            for settled in unsure:
                settled.status = _recognised(settled, rows.get(settled.claim.id))
        return refused


def _handed_back(settled: Settled) -> bool:
    return settled.outcome.kind is OutcomeKind.HANDED_BACK and settled.transition.status is Status.PENDING


def _pair(settled: Settled) -> Pair:
    return settled.claim.id, settled.claim.token


def _by_outcome(batch: Sequence[Settled]) -> tuple[list[Settled], list[Settled]]:
    """The successes, and the others."""
    return (
        [settled for settled in batch if settled.transition.status is Status.SUCCESS],
        [settled for settled in batch if settled.transition.status is not Status.SUCCESS],
    )


def _success(settled: Settled) -> Success:
    claim, outcome = settled.claim, settled.outcome
    return Success(claim.id, claim.token, outcome.seconds, outcome.result)


def _other(settled: Settled) -> Settlement:
    return settlement(settled.claim, settled.outcome, settled.transition)


def settlement(claim: Claim, outcome: Outcome, transition: Transition) -> Settlement:
    """What is written about an attempt that did not succeed."""
    return Settlement(
        claim.id,
        claim.token,
        transition.status,
        transition.retry_count,
        transition.delay,
        transition.suspect,
        outcome.seconds,
        transition.error,
        _entry(outcome) if transition.records_error else None,
    )


def _entry(outcome: Outcome) -> str:
    """This attempt's part of `errors`; attempt, time and worker are added by the statement."""
    entry = {"outcome": outcome.kind.value, "error": outcome.error, "seconds": round(outcome.seconds, 6)}
    if outcome.traceback:
        entry["traceback"] = outcome.traceback
    return json.dumps(entry)


def _recognised(settled: Settled, row: tuple[Status, UUID | None, int] | None) -> Status | None:
    """The status if the row shows that an earlier send of this very flush wrote it; None if it is not ours any more.

    SUCCESS under our token is ours whatever was to be written: the handler's transaction carried it, and whoever waited
    for that heard of a timeout, or of a lost connection, before.
    """
    if row is None:
        return None
    status, token, attempt = row
    ours = token == settled.claim.token if status in FINAL else attempt == settled.claim.attempt
    return status if ours and status in (settled.transition.status, Status.CANCELLED, Status.SUCCESS) else None


async def _write(
    write: Callable[[Sequence[Item]], Awaitable[list[Status | None]]],
    batch: Sequence[Item],
    poorer: Callable[[Item], Item],
) -> list[Answer]:
    """Write a batch; if the database refuses what is in it, find the row that is to blame and store that one poorer.

    Even so a row may be refused, by a trigger of the user's for one: that is its answer, and holds up no other.
    """
    if not batch:
        return []
    try:
        return [*await write(batch)]
    except RowRefused:
        if len(batch) == 1:
            return [await _write_poorer(write, poorer(batch[0]))]
    middle: int = len(batch) // 2
    return [*await _write(write, batch[:middle], poorer), *await _write(write, batch[middle:], poorer)]


async def _write_poorer(write: Callable[[Sequence[Item]], Awaitable[list[Status | None]]], item: Item) -> Answer:
    try:
        return (await write([item]))[0]
    except RowRefused as error:
        return error


def _storable_success(success: Success) -> Success:
    return success._replace(result=REFUSED)


def _storable_settlement(settlement: Settlement) -> Settlement:
    entry = json.dumps({"outcome": "failure", "error": _UNSTORABLE_ERROR}) if settlement.entry else None
    return replace(settlement, error=_UNSTORABLE_ERROR, entry=entry)
