"""Sleep that a signal ends."""

import os
import select
import signal
from types import FrameType

_DRAINED_BYTES = 4096


class Signals:
    """Wakes its sleeper when the process is asked to stop or a child has ended. Main thread only, one a process."""

    def __init__(self) -> None:
        self.stop_asked = False
        self._read, write = os.pipe()
        for end in (self._read, write):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, self._note)
        signal.signal(signal.SIGTERM, self._note)
        signal.signal(signal.SIGINT, self._note)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def sleep(self, seconds: float) -> None:
        if select.select([self._read], [], [], seconds)[0]:
            os.read(self._read, _DRAINED_BYTES)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self.stop_asked |= number != signal.SIGCHLD
