"""Handlers in processes of their own: with their own memory, their own sessions, and an end that always comes.

One child runs one attempt at a time and is used again while its attempts end well. An attempt that has to stop is asked
first; then its process gets SIGTERM, then SIGKILL with its whole group; then the database ends its sessions, for a
server may still be at work on a statement whose client is gone.
"""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from typing import Any, Final

from scheduler.clock import monotonic
from scheduler.errors import ControlFlow
from scheduler.handlers import ExecutionContext, HandlerSpec, describe_error
from scheduler.handlers.faults import ToldFault
from scheduler.handlers.results import EncodedResult
from scheduler.isolation.child import fields_of
from scheduler.isolation.fork_server import Setup
from scheduler.isolation.forking import Child, Server
from scheduler.isolation.frames import Message
from scheduler.isolation.verdict import heard

ASKED_SECONDS: Final = 1.0
"""How long a handler that was asked to stop may take before SIGTERM."""
TERMINATED_SECONDS: Final = 1.0
"""The same from SIGTERM to SIGKILL."""
KILLED_SECONDS: Final = 1.5
"""How long the kernel may take to end a process, and the servers to end its sessions."""

EndSessions = Callable[[str], Awaitable[int]]
"""End the database sessions of the child with this tag; how many there were. Raises nothing, takes a second at most."""


class ProcessRunning:
    """An attempt in a child, or waiting for one."""

    def __init__(self, spec: HandlerSpec, context: ExecutionContext, pool: "ProcessIsolation") -> None:
        self.context = context
        self.preparing = True
        self._pool = pool
        self._stop_asked: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._child: Child | None = None
        self._steps: list[str] = []
        self._terminated = False
        self.future: asyncio.Future[Any] = asyncio.create_task(self._run(), name=spec.name)

    @property
    def begun(self) -> bool:
        return not self.preparing

    def warn(self, reason: str) -> None:
        self.context.cancel(reason)
        if self._child is not None:
            self._child.send({"warn": reason})

    def stop(self, reason: str) -> None:
        self.context.cancel(reason)
        if not self._stop_asked.done():
            self._stop_asked.set_result(monotonic())

    def end(self) -> None:
        self._terminated = True
        if self._child is not None:
            self._child.kill()

    async def _run(self) -> Any:
        child = self._pool.idle() or await self._made()
        clean = True
        try:
            if self.context.cancelled:
                raise asyncio.CancelledError
            clean = False
            verdict = await self._attempt(child)
            clean = verdict is not None and not (verdict["last"] or self._terminated)
            return self._outcome(child, verdict)
        finally:
            if clean:
                self._pool.give_back(child)
            else:
                child.close()

    async def _made(self) -> Child:
        """A new child, unless the attempt has to stop before there is one."""
        making = asyncio.create_task(self._pool.make())
        try:
            if not await _within(None, making, self._stop_asked):
                raise asyncio.CancelledError
            return making.result()
        finally:
            making.cancel()

    async def _attempt(self, child: Child) -> Message | None:
        """How the child says that it ended; None when the child ended without a word."""
        self._child = child
        self.preparing = False
        self.context.deadline = monotonic() + self.context.claim.timeout_seconds  # its time is the handler's own
        child.send({"run": fields_of(self.context.claim), "deadline": self.context.deadline})
        over = asyncio.create_task(self._listen(child))
        try:
            if not await _within(None, over, self._stop_asked):
                await self._climb(child, over)
            verdict = await over
        finally:
            over.cancel()
        if verdict is None or self._terminated:
            self._note_sessions(await self._pool.end_sessions(child.tag))
        return verdict

    async def _listen(self, child: Child) -> Message | None:
        while (message := await child.receive()) is not None:
            match message:
                case {"progress": [fraction, text]}:
                    self.context.progress(fraction, text)
                case {"ended": _}:
                    return message
        await child.ended
        return None

    async def _climb(self, child: Child, over: asyncio.Future[Message | None]) -> None:
        """The ladder; the last step of it, the end of its sessions, follows any end that wasn't clean."""
        self._note("asked to stop")
        child.send({"stop": self.context.cancel_reason})
        if await _within(ASKED_SECONDS, over):
            return
        self._terminated = True
        self._note("SIGTERM")
        child.send({"terminate": True})
        if await _within(TERMINATED_SECONDS, over):
            return
        self._note("SIGKILL")
        child.kill()

    def _note(self, step: str) -> None:
        self._steps.append(f"{monotonic() - self._stop_asked.result():.1f} s: {step}")

    def _note_sessions(self, count: int) -> None:
        if count and self._stop_asked.done():
            self._note(f"{count} database session{'s' if count > 1 else ''} ended")

    def _outcome(self, child: Child, verdict: Message | None) -> Any:
        told = None if verdict is None else heard(verdict["ended"])
        if len(self._steps) > 1 and not isinstance(told, EncodedResult | ControlFlow):
            headline, traceback = ("It had to be killed.", "") if told is None else describe_error(told)
            raise ToldFault(headline, "\n".join([*self._steps, traceback]).rstrip())
        if verdict is None:
            raise ToldFault(f"The handler's process {_how(child.ended.result())} in the middle of an attempt.", "")
        if told is None:
            raise asyncio.CancelledError
        if isinstance(told, Exception):
            raise told
        return told


class ProcessIsolation:
    """At most as many children as attempts run at once; the fork server and they are started when first needed."""

    grace_seconds = ASKED_SECONDS + TERMINATED_SECONDS + KILLED_SECONDS

    def __init__(self, setup: Setup, end_sessions: EndSessions, *, keep: int) -> None:
        """`keep` is how many idle children stay for the next attempts."""
        self.end_sessions = end_sessions
        self._setup, self._keep = setup, keep
        self._server: asyncio.Task[Server] | None = None
        self._closed = False
        self._idle: list[Child] = []
        self._running: set[ProcessRunning] = set()

    def start(self, spec: HandlerSpec, context: ExecutionContext) -> ProcessRunning:
        running = ProcessRunning(spec, context, self)
        self._running.add(running)
        running.future.add_done_callback(lambda _: self._running.discard(running))
        return running

    def idle(self) -> Child | None:
        """A child that runs nothing, if there is one."""
        while self._idle:
            child = self._idle.pop()
            if not child.ended.done():
                return child
        return None

    async def make(self) -> Child:
        """A new child. Raises SchedulerError."""
        return await (await self._ready_server()).fork()

    def give_back(self, child: Child) -> None:
        if len(self._idle) < self._keep and not self._closed:
            self._idle.append(child)
        else:
            child.close()

    async def warm_up(self) -> None:
        """Start the fork server now, so that the first attempt doesn't wait for it. Raises SchedulerError."""
        await self._ready_server()

    async def close(self, timeout: float) -> None:  # noqa: ASYNC109 - see the contract
        self._closed = True
        if unfinished := [running.future for running in self._running]:
            await asyncio.wait(unfinished, timeout=timeout)
        if self._server is not None:
            self._server.cancel()
            await asyncio.wait([self._server])
            if _is_good(self._server):
                await self._server.result().end()
        if unfinished := [running.future for running in self._running]:
            await asyncio.wait(unfinished)  # their processes are gone

    async def _ready_server(self) -> Server:
        """The one that all children are forked from, started once, however many wait for it."""
        before = self._server
        if before is None or (before.done() and not (_is_good(before) and before.result().alive)):
            if self._closed:
                raise asyncio.CancelledError  # as those that wait already
            self._server = asyncio.create_task(self._start_after(before))
            self._server.add_done_callback(_is_good)  # looks at the exception, which maybe nobody waits for
        assert self._server is not None
        return await asyncio.shield(self._server)

    async def _start_after(self, before: asyncio.Task[Server] | None) -> Server:
        if before is not None and _is_good(before):
            await before.result().gone()
        return await Server.start(self._setup)


def _is_good(starting: asyncio.Task[Server]) -> bool:
    """Whether it has come up."""
    return starting.done() and not starting.cancelled() and starting.exception() is None


async def _within(seconds: float | None, *futures: asyncio.Future[Any]) -> bool:
    """Whether the first of `futures` is done when any of them is, or when the time is up."""
    await asyncio.wait(futures, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    return futures[0].done()


def _how(code: int) -> str:
    if code >= 0:
        return f"exited with status {code}"
    name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
    return f"was killed by {name}" + (" (out of memory?)" if -code == signal.SIGKILL else "")
