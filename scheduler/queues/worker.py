"""The queue worker: a handler for the messages of one queue, without a database."""

import os
from concurrent.futures import Future
from contextlib import suppress
from datetime import datetime
from threading import Lock
from typing import Self, TypeVar

from scheduler.errors import ConfigurationError, ConflictError, ShutdownTimeoutError
from scheduler.queues import background
from scheduler.queues.hands import Handler
from scheduler.queues.nouns import WorkerConfig, WorkerState
from scheduler.queues.standalone import StandaloneQueue
from scheduler.queues.tally import Tally
from scheduler.queues.working import Working

H = TypeVar("H", bound=Handler)

_ENDED = (WorkerState.IDLE, WorkerState.STOPPED, WorkerState.FAILED)


class Worker:
    """Calls its handler with each QueueItem of a queue: at least once each, acked when the handler has returned.

        worker = Worker(queue)

        @worker
        def handle(item): ...

        with worker: ...

    An error puts the message back, for `max_retries` second tries, and then into the dead letter queue with the error
    as the reason; FailPermanently does that at once, and RetryLater chooses the delay. Leaving `with` works off what is
    in the queue, and stops when it is found empty; leaving it by an exception, such as Ctrl-C, is `stop()`.
    All methods are for any thread; a worker that has ended can be started again.
    """

    def __init__(
        self, queue: StandaloneQueue, config: WorkerConfig | None = None, *, handler: Handler | None = None
    ) -> None:
        self.queue = queue
        self.config = config or WorkerConfig()
        self._handler = handler
        self._tally = Tally()
        self._process = os.getpid()
        self._starting = Lock()
        self._working: Working | None = None
        self._run: Future[None] | None = None
        self._told = False

    def __call__(self, handler: H) -> H:
        """Take it as the handler, and return it as it is: a decorator. Raises ConflictError if there is one already."""
        if self._handler is not None:
            raise ConflictError(f"Worker {self.config.name!r} has a handler already: make one Worker for each handler.")
        self._handler = handler
        return handler

    @property
    def state(self) -> WorkerState:
        working = self._working
        return working.state if working and self._process == os.getpid() else WorkerState.IDLE

    @property
    def processed(self) -> int:
        """Messages that the handler was done with."""
        return self._tally.processed

    @property
    def failed(self) -> int:
        """Attempts that raised."""
        return self._tally.failed

    @property
    def last_error(self) -> BaseException | None:
        """Of the handler or of the broker, whichever came last since the start."""
        return self._tally.last_error

    @property
    def heartbeat_at(self) -> datetime | None:
        """In UTC."""
        return self._tally.heartbeat_at

    @property
    def is_active(self) -> bool:
        """Whether it runs, or stops, and has beaten within 60 s; it beats every 5 s, however long its handler takes."""
        return self.state not in _ENDED and self._tally.is_fresh()

    def start(self) -> Self:
        """Begin to work, in threads of its own.

        Raises ConfigurationError without a handler, ConflictError if it runs, QueueClosedError.
        """
        if self._handler is None:
            raise ConfigurationError(
                f"Worker {self.config.name!r} has no handler: write @worker above a function that takes an item."
            )
        with self._starting:
            if self.state not in _ENDED:
                raise ConflictError(f"Worker {self.config.name!r} runs already: stop() it before it is started again.")
            driver = self.queue.open()
            self._process, self._told = os.getpid(), False
            self._tally.begin()
            self._working = Working(self.queue, self.config, self._handler, self._tally)
            self._run = background.spawn(self._working.run(driver))
        return self

    def stop(self, timeout: float | None = None) -> None:
        """Take nothing new, and wait for what is being handled; what was not begun goes back to the queue.

        After `timeout` seconds (None: the config's `shutdown_timeout`) it gives up on what is left, which goes back to
        the queue too, and raises ShutdownTimeoutError with those items as `unfinished`. A worker that FAILED raises the
        error that stopped it. From within its handler it returns at once. One that doesn't run: nothing to do.
        """
        working, run = self._working, self._run
        if working is None or run is None or self._process != os.getpid():
            return
        seconds = self.config.shutdown_timeout if timeout is None else timeout
        working.stop(seconds)
        if not working.is_own_thread():
            run.result()
            self._tell(working, seconds)

    def join(self, timeout: float | None = None) -> bool:
        """Wait until it has ended, by a stop, a failure or the close of its queue; whether it has, within `timeout`."""
        if self._run is not None and self._process == os.getpid():
            with suppress(TimeoutError):
                self._run.result(timeout)
        return self.state in _ENDED

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if error is None:
            self._work_off()
        if not self._told:
            self.stop()

    def _work_off(self) -> None:
        """Until the queue is found empty; an interrupt meanwhile stops it."""
        working, run = self._working, self._run
        if working is None or run is None:
            return
        try:
            working.drain()
            run.result()
        except BaseException:
            self.stop()
            raise

    def _tell(self, working: Working, seconds: float) -> None:
        self._told = True
        unfinished, working.unfinished = working.unfinished, ()
        if unfinished:
            name = f"Worker {self.config.name!r}"
            late = ShutdownTimeoutError(name, unfinished, seconds, "they went back to the queue")
            if working.failure is None:
                raise late
            raise late from working.failure
        if working.failure is not None:
            raise working.failure
