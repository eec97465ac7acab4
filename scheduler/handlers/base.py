"""The class that handlers derive from."""

from collections.abc import Awaitable
from typing import Any

from scheduler.errors import ControlFlow
from scheduler.handlers.context import ExecutionContext


class BaseHandler:
    """A handler as a class. Each attempt gets a fresh object, made without arguments.

    `execute` is `def` or `async def` and takes `params` or nothing. The annotation of `params` says what it gets: a
    pydantic model, dataclass or TypedDict is validated before the call; `dict` or no annotation is the plain object.
    What it returns is stored in `job_executions.result`.
    """

    def execute(self, *args: Any, **kwargs: Any) -> Any:
        """Do the work. Every handler class has its own."""
        raise NotImplementedError

    def handle_error(
        self, error: Exception, execution: ExecutionContext
    ) -> ControlFlow | Awaitable[ControlFlow | None] | None:
        """Turn a fault of `execute` into a decision: return or raise a `ControlFlow`; None keeps the fault.

        May be `async def`. It sees neither params that didn't fit (no object was made) nor control flow.
        """
        return None
