"""What due ticks do while an earlier execution of their cron job isn't final.

A decision is made when ticks are planned; that two executions never run at once is enforced by the claim, through the
concurrency key.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import assert_never

from scheduler.model import OverlapPolicy

KEY_LIMIT = 1
"""The `concurrency_limit` that goes with a cron job's key."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of the due ticks of one cron job: each is in one of the two, in order."""

    run: tuple[datetime, ...]
    """They become executions."""
    skipped: tuple[datetime, ...] = ()
    """They share one SKIPPED row, whose reason `because()` words."""
    replaces: bool = False
    """Before that: cancel the cron job's waiting executions and ask the running one to stop."""


def concurrency_key(policy: OverlapPolicy, cron_job_id: int) -> str | None:
    """The key that each execution of this cron job carries, with limit 1; None if they may run side by side."""
    return None if policy is OverlapPolicy.ALLOW else f"cron:{cron_job_id}"


def decide(policy: OverlapPolicy, ticks: tuple[datetime, ...], *, waiting: int, running: int, limit: int) -> Decision:
    """The decision for the ticks that are due at one look, oldest first.

    `waiting` and `running` count the cron job's executions that aren't final, and `limit` (its `catch_up_limit`) is how
    many may wait under `queue`. Under `replace` only the newest runs: the others would be cancelled by it at once.
    """
    match policy:
        case OverlapPolicy.ALLOW:
            return Decision(ticks)
        case OverlapPolicy.SKIP:
            room = 0 if waiting + running else 1
        case OverlapPolicy.QUEUE:
            room = max(0, limit - waiting)
        case OverlapPolicy.REPLACE:
            return Decision(ticks[-1:], ticks[:-1], replaces=bool(ticks and waiting + running))
        case _:
            assert_never(policy)
    return Decision(ticks[:room], ticks[room:])


def because(policy: OverlapPolicy, *, execution_id: int | None, waiting: int, limit: int) -> str:
    """Why ticks were skipped: the sentence for their row.

    `execution_id` is the execution in their way (under `replace`: the one that runs instead of them), None if it is not
    known; `waiting` counts those that wait once this look is done.
    """
    match policy:
        case OverlapPolicy.QUEUE:
            return f"{waiting} executions of this cron job already wait (catch_up_limit {limit})"
        case OverlapPolicy.REPLACE:
            newer = "a newer tick" if execution_id is None else f"execution {execution_id}, of a newer tick"
            return f"replaced by {newer}"
        case OverlapPolicy.SKIP | OverlapPolicy.ALLOW:
            earlier = "the tick before it" if execution_id is None else f"execution {execution_id}"
            return f"overlap with {earlier}, which has not finished"
        case _:
            assert_never(policy)
