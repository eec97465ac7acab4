"""The one event loop of a process on which the drivers of stand-alone queues run, in a daemon thread of its own.

A forked child has no such thread: it gets a loop of its own when it first asks. That of its parent is kept there
untouched, because closing it would take the parent's sockets out of the selector that both share.
"""

import asyncio
import atexit
import os
from collections.abc import Coroutine
from concurrent.futures import Future
from contextlib import suppress
from threading import Lock, Thread, current_thread
from typing import Any, Protocol, TypeVar

T = TypeVar("T")

_FAREWELL_SECONDS = 2.0


class Running(Protocol):
    """What is still at work when the interpreter ends."""

    def leave(self) -> Future[Any]:
        """Hand back what it holds, waiting for nobody."""
        ...


class _Home:
    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = Thread(target=self.loop.run_forever, name="scheduler-queues", daemon=True)
        self.thread.start()
        self.running: set[Running] = set()


_lock = Lock()
_home: _Home | None = None
_homes_of_parents: list[_Home | None] = []


def home() -> _Home:
    global _home
    with _lock:
        if _home is None:
            _home = _Home()
        return _home


def spawn(coroutine: Coroutine[Any, Any, T]) -> Future[T]:
    """Begin it on the loop; from any thread."""
    return asyncio.run_coroutine_threadsafe(coroutine, home().loop)


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Its result, waited for in this thread; an interrupt, such as Ctrl-C, cancels it."""
    future = spawn(coroutine)
    try:
        return future.result()
    except BaseException:
        future.cancel()
        raise


def is_here() -> bool:
    """Whether this is the loop's own thread, which must not wait for itself."""
    return _home is not None and current_thread() is _home.thread


def _forget() -> None:
    global _home, _lock
    _lock = Lock()
    _homes_of_parents.append(_home)
    _home = None


def _end() -> None:
    """Let what still runs hand back what it holds, and end the loop with all that is on it."""
    if _home is None:
        return
    for leaving in [each.leave() for each in tuple(_home.running)]:
        with suppress(Exception):
            leaving.result(_FAREWELL_SECONDS)
    with suppress(Exception):
        asyncio.run_coroutine_threadsafe(_cancel_all(), _home.loop).result(_FAREWELL_SECONDS)
    _home.loop.call_soon_threadsafe(_home.loop.stop)
    _home.thread.join(_FAREWELL_SECONDS)


async def _cancel_all() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


os.register_at_fork(after_in_child=_forget)
atexit.register(_end)
