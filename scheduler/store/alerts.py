"""Alerts as rows: what is wrong now, what was told of it, and what is over."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from scheduler.store.session import Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRules:
    """What counts as wrong. None or False: nobody asks."""

    dead_letter_seconds: float | None = 3600.0
    """A handler has dead letters that are younger."""
    failing_cron_job_times: int | None = 3
    """A cron job failed so often in a row, and is not paused."""
    late_cron_job: bool = True
    """It is in the view cron_job_late."""
    slow_cron_job: bool = True
    """It is in the view cron_job_slow."""
    backlog: int | None = 10_000
    """So many executions of a queue could be claimed."""
    stuck_loop: bool = True
    """A loop of a worker has not succeeded for too long."""
    in_doubt_seconds: float | None = 300.0
    """A transaction over several databases has been undecided, or undelivered, for so long."""


class Cause(NamedTuple):
    """Something that is wrong now."""

    rule: str
    subject: str
    number: float
    detail: str | None


class Alert(NamedTuple):
    """A row of job_alerts."""

    id: int
    rule: str
    subject: str
    message: str
    number: float
    opened_at: float
    """Unix seconds."""


async def take_turn(transaction: Transaction) -> bool:
    """Whether nobody else watches, until the end of the transaction."""
    return bool((await transaction.run("alert_turn", {}))[0][0])


async def causes(transaction: Transaction, rules: AlertRules) -> list[Cause]:
    values = {name: getattr(rules, name) for name in AlertRules.__dataclass_fields__}
    return [Cause(*row) for row in await transaction.run("alert_causes", values)]


async def keep(transaction: Transaction, found: Iterable[tuple[Cause, str]]) -> tuple[list[Alert], list[int]]:
    """Note that these are wrong, each with its sentence. Those that weren't before, and the ids of all of them."""
    rows = [
        {"rule": cause.rule, "subject": cause.subject, "message": message, "number": cause.number}
        for cause, message in found
    ]
    kept = await transaction.run("keep_alerts", {"causes": json.dumps(rows)})
    return [Alert(*row) for *row, opened in kept if opened], [row[0] for row in kept]


async def close(transaction: Transaction, *, seen: Sequence[int], quiet_seconds: float) -> list[Alert]:
    """All but these, which were seen now, and those that were not long enough ago: they are over."""
    values = {"seen": list(seen), "quiet_seconds": quiet_seconds}
    return [Alert(*row) for row in await transaction.run("close_alerts", values)]


async def forget(transaction: Transaction, *, days: float) -> None:
    """Delete what has been over for so long."""
    await transaction.run("forget_alerts", {"days": days})


async def tell(transaction: Transaction, queue: str, telling: Sequence[dict[str, Any]]) -> None:
    """Enqueue an execution of `scheduler.alert` with each of these params."""
    if telling:
        await transaction.run("tell_alerts", {"queue": queue, "telling": json.dumps(telling)})
