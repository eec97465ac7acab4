"""Taking a server away again, with its data."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scheduler.clock import monotonic
from scheduler.embedded.data import discard_home
from scheduler.embedded.locks import FileLock
from scheduler.embedded.protocol import START_LOCK, SUPERVISOR_LOCK


def remove(folder: Path, timeout: float = 30) -> None:
    """Delete the server's folder as soon as its last user is gone, or after `timeout` seconds. For good: no backup."""
    if not folder.is_dir():
        return
    deadline = monotonic() + timeout
    for name in (START_LOCK, SUPERVISOR_LOCK):  # one after the other: a supervisor that ends needs both
        with FileLock(folder / name) as lock:
            lock.wait(deadline)
    for entry in folder.glob("pg*"):
        if entry.is_symlink():
            discard_home(folder / entry.readlink())
    shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def removed_on_failure(folder: Path) -> Iterator[None]:
    """If the block raises, the server's folder is removed, unless it was there before."""
    was_there = folder.exists()
    try:
        yield
    except BaseException:
        if not was_there:
            remove(folder)
        raise
