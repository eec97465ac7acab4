"""Cron jobs: make, change, pause, resume, run, backfill, skip, and what their expressions mean."""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any, Final
from urllib.parse import quote

from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, Field

from scheduler.errors import ConflictError
from scheduler.operations import backfill, cron_job_changes, cron_job_page, cron_jobs
from scheduler.operations.backfill import Ahead, Wanted
from scheduler.operations.cron_jobs import CronJobDefinition, CronJobStatus, Selection
from scheduler.operations.explanation import Explanation, explain
from scheduler.operations.overview import database_time
from scheduler.operations.preview import Preview, Tick, preview
from scheduler.operations.skip import Skip, end_skip, skip
from scheduler.store.session import SyncSession
from scheduler.web.caller import Admin, Operator, Viewer
from scheduler.web.pages import Cursor, Limit, Page, clamped, cursor_of, place_of
from scheduler.web.problems import Problem
from scheduler.web.shapes import (
    CronJobEdit,
    Given,
    Moment,
    Name,
    NewCronJob,
    Priority,
    ShownCronJobPage,
    shown_cron_job,
)

router = APIRouter(tags=["cron jobs"])

MOST_TICKS: Final = 10_000
"""Of a backfill over HTTP."""
MOST_SHOWN: Final = 1_000

CronJobName = Annotated[str, Path(min_length=1, max_length=1_000)]
Count = Annotated[int, Query(ge=1, le=MOST_SHOWN)]


class Listed(Given):
    handler: Name | None = None
    queue: Name | None = None
    text: Name | None = None
    """Text that the name or the description holds, in any case."""
    enabled: bool | None = None
    invalid: bool = False
    """Only those that the planner refuses."""
    failing: bool = False
    """Only those whose newest finished execution failed."""
    limit: Limit = 50
    cursor: Cursor = None

    def selection(self) -> Selection:
        return Selection(
            handler_name=self.handler,
            queue=self.queue,
            text=self.text,
            enabled=self.enabled,
            invalid=self.invalid,
            failing=self.failing,
        )


class Started(BaseModel):
    id: int
    """Of the execution."""


class Backfill(Given):
    start: Moment
    """The first instant that counts."""
    end: Moment
    """The first one that doesn't; not in the future."""
    max_parallel: Annotated[int, Field(ge=1, le=2**31 - 1)] | None = None
    """How many run at once; null: one."""
    queue: Name | None = None
    priority: Priority | None = None
    """null: one below the cron job's own."""
    dry_run: bool = False
    """Only say what it would come to."""


class Backfilled(BaseModel):
    ticks: int
    enqueued: int
    """The others were there already; with `dry_run`, how many it would be."""
    first: Tick | None
    last: Tick | None
    left_to_planner: int
    """Ticks that the planner has not come to yet."""
    dry_run: bool


class Until(Given):
    until: Moment | None = None
    """Ticks before it don't run; null: those that were to be skipped run again."""


@router.get("/cron-jobs")
async def list_cron_jobs(caller: Viewer, wanted: Annotated[Listed, Query()]) -> Page[CronJobStatus]:
    """By name."""
    size, after = clamped(wanted.limit), place_of(wanted.cursor)
    found = await caller.do(cron_jobs.statuses, wanted.selection(), after=after, limit=size + 1)
    items = [replace(each, last_error=caller.veil.text(each.last_error)) for each in found[:size]]
    return Page(items=items, next=cursor_of(items[-1].name) if len(found) > size else None)


@router.post("/cron-jobs", status_code=201)
async def create_cron_job(caller: Admin, body: NewCronJob, response: Response) -> ShownCronJobPage:
    """Planners see it at once."""
    page = await caller.do(_create, body.definition())
    response.headers["Location"] = "/api/v1/cron-jobs/" + quote(body.name, safe="", errors="replace")
    return shown_cron_job(page, caller.veil)


@router.post("/cron-jobs/{name:path}/pause")
async def pause_cron_job(caller: Operator, name: CronJobName) -> ShownCronJobPage:
    """Stop planning it; what is planned already still runs."""
    await caller.do(cron_job_changes.pause, [name])
    return shown_cron_job(await caller.do(cron_job_page.show, name), caller.veil)


@router.post("/cron-jobs/{name:path}/resume")
async def resume_cron_job(caller: Operator, name: CronJobName) -> ShownCronJobPage:
    """Plan it again from now on; the pause isn't made up for."""
    await caller.do(cron_job_changes.resume, [name])
    return shown_cron_job(await caller.do(cron_job_page.show, name), caller.veil)


@router.post("/cron-jobs/{name:path}/run", status_code=201)
async def run_cron_job(caller: Operator, name: CronJobName, response: Response) -> Started:
    """Enqueue an execution now, also of a paused one."""
    id_ = await caller.do(cron_job_changes.run, name)
    response.headers["Location"] = f"/api/v1/executions/{id_}"
    return Started(id=id_)


@router.post("/cron-jobs/{name:path}/backfill")
async def backfill_cron_job(caller: Admin, name: CronJobName, body: Backfill) -> Backfilled:
    """An execution for each tick of a time that lies behind, however often it is asked for; 10,000 ticks at most."""
    wanted = Wanted(
        cron_job=name,
        start=body.start,
        end=body.end,
        max_parallel=body.max_parallel,
        queue=body.queue,
        priority=body.priority,
    )
    return await caller.do(_backfill, wanted, dry_run=body.dry_run)


@router.post("/cron-jobs/{name:path}/skip")
async def skip_ticks(caller: Operator, name: CronJobName, body: Until) -> Skip:
    """Let no tick before a time run that isn't planned yet, or end such a skip."""
    if body.until is None:
        return await caller.do(end_skip, name)
    return await caller.do(skip, name, body.until)


@router.get("/cron-jobs/{name:path}/explain")
async def explain_cron_job(caller: Viewer, name: CronJobName, count: Count = 10) -> Explanation:
    """What its expression means, its next ticks, and where it may surprise."""
    return await caller.do(_explain, name, count)


@router.get("/cron-jobs/{name:path}/preview")
async def preview_cron_job(
    caller: Viewer, name: CronJobName, after: Moment | None = None, until: Moment | None = None, count: Count = 10
) -> Preview:
    """The ticks of its expression in a time, whether it is enabled or not."""
    return await caller.do(_preview, name, after, until, count)


@router.get("/cron-jobs/{name:path}")
async def show_cron_job(caller: Viewer, name: CronJobName) -> ShownCronJobPage:
    """Everything about one cron job."""
    return shown_cron_job(await caller.do(cron_job_page.show, name), caller.veil)


@router.patch("/cron-jobs/{name:path}")
async def change_cron_job(caller: Admin, name: CronJobName, body: CronJobEdit) -> ShownCronJobPage:
    """Change what is given; an edit of the schedule counts from now."""
    page = await caller.do(_change, name, body.changes(), body.version)
    return shown_cron_job(page, caller.veil)


@router.delete("/cron-jobs/{name:path}", status_code=204)
async def remove_cron_job(caller: Admin, name: CronJobName) -> None:
    """Its executions stay, and those that wait still run."""
    await caller.do(cron_job_changes.remove, [name])


@router.get("/explain", tags=["schedules"])
async def explain_expression(
    caller: Viewer, expression: Annotated[str, Query(max_length=1_000)], timezone: str = "UTC", count: Count = 10
) -> Explanation:
    """What an expression means, before there is a cron job."""

    def explained(session: SyncSession) -> Explanation:
        return explain(expression, timezone, now=database_time(session), count=count)

    return await caller.do(explained)


@router.get("/preview", tags=["schedules"])
async def preview_expression(
    caller: Viewer,
    expression: Annotated[str, Query(max_length=1_000)],
    timezone: str = "UTC",
    after: Moment | None = None,
    until: Moment | None = None,
    count: Count = 10,
) -> Preview:
    """The ticks of an expression in a time."""

    def previewed(session: SyncSession) -> Preview:
        return preview(expression, timezone, after=after or database_time(session), until=until, count=count)

    return await caller.do(previewed)


def _create(session: SyncSession, definition: CronJobDefinition) -> cron_job_page.CronJobPage:
    cron_jobs.add(session, definition)
    return cron_job_page.show(session, definition.name)


def _change(
    session: SyncSession, name: str, changes: Mapping[str, Any], version: str | None
) -> cron_job_page.CronJobPage:
    seen = cron_job_page.find(session, name)
    if version is not None and version != seen.version:
        raise ConflictError(f"Somebody has edited cron job {name!r} since: look at it again, and edit that.")
    wanted = replace(seen.definition, **changes)
    cron_job_changes.edit(session, seen, wanted)
    return cron_job_page.show(session, wanted.name)


def _backfill(session: SyncSession, wanted: Wanted, *, dry_run: bool) -> Backfilled:
    ahead = backfill.prepare(session, wanted)
    if ahead.count > MOST_TICKS:
        raise Problem(
            "invalid",
            f"These are {ahead.count:,} ticks, and over HTTP at most {MOST_TICKS:,} go at once: ask for a shorter "
            "time, or use `scheduler cron backfill`.",
        )
    steps = backfill.rehearse(session, ahead) if dry_run else backfill.enqueue(session, ahead)
    return _backfilled(ahead, deque(steps, maxlen=1), dry_run=dry_run)


def _backfilled(ahead: Ahead, last: Iterable[backfill.Done], *, dry_run: bool) -> Backfilled:
    done = next(iter(last), backfill.Done())
    return Backfilled(
        ticks=ahead.count,
        enqueued=done.enqueued,
        first=ahead.first,
        last=ahead.last,
        left_to_planner=ahead.left_to_planner,
        dry_run=dry_run,
    )


def _explain(session: SyncSession, name: str, count: int) -> Explanation:
    job = cron_job_page.find(session, name, only_look=True)
    return explain(job.cron_expression, job.timezone, now=database_time(session), count=count, cron_job=job)


def _preview(session: SyncSession, name: str, after: datetime | None, until: datetime | None, count: int) -> Preview:
    job = cron_job_page.find(session, name, only_look=True)
    start = after or database_time(session)
    return preview(job.cron_expression, job.timezone, after=start, until=until, count=count, anchor=job.anchor)
