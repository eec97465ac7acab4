"""Handlers as asyncio tasks in the worker's own loop."""

import asyncio
from types import FrameType
from typing import Any, Final

from scheduler.handlers import ExecutionContext, HandlerSpec
from scheduler.handlers.context import execution_in
from scheduler.isolation import GRACE_SECONDS, as_failure
from scheduler.isolation.settling import call

_EAGER: Final[dict[str, Any]] = {"eager_start": True} if hasattr(asyncio, "eager_task_factory") else {}
"""Python 3.12 and later: a handler that waits for nothing ends in its first step, unknown to the event loop."""


class TaskRunning:
    __slots__ = ("begun", "context", "future")
    preparing = False

    def __init__(self, spec: HandlerSpec, context: ExecutionContext) -> None:
        self.context = context
        self.begun = False
        self.future: asyncio.Future[Any] = asyncio.Task(
            self._run(spec), loop=asyncio.get_running_loop(), name=spec.name, **_EAGER
        )  # as create_task() does it, without its detours

    def warn(self, reason: str) -> None:
        self.context.cancel(reason)

    def stop(self, reason: str) -> None:
        self.context.cancel(reason)
        self.future.cancel(reason)

    def end(self) -> None:
        """A task ends when it lets go, and with its process."""

    async def _run(self, spec: HandlerSpec) -> Any:
        if self.context.cancelled:
            raise asyncio.CancelledError
        self.begun = True
        try:
            return await call(spec, self.context)
        except (Exception, asyncio.CancelledError, GeneratorExit):
            raise
        except BaseException as error:  # asyncio would let SystemExit and KeyboardInterrupt out of the loop
            raise as_failure(error) from error


class TaskIsolation:
    """One task per attempt. It keeps nothing: each attempt belongs to whoever started it."""

    grace_seconds = GRACE_SECONDS

    def start(self, spec: HandlerSpec, context: ExecutionContext) -> TaskRunning:
        return TaskRunning(spec, context)

    async def close(self, timeout: float) -> None:  # noqa: ASYNC109 - see the contract
        return None


def context_in(frame: FrameType | None) -> ExecutionContext | None:
    """Whose attempt the code in the event loop's thread belongs to, also in a task or callback that a handler started.

    By the variables of the callback that the loop is at; None for what belongs to no attempt.
    """
    while frame is not None:
        if frame.f_code is TaskRunning._run.__code__:
            context: ExecutionContext = frame.f_locals["self"].context
            return context
        if frame.f_code is asyncio.Handle._run.__code__:  # it and the next have no public name
            return execution_in(frame.f_locals["self"]._context)
        frame = frame.f_back
    return None
