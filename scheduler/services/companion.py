"""companion: a process beside the workers, started again whenever it ends, and ended with them."""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Event, Thread
from typing import Final

from scheduler.clock import monotonic
from scheduler.messages import log

_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 30.0
"""Seconds until it is started again; they double while it ends soon."""
_STEADY_SECONDS: Final = 60.0
"""Who has lasted so long begins with the first pause."""
_GOODBYE_SECONDS: Final = 10.0
_LOOK_SECONDS: Final = 0.5

Start = Callable[[], "subprocess.Popen[bytes]"]


@contextmanager
def companion(start: Start | None) -> Iterator[None]:
    """Keep it going meanwhile; None: nobody."""
    if start is None:
        yield
        return
    over = Event()
    thread = Thread(target=_keep, args=(start, over), name="scheduler companion", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _keep(start: Start, over: Event) -> None:
    pause = _FIRST_PAUSE
    while not over.is_set():
        began = monotonic()
        process = start()
        code = _until_it_ends(process, over)
        if code is None:
            return
        pause = _FIRST_PAUSE if monotonic() - began >= _STEADY_SECONDS else pause
        log("web.restarted", code=code, seconds=f"{pause:g}")
        over.wait(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)


def _until_it_ends(process: "subprocess.Popen[bytes]", over: Event) -> int | None:
    """Its exit code; None: it was asked to end."""
    while not over.wait(_LOOK_SECONDS):
        code = process.poll()
        if code is not None:
            return code
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(_GOODBYE_SECONDS)
        return None
    process.kill()
    process.wait()
    return None
