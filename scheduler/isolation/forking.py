"""The fork server and its children as their worker sees them."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack, suppress
from dataclasses import asdict
from typing import Any, Final, NamedTuple, Self
from uuid import uuid4

from scheduler.errors import SchedulerError
from scheduler.isolation.fork_server import Setup
from scheduler.isolation.frames import Message, framed, receive_from, send, send_channel

READY_SECONDS: Final = 60.0
"""How long the fork server may take to import the handlers."""
FORK_SECONDS: Final = 10.0
"""How long it may take to make a child."""
FORKS_AT_ONCE: Final = 16
"""As many may be asked for before the first is there. A channel on its way takes room in the socket, which is small."""
END_SECONDS: Final = 1.0
"""How long it may take to end when nobody needs it any more."""
LAST_WORDS_SECONDS: Final = 0.1
"""How long a child that has ended may be listened to: what it left behind may keep its channel open for ever."""
_POLL_SECONDS: Final = 0.005


class Born(NamedTuple):
    """What is known of a child before it is listened to."""

    pid: int
    ended: asyncio.Future[int]
    """The exit code, negative for a signal."""


class Child:
    """A process that runs attempts, one at a time."""

    def __init__(
        self, server: "Server", tag: str, born: "Born", reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.tag, self.pid, self.ended = tag, born.pid, born.ended
        self._server, self._reader, self._writer = server, reader, writer
        self.ended.add_done_callback(self._over)

    def send(self, message: Message) -> None:
        self._writer.write(framed(message))

    async def receive(self) -> Message | None:
        """What it says next; None when it is gone."""
        return await receive_from(self._reader)

    def kill(self) -> None:
        """SIGKILL to it and all that it started."""
        self._server.kill(self.pid)

    def close(self) -> None:
        """It is not needed any more, and ends itself when it notices."""
        self._writer.transport.abort()
        self._server.forget(self)

    def _over(self, ended: asyncio.Future[int]) -> None:
        ended.get_loop().call_later(LAST_WORDS_SECONDS, self.close)


class Server:
    """The process that children are forked from."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        control: socket.socket,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self.alive = True
        self.pid = process.pid
        self._process, self._control, self._reader, self._writer = process, control, reader, writer
        self._forks: dict[str, asyncio.Future[Born]] = {}
        self._turns = asyncio.Semaphore(FORKS_AT_ONCE)
        self._alive: dict[int, asyncio.Future[int]] = {}
        self._children: set[Child] = set()
        """Those whose channels are open."""
        self._listening = asyncio.create_task(self._listen(), name="scheduler-fork-server")

    @classmethod
    async def start(cls, setup: Setup) -> Self:
        """Raises SchedulerError when it does not come up."""
        ours, theirs = socket.socketpair()
        with ExitStack() as undo:
            with theirs:
                # In this thread, the main one: with the thread that started it the kernel would end the process.
                process = subprocess.Popen(  # noqa: ASYNC220 - it takes milliseconds
                    _command(theirs.fileno()), pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL
                )
            undo.callback(_end_now, process)
            reader, writer = await _stream(ours)
            undo.callback(writer.transport.abort)
            writer.write(framed({"parent": os.getpid(), "setup": asdict(setup)}))
            await _ready(reader)
            undo.pop_all()
        return cls(process, ours, reader, writer)

    async def fork(self) -> Child:
        """Raises SchedulerError when the system has no process to give."""
        async with self._turns:
            return await self._fork()

    async def _fork(self) -> Child:
        tag = uuid4().hex[:12]
        forked = self._forks[tag] = asyncio.get_running_loop().create_future()
        ours, theirs = socket.socketpair()
        try:
            self._ask_for(tag, theirs)
            async with asyncio.timeout(FORK_SECONDS):
                born = await forked
            reader, writer = await _stream(ours)
        except BaseException as error:  # should the child come all the same, it finds nobody, and ends
            ours.close()
            if isinstance(error, OSError):  # TimeoutError too
                reason = error.strerror or "it took too long"
                raise SchedulerError(f"No process could be started for the handler: {reason}.") from error
            raise
        finally:
            self._forks.pop(tag, None)
        child = Child(self, tag, born, reader, writer)
        self._children.add(child)
        return child

    def forget(self, child: Child) -> None:
        """It is closed."""
        self._children.discard(child)

    def kill(self, pid: int) -> None:
        try:
            send(self._control, {"kill": pid})
        except BlockingIOError:  # so many at once that there is no room: it is making some
            asyncio.get_running_loop().call_later(_POLL_SECONDS, self.kill, pid)
        except OSError:
            return  # it is gone, and all of them with it

    async def end(self) -> None:
        """With all children. Returns when it is gone."""
        for child in tuple(self._children):
            child.close()
        self._writer.transport.abort()
        await self.gone()

    async def gone(self) -> None:
        await asyncio.shield(self._listening)

    def _ask_for(self, tag: str, channel: socket.socket) -> None:
        with channel:
            try:
                send(self._control, {"fork": tag})
                send_channel(self._control, channel)
            except OSError:  # it doesn't listen any more, or heard half of it
                self._writer.transport.abort()
                raise

    async def _listen(self) -> None:
        while (message := await receive_from(self._reader)) is not None:
            self._heard(message)
        self.alive = False
        self._writer.transport.abort()
        for forked in self._forks.values():
            if not forked.done():
                forked.set_exception(OSError(0, "the process that it is forked from ended"))
        for child in tuple(self._children):  # the kernel ends them with it; where it doesn't, they notice by this
            child.close()
        for ended in self._alive.values():
            ended.set_result(-signal.SIGKILL)
        self._alive.clear()
        await self._wait_for_end()

    def _heard(self, message: Message) -> None:
        match message:
            case {"forked": tag, "pid": pid} if (forked := self._forks.get(tag)) and not forked.done():
                self._alive[pid] = ended = forked.get_loop().create_future()
                forked.set_result(Born(pid, ended))
            case {"refused": tag, "why": why} if (forked := self._forks.get(tag)) and not forked.done():
                forked.set_exception(OSError(0, why))
            case {"ended": pid, "code": code} if pid in self._alive:
                self._alive.pop(pid).set_result(code)

    async def _wait_for_end(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(END_SECONDS):
                while self._process.poll() is None:  # noqa: ASYNC110 - it announces nothing
                    await asyncio.sleep(_POLL_SECONDS)
        _end_now(self._process)


async def _ready(reader: asyncio.StreamReader) -> None:
    """Wait until the fork server is. Raises SchedulerError when it is not."""
    try:
        async with asyncio.timeout(READY_SECONDS):
            answer = await receive_from(reader)
    except TimeoutError:
        raise SchedulerError(
            f"The process that handlers are to run in was not ready within {READY_SECONDS:g} s: "
            "look for handler modules whose import takes long."
        ) from None
    if answer is None or "ready" not in answer:
        why = "see what it wrote to stderr." if answer is None else answer["failed"]
        raise SchedulerError(f"The process that handlers are to run in did not start: {why}")


async def _stream(end: socket.socket) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    try:
        return await asyncio.open_connection(sock=end)
    except BaseException:
        end.close()
        raise


def _command(control: int) -> list[str]:
    """With the worker's own search path, whatever that has been started with."""
    program = f"import sys; sys.path[:] = {sys.path!r}; from scheduler.isolation.fork_server import main; main()"
    return [sys.executable, "-c", program, str(control)]


def _end_now(process: subprocess.Popen[Any]) -> None:
    process.kill()
    process.wait()
