"""Queues and workers: how they do; pause, resume and limit a queue."""

from typing import Annotated, Any

from fastapi import APIRouter, Path
from pydantic import BaseModel, Field

from scheduler.errors import NotFoundError, did_you_mean
from scheduler.operations import overview, queues
from scheduler.operations.overview import UpcomingTick, WorkerStatus
from scheduler.operations.queues import Limits, QueueStatus
from scheduler.store.session import SyncSession
from scheduler.web.caller import Admin, Operator, Viewer
from scheduler.web.pages import Cursor, Limit, Page, clamped, cursor_of, place_of
from scheduler.web.shapes import Given, Moment

router = APIRouter()

QueueName = Annotated[str, Path(min_length=1, max_length=200)]
_Bound = Annotated[int, Field(ge=1, le=2**31 - 1)]


class Pause(Given):
    reason: Annotated[str, Field(max_length=1_000)] | None = None
    """For people."""
    resume_at: Moment | None = None
    """When it ends by itself; null: when somebody resumes it."""


class NewLimits(Given):
    """Limits to set; null lifts one, and what is left out stays."""

    max_running: _Bound | None = None
    key_limit: _Bound | None = None
    rate_limit: _Bound | None = None
    rate_period_seconds: Annotated[float, Field(gt=0, le=31_622_400)] | None = None
    max_pending: _Bound | None = None
    pause_after_failures: _Bound | None = None
    pause_seconds: Annotated[float, Field(gt=0, le=31_622_400)] | None = None


class QueuePage(BaseModel):
    queue: QueueStatus
    limits: Limits


@router.get("/queues", tags=["queues"])
async def list_queues(caller: Viewer, limit: Limit = 50, cursor: Cursor = None) -> Page[QueueStatus]:
    """Every queue that anything names, by name."""
    after, size = place_of(cursor), clamped(limit)
    found = [each for each in await caller.do(queues.statuses) if after is None or each.name > after]
    return Page(items=found[:size], next=cursor_of(found[size - 1].name) if len(found) > size else None)


@router.get("/queues/{name:path}/limits", tags=["queues"])
async def show_limits(caller: Viewer, name: QueueName) -> Limits:
    """Those of any queue, also of one that nothing names."""
    return await caller.do(queues.limits_of, name)


@router.patch("/queues/{name:path}/limits", tags=["queues"])
async def limit_queue(caller: Admin, name: QueueName, body: NewLimits) -> Limits:
    """They hold from the next claim on; what runs goes on."""
    changes: dict[str, Any] = {limit: getattr(body, limit) for limit in body.model_fields_set}
    return await caller.do(queues.limit, name, changes)


@router.post("/queues/{name:path}/pause", tags=["queues"])
async def pause_queue(caller: Operator, name: QueueName, body: Pause | None = None) -> QueuePage:
    """Nothing more is claimed from it; what runs goes on."""
    wanted = body or Pause()
    await caller.do(queues.pause, name, reason=wanted.reason, resume_at=wanted.resume_at)
    return await caller.do(_page, name)


@router.post("/queues/{name:path}/resume", tags=["queues"])
async def resume_queue(caller: Operator, name: QueueName) -> QueuePage:
    """Claim from it again; harmless where it isn't paused."""
    await caller.do(queues.resume, name)
    return await caller.do(_page, name)


@router.get("/queues/{name:path}", tags=["queues"])
async def show_queue(caller: Viewer, name: QueueName) -> QueuePage:
    """A queue at a glance."""
    return await caller.do(_page, name)


@router.get("/workers", tags=["workers"])
async def list_workers(caller: Viewer) -> list[WorkerStatus]:
    """Those of the last five minutes, the oldest first, with the age of each of their loops."""
    return await caller.do(overview.workers)


@router.get("/upcoming", tags=["cron jobs"])
async def list_upcoming(caller: Viewer, limit: Limit = 10) -> list[UpcomingTick]:
    """The next tick of the cron jobs whose turn comes soonest."""
    return await caller.do(overview.upcoming, clamped(limit))


def _page(session: SyncSession, name: str) -> QueuePage:
    found = {each.name: each for each in queues.statuses(session)}
    if name not in found:
        raise NotFoundError(
            f"No worker, cron job or recent execution names a queue {name!r}.{did_you_mean(name, found)} "
            "GET /api/v1/queues lists all of them."
        )
    return QueuePage(queue=found[name], limits=queues.limits_of(session, name))
