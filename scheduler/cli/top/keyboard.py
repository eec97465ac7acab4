"""keyboard: keys by name, one at a time, without waiting for Enter."""

import os
import select
import sys
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_NAMES: Final = {
    b"\x1b[A": "up", b"\x1b[B": "down", b"\x1b[C": "right", b"\x1b[D": "left", b"\x1bOA": "up", b"\x1bOB": "down",
    b"\x1bOC": "right", b"\x1bOD": "left", b"\t": "tab", b"\x1b": "escape", b"": "end", b"\x04": "end",
}  # fmt: skip


@contextmanager
def keyboard() -> Iterator[int]:
    """The terminal on stdin, as a file descriptor: what is typed comes at once, and is not shown."""
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    try:
        tty.setcbreak(descriptor)
        yield descriptor
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def read_key(descriptor: int, seconds: float) -> str | None:
    """The next key: its name, or the letter that it types; None if none comes within so many seconds."""
    if not select.select([descriptor], [], [], seconds)[0]:
        return None
    typed = os.read(descriptor, 16)
    return _NAMES.get(typed) or typed[:1].decode(errors="replace")
