"""Server-sent events: what becomes of one execution, and what ends in a queue."""

from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Self

from fastapi import APIRouter
from fastapi.responses import StreamingResponse

from scheduler.client import Execution
from scheduler.model import Status
from scheduler.operations import executions, queues
from scheduler.web.caller import Viewer
from scheduler.web.routes.executions import Id
from scheduler.web.routes.queues import QueueName
from scheduler.web.streams import MEDIA_TYPE, event
from scheduler.web.veil import Veil

router = APIRouter()

_STREAM: dict[int | str, dict[str, Any]] = {
    200: {"content": {MEDIA_TYPE: {"schema": {"type": "string"}}}, "description": "Events, each with JSON as its data."}
}


@dataclass(frozen=True, slots=True)
class Change:
    """How an execution is now. Time in UTC."""

    id: int
    handler_name: str
    queue: str
    status: Status
    attempt: int
    progress: float | None
    progress_message: str | None
    finished_at: datetime | None
    result: Any
    error: str | None

    @classmethod
    def of(cls, execution: Execution, veil: Veil) -> Self:
        return cls(
            id=execution.id,
            handler_name=execution.handler_name,
            queue=execution.queue,
            status=execution.status,
            attempt=execution.attempt,
            progress=execution.progress,
            progress_message=veil.text(execution.progress_message),
            finished_at=execution.finished_at,
            result=veil.value(execution.result),
            error=veil.text(execution.error),
        )


def _told(execution: Execution, veil: Veil) -> str:
    data = asdict(Change.of(execution, veil))
    if execution.finished_at is not None:
        data["finished_at"] = execution.finished_at.isoformat()
    return event("end" if execution.final else "change", data)


@router.get("/executions/{id}/events", tags=["executions"], response_class=StreamingResponse, responses=_STREAM)
async def follow_execution(caller: Viewer, id: Id) -> StreamingResponse:  # noqa: A002 - the column's name
    """`change` for how it is now, and when status, attempt or progress change; `end` for its outcome, the last one."""
    await caller.do(executions.show, id)  # 404 rather than a stream

    async def changes() -> AsyncIterator[str]:
        async for execution in caller.around.client.watch(id):
            yield _told(execution, caller.veil)

    return caller.around.streams.response(changes())


@router.get("/queues/{name:path}/events", tags=["queues"], response_class=StreamingResponse, responses=_STREAM)
async def follow_queue(caller: Viewer, name: QueueName) -> StreamingResponse:
    """`end` for each execution of the queue that ends from now on, of those enqueued with `notify_done`."""
    await caller.do(queues.require, name)

    async def ends() -> AsyncIterator[str]:
        async with caller.around.client.events(queue=name) as ended:
            yield ": listening\n\n"
            async for execution in ended:
                yield _told(execution, caller.veil)

    return caller.around.streams.response(ends())
