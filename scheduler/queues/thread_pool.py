"""A pool of threads whose tasks are on record, and which never keeps the interpreter from its end."""

import atexit
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import count
from math import inf
from threading import Condition, Lock, Thread, current_thread
from typing import Any, ParamSpec, Self, TypeVar
from weakref import WeakSet

from scheduler.clock import monotonic
from scheduler.errors import ConfigurationError, QueueClosedError, QueueFullError, ShutdownTimeoutError
from scheduler.messages import log
from scheduler.queues.nouns import TaskRecord, TaskState, ThreadPoolConfig

P = ParamSpec("P")
T = TypeVar("T")

_OPEN = (TaskState.WAITING, TaskState.RUNNING)
_pools: "WeakSet[ThreadPool]" = WeakSet()


@dataclass(slots=True, eq=False)
class _Task:
    record: TaskRecord
    call: Callable[[], Any]
    future: Future[Any] = field(default_factory=Future)


class ThreadPool:
    """Runs functions in at most `max_workers` threads; `submit` returns a `concurrent.futures.Future`.

    Works with `with`, which waits for all tasks, and without. Its threads are daemons: what isn't finished when the
    interpreter ends is dropped, and told of in one line of the log. All methods are for any thread.
    """

    def __init__(self, config: ThreadPoolConfig | None = None) -> None:
        self.config = config or ThreadPoolConfig()
        # Taken by itself: a Ctrl-C between a Condition's __enter__, which is Python, and its block would keep it.
        self._lock = Lock()
        self._changed = Condition(self._lock)
        self._waiting: deque[_Task] = deque()
        self._running: dict[int, _Task] = {}
        self._finished: deque[TaskRecord] = deque(maxlen=self.config.keep_records)
        self._threads: set[Thread] = set()
        self._idle = 0
        self._numbers = count(1)
        self._closed = False
        self._process = os.getpid()
        _pools.add(self)

    def submit(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Have it called in a thread.

        Waits for room where `max_size` tasks wait already, for the config's `default_timeout`, then raises
        QueueFullError; at once in a task of this very pool, which might wait for itself. After shutdown it raises
        QueueClosedError.
        """
        name = getattr(function, "__qualname__", None) or type(function).__qualname__
        with self._lock:
            self._await_room()
            record = TaskRecord(next(self._numbers), name, TaskState.WAITING, datetime.now(UTC), None, None, None)
            task = _Task(record, lambda: function(*args, **kwargs))
            self._waiting.append(task)
            if self._idle < len(self._waiting) and len(self._threads) < self.config.max_workers:
                self._start_thread(task)
            self._changed.notify_all()
        return task.future

    def map(self, function: Callable[..., T], *iterables: Iterable[Any], timeout: float | None = None) -> Iterator[T]:
        """The results in the order of the arguments, as soon as each is there; all is submitted at once.

        Raises what a call raised, or TimeoutError when a result isn't there within `timeout` seconds of this call.
        """
        deadline = inf if timeout is None else monotonic() + timeout
        futures = [self.submit(function, *args) for args in zip(*iterables, strict=False)]

        def results() -> Iterator[T]:
            try:
                for future in futures:
                    yield future.result(None if deadline == inf else max(0.0, deadline - monotonic()))
            finally:
                for future in futures:
                    future.cancel()

        return results()

    def records(self, state: TaskState | None = None) -> list[TaskRecord]:
        """What became of its tasks, oldest first: those not finished, and the last `keep_records` of the others."""
        with self._lock:
            running = [task.record for task in self._running.values()]
            waiting = [self._seen(task) for task in self._waiting]
            found = sorted((*self._finished, *running, *waiting), key=lambda record: record.id)
        return [record for record in found if state is None or record.state is state]

    def shutdown(self, wait: bool = True, timeout: float | None = None, *, cancel_futures: bool = False) -> None:
        """Take nothing new, and wait for all tasks unless told not to; with `cancel_futures` only for those that run.

        After `timeout` seconds (None: as long as it takes) what waits is cancelled, what runs is left to itself, and
        ShutdownTimeoutError holds the TaskRecords of both as `unfinished`.
        """
        with self._lock:
            self._closed = True
            if cancel_futures:
                self._cancel_waiting()
            self._changed.notify_all()
            if not wait or self._process != os.getpid() or current_thread() in self._threads:
                return
            if self._changed.wait_for(self._is_done, timeout):
                return
            unfinished = [self._seen(task) for task in (*self._running.values(), *self._waiting)]
            self._cancel_waiting()
        raise ShutdownTimeoutError(
            f"Thread pool {self.config.name!r}", unfinished, timeout or 0.0, "those that run are left to themselves"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        """Waits for all tasks; left by an exception, such as Ctrl-C, only for those that run, and not for ever."""
        if error is None:
            try:
                self.shutdown()
            except BaseException:
                self.shutdown(timeout=self.config.shutdown_timeout, cancel_futures=True)
                raise
        else:
            self.shutdown(timeout=self.config.shutdown_timeout, cancel_futures=True)

    def _await_room(self) -> None:
        if self._process != os.getpid():
            raise ConfigurationError(
                f"Thread pool {self.config.name!r} was made before this process was forked: make it after the fork."
            )
        room, seconds = self.config.max_size, self.config.default_timeout
        if current_thread() in self._threads:
            seconds = 0.0
        if not self._changed.wait_for(lambda: self._closed or room is None or len(self._waiting) < room, seconds):
            raise QueueFullError(f"Thread pool {self.config.name!r} is full: {room} tasks wait. Try later.")
        if self._closed:
            raise QueueClosedError(f"Thread pool {self.config.name!r} was shut down: make a new one.")

    def _start_thread(self, task: _Task) -> None:
        thread = Thread(target=self._work, name=f"{self.config.name}-{len(self._threads) + 1}", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the system has no more threads to give
            if not self._threads:
                self._waiting.remove(task)
                raise
        else:
            self._threads.add(thread)

    def _work(self) -> None:
        while (task := self._next()) is not None:
            state, error = TaskState.DONE, None
            try:
                result = task.call()
            except BaseException as raised:  # what a task raises is its caller's to see
                state, error = TaskState.FAILED, raised
                task.future.set_exception(raised)
            else:
                task.future.set_result(result)
                del result
            self._end(task, state, error)
            del task, error  # an idle thread keeps nothing of its last task alive

    def _next(self) -> _Task | None:
        """The next task that wasn't cancelled; None when there will be no more."""
        with self._lock:
            while True:
                self._idle += 1
                self._changed.wait_for(lambda: self._waiting or self._closed)
                self._idle -= 1
                if not self._waiting:
                    return None
                task = self._waiting.popleft()
                self._changed.notify_all()
                if task.future.set_running_or_notify_cancel():
                    task.record = replace(task.record, state=TaskState.RUNNING, started_at=datetime.now(UTC))
                    self._running[task.record.id] = task
                    return task
                self._remember(task, TaskState.CANCELLED, None)

    def _end(self, task: _Task, state: TaskState, error: BaseException | None) -> None:
        with self._lock:
            del self._running[task.record.id]
            self._remember(task, state, error)
            self._changed.notify_all()

    def _remember(self, task: _Task, state: TaskState, error: BaseException | None) -> None:
        self._finished.append(replace(task.record, state=state, finished_at=datetime.now(UTC), error=error))

    def _cancel_waiting(self) -> None:
        while self._waiting:
            task = self._waiting.popleft()
            task.future.cancel()
            with suppress(Exception):
                task.future.set_running_or_notify_cancel()
            self._remember(task, TaskState.CANCELLED, None)

    def _seen(self, task: _Task) -> TaskRecord:
        """Its record; one that its caller cancelled is so at once, though it is still in line."""
        return replace(task.record, state=TaskState.CANCELLED) if task.future.cancelled() else task.record

    def _is_done(self) -> bool:
        return not self._waiting and not self._running

    def _drop(self) -> None:
        dropped = [record for record in self.records() if record.state in _OPEN]
        if dropped and self._process == os.getpid():
            log("standalone.dropped", name=self.config.name, count=len(dropped))


def _drop_all() -> None:
    for pool in tuple(_pools):
        pool._drop()


atexit.register(_drop_all)
