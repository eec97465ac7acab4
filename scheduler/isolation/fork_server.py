"""The process that the children of a worker are forked from: it has imported the handlers once, and runs none.

    worker ── fork, kill ──▶ fork server ── fork ──▶ child ◀── attempts, outcomes ── worker
           ◀─ forked, ended ─                          (a channel that the worker sends along with `fork`)

It has one thread and waits for nothing but its worker and the end of children, so a signal always reaches the process
that is meant: a child is known to be there until the fork server itself has taken note of its end. Whatever a child
leaves behind in its process group is killed with it, and all children with the fork server.
"""

import gc
import os
import selectors
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn

from scheduler.handlers import HandlerRegistry
from scheduler.isolation.child import Child, die_with_parent
from scheduler.isolation.frames import Message, receive, receive_channel, send


class ForkServer:
    def __init__(self, control: socket.socket, handlers: HandlerRegistry, begin_child: Callable[[str], None]) -> None:
        """`begin_child` is called in each child with its tag, before anything of a handler runs."""
        self._control, self._handlers, self._begin_child = control, handlers, begin_child
        self._children: set[int] = set()
        self._woken, self._wake = socket.socketpair()

    def serve(self) -> NoReturn:
        """Until the worker is gone."""
        for each in (signal.SIGINT, signal.SIGTERM):
            signal.signal(each, signal.SIG_IGN)  # the worker decides when we end
        self._wake.setblocking(False)
        signal.set_wakeup_fd(self._wake.fileno())
        signal.signal(signal.SIGCHLD, lambda *_: None)
        gc.freeze()  # what is imported stays shared with the children
        send(self._control, {"ready": os.getpid()})
        with selectors.DefaultSelector() as selector:
            selector.register(self._control, selectors.EVENT_READ)
            selector.register(self._woken, selectors.EVENT_READ)
            while True:
                ready = [key.fileobj for key, _ in selector.select()]
                if self._woken in ready:
                    self._woken.recv(4096)
                    self._note_ends()
                if self._control in ready:
                    message = receive(self._control)
                    if message is None:
                        self._end()
                    self._obey(message)

    def _obey(self, message: Message) -> None:
        match message:
            case {"fork": tag}:
                self._fork(tag)
            case {"kill": pid, "signal": number} if pid in self._children:
                if number == signal.SIGKILL:
                    self._kill_group(pid)
                else:
                    os.kill(pid, number)

    def _fork(self, tag: str) -> None:
        channel, here = receive_channel(self._control), os.getpid()
        try:
            pid = os.fork()
        except OSError as error:
            send(self._control, {"refused": tag, "why": error.strerror or str(error)})
            channel.close()
            return
        if pid == 0:
            self._become_child(channel, tag, here)
        channel.close()
        self._children.add(pid)
        send(self._control, {"forked": tag, "pid": pid})

    def _become_child(self, channel: socket.socket, tag: str, parent: int) -> NoReturn:
        try:
            os.setsid()
            die_with_parent(parent)
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for ours in (self._control, self._woken, self._wake):
                ours.close()
            gc.unfreeze()
            self._begin_child(tag)
            Child(channel, self._handlers).serve()
        finally:
            os._exit(1)

    def _note_ends(self) -> None:
        for pid in list(self._children):
            if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
                self._kill_group(pid)
                _, status = os.waitpid(pid, 0)
                self._children.discard(pid)
                with suppress(OSError):
                    send(self._control, {"ended": pid, "code": os.waitstatus_to_exitcode(status)})

    def _end(self) -> NoReturn:
        for pid in self._children:
            self._kill_group(pid)
        os._exit(0)

    @staticmethod
    def _kill_group(pid: int) -> None:
        """The child and what it started. Its number can't be another's as long as we have not waited for it."""
        for kill in (os.killpg, os.kill):  # it may not have become the leader of a group yet
            with suppress(ProcessLookupError, PermissionError):
                kill(pid, signal.SIGKILL)
