"""In a child process: run one attempt after another, in the main thread, as the worker says.

A second thread listens, so that a handler can be told to stop while it runs. SIGTERM is the next step: it raises in the
handler wherever Python code runs. What neither reaches, the worker kills.
"""

import asyncio
import ctypes
import os
import signal
import socket
import sys
from contextlib import nullcontext, suppress
from queue import SimpleQueue
from threading import Lock, Thread
from types import FrameType
from typing import Any, NoReturn
from uuid import UUID

from scheduler.errors import HandlerNotFoundError
from scheduler.handlers import ExecutionContext, HandlerRegistry, HandlerSpec
from scheduler.isolation.call import BlockingCall
from scheduler.isolation.frames import Message, receive, send
from scheduler.isolation.verdict import told
from scheduler.model import Claim

MIB = 1024 * 1024


class Terminated(BaseException):
    """SIGTERM has come while a handler ran."""

    def __str__(self) -> str:
        return "it was told to end, by SIGTERM"


class ChildContext(ExecutionContext):
    """What a handler reports is sent to the worker at once."""

    __slots__ = ("_send",)

    def __init__(self, claim: Claim, deadline: float, child: "Child") -> None:
        super().__init__(claim, deadline)
        self._send = child.send

    def progress(self, fraction: float, message: str = "") -> None:
        super().progress(fraction, message)
        if (latest := self.take_progress()) is not None:
            self._send({"progress": latest})


class Child:
    def __init__(self, channel: socket.socket, handlers: HandlerRegistry) -> None:
        self._channel, self._handlers = channel, handlers
        self._runner = asyncio.Runner()  # one loop for all attempts, so that connections of its pools are used again
        self._given: SimpleQueue[tuple[BlockingCall, HandlerSpec] | None] = SimpleQueue()
        self._writing = Lock()
        self._call: BlockingCall | None = None
        self._running = self._ending = False

    def serve(self) -> NoReturn:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the worker, which tells us
        signal.signal(signal.SIGTERM, self._terminated)
        Thread(target=self._listen, name="scheduler-child", daemon=True).start()
        while (given := self._given.get()) is not None:
            self._attempt(*given)
        os._exit(0)

    def send(self, message: Message) -> None:
        with self._writing, suppress(OSError):  # a worker that is gone has ended us by now
            send(self._channel, message)

    def _attempt(self, call: BlockingCall, spec: HandlerSpec) -> None:
        self._running = True
        try:
            with memory_limited(spec.max_memory_mb):
                outcome = call.outcome()
            self._running = False
        except Terminated as ending:  # it came between our own lines
            self._running = False
            outcome = None, ending
        value, error = outcome
        cause = error.__cause__ if error is not None else None
        self.send({"ended": told(value, cause if isinstance(cause, Terminated) else error), "last": self._ending})
        if self._ending:
            os._exit(0)

    def _listen(self) -> None:
        while (message := receive(self._channel)) is not None:
            match message:
                case {"run": fields, "deadline": deadline}:
                    self._take(claim_of(fields), deadline)
                case {"stop": reason} if self._call is not None:
                    self._call.stop(reason)
        os.killpg(0, signal.SIGKILL)  # nobody waits for what we do

    def _take(self, claim: Claim, deadline: float) -> None:
        try:
            spec = self._handlers.get(claim.handler_name)
        except HandlerNotFoundError as error:  # its module changed while the worker runs
            self.send({"ended": told(None, error), "last": False})
            return
        self._call = BlockingCall(spec, ChildContext(claim, deadline, self), self._shared_loop)
        self._given.put((self._call, spec))

    def _shared_loop(self) -> nullcontext[asyncio.Runner]:
        return nullcontext(self._runner)

    def _terminated(self, number: int, frame: FrameType | None) -> None:
        if not self._running:
            os._exit(0)
        self._ending = True
        raise Terminated


def die_with_parent(parent: int, number: int = signal.SIGKILL) -> None:
    """Have the kernel send this process a signal when its parent ends, however that ends.

    Linux only; elsewhere the end of a channel has to do.
    """
    if sys.platform == "linux":
        set_parent_death_signal = 1
        ctypes.CDLL(None).prctl(set_parent_death_signal, number)
        if os.getppid() != parent:
            os._exit(1)


class memory_limited:  # noqa: N801 - reads as the statement it is
    """For the time of a block: allocations beyond `megabytes` of data raise MemoryError in whoever asks for them."""

    def __init__(self, megabytes: float | None) -> None:
        self.megabytes = megabytes

    def __enter__(self) -> None:
        if self.megabytes is not None:
            self._set(int(self.megabytes * MIB))

    def __exit__(self, *_: object) -> None:
        if self.megabytes is not None:
            self._set(None)

    @staticmethod
    def _set(limit: int | None) -> None:
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        resource.setrlimit(resource.RLIMIT_DATA, (hard if limit is None else limit, hard))


def fields_of(claim: Claim) -> list[Any]:
    """A claim as JSON can carry it."""
    *plain, token = claim
    return [*plain, str(token)]


def claim_of(fields: list[Any]) -> Claim:
    return Claim._make([*fields[:-1], UUID(fields[-1])])
