"""What comes next, and who works."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from scheduler.errors import ScheduleError
from scheduler.operations.cron_jobs import next_tick
from scheduler.operations.json_values import decoded
from scheduler.rules.zones import load_zone
from scheduler.store.asking import ask, database_time
from scheduler.store.session import SyncSession

__all__ = ["UpcomingTick", "WorkerStatus", "database_time", "upcoming", "workers"]

_UNCOMPUTED = 100
"""How many rows that no planner has seen are looked at; with more of them, a sooner tick may be missed."""


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """A worker of the last five minutes. Times in UTC."""

    id: UUID
    name: str
    hostname: str
    pid: int | None
    status: str
    state: str
    """active, or inactive after 60 s without a heartbeat."""
    queues: list[str]
    pool_size: int
    running_count: int
    succeeded_count: int
    failed_count: int
    heartbeat_at: datetime
    started_at: datetime
    version: str
    loops: Any
    """Loop → its `age`, the seconds since it last succeeded, and the `limit` of that. None: it does not tell."""
    stalled: Mapping[str, float]
    """Those that were older than that at the last heartbeat, with their ages."""


@dataclass(frozen=True, slots=True)
class UpcomingTick:
    name: str
    at: datetime
    """In the zone of the cron job; in UTC where only another host knows that zone."""


def workers(session: SyncSession) -> list[WorkerStatus]:
    """Those that stopped well are left out; the oldest first."""
    rows = ask(session, "worker_statuses")
    return [WorkerStatus(**row | {name: decoded(row[name]) for name in ("loops", "stalled")}) for row in rows]


def upcoming(session: SyncSession, limit: int) -> list[UpcomingTick]:
    """The next tick of the cron jobs whose turn comes soonest, the soonest first."""
    now = database_time(session)
    rows = ask(session, "upcoming_cron_jobs", limit=limit, uncomputed_limit=_UNCOMPUTED)
    ticks = [
        UpcomingTick(row["name"], _local(tick, row["timezone"]))
        for row in rows
        if (tick := next_tick(row, now)) is not None
    ]
    return sorted(ticks, key=lambda tick: tick.at)[:limit]


def _local(tick: datetime, timezone: str) -> datetime:
    try:
        return tick.astimezone(load_zone(timezone))
    except ScheduleError:
        return tick
