"""The process that the children of a worker are forked from: it has imported the handlers once, and runs none.

    worker ── fork, kill ──▶ fork server ── fork ──▶ child ◀── attempts, outcomes ── worker
           ◀─ forked, ended ─                          (a channel that the worker sends along with `fork`)

It has one thread and waits for nothing but its worker and the end of children, so that SIGKILL always reaches the
process that is meant: a child's number is not given to another before the fork server has taken note of its end.
Whatever a child leaves behind in its process group is killed with it, and all of them when the worker is gone.
"""

import gc
import os
import selectors
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NoReturn

from scheduler.database import DatabaseRegistry
from scheduler.errors import SchedulerError
from scheduler.handlers import HandlerRegistry, describe_error, discover
from scheduler.isolation.child import Child
from scheduler.isolation.frames import Message, receive, receive_channel, send
from scheduler.isolation.parents import die_with_parent
from scheduler.messages import Language, configure, log
from scheduler.queues.opening import QueuePlace
from scheduler.queues.registry import QueueRegistry


@dataclass(frozen=True, slots=True)
class Setup:
    """What a process that runs handlers has to know; it reads no settings of its own. All of it can be JSON."""

    project: str
    """The folder that `handlers` are relative to."""
    handlers: Sequence[str]
    databases: Mapping[str, Mapping[str, Any]]
    """Options by name, as `DatabaseRegistry.configure` takes them."""
    job: str
    """The name of the one with the scheduler's tables."""
    log: tuple[str, Literal["text", "json"], Language]
    """Level, form and language, as `messages.configure` takes them."""
    queues: Sequence[Mapping[str, Any]] = ()
    """The message queues that handlers may publish to: places of `queues.opening` as mappings."""


def main() -> NoReturn:
    """The whole process: the number of its control channel is its last argument, its setup the first message there."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    control = socket.socket(fileno=int(sys.argv[-1]))
    first = receive(control)
    if first is None:
        sys.exit(1)
    parent, setup = first["parent"], Setup(**first["setup"])
    die_with_parent(parent, signal.SIGTERM)
    configure(*setup.log)
    try:
        DatabaseRegistry.configure(setup.databases, job=setup.job)
        QueueRegistry.configure(QueuePlace.of(plain) for plain in setup.queues)
        handlers = discover(setup.handlers, Path(setup.project))
    except SchedulerError as error:
        send(control, {"failed": str(error)})
        sys.exit(1)
    ForkServer(control, handlers, parent).serve()


class ForkServer:
    def __init__(self, control: socket.socket, handlers: HandlerRegistry, parent: int) -> None:
        """`parent` is the worker's number: that it is our parent no more tells of its end."""
        self._control, self._handlers, self._parent = control, handlers, parent
        self._children: set[int] = set()
        self._woken, self._wake = socket.socketpair()

    def serve(self) -> NoReturn:
        """Until the worker is gone."""
        for ignored in (signal.SIGINT, signal.SIGHUP):
            signal.signal(ignored, signal.SIG_IGN)
        # SIGTERM may be the kernel's word that the worker is gone. Else it is meant for the worker, as at the end of
        # a service, whose processes all get it.
        for noted in (signal.SIGTERM, signal.SIGCHLD):
            signal.signal(noted, lambda *_: None)
        self._wake.setblocking(False)
        signal.set_wakeup_fd(self._wake.fileno(), warn_on_full_buffer=False)
        gc.collect()
        gc.freeze()  # what is imported stays shared with the children
        try:
            send(self._control, {"ready": os.getpid()})
            with selectors.PollSelector() as selector:
                selector.register(self._control, selectors.EVENT_READ)
                selector.register(self._woken, selectors.EVENT_READ)
                while os.getppid() == self._parent:
                    self._turn({key.fileobj for key, _ in selector.select()})
        except ConnectionError:
            pass
        finally:
            for pid in self._children:
                _kill(pid)
        os._exit(0)

    def _turn(self, ready: set[Any]) -> None:
        """Raises ConnectionError when the worker is gone."""
        if self._woken in ready:
            self._woken.recv(4096)
            self._note_ends()
        if self._control in ready:
            message = receive(self._control)
            if message is None:
                raise ConnectionError
            self._obey(message)

    def _obey(self, message: Message) -> None:
        match message:
            case {"fork": tag}:
                self._fork(tag)
            case {"kill": pid} if pid in self._children:
                _kill(pid)

    def _fork(self, tag: str) -> None:
        with receive_channel(self._control) as channel:
            for stream in (sys.stdout, sys.stderr):
                with suppress(Exception):  # what a module has printed is not for each child to print again
                    stream.flush()
            here = os.getpid()
            try:
                pid = os.fork()
            except OSError as error:
                send(self._control, {"refused": tag, "why": error.strerror or str(error)})
                return
            if pid == 0:
                self._become_child(channel, tag, here)
        self._children.add(pid)
        send(self._control, {"forked": tag, "pid": pid})

    def _become_child(self, channel: socket.socket, tag: str, parent: int) -> NoReturn:
        try:
            os.setsid()
            die_with_parent(parent)
            signal.set_wakeup_fd(-1)
            for each in (signal.SIGCHLD, signal.SIGHUP):
                signal.signal(each, signal.SIG_DFL)
            for ours in (self._control, self._woken, self._wake):
                ours.close()
            DatabaseRegistry.tag(tag)
            Child(channel, self._handlers).serve()
        except BaseException as error:  # nothing of ours may go on as if it were the fork server
            log("process.broke", error=describe_error(error)[0])
        os._exit(1)

    def _note_ends(self) -> None:
        for pid in list(self._children):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                self._children.discard(pid)
                _kill_group(pid)  # a number stays taken as long as its group has members
                send(self._control, {"ended": pid, "code": os.waitstatus_to_exitcode(status)})


def _kill(pid: int) -> None:
    """A child that has not been waited for, and what it started; it may not lead a group yet."""
    _kill_group(pid)
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _kill_group(pid: int) -> None:
    with suppress(ProcessLookupError, PermissionError):  # nobody is left, or on macOS: nobody but the dead
        os.killpg(pid, signal.SIGKILL)
