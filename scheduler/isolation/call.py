"""A handler called where it may block: in a thread, or in a process of its own."""

import asyncio
import contextvars
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, suppress
from functools import partial
from inspect import isawaitable
from typing import Any

from scheduler.handlers import ExecutionContext, HandlerSpec
from scheduler.isolation import as_failure
from scheduler.isolation.settling import call

Runner = Callable[[], AbstractContextManager[asyncio.Runner]]
"""Where an async handler runs: a loop of its own, or one that several attempts share."""


class BlockingCall:
    """One attempt: `outcome()` in the thread that may block, `stop()` from any other."""

    def __init__(self, spec: HandlerSpec, context: ExecutionContext, runner: Runner = asyncio.Runner) -> None:
        self.context = context
        self._spec = spec
        self._runner = runner
        self._variables = contextvars.copy_context()
        self._interrupt: Callable[[], object] | None = None
        self.begun = False

    def stop(self, reason: str) -> None:
        self.context.cancel(reason)
        if interrupt := self._interrupt:
            with suppress(RuntimeError):  # its loop was closed in this moment: it has ended
                interrupt()

    def outcome(self) -> tuple[Any, BaseException | None]:
        """The handler's value, or what it raised: an Exception, or CancelledError if it was stopped. Never raises."""
        try:
            return self._variables.run(self._call), None
        except StopIteration as error:  # a future refuses to carry it
            failure = RuntimeError("The handler raised StopIteration.")
            failure.__cause__ = error
            return None, failure
        except (Exception, asyncio.CancelledError) as error:
            return None, error
        except BaseException as error:
            return None, as_failure(error)

    def _call(self) -> Any:
        if self.context.cancelled:
            raise asyncio.CancelledError
        self.begun = True
        value = call(self._spec, self.context)
        if not isawaitable(value):
            return value
        with self._runner() as runner:
            return runner.run(self._await(value), context=contextvars.copy_context())  # not that of its first attempt

    async def _await(self, value: Awaitable[Any]) -> Any:
        """An async handler in a loop of its own; `stop` reaches it as it would in a task."""
        task = asyncio.current_task()
        assert task is not None
        self._interrupt = partial(task.get_loop().call_soon_threadsafe, task.cancel)
        if self.context.cancelled:  # set before _interrupt was there to be called
            task.cancel()
        try:
            return await value
        finally:
            self._interrupt = None
