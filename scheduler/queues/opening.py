"""From the settings of a message queue to the queue itself: the one place that knows which driver is for which kind."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Self

from scheduler.errors import ConfigurationError
from scheduler.queues.protocol import MessageQueue, QueueOptions

Kind = Literal["memory", "redis", "amqp", "sqs"]
SCHEMES: Final[Mapping[Kind, tuple[str, ...]]] = {"redis": ("redis", "rediss", "unix"), "amqp": ("amqp", "amqps")}
"""The kinds that need a url, and how it may begin."""


@dataclass(frozen=True, slots=True)
class QueuePlace:
    """Where a message queue is, and how it behaves. `url` may hold a password, and is not shown."""

    name: str
    driver: str
    kind: Kind
    url: str | None = field(default=None, repr=False)
    region: str | None = None
    endpoint: str | None = None
    options: QueueOptions = field(default_factory=QueueOptions)

    @classmethod
    def at(cls, name: str, url: str) -> Self:
        """With the defaults of every option, at a broker whose kind the url tells. Raises ConfigurationError."""
        scheme = url.partition("://")[0]
        for kind, schemes in SCHEMES.items():
            if scheme in schemes:
                return cls(name=name, driver=kind, kind=kind, url=url)
        known = ", ".join(f"{scheme}://" for schemes in SCHEMES.values() for scheme in schemes)
        raise ConfigurationError(f"The url of message queue {name!r} begins with none of {known}.")

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> Self:
        """From what `asdict` made of one."""
        return cls(**{**plain, "options": QueueOptions(**plain["options"])})


def open_queue(place: QueuePlace) -> MessageQueue:
    """The queue, which connects when it is first used.

    Raises ConfigurationError where the packages for its kind are not installed, or the url makes no sense.
    """
    try:
        return _OPENERS[place.kind](place)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("scheduler"):
            raise
        raise ConfigurationError(
            f"The driver {place.driver!r} is of kind {place.kind}, which needs the package {error.name!r}: "
            f"pip install 'pg-scheduler[{place.kind}]'."
        ) from error


def _memory(place: QueuePlace) -> MessageQueue:
    from scheduler.queues.memory import MemoryQueue

    return MemoryQueue(place.name, place.options)


def _redis(place: QueuePlace) -> MessageQueue:
    from scheduler.queues.redis import RedisMessageQueue

    return RedisMessageQueue(_url(place), place.name, place.options)


def _amqp(place: QueuePlace) -> MessageQueue:
    from scheduler.queues.amqp import AmqpMessageQueue

    return AmqpMessageQueue(_url(place), place.name, place.options)


def _sqs(place: QueuePlace) -> MessageQueue:
    from scheduler.queues.sqs import SqsMessageQueue

    return SqsMessageQueue(place.endpoint, place.name, place.options, region=place.region)


def _url(place: QueuePlace) -> str:
    assert place.url is not None  # the settings have seen to it
    return place.url


_OPENERS: Final[Mapping[Kind, Callable[[QueuePlace], MessageQueue]]] = {
    "memory": _memory,
    "redis": _redis,
    "amqp": _amqp,
    "sqs": _sqs,
}
