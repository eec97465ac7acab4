"""What went wrong, as application/problem+json: a stable type, and a sentence that says what to do next."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from scheduler.errors import (
    BrokerError,
    ConfigurationError,
    ConflictError,
    DatabaseError,
    NotFoundError,
    ParamsError,
    QueueFullError,
    RefusedError,
    ScheduleError,
    SchedulerError,
    WaitTimeoutError,
)
from scheduler.messages import log
from scheduler.web.veil import without_passwords

MEDIA_TYPE: Final = "application/problem+json"
TYPE: Final = "urn:pg-scheduler:problem:"


@dataclass(frozen=True, slots=True)
class Kind:
    status: int
    title: str
    retry_after: int | None = None
    """Seconds, where the same may succeed later."""


KINDS: Final[Mapping[str, Kind]] = {
    "malformed": Kind(400, "The request can't be read"),
    "unknown-host": Kind(400, "The server doesn't go by that name"),
    "token-required": Kind(401, "A token is needed"),
    "forbidden": Kind(403, "The role of the token doesn't allow it"),
    "foreign-origin": Kind(403, "Another site asked for it"),
    "not-found": Kind(404, "Nothing is there"),
    "method-not-allowed": Kind(405, "Not in this way"),
    "too-slow": Kind(408, "The request did not arrive in time"),
    "conflict": Kind(409, "Something is in the way"),
    "too-large": Kind(413, "The request is too large"),
    "not-json": Kind(415, "The request is not JSON"),
    "invalid": Kind(422, "A value can't be"),
    "execution-failed": Kind(424, "The execution ended without success"),
    "queue-full": Kind(429, "The queue is full", retry_after=5),
    "unavailable": Kind(503, "The job database does not answer as it should", retry_after=5),
    "busy": Kind(503, "Too much is asked at once", retry_after=1),
    "internal": Kind(500, "A fault of the server's own"),
}
"""Every type there is."""

_OF_ERRORS: Final[tuple[tuple[type[SchedulerError], str], ...]] = (
    (NotFoundError, "not-found"),
    (ConflictError, "conflict"),
    (QueueFullError, "queue-full"),
    (RefusedError, "invalid"),
    (ParamsError, "invalid"),
    (ScheduleError, "invalid"),
    (WaitTimeoutError, "busy"),
    (ConfigurationError, "unavailable"),
    (DatabaseError, "unavailable"),
    (BrokerError, "unavailable"),
)
_OF_STATUS: Final = {400: "malformed", 404: "not-found", 405: "method-not-allowed", 413: "too-large"}
_SHOWN_ERRORS: Final = 20


class Problem(Exception):  # noqa: N818 - RFC 9457 calls it so
    """Raised by a route; what is answered."""

    def __init__(self, kind: str, detail: str, **more: Any) -> None:
        self.kind, self.detail, self.more = kind, detail, more
        super().__init__(detail)


def answer(kind: str, detail: str, *, headers: Mapping[str, str] | None = None, **more: Any) -> Response:
    """ASCII, for what somebody wrote may hold what UTF-8 can't."""
    of = KINDS[kind]
    body = {"type": TYPE + kind, "title": of.title, "status": of.status, "detail": detail, **more}
    retry = {} if of.retry_after is None else {"Retry-After": str(of.retry_after)}
    challenge = {"WWW-Authenticate": "Bearer"} if of.status == HTTPStatus.UNAUTHORIZED else {}
    return Response(
        json.dumps(body, default=str).encode(),
        of.status,
        media_type=MEDIA_TYPE,
        headers={**retry, **challenge, **(headers or {})},
    )


async def of_problem(_: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return answer(error.kind, error.detail, **error.more)


async def of_scheduler_error(_: Request, error: Exception) -> Response:
    kind = next((kind for known, kind in _OF_ERRORS if isinstance(error, known)), "internal")
    return answer(kind, without_passwords(str(error)))


async def of_validation(_: Request, error: Exception) -> Response:
    """Where each mistake is and what it is, without repeating what was given: it may be secret."""
    assert isinstance(error, RequestValidationError)
    found = error.errors()
    if any(each["type"] == "json_invalid" for each in found):
        return answer("malformed", "The body is not JSON: send one JSON value.")
    mistakes = [{"at": _place(each["loc"]), "mistake": each["msg"]} for each in found[:_SHOWN_ERRORS]]
    first = mistakes[0]
    more = f" And {len(found) - 1} more, in `errors`." if found[1:] else ""
    detail = f"{first['at']}: {first['mistake'].rstrip('.')}. Write another value there.{more}"
    return answer("invalid", detail, errors=mistakes)


async def of_http_exception(_: Request, error: Exception) -> Response:
    """What the framework itself refuses."""
    assert isinstance(error, HTTPException)
    kind = _OF_STATUS.get(error.status_code, "malformed")
    details = {
        "not-found": "Nothing is at this path: /api/v1/openapi.json lists what there is.",
        "method-not-allowed": "This path takes other methods: the header Allow names them.",
    }
    return answer(kind, details.get(kind, f"{error.detail}."), headers=error.headers)


async def of_fault(request: Request, error: Exception) -> Response:
    """The server's log has it, too: with the traceback, which the framework's server writes."""
    log("web.failed", method=request.method, path=request.url.path, error=f"{type(error).__name__}: {error}")
    return answer("internal", f"{type(error).__name__}: the server's log says more. This is worth a report.")


def _place(location: tuple[int | str, ...]) -> str:
    return ".".join(map(str, location)) or "body"
