"""Server-sent events: as many streams at once as are allowed, each with a sign of life while nothing happens."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import suppress
from typing import Any, Final

from fastapi.responses import StreamingResponse

from scheduler.errors import SchedulerError
from scheduler.web.problems import Problem
from scheduler.web.veil import without_passwords

MEDIA_TYPE: Final = "text/event-stream"
_SILENCE_SECONDS: Final = 15.0
"""What is in between ends a connection that says nothing for longer."""


class Streams:
    """Of one server."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.open = 0

    def response(self, events: AsyncIterator[str]) -> StreamingResponse:
        """Raises Problem when there are too many."""
        if self.open >= self._most:
            raise Problem("busy", f"{self._most} streams are open already (web.max_streams): close one, or wait.")
        self.open += 1
        return StreamingResponse(self._counted(events), media_type=MEDIA_TYPE, headers={"X-Accel-Buffering": "no"})

    async def _counted(self, events: AsyncIterator[str]) -> AsyncGenerator[str, None]:
        try:
            yield ": connected\n\n"
            async for each in _alive(events):
                yield each
        finally:
            self.open -= 1


def event(kind: str, data: Any) -> str:
    """One event; `data` as JSON on one line."""
    return f"event: {kind}\ndata: {json.dumps(data, default=str)}\n\n"


async def _alive(events: AsyncIterator[str]) -> AsyncGenerator[str, None]:
    """With a comment now and then; an error is the last event."""
    coming = asyncio.ensure_future(anext(events))
    try:
        while True:
            done, _ = await asyncio.wait({coming}, timeout=_SILENCE_SECONDS)
            if not done:
                yield ": still here\n\n"
                continue
            try:
                yield coming.result()
            except StopAsyncIteration:
                return
            except SchedulerError as error:
                yield event("error", {"detail": without_passwords(str(error))})
                return
            coming = asyncio.ensure_future(anext(events))
    finally:
        coming.cancel()
        with suppress(asyncio.CancelledError, StopAsyncIteration, SchedulerError):
            await coming
        if isinstance(events, AsyncGenerator):
            await events.aclose()
