"""In a child process: run one attempt after another, in the main thread, as the worker says.

A second thread listens, so that a handler can be told to stop while it runs. SIGTERM is the next step: it raises in the
handler wherever Python code runs. What neither reaches, the worker kills.
"""

import asyncio
import os
import signal
import socket
import sys
from contextlib import nullcontext, suppress
from queue import SimpleQueue
from threading import Lock, Thread, main_thread
from types import FrameType
from typing import Any, Final, NoReturn
from uuid import UUID

from scheduler.clock import monotonic
from scheduler.errors import HandlerNotFoundError
from scheduler.handlers import ExecutionContext, HandlerRegistry, HandlerSpec
from scheduler.isolation.call import BlockingCall
from scheduler.isolation.frames import Message, receive, send
from scheduler.isolation.memory import data_bytes, memory_limited, out_of_memory
from scheduler.isolation.verdict import told
from scheduler.model import Claim

_PROGRESS_SECONDS: Final = 0.1
"""What a handler reports more often than that is told only if it is the last."""


class Terminated(BaseException):
    """SIGTERM has come while a handler ran."""

    def __str__(self) -> str:
        return "it was told to end, by SIGTERM"


class Channel:
    """To the worker; messages of several threads take turns."""

    def __init__(self, end: socket.socket) -> None:
        self._end, self._turn = end, Lock()

    def receive(self) -> Message | None:
        return receive(self._end)

    def send(self, message: Message) -> None:
        """Never half of it: until it is out, SIGTERM waits."""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
        try:
            with self._turn, suppress(OSError):  # a worker that is gone has ended us by now
                send(self._end, message)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


class ChildContext(ExecutionContext):
    """What a handler reports is told to the worker while it runs."""

    __slots__ = ("_channel", "_told_at")

    def __init__(self, claim: Claim, deadline: float, channel: Channel) -> None:
        super().__init__(claim, deadline)
        self._channel, self._told_at = channel, 0.0

    def progress(self, fraction: float, message: str = "") -> None:
        super().progress(fraction, message)
        if monotonic() - self._told_at >= _PROGRESS_SECONDS:
            self.tell_progress()

    def tell_progress(self) -> None:
        """The latest report, if the worker hasn't heard of it."""
        if (latest := self.take_progress()) is not None:
            self._told_at = monotonic()
            self._channel.send({"progress": latest})


class Child:
    def __init__(self, channel: socket.socket, handlers: HandlerRegistry) -> None:
        self._channel, self._handlers = Channel(channel), handlers
        self._runner = asyncio.Runner()  # one loop for all attempts, so that connections of its pools are used again
        self._given: SimpleQueue[tuple[BlockingCall, ChildContext, HandlerSpec]] = SimpleQueue()
        self._call: BlockingCall | None = None
        self._running = self._told_to_end = False
        self._data_at_first = data_bytes()

    def serve(self) -> NoReturn:
        """Until the worker closes the channel, or has us killed."""
        # Ctrl-C is for the worker. A function and not SIG_IGN, which the programs that a handler starts would inherit.
        signal.signal(signal.SIGINT, lambda *_: None)
        signal.signal(signal.SIGTERM, self._terminated)
        Thread(target=self._listen, name="scheduler-child", daemon=True).start()
        while True:
            self._attempt(*self._given.get())

    def _attempt(self, call: BlockingCall, context: ChildContext, spec: HandlerSpec) -> None:
        value, error = self._outcome(call, spec)
        if isinstance(error, MemoryError) and spec.max_memory_mb is not None:
            error = out_of_memory(error, spec.max_memory_mb)
        for stream in (sys.stdout, sys.stderr):
            with suppress(Exception):  # closed, or a pipe that nobody reads
                stream.flush()
        context.tell_progress()
        self._channel.send({"ended": told(value, error), "last": self._told_to_end or isinstance(error, MemoryError)})

    def _outcome(self, call: BlockingCall, spec: HandlerSpec) -> tuple[Any, BaseException | None]:
        self._running = True
        try:
            with memory_limited(self._data_at_first, spec.max_memory_mb):
                value, error = call.outcome()
        except Terminated as ending:  # it came between our own lines
            return None, ending
        finally:
            self._running = False
        cause = error.__cause__ if error is not None else None
        return value, cause if isinstance(cause, Terminated) else error

    def _listen(self) -> None:
        try:
            while (message := self._channel.receive()) is not None:
                match message:
                    case {"run": fields, "deadline": deadline}:
                        self._take(claim_of(fields), deadline)
                    case {"warn": reason} if self._call is not None:
                        self._call.context.cancel(reason)
                    case {"stop": reason} if self._call is not None:
                        self._call.stop(reason)
                    case {"terminate": _}:
                        self._told_to_end = True
                        signal.pthread_kill(main_thread().ident or 0, signal.SIGTERM)
        finally:
            os.killpg(0, signal.SIGKILL)  # nobody waits for what we do

    def _take(self, claim: Claim, deadline: float) -> None:
        try:
            spec = self._handlers.get(claim.handler_name)
        except HandlerNotFoundError as error:  # its module changed while the worker runs
            self._channel.send({"ended": told(None, error), "last": False})
            return
        context = ChildContext(claim, deadline, self._channel)
        self._call = BlockingCall(spec, context, self._shared_loop)
        self._given.put((self._call, context, spec))

    def _shared_loop(self) -> nullcontext[asyncio.Runner]:
        return nullcontext(self._runner)

    def _terminated(self, number: int, frame: FrameType | None) -> None:
        """One that comes from elsewhere, as to all processes of a service that ends, is for the worker to obey."""
        if self._told_to_end and self._running:
            self._running = False
            raise Terminated


def fields_of(claim: Claim) -> list[Any]:
    """A claim as JSON can carry it."""
    *plain, token = claim
    return [*plain, str(token)]


def claim_of(fields: list[Any]) -> Claim:
    return Claim._make([*fields[:-1], UUID(fields[-1])])
