"""`drivers`, `queues` and `consumers`: messages from outside."""

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from scheduler.config.values import Count, MaybeSecret, Names, Section, Text

_NEEDS_URL = ("redis", "amqp")


class DriverSettings(Section):
    """`drivers.<name>`: a broker."""

    kind: Literal["memory", "redis", "amqp", "sqs"]
    """What speaks to the broker; `memory` lives in one process."""
    url: MaybeSecret = None
    """Where the broker is; needed by `redis` and `amqp`."""

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        if self.kind in _NEEDS_URL and self.url is None:
            raise ValueError(f"is of kind {self.kind} and needs a url")
        return self


class MessageQueueSettings(Section):
    """`queues.<name>`: a message queue of a broker."""

    driver: Text
    """The broker that holds it: a name under `drivers`."""
    options: dict[str, Any] = Field(default_factory=dict)
    """What the broker is told about the queue, such as `durable`, `max_length` and `ttl_seconds`."""


class ConsumerSettings(Section):
    """`consumers.<name>`: turns the messages of a queue into executions of one handler."""

    queue: Text
    """The message queue to read: a name under `queues`."""
    handler: Text
    """The handler that gets each message as its params."""
    concurrency: Count = 4
    """Executions of this consumer that run at once, over all workers."""
    prefetch: Count = 20
    """Executions of this consumer that wait at most, over all workers."""
    auto_start: bool = True
    """Whether `scheduler run` starts it."""
    depends_on: Names = Field(default_factory=list)
    """Message queues and consumers that must be up before it starts."""
