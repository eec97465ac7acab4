"""supervisor: a light parent that starts workers, watches them, and replaces those that end, hang or are worn out.

Each worker reports from its event loop, twice a second. One that says nothing for longer than its lease is worth is
killed: whatever keeps its loop from turning, its rows belong to others by then. The parent knows nothing of the
database and runs no handler, so nothing of what kills or blocks a worker reaches it.
"""

import math
import os
import random
import selectors
import signal
import socket
import subprocess
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Final

from scheduler.clock import monotonic
from scheduler.messages import log
from scheduler.metrics import Tally
from scheduler.model import LoopAge
from scheduler.services.crew import Crew
from scheduler.services.endings import code_at_the_end, how, reap_strangers
from scheduler.services.health import ProcessHealth, State
from scheduler.services.loop import GRACE_SECONDS
from scheduler.services.measurer import INTERVAL_SECONDS as MEASURE_SECONDS
from scheduler.services.member import Member
from scheduler.services.metrics_page import page
from scheduler.services.stopping import HURRY, SIGNALS

FIRST_REPORT_SECONDS: Final = 120.0
"""How long a worker may take to start: to import its handlers, and to reach its database."""
SILENCE_SECONDS: Final = 5.0
"""How much longer than its lease a worker may be silent: time to end itself, which tells who was to blame."""
FULL_SECONDS: Final = 5.0
"""Another worker is started when all have had more to do than they could take for so long."""
SPARE_SECONDS: Final = 60.0
"""One of them is retired when all could do with half of the others for so long."""
FIRST_PAUSE_SECONDS: Final = 0.5
LONGEST_PAUSE_SECONDS: Final = 30.0
"""Before a worker that ended is replaced: doubled with each that ended soon after its start."""
STEADY_SECONDS: Final = 60.0
"""One that has run for so long did not end because of how it was started."""
END_SECONDS: Final = 5.0
"""How long after its own time is up a worker that was told to end is killed."""
HURRIED_END_SECONDS: Final = 2.0
"""The same after a second signal, by which it has a second."""
CONFIGURATION: Final = 2
"""The exit code of a worker that can't start with what it was given: none of its like could."""
_TURN_SECONDS: Final = 0.5

Start = Callable[[int, bool], subprocess.Popen[bytes]]
"""Start a worker that inherits this file descriptor and reports to it; whether none has reported yet is told too."""


class Supervisor:
    def __init__(self, start: Start, crew: Crew) -> None:
        self._start, self._crew = start, crew
        self._members: list[Member] = []
        self._tally = Tally()
        """Of all that there ever were, so that it only grows."""
        self._measured_at = -math.inf
        self._wanted = crew.least
        self._full_since: float | None = None
        self._spare_since: float | None = None
        self._pause = FIRST_PAUSE_SECONDS
        self._not_before = 0.0
        self._proven = False
        """A worker has started with these settings: the next one can."""
        self._signals = self._obeyed = 0
        self._finishing = False
        """Nothing is started any more."""
        self._code = 0
        self._looked_at = monotonic()
        self._selector = selectors.DefaultSelector()

    # From any thread -------------------------------------------------------------------------------------------------

    def health(self) -> list[ProcessHealth]:
        """How its workers are."""
        now = monotonic()
        return [member.health(now) for member in list(self._members)]

    def life(self) -> list[ProcessHealth]:
        """How it is itself."""
        turn = LoopAge(monotonic() - self._looked_at, _TURN_SECONDS + GRACE_SECONDS)
        return [ProcessHealth(os.getpid(), State.WORKING, {"supervisor": turn})]

    def metrics(self) -> str:
        """What they count and tell, all together."""
        now, members = monotonic(), list(self._members)
        gauges = [member.report.gauges for member in members if member.report is not None]
        measurements = filter(None, (member.measurement(now) for member in members))
        return page(self._tally, [member.health(now) for member in members], gauges, measurements)

    # -----------------------------------------------------------------------------------------------------------------

    def run(self) -> int:
        """Until a signal has been obeyed, or all have ended by themselves; the exit code."""
        woken, wake = socket.socketpair()
        for end in (woken, wake):
            end.setblocking(False)
        before = {each: signal.signal(each, self._received) for each in (*SIGNALS, signal.SIGCHLD)}
        wakeup = signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
        self._selector.register(woken, selectors.EVENT_READ)
        try:
            while self._turn(woken):
                pass
        finally:
            signal.set_wakeup_fd(wakeup)
            for each, handler in before.items():
                signal.signal(each, handler)
            for member in self._members:
                member.close()
            for closing in (self._selector, woken, wake):
                closing.close()
        return self._code

    def _turn(self, woken: socket.socket) -> bool:
        """One look at everything; False when there is nobody left to look after."""
        ready = [key.data for key, _ in self._selector.select(_TURN_SECONDS)]
        with suppress(BlockingIOError):
            woken.recv(4096)
        now = monotonic()
        for member in filter(None, ready):
            self._listen(member, now)
        self._forgive_own_absence(now)
        self._obey(now)
        if os.getpid() == 1:
            reap_strangers(member.pid for member in self._members)
        for member in list(self._members):
            if (code := member.process.poll()) is not None:
                self._ended(member, code, now)
            else:
                self._look_at(member, now)
        self._have_measured(now)
        if not self._finishing:
            self._scale(now)
            self._renew()
            self._fill(now)
        return bool(self._members) or not self._finishing

    # How many there are ----------------------------------------------------------------------------------------------

    @property
    def _working(self) -> list[Member]:
        return [member for member in self._members if not member.retiring]

    def _fill(self, now: float) -> None:
        """As many as are wanted, and one for a worn one; the first alone, until it has shown that one can start."""
        working = self._working
        wanted = self._wanted + any(map(self._is_worn, working)) if self._proven else 1
        for _ in range(wanted - len(working)):
            if now >= self._not_before:
                self._add(now)

    def _add(self, now: float) -> None:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        with theirs:
            try:
                process = self._start(theirs.fileno(), not self._proven)
            except OSError as error:  # the system has no process to give
                ours.close()
                log("supervisor.not_started", why=error.strerror, seconds=self._back_off(now))
                return
        member = Member(process, ours, now, self._tally)
        self._members.append(member)
        self._selector.register(ours, selectors.EVENT_READ, member)
        log("supervisor.started_worker", pid=member.pid)

    def _renew(self) -> None:
        """Retire a worn one as soon as another is there in its place."""
        working = self._working
        worn = [member for member in working if self._is_worn(member)]
        if worn and len([member for member in working if member.report]) > self._wanted:
            log("supervisor.worn", pid=worn[0].pid, executions=worn[0].executions)
            worn[0].retire()

    def _is_worn(self, member: Member) -> bool:
        most = self._crew.max_executions
        return most is not None and member.executions >= most

    def _scale(self, now: float) -> None:
        """One more when all have been short of room for a while, one less when they have had plenty for longer."""
        working = self._working
        reports = [member.report for member in working if member.report]
        if not len(reports) == len(working) == self._wanted:
            return
        short = [report.more_waits for report in reports]
        full, spare = all(short), not any(short) and sum(r.load for r in reports) <= (len(reports) - 1) / 2
        self._full_since = (self._full_since or now) if full else None
        self._spare_since = (self._spare_since or now) if spare else None
        if self._full_since and now - self._full_since > FULL_SECONDS and self._wanted < self._crew.most:
            self._want(self._wanted + 1)
        elif self._spare_since and now - self._spare_since > SPARE_SECONDS and self._wanted > self._crew.least:
            self._want(self._wanted - 1)
            min(working, key=lambda member: member.load).retire()

    def _want(self, number: int) -> None:
        self._wanted = number
        self._full_since = self._spare_since = None
        log("supervisor.scaled", processes=number)

    # Each of them ----------------------------------------------------------------------------------------------------

    def _listen(self, member: Member, now: float) -> None:
        if not member.listen(now):
            self._selector.unregister(member.channel)
        self._proven = self._proven or member.report is not None

    def _have_measured(self, now: float) -> None:
        """One is enough, for the database is the same."""
        able = [member for member in self._working if member.report and self._crew.measures]
        if able and now - self._measured_at >= MEASURE_SECONDS:
            self._measured_at = now
            able[0].measure()

    def _forgive_own_absence(self, now: float) -> None:
        """After being stopped itself, together with the workers maybe, it can't tell who was silent of them."""
        if now - self._looked_at > SILENCE_SECONDS:
            for member in self._members:
                member.heard_at = now
        self._looked_at = now

    def _look_at(self, member: Member, now: float) -> None:
        patience = self._crew.lease_seconds + SILENCE_SECONDS if member.report else FIRST_REPORT_SECONDS
        silent = now - member.heard_at
        if silent > patience and not member.killed:
            log("supervisor.silent", pid=member.pid, seconds=round(silent))
            member.kill()
        elif now > member.kill_at and not member.killed:
            log("supervisor.overdue", pid=member.pid)
            member.kill()
        elif member.is_hung and not (member.retiring or self._finishing):
            log("supervisor.hung", pid=member.pid)
            member.kill_at = now + self._crew.shutdown_seconds + END_SECONDS
            member.retire()

    def _ended(self, member: Member, code: int, now: float) -> None:
        member.listen_to_the_end(now)
        self._members.remove(member)
        with suppress(KeyError):
            self._selector.unregister(member.channel)
        member.close()
        if self._finishing:
            self._code = max(self._code, code_at_the_end(member, code))
        elif code == CONFIGURATION and not self._proven:
            self._code, self._finishing = CONFIGURATION, True
        elif code == 0 and self._crew.until_idle and not member.retiring:
            self._finishing = True
        elif not member.retiring:
            self._replace(member, code, now)

    def _replace(self, member: Member, code: int, now: float) -> None:
        if now - member.started_at > STEADY_SECONDS:
            self._pause = FIRST_PAUSE_SECONDS
        log("supervisor.replacing", pid=member.pid, how=how(code), seconds=self._back_off(now))

    def _back_off(self, now: float) -> float:
        """Start nothing for so many seconds; what ends meanwhile shares the pause."""
        if now >= self._not_before:
            self._not_before = now + self._pause * random.uniform(0.5, 1.0)
            self._pause = min(LONGEST_PAUSE_SECONDS, self._pause * 2)
        return round(self._not_before - now, 1)

    # Signals ---------------------------------------------------------------------------------------------------------

    def _received(self, number: int, frame: FrameType | None) -> None:
        """Python calls this wherever the main thread is, in the middle of starting a worker too: see `_obey`."""
        if number in SIGNALS:
            self._signals += 1

    def _obey(self, now: float) -> None:
        if self._signals and not self._obeyed:
            self._obeyed, self._finishing = 1, True
            for member in self._members:
                member.send(signal.SIGTERM, now + self._crew.shutdown_seconds + END_SECONDS)
        if self._signals > 1 and self._obeyed == 1:
            self._obeyed = 2
            for member in self._members:
                member.send(HURRY if member.report else signal.SIGKILL, now + HURRIED_END_SECONDS)
