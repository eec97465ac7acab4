"""Those that call the handler of a queue worker: threads for a `def`, tasks on a loop of their own for an `async def`.

Both are daemons, so that a handler that hangs keeps its thread but never the interpreter's exit; and neither runs on
the background loop, so that a handler that blocks keeps no queue from its broker.
"""

import asyncio
import inspect
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Thread, current_thread
from typing import Any, Protocol

from scheduler.clock import monotonic
from scheduler.queues.held import End, Held
from scheduler.queues.nouns import QueueItem

Handler = Callable[[QueueItem], Any]
Report = Callable[[End], None]
"""Told of each call's end, from whichever thread."""


class Hands(Protocol):
    def give(self, held: Held) -> None:
        """To be handled as soon as there is room."""
        ...

    def take_back(self) -> list[Held]:
        """What was given and not begun; it never will be."""
        ...

    def close(self) -> None:
        """Begin nothing any more. What runs, runs on; a coroutine is cancelled."""
        ...

    def is_own_thread(self) -> bool: ...


def hands(handler: Handler, concurrency: int, name: str, report: Report) -> Hands:
    if inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(getattr(handler, "__call__", None)):  # noqa: B004 - what it is, not whether
        return TaskHands(handler, concurrency, name, report)
    return ThreadHands(handler, concurrency, name, report)


class ThreadHands:
    def __init__(self, handler: Handler, concurrency: int, name: str, report: Report) -> None:
        self._handler = handler
        self._report = report
        self._given: SimpleQueue[Held | None] = SimpleQueue()
        self._threads = [
            Thread(target=self._work, name=f"{name}-{number}", daemon=True) for number in range(1, concurrency + 1)
        ]
        for thread in self._threads:
            thread.start()

    def give(self, held: Held) -> None:
        self._given.put(held)

    def take_back(self) -> list[Held]:
        found = []
        with suppress(Empty):
            while True:
                held = self._given.get_nowait()
                if held is not None:
                    found.append(held)
        return found

    def close(self) -> None:
        for _ in self._threads:
            self._given.put(None)

    def is_own_thread(self) -> bool:
        return current_thread() in self._threads

    def _work(self) -> None:
        while (held := self._given.get()) is not None:
            began = monotonic()
            error: BaseException | None = None
            try:
                self._handler(held.item)
            except BaseException as raised:  # a SystemExit is the handler's, not the worker's
                error = raised
            self._report(End(held, error, monotonic() - began))
            del held, error  # an idle thread keeps nothing of its last message alive


class TaskHands:
    def __init__(self, handler: Handler, concurrency: int, name: str, report: Report) -> None:
        self._handler = handler
        self._report = report
        self._room = concurrency
        self._given: deque[Held] = deque()
        self._running: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._live, name=name, daemon=True)
        self._thread.start()

    def give(self, held: Held) -> None:
        self._given.append(held)
        self._loop.call_soon_threadsafe(self._begin)

    def take_back(self) -> list[Held]:
        found = []
        with suppress(IndexError):
            while True:
                found.append(self._given.popleft())
        return found

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)

    def is_own_thread(self) -> bool:
        return current_thread() is self._thread

    def _live(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.get_loop().run_forever()

    def _begin(self) -> None:
        with suppress(IndexError):
            while len(self._running) < self._room:
                task = self._loop.create_task(self._call(self._given.popleft()))
                self._running.add(task)
                task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._running.discard(task)
        self._begin()

    async def _call(self, held: Held) -> None:
        began = monotonic()
        error: BaseException | None = None
        try:
            await self._handler(held.item)
        except BaseException as raised:
            error = raised
        self._report(End(held, error, monotonic() - began))
