"""Message queues to use on their own, one class for each driver."""

from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from itertools import count
from math import inf
from typing import Any, TypeVar

from scheduler.errors import BrokerError, ConfigurationError, QueueEmptyError, QueueFullError
from scheduler.queues.memory import MemoryBroker, MemoryQueue
from scheduler.queues.nouns import QueueConfig, QueueItem
from scheduler.queues.protocol import QueueOptions
from scheduler.queues.standalone import Driver, StandaloneQueue

T = TypeVar("T")

_numbers = count(1)


class InMemoryQueue(StandaloneQueue):
    """A queue in the memory of this process, with which it ends; each instance is a queue of its own."""

    def __init__(self, config: QueueConfig | None = None, name: str | None = None) -> None:
        self._broker = MemoryBroker()
        super().__init__(name or f"memory-{next(_numbers)}", config)

    def _connect(self, options: QueueOptions) -> Driver:
        return MemoryQueue(self.name, options, broker=self._broker)

    def _store(self, body: bytes, given: str, delay: float, deadline: float) -> None:
        """In this very thread, for what a queue in memory does, it does without waiting."""
        try:
            self._here(self._reach().publish(body, id=given, delay=delay))
        except QueueFullError:
            super()._store(body, given, delay, deadline)

    def _fetch(self, deadline: float) -> QueueItem:
        try:
            return self._here(self._take(-inf))
        except QueueEmptyError:
            return super()._fetch(deadline)

    def _here(self, work: Coroutine[Any, Any, T]) -> T:
        """Another thread may close the queue between any two steps of it."""
        try:
            return _at_once(work)
        except BrokerError as error:
            if self._closed:
                raise self._closed_error() from error
            raise

    def _begin_anew(self) -> None:
        raise BrokerError(
            f"Queue {self.name!r} is in the memory of the process that made it, of which this one is a fork: "
            "make it after the fork, or take the queue of a broker."
        )


class RedisQueue(StandaloneQueue):
    """A queue in Redis or Valkey. Its name is that of a list, into which other programs may push JSON too."""

    def __init__(self, url: str, name: str = "jobs", config: QueueConfig | None = None) -> None:
        """`url`: `redis://[user:password@]host[:port]/database`, or `rediss://` for TLS."""
        self._url = url
        super().__init__(name, config)

    def _connect(self, options: QueueOptions) -> Driver:
        with _extra("redis"):
            from scheduler.queues.redis import RedisMessageQueue
        return RedisMessageQueue(self._url, self.name, options)


class AmqpQueue(StandaloneQueue):
    """A queue in RabbitMQ."""

    def __init__(self, url: str, name: str = "jobs", config: QueueConfig | None = None) -> None:
        """`url`: `amqp://[user:password@]host[:port]/vhost`, or `amqps://` for TLS."""
        self._url = url
        super().__init__(name, config)

    def _connect(self, options: QueueOptions) -> Driver:
        with _extra("amqp"):
            from scheduler.queues.amqp import AmqpMessageQueue
        return AmqpMessageQueue(self._url, self.name, options)


class SqsQueue(StandaloneQueue):
    """A queue in Amazon SQS, or in what speaks like it. SQS knows no `max_size`."""

    def __init__(
        self,
        name: str = "jobs",
        config: QueueConfig | None = None,
        *,
        url: str | None = None,
        region: str | None = None,
    ) -> None:
        """`url`: an endpoint other than AWS's own. Credentials, and a region not given, are where AWS's tools look."""
        self._url = url
        self._region = region
        super().__init__(name, config)

    def _connect(self, options: QueueOptions) -> Driver:
        with _extra("sqs"):
            from scheduler.queues.sqs import SqsMessageQueue
        return SqsMessageQueue(self._url, self.name, options, region=self._region)


def _at_once(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of what never waits, in whichever thread this is."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    raise AssertionError("a queue in memory does not wait")


@contextmanager
def _extra(name: str) -> Iterator[None]:
    """Raises ConfigurationError where the packages of an extra are missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"This queue needs the package {error.name!r}: pip install 'pg-scheduler[{name}]'."
        ) from error
