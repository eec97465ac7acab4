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
        self._over = asyncio.Event()
        self.open = 0

    def response(self, events: AsyncIterator[str]) -> StreamingResponse:
        """Raises Problem when there are too many."""
        if self.open >= self._most:
            raise Problem("busy", f"{self._most} streams are open already (web.max_streams): close one, or wait.")
        self.open += 1
        return StreamingResponse(self._counted(events), media_type=MEDIA_TYPE, headers={"X-Accel-Buffering": "no"})

    def close(self) -> None:
        """All of them end: the server does."""
        self._over.set()

    async def _counted(self, events: AsyncIterator[str]) -> AsyncGenerator[str, None]:
        try:
            yield ": connected\n\n"
            async for each in _alive(events, self._over):
                yield each
        finally:
            self.open -= 1


def event(kind: str, data: Any) -> str:
    """One event; `data` as JSON on one line."""
    return f"event: {kind}\ndata: {json.dumps(data, default=str)}\n\n"


async def _alive(events: AsyncIterator[str], over: asyncio.Event) -> AsyncGenerator[str, None]:
    """With a comment now and then; an error is the last event."""
    coming, ending = asyncio.ensure_future(anext(events)), asyncio.ensure_future(over.wait())
    try:
        while not over.is_set():
            done, _ = await asyncio.wait(
                {coming, ending}, timeout=_SILENCE_SECONDS, return_when=asyncio.FIRST_COMPLETED
            )
            if ending in done:
                return
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
        ending.cancel()
        coming.cancel()
        with suppress(asyncio.CancelledError, StopAsyncIteration, SchedulerError):
            await coming
        if isinstance(events, AsyncGenerator):
            await events.aclose()
