"""What a due tick does while an earlier execution of its cron job isn't final.

A decision is made when the tick is planned; that two executions never run at once is enforced by the claim, through
the concurrency key.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import assert_never

from scheduler.model import OverlapPolicy

KEY_LIMIT = 1
"""The `concurrency_limit` that goes with a cron job's key."""


@dataclass(frozen=True, slots=True)
class Decision:
    """About one tick: it becomes an execution, or a SKIPPED row with the reason."""

    skipped_because: str | None = None
    """The reason for a SKIPPED row; None means: insert an execution."""
    replaces: bool = False
    """Before that: cancel the cron job's waiting executions and ask the running one to stop."""

    @property
    def inserts(self) -> bool:
        return self.skipped_because is None


INSERT = Decision()


def concurrency_key(policy: OverlapPolicy, cron_job_id: int) -> str | None:
    """The key that each execution of this cron job carries, with limit 1; None if they may run side by side."""
    return None if policy is OverlapPolicy.ALLOW else f"cron:{cron_job_id}"


def decide(
    policy: OverlapPolicy, *, unfinished: int, waiting: int, limit: int, blocking_id: int | None = None
) -> Decision:
    """The decision for one tick.

    `unfinished` counts the cron job's executions that aren't final, `waiting` those of them that are PENDING, and
    `limit` (its `catch_up_limit`) is how many may wait under `queue`. `blocking_id` is an unfinished one, for the
    reason; None if it has no id yet, being a tick of the same look.
    """
    if unfinished == 0:
        return INSERT
    match policy:
        case OverlapPolicy.ALLOW:
            return INSERT
        case OverlapPolicy.SKIP:
            blocking = "the tick before it" if blocking_id is None else f"execution {blocking_id}"
            return Decision(skipped_because=f"overlap with {blocking}, which has not finished")
        case OverlapPolicy.QUEUE:
            if waiting < limit:
                return INSERT
            return Decision(skipped_because=f"{waiting} executions of this cron job already wait (limit {limit})")
        case OverlapPolicy.REPLACE:
            return Decision(replaces=True)
        case _:
            assert_never(policy)


def decide_all(
    policy: OverlapPolicy,
    ticks: Sequence[datetime],
    *,
    unfinished: int,
    waiting: int,
    limit: int,
    blocking_id: int | None = None,
) -> list[Decision]:
    """The decisions for all ticks of one cron job that are due at one look, in order; each sees those before it.

    Under `replace` only the newest is inserted: the others would be cancelled by it at once.
    """
    if policy is OverlapPolicy.REPLACE and ticks:
        replaced = Decision(skipped_because=f"replaced by the tick of {ticks[-1].isoformat()}")
        newest = decide(policy, unfinished=unfinished, waiting=waiting, limit=limit, blocking_id=blocking_id)
        return [*(replaced for _ in ticks[:-1]), newest]
    decisions: list[Decision] = []
    for _ in ticks:
        decision = decide(policy, unfinished=unfinished, waiting=waiting, limit=limit, blocking_id=blocking_id)
        decisions.append(decision)
        if decision.inserts:
            unfinished, waiting = unfinished + 1, waiting + 1
    return decisions
