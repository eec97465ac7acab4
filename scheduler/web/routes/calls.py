"""Call a handler: enqueue, wait for the result, and answer with it."""

from typing import Any, Final

from fastapi import APIRouter, Response
from pydantic import BaseModel

from scheduler.errors import WaitTimeoutError
from scheduler.model import Status
from scheduler.operations.requests import enqueue_all
from scheduler.web.caller import Operator
from scheduler.web.problems import Problem
from scheduler.web.routes.executions import IdempotencyKey, location, request_of
from scheduler.web.shapes import Call

router = APIRouter(tags=["executions"])

_ACCEPTED: Final = 202


class Called(BaseModel):
    id: int
    """Of the execution."""
    status: Status
    result: Any
    """What its handler returned; null while it isn't final."""
    location: str
    """Where to look at it."""


@router.post("/call", responses={202: {"model": Called, "description": "It goes on: follow `location`."}})
async def call_handler(
    caller: Operator, body: Call, response: Response, idempotency_key: IdempotencyKey = None
) -> Called:
    """Enqueue, and wait for the result. Ends otherwise than with SUCCESS: a problem of the type execution-failed.

    The same call with the same Idempotency-Key waits for the execution that is there.
    """
    asked = request_of(caller.principal, idempotency_key, "call", body.model_dump_json(exclude={"wait_seconds"}))
    done = await caller.do(enqueue_all, [body.row(notify_done=True)], asked)
    (id_,) = done.ids
    response.headers["Location"] = location(id_)
    try:
        ended = await caller.around.client.wait(id_, timeout=body.wait_seconds)
    except WaitTimeoutError:
        response.status_code = _ACCEPTED
        now = await caller.around.client.get(id_)
        return Called(id=id_, status=now.status, result=None, location=location(id_))
    if ended.status is not Status.SUCCESS:
        said = caller.veil.text(ended.error) or "it says nothing more"
        first = said.partition("\n")[0]
        raise Problem(
            "execution-failed",
            f"Execution {id_} ({ended.handler_name}) is {ended.status}: {first}. "
            f"{location(id_)} tells more, and a POST to {location(id_)}/retry tries it again.",
            execution={"id": id_, "status": ended.status, "error": said, "location": location(id_)},
        )
    return Called(id=id_, status=ended.status, result=caller.veil.value(ended.result), location=location(id_))
