"""The pages of probers, and who did what."""

from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from scheduler.errors import SchedulerError
from scheduler.metrics import CONTENT_TYPE
from scheduler.operations import audit, health
from scheduler.operations.audit import AuditEntry
from scheduler.operations.health import LineHealth
from scheduler.operations.metrics import database_metrics, measured
from scheduler.operations.overview import database_time
from scheduler.web.caller import Admin, Surroundings, Viewer
from scheduler.web.pages import Cursor, Limit, Page, clamped, cursor_of, id_of
from scheduler.web.problems import Problem

router = APIRouter()
probes = APIRouter(tags=["health"])
metrics = APIRouter(tags=["health"])

_UNAVAILABLE = 503
_PAGE: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/plain": {"schema": {"type": "string"}}}, "description": "Prometheus' text format."}
}


class Sign(BaseModel):
    ok: bool
    why: str | None = None


class Health(BaseModel):
    healthy: bool
    database: bool
    """Whether the job database answers."""
    stalled: list[str]
    """Loops of workers that have not succeeded for too long."""
    workers: int
    tick_lag_seconds: float | None
    """How long the oldest tick has been due that isn't planned; null: none is."""
    in_doubt: int
    """Transactions over several databases whose end is not carried out."""
    in_doubt_seconds: float | None


@router.get("/audit", tags=["audit"])
async def list_audit(caller: Admin, limit: Limit = 50, cursor: Cursor = None) -> Page[AuditEntry]:
    """Who did what, by SQL, by commands and over HTTP; the newest first."""
    size = clamped(limit)
    found = await caller.do(audit.entries, limit=size + 1, before=id_of(cursor))
    items = found[:size]
    return Page(items=items, next=cursor_of(items[-1].id) if len(found) > size else None)


@router.get("/status", tags=["health"])
async def show_status(caller: Admin) -> LineHealth:
    """What /health says, and why."""
    return await caller.do(health.examine)


@metrics.get("/metrics", response_class=Response, responses=_PAGE)
async def show_metrics(caller: Viewer) -> Response:
    """What Prometheus reads: those of the database; of processes, each `scheduler run` tells at its health_port."""
    found = await caller.around.measured.get(lambda: caller.do(measured))
    return Response(database_metrics(found.value, found.age), media_type=CONTENT_TYPE)


@probes.get("/live")
async def live() -> Sign:
    """200 as long as this server answers at all: for who would restart it."""
    return Sign(ok=True)


@probes.get("/ready", responses={_UNAVAILABLE: {"model": Sign, "description": "Send requests elsewhere."}})
async def ready(request: Request, response: Response) -> Sign:
    """200 while the job database answers: for who sends requests to it."""
    around: Surroundings = request.app.state.around
    try:
        await around.desk.do(None, database_time)
    except (SchedulerError, Problem):
        response.status_code = _UNAVAILABLE
        return Sign(ok=False, why="The job database does not answer.")
    return Sign(ok=True)


@probes.get("/health", responses={_UNAVAILABLE: {"model": Health, "description": "Work does not get on."}})
async def show_health(request: Request, response: Response) -> Health:
    """200 while work gets on: somebody plans and runs, no loop stalls, nothing stays in doubt."""
    around: Surroundings = request.app.state.around
    try:
        found = await around.desk.do(None, health.examine)
    except (SchedulerError, Problem):
        response.status_code = _UNAVAILABLE
        return Health(
            healthy=False,
            database=False,
            stalled=[],
            workers=0,
            tick_lag_seconds=None,
            in_doubt=0,
            in_doubt_seconds=None,
        )
    if not found.healthy:
        response.status_code = _UNAVAILABLE
    return Health(
        healthy=found.healthy,
        database=True,
        stalled=sorted({loop for loops in found.stalled.values() for loop in loops}),
        workers=found.workers,
        tick_lag_seconds=found.tick_lag_seconds,
        in_doubt=found.in_doubt,
        in_doubt_seconds=found.in_doubt_seconds,
    )
