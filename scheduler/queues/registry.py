"""The message queues that a process knows, by name: for handlers and clients, which know nothing of brokers."""

import os
from collections.abc import Iterable, Mapping
from typing import ClassVar

from scheduler.errors import ConfigurationError, NotFoundError, did_you_mean
from scheduler.queues.opening import QueuePlace, open_queue
from scheduler.queues.protocol import MessageQueue


class QueueRegistry:
    """One registry per process. `scheduler run` fills it from the settings; a script calls `configure()`."""

    _places: ClassVar[dict[str, QueuePlace]] = {}
    _reads_memory: ClassVar[int | None] = None

    @classmethod
    def configure(cls, places: Iterable[QueuePlace] | Mapping[str, str], *, reads: bool = False) -> None:
        """Name the message queues anew: where they are, or `{name: url}`. Connects to nothing.

        `reads`: consumers run in this process, so that queues of kind memory lead somewhere. Raises ConfigurationError
        on a url that no driver is for.
        """
        if isinstance(places, Mapping):
            places = [QueuePlace.at(name, url) for name, url in places.items()]
        cls._places = {place.name: place for place in places}
        cls._reads_memory = os.getpid() if reads else None

    @classmethod
    def get(cls, name: str) -> QueuePlace:
        """Raises NotFoundError, which lists the known ones."""
        if (place := cls._places.get(name)) is not None:
            return place
        if not cls._places:
            raise NotFoundError(
                f"No message queue {name!r}, because none is configured: name it under `queues:` in the settings, "
                f'or call QueueRegistry.configure({{"{name}": url}}) first.'
            )
        known = list(cls._places)
        raise NotFoundError(
            f"No message queue is configured as {name!r}.{did_you_mean(name, known)} Known: {', '.join(known)}."
        )

    @classmethod
    def names(cls) -> list[str]:
        """All names, in the order they were configured."""
        return list(cls._places)

    @classmethod
    def open(cls, name: str) -> MessageQueue:
        """The queue, for the event loop that will use it first. Raises NotFoundError and ConfigurationError."""
        return open_queue(cls.get(name))

    @classmethod
    def open_to_publish(cls, name: str) -> MessageQueue:
        """The same for whoever only puts messages in: refused where nobody could ever read them.

        Raises ConfigurationError for a queue of kind memory in a process without consumers.
        """
        place = cls.get(name)
        if place.kind == "memory" and cls._reads_memory != os.getpid():
            raise ConfigurationError(
                f"Message queue {name!r} is in the memory of the process whose consumers read it, and this is another "
                "one: publish from a handler that runs in a task or a thread there, or give the queue a driver of kind "
                "redis, amqp or sqs."
            )
        return open_queue(place)
