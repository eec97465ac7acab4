"""supervisor: a light parent that starts workers, watches them, and replaces those that end, hang or are worn out.

Each worker reports from its event loop, twice a second. One that says nothing for longer than its lease is worth is
killed: whatever keeps its loop from turning, its rows belong to others by then. The parent knows nothing of the
database and runs no handler, so nothing of what kills or blocks a worker reaches it.
"""

import json
import os
import random
import selectors
import signal
import socket
import subprocess
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from types import FrameType
from typing import Any, Final

from scheduler.clock import monotonic
from scheduler.messages import log

FIRST_REPORT_SECONDS: Final = 120.0
"""How long a worker may take to start: to import its handlers, and to reach its database."""
SILENCE_SECONDS: Final = 5.0
"""How much longer than its lease a worker may be silent: time to end itself, which tells who was to blame."""
FULL_SECONDS: Final = 5.0
"""Another worker is started when all have been full for so long while more is waiting."""
IDLE_SECONDS: Final = 60.0
"""One too many is drained when it has had nothing to do for so long."""
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.5, 30.0
"""Before a worker that ended is replaced: doubled with each that ended soon after its start."""
STEADY_SECONDS: Final = 60.0
CONFIGURATION: Final = 2
"""The exit code of a worker that can't start with what it was given: none of its like could."""
_TURN_SECONDS: Final = 0.5
_STOP = (signal.SIGTERM, signal.SIGINT)


@dataclass(frozen=True, slots=True)
class Crew:
    """How many workers there are, and what is asked of them."""

    least: int = 1
    most: int = 1
    lease_seconds: float = 30.0
    max_executions: int | None = None
    """After so many executions a worker is drained and replaced; None: never."""
    until_idle: bool = False
    """Those that end by themselves are not replaced."""


@dataclass(slots=True, eq=False)
class Member:
    """One worker process."""

    process: subprocess.Popen[bytes]
    channel: socket.socket
    started_at: float
    heard_at: float
    ready: bool = False
    draining: bool = False
    executions: int = 0
    full_since: float | None = None
    idle_since: float | None = None
    unread: bytes = field(default=b"", repr=False)

    def take(self, report: dict[str, Any], now: float) -> None:
        self.ready, self.heard_at, self.executions = True, now, report["executions"]
        self.full_since = (self.full_since or now) if report["full"] else None
        self.idle_since = (self.idle_since or now) if report["idle"] else None


class Supervisor:
    def __init__(self, start: Callable[[int, bool], subprocess.Popen[bytes]], crew: Crew) -> None:
        """`start` starts a worker that reports to the file descriptor it is given, and inherits; the first is told."""
        self._start, self._crew = start, crew
        self._members: list[Member] = []
        self._wanted = crew.least
        self._pause = FIRST_PAUSE_SECONDS
        self._not_before = 0.0
        self._proven = False
        """A worker has started with these settings: the next one can."""
        self._finishing = False
        """Nothing is started any more."""
        self._code = 0
        self._selector = selectors.DefaultSelector()

    def run(self) -> int:
        """Until a signal has been obeyed, or all have ended by themselves; the exit code."""
        woken, wake = socket.socketpair()
        for end in (woken, wake):
            end.setblocking(False)
        before = {each: signal.signal(each, self._received) for each in (*_STOP, signal.SIGCHLD)}
        wakeup = signal.set_wakeup_fd(wake.fileno())
        self._selector.register(woken, selectors.EVENT_READ)
        try:
            while self._turn():
                pass
        finally:
            signal.set_wakeup_fd(wakeup)
            for each, handler in before.items():
                signal.signal(each, handler)
            for member in self._members:
                member.process.kill()
            self._selector.close()
            woken.close()
            wake.close()
        return self._code

    def _turn(self) -> bool:
        """One look at everything; False when there is nobody left to look after."""
        for key, _ in self._selector.select(_TURN_SECONDS):
            if isinstance(key.data, Member):
                self._listen(key.data)
            else:
                os.read(key.fd, 4096)  # a signal woke us; it has been obeyed by now
        now = monotonic()
        for member in list(self._members):
            if (code := member.process.poll()) is not None:
                self._ended(member, code, now)
            else:
                self._look_at(member, now)
        if not self._finishing:
            self._scale(now)
            self._fill(now)
        return bool(self._members) or not self._finishing

    # How many there are ----------------------------------------------------------------------------------------------

    @property
    def _working(self) -> list[Member]:
        return [member for member in self._members if not member.draining]

    def _fill(self, now: float) -> None:
        """As many as are wanted; the first alone, until it has shown that one can start at all."""
        missing = (self._wanted if self._proven else 1) - len(self._working)
        if missing > 0 and now >= self._not_before:
            for _ in range(missing):
                self._add(now)

    def _scale(self, now: float) -> None:
        """Another one when all have been full for a while, one less when one has had nothing to do for longer."""
        working = self._working
        if len(working) != self._wanted or not all(member.ready for member in working):
            return
        idle = [m for m in working if m.idle_since is not None and now - m.idle_since > IDLE_SECONDS]
        full = [m for m in working if m.full_since is not None and now - m.full_since > FULL_SECONDS]
        if len(full) == len(working) < self._crew.most:
            self._wanted += 1
        elif idle and len(working) > self._crew.least:
            self._wanted -= 1
            self._drain(idle[-1])
        else:
            return
        log("supervisor.scaled", processes=self._wanted)

    def _add(self, now: float) -> None:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        with theirs:
            member = Member(self._start(theirs.fileno(), not self._proven), ours, now, now)
        self._members.append(member)
        self._selector.register(ours, selectors.EVENT_READ, member)
        log("supervisor.started_worker", pid=member.process.pid)

    # Each of them ----------------------------------------------------------------------------------------------------

    def _listen(self, member: Member) -> None:
        with suppress(BlockingIOError, ConnectionError):
            if received := member.channel.recv(65536):
                *reports, member.unread = (member.unread + received).split(b"\n")
                for report in reports:
                    member.take(json.loads(report), monotonic())
                    self._proven = True
            else:
                self._selector.unregister(member.channel)

    def _look_at(self, member: Member, now: float) -> None:
        patience = self._crew.lease_seconds + SILENCE_SECONDS if member.ready else FIRST_REPORT_SECONDS
        if now - member.heard_at > patience:
            log("supervisor.silent", pid=member.process.pid, seconds=round(now - member.heard_at))
            member.process.kill()
        elif self._is_worn(member) and not self._finishing and len(self._working) == self._wanted:
            log("supervisor.worn", pid=member.process.pid, executions=member.executions)
            self._drain(member)

    def _is_worn(self, member: Member) -> bool:
        most = self._crew.max_executions
        return most is not None and member.executions >= most and not member.draining

    def _drain(self, member: Member) -> None:
        member.draining = True
        member.process.send_signal(signal.SIGTERM)

    def _ended(self, member: Member, code: int, now: float) -> None:
        self._members.remove(member)
        with suppress(KeyError):
            self._selector.unregister(member.channel)
        member.channel.close()
        if self._finishing or member.draining:
            self._code = max(self._code, 1 if code else 0)
        elif code == CONFIGURATION and not self._proven:
            self._code, self._finishing = CONFIGURATION, True
        elif code == 0 and self._crew.until_idle:
            self._finishing = True
        else:
            self._replace(member, code, now)

    def _replace(self, member: Member, code: int, now: float) -> None:
        if now - member.started_at > STEADY_SECONDS:
            self._pause = FIRST_PAUSE_SECONDS
        self._not_before = now + self._pause * random.uniform(0.5, 1.0)
        self._pause = min(LONGEST_PAUSE_SECONDS, self._pause * 2)
        log("supervisor.replacing", pid=member.process.pid, how=_how(code), seconds=round(self._not_before - now, 1))

    # Signals ---------------------------------------------------------------------------------------------------------

    def _received(self, number: int, frame: FrameType | None) -> None:
        """Python calls this between two steps of `run`, which the wakeup descriptor has woken."""
        if number in _STOP:
            self._finishing = True
            for member in self._members:
                member.process.send_signal(signal.SIGTERM)


def _how(code: int) -> str:
    return f"exited with status {code}" if code >= 0 else f"was ended by {signal.Signals(-code).name}"
