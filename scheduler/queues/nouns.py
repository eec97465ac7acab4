"""The nouns of a message queue used on its own: what is put and got, and how queues, workers and pools behave."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from math import isfinite
from typing import Any

from scheduler.errors import ConfigurationError

MAX_RETRIES = 100


@dataclass(frozen=True, slots=True)
class QueueItem:
    """One message: what `put` and `get` return, and what the handler of a Worker is given."""

    id: str
    payload: Any
    """The JSON value: dicts, lists, str, int, float, bool, None."""
    attempts: int
    """Deliveries so far, this one included: 0 from `put`, 1 at the first delivery."""
    enqueued_at: datetime | None
    """When it was put, in UTC; None where the broker doesn't tell."""


@dataclass(frozen=True, slots=True)
class QueueConfig:
    """How a queue behaves. Raises ConfigurationError on a value out of range."""

    max_size: int | None = None
    """Messages that may wait. None: as many as the broker holds."""
    default_timeout: float | None = None
    """Seconds that `put` and `get` wait where they are given no `timeout`. None: as long as it takes; 0: not at all."""
    durable: bool = True
    """Whether messages outlive a restart of the broker, where the broker lets us choose."""
    ttl_seconds: float | None = None
    """Seconds after which a message that nobody received is dropped. None: never."""
    visibility_seconds: float = 60.0
    """How long after the death of a Worker what it had in hand comes back; at least 1. A living one extends it."""

    def __post_init__(self) -> None:
        _require("max_size", self.max_size, at_least=1)
        _require("default_timeout", self.default_timeout, at_least=0)
        _require("ttl_seconds", self.ttl_seconds, more_than=0)
        _require("visibility_seconds", self.visibility_seconds, at_least=1)


@dataclass(frozen=True, slots=True)
class WorkerConfig:
    """How a Worker behaves. Raises ConfigurationError on a value out of range."""

    name: str = "worker"
    concurrency: int = 1
    """Messages handled at once: threads of a `def`, tasks of an `async def`; 1..1000."""
    poll_timeout: float = 1.0
    """Seconds that one look for messages waits at the most, and so does stopping an idle worker; 0.01..20."""
    max_retries: int = 3
    """Second tries of a message whose handler raised, before it goes to the dead letter queue; 0..100."""
    retry_delay: float = 0.1
    """Seconds before the first second try; doubled for each further one, up to 300."""
    prefetch: int = 100
    """Messages that may be held ready beyond those being handled; never more than about 0.1 s of work. 0..10000."""
    stop_on_error: bool = False
    """Whether the first error of the handler stops the worker, FAILED; `stop()` then raises that error."""
    shutdown_timeout: float = 30.0
    """Seconds that `stop()` waits for what is being handled where it is given no `timeout`."""

    def __post_init__(self) -> None:
        _require("concurrency", self.concurrency, at_least=1, at_most=1000)
        _require("poll_timeout", self.poll_timeout, at_least=0.01, at_most=20)
        _require("max_retries", self.max_retries, at_least=0, at_most=MAX_RETRIES)
        _require("retry_delay", self.retry_delay, at_least=0, at_most=300)
        _require("prefetch", self.prefetch, at_least=0, at_most=10_000)
        _require("shutdown_timeout", self.shutdown_timeout, at_least=0)


class WorkerState(StrEnum):
    IDLE = "IDLE"
    """Not started yet."""
    RUNNING = "RUNNING"
    STOPPING = "STOPPING"
    """It takes nothing new, and finishes what it handles."""
    STOPPED = "STOPPED"
    FAILED = "FAILED"
    """Stopped by an error, which `last_error` holds and `stop()` raises."""


@dataclass(frozen=True, slots=True)
class ThreadPoolConfig:
    """How a ThreadPool behaves. Raises ConfigurationError on a value out of range."""

    name: str = "pool"
    max_workers: int = 4
    """Threads, started when they are needed; 1..1000."""
    max_size: int | None = None
    """Tasks that may wait for a thread. None: any number."""
    default_timeout: float | None = None
    """Seconds that `submit` waits for room among them. None: as long as it takes; 0: not at all."""
    shutdown_timeout: float = 30.0
    """Seconds that leaving a `with` by an exception, such as Ctrl-C, waits for tasks that run."""
    keep_records: int = 1000
    """Finished tasks that `records()` remembers."""

    def __post_init__(self) -> None:
        _require("max_workers", self.max_workers, at_least=1, at_most=1000)
        _require("max_size", self.max_size, at_least=1)
        _require("default_timeout", self.default_timeout, at_least=0)
        _require("shutdown_timeout", self.shutdown_timeout, at_least=0)
        _require("keep_records", self.keep_records, at_least=0)


class TaskState(StrEnum):
    WAITING = "WAITING"
    RUNNING = "RUNNING"
    DONE = "DONE"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


@dataclass(frozen=True, slots=True)
class TaskRecord:
    """What became of one task of a ThreadPool. Times are UTC; None: not yet."""

    id: int
    """Counts from 1 in each pool."""
    name: str
    """The function's qualified name."""
    state: TaskState
    submitted_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    error: BaseException | None


def _require(
    name: str,
    value: float | None,
    *,
    at_least: float | None = None,
    more_than: float | None = None,
    at_most: float | None = None,
) -> None:
    if value is None:
        return
    too_low = (at_least is not None and value < at_least) or (more_than is not None and value <= more_than)
    if too_low or not isfinite(value) or (at_most is not None and value > at_most):
        bounds = [
            f"at least {at_least:g}" if at_least is not None else "",
            f"more than {more_than:g}" if more_than is not None else "",
            f"at most {at_most:g}" if at_most is not None else "",
        ]
        raise ConfigurationError(f"{name} is {value!r}; write {' and '.join(filter(None, bounds))}.")
