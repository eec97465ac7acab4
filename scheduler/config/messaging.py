"""`drivers`, `queues` and `consumers`: messages from outside."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final, Self

from pydantic import AliasChoices, BeforeValidator, Field, model_validator

from scheduler.config.values import MaybeSecret, MaybeText, Names, Section, Text, a_number
from scheduler.queues.opening import SCHEMES, Kind
from scheduler.queues.protocol import QueueOptions

_SQS_TTL_SECONDS: Final = (60, 1_209_600)
"""What SQS allows: a minute to 14 days."""
_OR_A_VARIABLE: Final = ", or the variable REDIS_HOST"

Concurrency = Annotated[int, BeforeValidator(a_number), Field(ge=1, le=1_000)]
Prefetch = Annotated[int, BeforeValidator(a_number), Field(ge=1, le=10_000)]
Length = Annotated[int, BeforeValidator(a_number), Field(ge=1, le=1_000_000_000)]
Deliveries = Annotated[int, BeforeValidator(a_number), Field(ge=1, le=1_000)]
Lifetime = Annotated[float, BeforeValidator(a_number), Field(gt=0, le=31_622_400)]
Visibility = Annotated[float, BeforeValidator(a_number), Field(ge=1, le=43_200)]


class DriverSettings(Section):
    """`drivers.<name>`: a broker."""

    kind: Kind
    """What speaks to the broker; `memory` lives in one process."""
    url: MaybeSecret = None
    """Where the broker is, for `redis` (`redis://user:password@host:6379/0`, `rediss://` for TLS) and `amqp` \
(`amqp://`, `amqps://`). Without one, a `redis` driver takes the variables `REDIS_HOST`, `REDIS_PORT`, `REDIS_DB` and \
`REDIS_PASSWORD`."""
    region: MaybeText = None
    """The AWS region, for `sqs`; without it, as the environment says."""
    endpoint: MaybeText = None
    """The address of another server that speaks SQS, for `sqs`."""

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        schemes = SCHEMES.get(self.kind)
        if schemes is None and self.url is not None:
            where = "region and endpoint instead" if self.kind == "sqs" else "no address"
            raise ValueError(f"is of kind {self.kind} and has a url: it takes {where}")
        if schemes is not None and self.url is None:
            raise ValueError(f"is of kind {self.kind} and needs a url{_OR_A_VARIABLE if self.kind == 'redis' else ''}")
        if self.url is not None and schemes is not None:
            scheme = self.url.get_secret_value().partition("://")[0]
            if scheme not in schemes:
                raise ValueError(f"has a url that doesn't begin with {' or '.join(f'{each}://' for each in schemes)}")
        for key in ("region", "endpoint"):
            if self.kind != "sqs" and getattr(self, key) is not None:
                raise ValueError(f"is of kind {self.kind} and has {key}, which is for sqs: remove it")
        return self


class OptionSettings(Section):
    """`queues.<name>.options`: how a message queue behaves."""

    durable: bool = True
    """Whether messages outlive a restart of the broker, for `redis` and `amqp`."""
    max_length: Length | None = None
    """Messages that may wait; more are refused to whoever publishes. Not for `sqs`. `null`: as many as the broker \
holds."""
    ttl_seconds: Lifetime | None = None
    """A message that nobody received for so long is dropped; `null`: never."""
    max_deliveries: Deliveries = 5
    """A message that came back so often goes to the dead letter queue."""
    visibility_seconds: Visibility = 60.0
    """How long a message belongs to whoever received it and has vanished; then it comes back."""

    @property
    def queue_options(self) -> QueueOptions:
        return QueueOptions(**self.model_dump())


class MessageQueueSettings(Section):
    """`queues.<name>`: a message queue of a broker."""

    driver: Text
    """The broker that holds it: a name under `drivers`."""
    options: OptionSettings = Field(default_factory=OptionSettings)


class LifecycleSettings(Section):
    """`consumers.<name>.lifecycle`: when it starts."""

    auto_start: bool = True
    """The same as `auto_start` beside it; write one of them."""
    depends_on: Names = Field(default_factory=list)
    """The same as `depends_on` beside it; write one of them."""


class ConsumerSettings(Section):
    """`consumers.<name>`: turns the messages of a queue into executions of one handler."""

    queue: Text
    """The message queue to read: a name under `queues`."""
    handler: Text = Field(validation_alias=AliasChoices("handler", "func"))
    """The handler that gets each message as its params; `func` is another word for it."""
    concurrency: Concurrency = 1
    """Executions of this consumer that run at once, over all workers."""
    prefetch: Prefetch = 10
    """Executions of this consumer that wait at most, over all workers; with as many it reads no more."""
    auto_start: bool = True
    """Whether `scheduler run` starts it; otherwise `scheduler run --consumer NAME` does."""
    depends_on: Names = Field(default_factory=list)
    """Message queues and consumers that must be up before it starts."""
    lifecycle: LifecycleSettings = Field(default_factory=LifecycleSettings)

    @model_validator(mode="before")
    @classmethod
    def _one_word(cls, given: Any) -> Any:
        if isinstance(given, dict) and {"handler", "func"} <= given.keys():
            raise ValueError("has both handler and func, two words for the same: keep one")
        return given

    @model_validator(mode="after")
    def _said_once(self) -> Self:
        for key in sorted(self.lifecycle.model_fields_set & self.model_fields_set):
            raise ValueError(f"has {key} beside and inside of lifecycle: keep one of them")
        return self

    @property
    def starts_itself(self) -> bool:
        return self.auto_start and self.lifecycle.auto_start

    @property
    def needs(self) -> list[str]:
        """Message queues and consumers that must be up first."""
        return [*self.depends_on, *self.lifecycle.depends_on]


def beyond(driver: DriverSettings, options: OptionSettings) -> Iterator[tuple[str, str]]:
    """The options of a queue that its broker can't keep, each with what to write instead."""
    if driver.kind != "sqs":
        return
    least, most = _SQS_TTL_SECONDS
    if options.max_length is not None:
        yield "max_length", "is nothing that sqs can be told, whose queues take any number: remove it"
    if options.ttl_seconds is not None and not least <= options.ttl_seconds <= most:
        yield "ttl_seconds", f"must be from {least} up to {most} (14 days) for sqs"


def circle(consumers: Mapping[str, ConsumerSettings], start: str) -> list[str]:
    """The way by which a consumer depends on itself, from `start` to `start`; empty where there is none."""
    ways, seen = [[start]], {start}
    while ways:
        way = ways.pop()
        for needed in consumers[way[-1]].needs:
            if needed == start:
                return [*way, start]
            if needed in consumers and needed not in seen:
                seen.add(needed)
                ways.append([*way, needed])
    return []
