"""How a handler is called, and how it is asked to stop: the contract that every way of running one keeps.

    task     an asyncio task in the worker's loop: cheapest; stops at an await
    thread   a daemon thread: for blocking code; stops when it looks at `cancelled`
    process  a child with its own memory and sessions: stops, or is killed

    process ── forking ── fork_server ── child      call      a handler where it may block
    (in the worker)       (processes of their own)  settling  its SUCCESS in its own transaction
                                                    frames    messages between them    memory   a limit
                                                    verdict   how an attempt ended     parents  the end of one

`scheduler.testing.isolation_contract` is this contract as tests.
"""

import asyncio
from typing import Any, Protocol

from scheduler.errors import SchedulerError
from scheduler.handlers import ExecutionContext, HandlerSpec, describe_error

GRACE_SECONDS = 0.5
"""For what can only be asked to stop: how long it may clean up."""


class Running(Protocol):
    """One attempt under way."""

    @property
    def future(self) -> asyncio.Future[Any]:
        """Done when the handler has really ended: with its value, its exception, or cancelled if it was stopped.

        The exception is always an `Exception`. Wait with `asyncio.wait`, or shield it: cancelling the future of
        anything but a task ends nothing.
        """

    @property
    def preparing(self) -> bool:
        """True until its process is there: its time has not begun. When it does, the context's deadline is set anew."""

    @property
    def begun(self) -> bool:
        """Whether any of the handler's code may have run. False for good once it was stopped before that."""

    def warn(self, reason: str) -> None:
        """Let the handler see `cancelled`, so that it may finish early; nothing is interrupted."""

    def stop(self, reason: str) -> None:
        """Ask it to stop. A handler that hasn't begun never begins; one that won't listen just goes on."""

    def end(self) -> None:
        """End it now, where that can be done: the process is going, and nothing may run on beside a next attempt."""


class Isolation(Protocol):
    @property
    def grace_seconds(self) -> float:
        """How long after its timeout an attempt may take to end before its outcome is recorded without it."""

    def start(self, spec: HandlerSpec, context: ExecutionContext) -> Running:
        """Begin an attempt, in the running loop. Whatever is wrong with it is told by the future."""

    async def close(self, timeout: float) -> None:  # noqa: ASYNC109 - the caller knows how long it may take
        """Give back threads and the like, after waiting at most `timeout` seconds for what still runs.

        Doesn't stop anything: whoever started it does that first. Start nothing afterwards.
        """


def as_failure(error: BaseException) -> SchedulerError:
    """What SystemExit, KeyboardInterrupt and the like become: a handler's attempt ends, never its worker."""
    failure = SchedulerError(
        f"The handler raised {describe_error(error)[0]}. A handler can't end its worker: "
        "return, or raise FailPermanently(reason)."
    )
    failure.__cause__ = error
    return failure
