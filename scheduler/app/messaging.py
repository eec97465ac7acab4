"""Drivers, message queues and consumers: settings become places, queues and services."""

from collections.abc import Collection, Iterator, Mapping, Sequence

from scheduler.config import ConsumerSettings, Settings
from scheduler.errors import ConfigurationError, did_you_mean
from scheduler.handlers import HandlerRegistry
from scheduler.queues.opening import QueuePlace, open_queue
from scheduler.services.consumers import Consumers
from scheduler.services.options import ConsumerOptions
from scheduler.services.wakeups import Wakeups
from scheduler.store.messages import Messages
from scheduler.store.session import Session


def places(settings: Settings) -> list[QueuePlace]:
    """Where each message queue is."""
    return [_place(settings, name) for name in settings.queues]


def _place(settings: Settings, name: str) -> QueuePlace:
    queue = settings.queues[name]
    driver = settings.drivers[queue.driver]
    return QueuePlace(
        name=name,
        driver=queue.driver,
        kind=driver.kind,
        url=driver.url.get_secret_value() if driver.url is not None else None,
        region=driver.region,
        endpoint=driver.endpoint,
        options=queue.options.queue_options,
    )


def chosen(consumers: Mapping[str, ConsumerSettings], names: Collection[str]) -> list[str]:
    """Those of these names, or those that start by themselves; and whatever consumers they depend on.

    Raises ConfigurationError for a name that none has.
    """
    for unknown in sorted(set(names) - consumers.keys()):
        known = ", ".join(consumers) or "none"
        raise ConfigurationError(
            f"No consumer is named {unknown!r} in the settings.{did_you_mean(unknown, consumers)} There are: {known}."
        )
    wanted = list(names) or [name for name, consumer in consumers.items() if consumer.starts_itself]
    for name in wanted:  # which grows meanwhile
        wanted += [needed for needed in consumers[name].needs if needed in consumers and needed not in wanted]
    return wanted


def require_any(names: Sequence[str]) -> None:
    """For a process that does nothing but read. Raises ConfigurationError where there is nothing to read."""
    if not names:
        raise ConfigurationError(
            "No consumer starts by itself: write one under consumers: in the settings, or name one with "
            "auto_start: false by --consumer."
        )


def consumers_of(
    settings: Settings, names: Sequence[str], handlers: HandlerRegistry, session: Session, wakeups: Wakeups
) -> Consumers:
    """The consumers of these names, whose brokers are connected to when they begin.

    Raises ConfigurationError for a handler that is not there, and for a driver whose packages are not installed.
    """
    options = [_options(settings, name) for name in names]
    known = {spec.name: spec for spec in handlers}
    for each in options:
        if each.handler not in known:
            raise ConfigurationError(
                f"consumers.{each.name}.handler is {each.handler!r}, and no handler is registered so."
                f"{did_you_mean(each.handler, known)} The handlers are: {', '.join(sorted(known)) or 'none'}."
            )
    queues = {name: open_queue(_place(settings, name)) for name in _needed(settings, options)}
    fits = {each.handler: known[each.handler].decode for each in options}
    return Consumers(options, queues, Messages(session), fits, wakeups)


def _needed(settings: Settings, options: Sequence[ConsumerOptions]) -> Iterator[str]:
    names = (name for each in options for name in (each.queue, *each.needs) if name in settings.queues)
    yield from dict.fromkeys(names)


def _options(settings: Settings, name: str) -> ConsumerOptions:
    consumer = settings.consumers[name]
    return ConsumerOptions(
        name=name,
        queue=consumer.queue,
        handler=consumer.handler,
        concurrency=consumer.concurrency,
        prefetch=consumer.prefetch,
        needs=tuple(consumer.needs),
        visibility_seconds=settings.queues[consumer.queue].options.visibility_seconds,
    )
