"""Handlers in threads: for code that blocks.

The threads are daemons, so that one that hangs keeps its place but never the interpreter's exit (the standard
ThreadPoolExecutor joins its threads there). Who is busy is known in the loop alone, and no lock is needed: the loop
hands out no more attempts than there are threads, and each thread hands its outcome back to the loop.
"""

import asyncio
from collections import deque
from contextlib import suppress
from itertools import count
from queue import SimpleQueue
from threading import Thread
from typing import Any

from scheduler.handlers import ExecutionContext, HandlerSpec
from scheduler.isolation import GRACE_SECONDS
from scheduler.isolation.call import BlockingCall

_pools = count(1)


class ThreadRunning:
    """An attempt in a thread, or waiting for one."""

    preparing = False

    def __init__(self, spec: HandlerSpec, context: ExecutionContext, pool: "ThreadIsolation") -> None:
        self.context = context
        self._loop = asyncio.get_running_loop()
        self.future: asyncio.Future[Any] = self._loop.create_future()
        self._pool = pool
        self._call = BlockingCall(spec, context)

    @property
    def begun(self) -> bool:
        return self._call.begun

    def warn(self, reason: str) -> None:
        self.context.cancel(reason)

    def stop(self, reason: str) -> None:
        self._pool.withdraw(self, reason)
        self._call.stop(reason)

    def end(self) -> None:
        """A thread ends when its handler does, and with its process."""

    def run(self) -> None:
        """Call the handler and hand over how it ended. In the thread; never raises."""
        outcome = self._call.outcome()
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(self._pool.ended, self, *outcome)

    def settle(self, value: Any, error: BaseException | None) -> None:
        """Tell the future. In the loop."""
        if self.future.done():
            return
        if error is None:
            self.future.set_result(value)
        elif issubclass(type(error), asyncio.CancelledError):  # unlike isinstance, it asks the error for nothing
            self.future.cancel(self.context.cancel_reason)
        else:
            self.future.set_exception(error)


class ThreadIsolation:
    """At most `max_threads` daemon threads, started when needed and kept until `close`."""

    grace_seconds = GRACE_SECONDS

    def __init__(self, max_threads: int) -> None:
        self._max_threads = max_threads
        self._name = f"scheduler-{next(_pools)}"
        self._threads = 0
        self._handed_out: SimpleQueue[ThreadRunning | None] = SimpleQueue()
        self._busy: set[ThreadRunning] = set()
        self._waiting: deque[ThreadRunning] = deque()

    def start(self, spec: HandlerSpec, context: ExecutionContext) -> ThreadRunning:
        running = ThreadRunning(spec, context, self)
        if len(self._busy) < self._max_threads:
            self._hand_out(running)
        else:
            self._waiting.append(running)
        return running

    def withdraw(self, running: ThreadRunning, reason: str | None = None) -> None:
        """Cancel an attempt that no thread was given yet."""
        if running in self._waiting:
            self._waiting.remove(running)
            running.future.cancel(reason)

    def ended(self, running: ThreadRunning, value: Any, error: BaseException | None) -> None:
        self._busy.discard(running)
        running.settle(value, error)
        if self._waiting:
            self._hand_out(self._waiting.popleft())

    async def close(self, timeout: float) -> None:  # noqa: ASYNC109 - see the contract
        unfinished = [running.future for running in (*self._busy, *self._waiting)]
        if unfinished:
            await asyncio.wait(unfinished, timeout=timeout)
        for running in tuple(self._waiting):
            self.withdraw(running, running.context.cancel_reason)
        for _ in range(self._threads):
            self._handed_out.put(None)

    def _hand_out(self, running: ThreadRunning) -> None:
        self._busy.add(running)
        if len(self._busy) > self._threads:
            try:
                Thread(target=self._work, name=f"{self._name}-{self._threads + 1}", daemon=True).start()
            except RuntimeError as error:  # the system has no more threads to give
                self._busy.discard(running)
                running.settle(None, error)
                return
            self._threads += 1
        self._handed_out.put(running)

    def _work(self) -> None:
        while (running := self._handed_out.get()) is not None:
            running.run()
            del running  # an idle thread keeps nothing of its last attempt alive
