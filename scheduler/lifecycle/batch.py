"""batch: one call of a handler for several attempts. Each has its own timer, outcome and fence; they share a slot.

The call is interrupted when every attempt in it is to stop: at their common timeout, at a shutdown, or when each of
them was cancelled. One alone that is cancelled or lost can see that it is, and goes on with the others.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

from scheduler.handlers import BatchContext, ExecutionContext, HandlerSpec
from scheduler.isolation import Isolation, Running


class Batch:
    def __init__(self, spec: HandlerSpec, contexts: Sequence[ExecutionContext], isolation: Isolation) -> None:
        """Begins the call, in the running loop. The contexts have one deadline."""
        self.context = BatchContext(contexts)
        self.members = [Member(context, self) for context in contexts]
        self._unwarned, self._going_on = set(self.members), set(self.members)
        self._not_ended = len(self.members)
        self.running: Running = isolation.start(spec, self.context)
        self.running.future.add_done_callback(self._done)

    def warn(self, member: "Member", reason: str) -> None:
        self._unwarned.discard(member)
        if not self._unwarned:
            self.running.warn(reason)

    def stop(self, member: "Member", reason: str) -> None:
        self._going_on.discard(member)
        if not self._going_on:
            self.running.stop(reason)

    def one_ended(self) -> bool:
        """An attempt in it has ended; True for the last one."""
        self._not_ended -= 1
        return self._not_ended == 0

    def _done(self, future: asyncio.Future[Any]) -> None:
        if future.cancelled():
            for member in self.members:
                member.future.cancel()
        elif (error := future.exception()) is not None:
            for member in self.members:
                member.future.set_exception(error)
        else:
            for member, said in zip(self.members, future.result(), strict=True):
                member.ended_with(said)


class Member:
    """The `Running` of one attempt in a batch."""

    __slots__ = ("batch", "context", "future")
    preparing = False

    def __init__(self, context: ExecutionContext, batch: Batch) -> None:
        self.context, self.batch = context, batch
        self.future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    @property
    def begun(self) -> bool:
        return self.batch.running.begun

    def warn(self, reason: str) -> None:
        self.context.cancel(reason)
        self.batch.warn(self, reason)

    def stop(self, reason: str) -> None:
        self.context.cancel(reason)
        self.batch.stop(self, reason)

    def end(self) -> None:
        self.batch.running.end()

    def ended_with(self, said: object) -> None:
        if isinstance(said, Exception):
            self.future.set_exception(said)
        else:
            self.future.set_result(said)
