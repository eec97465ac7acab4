"""Handlers in processes of their own: with their own memory, their own sessions, and an end that always comes.

One child runs one attempt at a time and is used again while its attempts end well. An attempt that has to stop is asked
first; then its process gets SIGTERM, then SIGKILL with its whole group; then the database ends its sessions, for a
server may still be at work on a statement whose client is gone.
"""

import asyncio
import signal
import socket
import subprocess
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, Final
from uuid import uuid4

from scheduler.clock import monotonic
from scheduler.errors import ControlFlow, SchedulerError
from scheduler.handlers import ExecutionContext, HandlerSpec, describe_error
from scheduler.handlers.faults import ToldFault
from scheduler.handlers.results import EncodedResult
from scheduler.isolation.child import fields_of
from scheduler.isolation.frames import Message, framed, receive_from, send, send_channel
from scheduler.isolation.verdict import heard

ASKED_SECONDS: Final = 1.0
"""How long a handler that was asked to stop may take before SIGTERM."""
TERMINATED_SECONDS: Final = 1.0
"""The same from SIGTERM to SIGKILL."""
KILLED_SECONDS: Final = 1.5
"""How long the kernel may take to end a process."""
LAST_WORDS_SECONDS: Final = 0.1
READY_SECONDS: Final = 60.0
"""How long the fork server may take to import the handlers."""

EndSessions = Callable[[str], Awaitable[int]]
"""End the database sessions of the child with this tag; how many there were."""


class Child:
    """A process that runs attempts, as the worker sees it."""

    def __init__(self, tag: str, pid: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.tag, self.pid = tag, pid
        self.reader, self._writer = reader, writer
        self.ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        """The exit code, negative for a signal."""

    def send(self, message: Message) -> None:
        self._writer.write(framed(message))

    def close(self) -> None:
        self._writer.close()


class Server:
    """The fork server, as the worker sees it."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        control: socket.socket,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self.process = process
        self._control, self._reader = control, reader
        self._writer = writer  # only kept: it would close the channel when nobody has it any more
        self._forks: dict[str, asyncio.Future[int]] = {}
        self.children: dict[int, Child] = {}
        self._listening = asyncio.create_task(self._listen())

    @classmethod
    async def start(cls, command: Sequence[str], setup: Message) -> "Server":
        """`command` gets the number of its control channel as a last argument, and `setup` as the first message on it.

        Raises SchedulerError when it does not come up.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            # From the main thread: the kernel would end the process together with the thread that started it.
            process = subprocess.Popen(  # noqa: ASYNC220 - it starts in milliseconds, and has to be started here
                [*command, str(theirs.fileno())], pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL
            )
        send(ours, setup)
        reader, writer = await asyncio.open_connection(sock=ours)
        try:
            async with asyncio.timeout(READY_SECONDS):
                ready = await receive_from(reader)
        except TimeoutError:
            ready = None
        if ready is None:
            process.kill()
            raise SchedulerError(
                "The process that children are forked from did not start: see what it wrote to stderr."
            )
        return cls(process, ours, reader, writer)

    @property
    def alive(self) -> bool:
        return not self._listening.done()

    async def fork(self) -> Child:
        """Raises SchedulerError when the system has no process to give."""
        tag = uuid4().hex[:12]
        ours, theirs = socket.socketpair()
        forked = self._forks[tag] = asyncio.get_running_loop().create_future()
        try:
            with theirs:
                send(self._control, {"fork": tag})
                send_channel(self._control, theirs)
            pid = await forked
            child = Child(tag, pid, *await asyncio.open_connection(sock=ours))
        except OSError as error:
            ours.close()
            raise SchedulerError(f"No process could be started for the handler: {error.strerror or error}.") from error
        finally:
            self._forks.pop(tag, None)
        self.children[pid] = child
        return child

    def kill(self, child: Child, number: int) -> None:
        with suppress(OSError):
            send(self._control, {"kill": child.pid, "signal": number})

    async def end(self) -> None:
        """With all children."""
        self._writer.close()
        await asyncio.to_thread(self.process.wait)
        await self._listening

    async def _listen(self) -> None:
        while (message := await receive_from(self._reader)) is not None:
            match message:
                case {"forked": tag, "pid": pid} if tag in self._forks:
                    self._forks[tag].set_result(pid)
                case {"refused": tag, "why": why} if tag in self._forks:
                    self._forks[tag].set_exception(OSError(0, why))
                case {"ended": pid, "code": code} if (child := self.children.pop(pid, None)) is not None:
                    child.ended.set_result(code)
        for child in self.children.values():
            child.ended.set_result(-signal.SIGKILL)
        for waiting in self._forks.values():
            waiting.set_exception(OSError(0, "the fork server ended"))
        self.children.clear()


class ProcessRunning:
    """An attempt in a child, or waiting for one."""

    def __init__(self, spec: HandlerSpec, context: ExecutionContext, pool: "ProcessIsolation") -> None:
        self.context = context
        self._pool = pool
        self._stop_asked: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._child: Child | None = None
        self._steps: list[str] = []
        self._started_at = monotonic()
        self.future: asyncio.Future[Any] = asyncio.create_task(self._run(), name=spec.name)

    def stop(self, reason: str) -> None:
        self.context.cancel(reason)
        if not self._stop_asked.done():
            self._stop_asked.set_result(monotonic())

    def end(self) -> None:
        if self._child is not None:
            self._pool.kill(self._child, signal.SIGKILL)

    async def _run(self) -> Any:
        child = await self._pool.take()
        self.context.postpone(monotonic() - self._started_at)  # its time is the handler's own
        if self.context.cancelled:
            self._pool.give_back(child)
            raise asyncio.CancelledError
        self._child = child
        child.send({"run": fields_of(self.context.claim), "deadline": self.context.deadline})
        over = asyncio.create_task(self._over(child))
        if not await _within(None, over, self._stop_asked):
            await self._end(child, over)
        verdict = await over
        if verdict is not None and not verdict["last"]:
            self._pool.give_back(child)
        return self._outcome(child, verdict)

    async def _over(self, child: Child) -> Message | None:
        """What the child says of how the attempt ended; None when it ended without a word."""
        listening = asyncio.create_task(self._listen(child))
        if await _within(None, listening, child.ended):
            return listening.result()
        if await _within(LAST_WORDS_SECONDS, listening):  # a process that it left behind may keep the channel open
            return listening.result()
        listening.cancel()
        return None

    async def _listen(self, child: Child) -> Message | None:
        while (message := await receive_from(child.reader)) is not None:
            match message:
                case {"progress": [fraction, text]}:
                    self.context.progress(fraction, text)
                case {"ended": _}:
                    return message
        await child.ended
        return None

    async def _end(self, child: Child, over: asyncio.Future[Message | None]) -> None:
        """The ladder."""
        self._note("asked to stop")
        child.send({"stop": self.context.cancel_reason})
        if await _within(ASKED_SECONDS, over):
            return
        for number, seconds in ((signal.SIGTERM, TERMINATED_SECONDS), (signal.SIGKILL, KILLED_SECONDS)):
            self._note(number.name)
            self._pool.kill(child, number)
            if await _within(seconds, over):
                break
        if ended := await self._pool.end_sessions(child.tag):
            self._note(f"{ended} database session{'s' if ended > 1 else ''} ended")

    def _note(self, step: str) -> None:
        self._steps.append(f"{monotonic() - self._stop_asked.result():.1f} s: {step}")

    def _outcome(self, child: Child, verdict: Message | None) -> Any:
        told = None if verdict is None else heard(verdict["ended"])
        if len(self._steps) > 1 and not isinstance(told, EncodedResult | ControlFlow):
            headline, traceback = ("", "") if told is None else describe_error(told)
            raise ToldFault(headline or "It had to be killed.", "\n".join([*self._steps, traceback]).rstrip())
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

    def __init__(self, command: Sequence[str], setup: Message, end_sessions: EndSessions, *, keep: int) -> None:
        """`command` and `setup` are the fork server's; `keep` is how many idle children stay for the next attempts."""
        self.end_sessions = end_sessions
        self._command, self._setup, self._keep = command, setup, keep
        self._server: Server | None = None
        self._starting = asyncio.Lock()
        self._idle: list[Child] = []
        self._running: set[ProcessRunning] = set()

    def start(self, spec: HandlerSpec, context: ExecutionContext) -> ProcessRunning:
        running = ProcessRunning(spec, context, self)
        self._running.add(running)
        running.future.add_done_callback(lambda _: self._running.discard(running))
        return running

    async def take(self) -> Child:
        """A child that runs nothing. Raises SchedulerError."""
        while self._idle:
            child = self._idle.pop()
            if not child.ended.done():
                return child
        return await (await self._ready_server()).fork()

    def give_back(self, child: Child) -> None:
        if len(self._idle) < self._keep and not child.ended.done():
            self._idle.append(child)
        else:
            child.close()

    def kill(self, child: Child, number: signal.Signals) -> None:
        if self._server is not None:
            self._server.kill(child, number)

    async def close(self, timeout: float) -> None:  # noqa: ASYNC109 - see the contract
        if unfinished := [running.future for running in self._running]:
            await asyncio.wait(unfinished, timeout=timeout)
        if self._server is not None:
            await self._server.end()

    async def warm_up(self) -> None:
        """Start the fork server now, so that the first attempt doesn't wait for it. Raises SchedulerError."""
        await self._ready_server()

    async def _ready_server(self) -> Server:
        async with self._starting:
            if self._server is None or not self._server.alive:
                self._server = await Server.start(self._command, self._setup)
            return self._server


async def _within(seconds: float | None, *futures: asyncio.Future[Any]) -> bool:
    """Whether the first of `futures` is done when any of them is, or when the time is up."""
    await asyncio.wait(futures, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    return futures[0].done()


def _how(code: int) -> str:
    if code >= 0:
        return f"exited with status {code}"
    name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
    return f"was killed by {name}" + (" (out of memory?)" if -code == signal.SIGKILL else "")
