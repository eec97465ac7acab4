"""Handlers as asyncio tasks in the worker's own loop."""

import asyncio
from types import FrameType
from typing import Any

from scheduler.handlers import ExecutionContext, HandlerSpec
from scheduler.isolation import GRACE_SECONDS, as_failure


class TaskRunning:
    __slots__ = ("context", "future")

    def __init__(self, context: ExecutionContext, future: asyncio.Task[Any]) -> None:
        self.context = context
        self.future: asyncio.Future[Any] = future

    def stop(self, reason: str) -> None:
        self.context.cancel(reason)
        self.future.cancel(reason)

    def end(self) -> None:
        """A task ends when it lets go, and with its process."""


class TaskIsolation:
    """One task per attempt. It keeps nothing: each attempt belongs to whoever started it."""

    grace_seconds = GRACE_SECONDS

    def start(self, spec: HandlerSpec, context: ExecutionContext) -> TaskRunning:
        return TaskRunning(context, asyncio.create_task(_attempt(spec, context), name=spec.name))

    async def close(self, timeout: float) -> None:  # noqa: ASYNC109 - see the contract
        return None


def context_in(frame: FrameType | None) -> ExecutionContext | None:
    """Whose attempt this code belongs to, by its callers; None for a task that a handler has started, or our own."""
    while frame is not None:
        if frame.f_code is _attempt.__code__:
            context: ExecutionContext = frame.f_locals["context"]
            return context
        frame = frame.f_back
    return None


async def _attempt(spec: HandlerSpec, context: ExecutionContext) -> Any:
    try:
        return await spec.call(context)
    except (Exception, asyncio.CancelledError, GeneratorExit):
        raise
    except BaseException as error:  # asyncio would let SystemExit and KeyboardInterrupt out of the loop
        raise as_failure(error) from error
