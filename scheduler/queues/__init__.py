"""Messages from outside: one protocol for the queues of any broker, and what uses such a queue on its own.

    protocol    what a driver can do           payload   JSON, bounded
    memory, redis, amqp, sqs                   the drivers

    standalone  blocking put and get           brokers   InMemoryQueue, RedisQueue, AmqpQueue, SqsQueue
    worker      start, stop, what it has done  working   receive → handle → settle, one run of it
    hands       threads or tasks that call     held      what becomes of a message, decided
    thread_pool tasks in threads, on record    nouns     configs, items and records
    tally       what a worker has done         persevering  while a broker is away
    background  the event loop of a process

Nothing here knows of a database. Names are loaded when they are asked for: a driver needs none of the rest.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scheduler.queues.brokers import AmqpQueue, InMemoryQueue, RedisQueue, SqsQueue
    from scheduler.queues.nouns import (
        QueueConfig,
        QueueItem,
        TaskRecord,
        TaskState,
        ThreadPoolConfig,
        WorkerConfig,
        WorkerState,
    )
    from scheduler.queues.thread_pool import ThreadPool
    from scheduler.queues.worker import Worker

_HOMES = {
    **dict.fromkeys(("AmqpQueue", "InMemoryQueue", "RedisQueue", "SqsQueue"), "brokers"),
    **dict.fromkeys(
        ("QueueConfig", "QueueItem", "TaskRecord", "TaskState", "ThreadPoolConfig", "WorkerConfig", "WorkerState"),
        "nouns",
    ),
    "ThreadPool": "thread_pool",
    "Worker": "worker",
}

__all__ = [
    "AmqpQueue",
    "InMemoryQueue",
    "QueueConfig",
    "QueueItem",
    "RedisQueue",
    "SqsQueue",
    "TaskRecord",
    "TaskState",
    "ThreadPool",
    "ThreadPoolConfig",
    "Worker",
    "WorkerConfig",
    "WorkerState",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"scheduler.queues.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
