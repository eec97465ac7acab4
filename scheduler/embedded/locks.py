"""Locks on files, which the kernel drops when their holder ends, however it ends."""

import os
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from scheduler.clock import monotonic

if sys.platform != "win32":
    import fcntl

_POLL_SECONDS = 0.02  # flock has no timeout


class FileLock:
    """One open description of a lock file.

    A child that inherits `fd` shares the lock, which lasts until both have closed it. Nothing is closed by garbage
    collection: a lock that nobody closes is held for the life of the process.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def acquire(self, *, shared: bool = False) -> bool:
        """Take the lock if that is possible now, or change the kind that is held."""
        try:
            fcntl.flock(self.fd, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def wait(self, deadline: float) -> bool:
        """Take the lock alone, or give up at `deadline` (on the monotonic clock)."""
        while not self.acquire():
            if monotonic() >= deadline:
                return False
            time.sleep(_POLL_SECONDS)
        return True

    def release(self) -> None:
        """Drop the lock, also for those who inherited it."""
        fcntl.flock(self.fd, fcntl.LOCK_UN)

    def is_in_place(self) -> bool:
        """Whether the path still leads to this file: false once somebody deleted or replaced the folder."""
        try:
            return os.path.samestat(os.fstat(self.fd), self.path.stat())
        except OSError:
            return False

    def close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()
