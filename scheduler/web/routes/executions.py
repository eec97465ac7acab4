"""Executions: enqueue, find, show, cancel, retry, one or many."""

from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from typing import Annotated, Final

from fastapi import APIRouter, Header, Path, Query, Response
from pydantic import BaseModel, Field

from scheduler.handlers.params import encode_params
from scheduler.model import Status
from scheduler.operations import bulk, executions
from scheduler.operations.bulk import Action, Result
from scheduler.operations.executions import Execution
from scheduler.operations.requests import Request, enqueue_all
from scheduler.operations.search import ExecutionLine, Search, newest
from scheduler.store.session import SyncSession
from scheduler.web.caller import Caller, Operator, Viewer
from scheduler.web.guard import Principal
from scheduler.web.pages import Cursor, Limit, Page, clamped, cursor_of, id_of
from scheduler.web.problems import Problem
from scheduler.web.shapes import Enqueue, Given, Moment, Name, shown_execution

router = APIRouter(prefix="/executions", tags=["executions"])

MOST_AT_ONCE: Final = 1_000
_PATIENCE_SECONDS: Final = 0.05
"""After it no further look begins for a page; what is not found by then is behind its cursor."""
_PATIENCE_TO_ACT_SECONDS: Final = 2.0
"""The same before something is done about what is found."""

Id = Annotated[int, Path(ge=1, le=2**63 - 1)]
IdempotencyKey = Annotated[
    str | None,
    Header(min_length=1, max_length=255, description="The same request with the same key enqueues nothing more."),
]


class Enqueued(BaseModel):
    ids: Sequence[int]
    """In the order of what was sent."""
    existing: bool
    """Of one: an execution held its unique key before, and this is its id."""
    replayed: bool
    """The Idempotency-Key was used before, and these are the ids of then."""


class Filter(Given):
    """Which executions; what is left out takes all."""

    status: Annotated[list[Status], Field(min_length=1)] | None = None
    handler: Name | None = None
    queue: Name | None = None
    cron_job: Name | None = None
    """Its name."""
    error: Name | None = None
    """Text that the last error holds, in any case."""
    since: Moment | None = None
    """Created then or later."""
    until: Moment | None = None
    """Created before."""

    def search(self) -> Search:
        return Search(
            statuses=None if self.status is None else frozenset(self.status),
            handler_name=self.handler,
            queue=self.queue,
            cron_job=self.cron_job,
            error=self.error,
            since=self.since,
            until=self.until,
        )


class Listed(Filter):
    limit: Limit = 50
    cursor: Cursor = None


class Reason(Given):
    reason: Annotated[str, Field(max_length=1_000)] | None = None


class Again(Given):
    params: dict[str, object] | None = None
    """What it is given from now on; null: what it was given before."""


class Some(Given):
    """Those named, or those found; the newest first."""

    ids: Annotated[list[Annotated[int, Field(ge=1, le=2**63 - 1)]], Field(max_length=MOST_AT_ONCE)] | None = None
    filter: Filter | None = None
    reason: Annotated[str, Field(max_length=1_000)] | None = None
    """Of a cancel."""
    limit: Annotated[int, Field(ge=1, le=MOST_AT_ONCE)] = MOST_AT_ONCE


class Left(BaseModel):
    id: int
    why: str | None


class Acted(BaseModel):
    done: Sequence[int]
    """These ids."""
    left: Sequence[Left]
    """Nothing was done about these."""
    more: bool
    """There may be more, which the same request takes next: `limit` was reached, or too many had to be looked at."""


@router.post("", status_code=201, responses={200: {"model": Enqueued, "description": "They were there before."}})
async def enqueue_executions(
    caller: Operator,
    body: Enqueue | Annotated[list[Enqueue], Field(min_length=1, max_length=MOST_AT_ONCE)],
    response: Response,
    idempotency_key: IdempotencyKey = None,
) -> Enqueued:
    """Enqueue one, or up to a thousand: all of them or none."""
    wanted = body if isinstance(body, list) else [body]
    new = [each.row(timeout_seconds=each.timeout_seconds, notify_done=each.notify_done) for each in wanted]
    request = request_of(caller.principal, idempotency_key, "enqueue", *(each.model_dump_json() for each in wanted))
    done = await caller.do(enqueue_all, new, request)
    if done.existing:
        response.status_code = 200
    if len(done.ids) == 1:
        response.headers["Location"] = location(done.ids[0])
    return Enqueued(ids=done.ids, existing=done.existing, replayed=done.replayed)


@router.get("")
async def list_executions(
    caller: Viewer,
    filters: Annotated[Listed, Query()],
) -> Page[ExecutionLine]:
    """The newest first. A page that took long may hold fewer than there are: go on with its cursor."""
    if filters.error is not None and caller.veil.hides:
        raise Problem("forbidden", "A viewer can't look for what errors say: leave `error` out, or use another token.")
    size, before = clamped(filters.limit), id_of(filters.cursor)
    page = await caller.do(newest, filters.search(), limit=size + 1, before=before, patience=_PATIENCE_SECONDS)
    lines = [replace(line, error=caller.veil.text(line.error)) for line in page.lines[:size]]
    if len(page.lines) > size:
        return Page(items=lines, next=cursor_of(lines[-1].id))
    return Page(items=lines, next=None if page.below is None else cursor_of(page.below))


@router.post("/retry")
async def retry_executions(caller: Operator, body: Some) -> Acted:
    """Retry dead letters, or executions by their ids, up to a thousand at once."""
    return await _act_on(caller, Action.RETRY, body)


@router.post("/cancel")
async def cancel_executions(caller: Operator, body: Some) -> Acted:
    """Cancel what waits or runs, up to a thousand at once."""
    return await _act_on(caller, Action.CANCEL, body)


@router.get("/{id}")
async def show_execution(caller: Viewer, id: Id) -> Execution:  # noqa: A002 - the column's name
    """Everything about one execution, its failed attempts included."""
    return shown_execution(await caller.do(executions.show, id), caller.veil)


@router.post("/{id}/cancel")
async def cancel_execution(caller: Operator, id: Id, body: Reason | None = None) -> Execution:  # noqa: A002 - as above
    """A waiting one ends at once; a running one is asked to stop."""
    reason = None if body is None else body.reason
    return shown_execution(await caller.do(_one, Action.CANCEL, id, reason=reason), caller.veil)


@router.post("/{id}/retry")
async def retry_execution(caller: Operator, id: Id, body: Again | None = None) -> Execution:  # noqa: A002 - as above
    """Send a final one back, with all its tries; its attempts stay in its history."""
    params = None if body is None else body.params
    return shown_execution(await caller.do(_one, Action.RETRY, id, params=params), caller.veil)


def location(id_: int) -> str:
    return f"/api/v1/executions/{id_}"


def request_of(principal: Principal, key: str | None, *said: str) -> Request | None:
    """What a key stands for: the same words of the same caller."""
    if key is None:
        return None
    scope = "nobody" if principal.name is None else f"token {principal.name}"
    return Request(scope, key, sha256("\n".join(said).encode(errors="surrogatepass")).digest())


def _one(
    session: SyncSession,
    action: Action,
    id_: int,
    *,
    reason: str | None = None,
    params: dict[str, object] | None = None,
) -> Execution:
    executions.show(session, id_)  # NotFoundError
    text = None if params is None else encode_params(params)
    ((answer,),) = bulk.act(session, action, [id_], reason=reason, params=text)
    if answer.result is not Result.DONE:
        raise Problem("conflict", answer.why or f"Execution {id_} stays as it is.")
    return executions.show(session, id_)


async def _act_on(caller: Caller, action: Action, wanted: Some) -> Acted:
    if (wanted.ids is None) == (wanted.filter is None):
        raise Problem("invalid", "Write either `ids` or `filter`; an empty filter, {}, takes all.")
    return await caller.do(_act, action, wanted)


def _act(session: SyncSession, action: Action, wanted: Some) -> Acted:
    ids, statuses, more = wanted.ids or [], None, False
    if wanted.filter is not None:
        search = wanted.filter.search()
        statuses = bulk.MEANT[action] if search.statuses is None else search.statuses & bulk.POSSIBLE[action]
        page = newest(
            session, replace(search, statuses=statuses), limit=wanted.limit, patience=_PATIENCE_TO_ACT_SECONDS
        )
        ids = [line.id for line in page.lines]
        more = len(ids) == wanted.limit or page.below is not None
    ids = list(dict.fromkeys(ids))
    batches = bulk.act(session, action, ids, statuses=statuses, reason=wanted.reason)
    answers = [answer for batch in batches for answer in batch]
    return Acted(
        done=[answer.id for answer in answers if answer.result is Result.DONE],
        left=[Left(id=answer.id, why=answer.why) for answer in answers if answer.result is not Result.DONE],
        more=more,
    )
