"""member: one worker process, as its supervisor sees it."""

import math
import signal
import socket
import subprocess
from contextlib import suppress
from dataclasses import replace

from scheduler.metrics import Tally
from scheduler.services.health import SLOTS, ProcessHealth, State, reported
from scheduler.services.metrics_page import Measurement
from scheduler.services.reports import MEASURE, RETIRE, Report


class Member:
    def __init__(self, process: subprocess.Popen[bytes], channel: socket.socket, now: float, tally: Tally) -> None:
        """`channel` is where it reports, `tally` gets what it counted. Times are on the monotonic clock."""
        self.tally = tally
        self.process, self.channel = process, channel
        self.started_at = self.heard_at = now
        self.report: Report | None = None
        """The latest; None before the first."""
        self.retiring = False
        """It was told to take no more, and ends when its work has."""
        self.kill_at = math.inf
        """When its end is due at the latest."""
        self.killed = False
        self._unread = b""

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def executions(self) -> int:
        return self.report.executions if self.report else 0

    @property
    def load(self) -> float:
        """The part of its slots that are taken; all of them as long as nobody knows."""
        return self.report.load if self.report else 1.0

    @property
    def is_hung(self) -> bool:
        """Nothing can begin there any more, because handlers would not stop."""
        return self.report is not None and SLOTS in self.report.loops and not self.report.loops[SLOTS].is_young

    def health(self, now: float) -> ProcessHealth:
        """As it last reported, and older by as long as that is ago."""
        health = reported(self.pid, self.report.loops if self.report else {}, now - self.heard_at)
        ending = self.retiring or self.killed or self.kill_at < math.inf
        return replace(health, state=State.ENDING) if ending else health

    def listen(self, now: float) -> bool:
        """Take in what it has reported; False when it will report nothing more."""
        try:
            return self._receive(self.channel.recv(65536), now)
        except BlockingIOError:
            return True
        except ConnectionError:
            return False

    def _receive(self, received: bytes, now: float) -> bool:
        *reports, self._unread = (self._unread + received).split(b"\n")
        for report in reports:
            self.report, self.heard_at = Report.read(report), now
            self.tally.add(self.report.counted)
        return bool(received)

    def listen_to_the_end(self, now: float) -> None:
        """What it said before it ended."""
        with suppress(OSError):
            while self._receive(self.channel.recv(65536), now):
                pass

    def measurement(self, now: float) -> Measurement | None:
        """What it asked the database last, as old as it is by now."""
        if self.report is None or self.report.measurement is None:
            return None
        return replace(self.report.measurement, age=self.report.measurement.age + now - self.heard_at)

    def measure(self) -> None:
        with suppress(OSError):  # then it has ended, or will be found silent
            self.channel.send(MEASURE)

    def retire(self) -> None:
        self.retiring = True
        with suppress(OSError):  # then it has ended, or will be found silent
            self.channel.send(RETIRE)

    def send(self, number: signal.Signals, kill_at: float) -> None:
        """A signal that asks it to end by then."""
        self.kill_at = min(self.kill_at, kill_at)
        self.process.send_signal(number)

    def kill(self) -> None:
        self.killed = True
        self.process.kill()

    def close(self) -> None:
        """End it, if it has not ended."""
        self.channel.close()
        self.kill()
        self.process.wait()
