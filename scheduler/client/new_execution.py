"""What is asked for becomes a row to be, or a sentence that says why it can't."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, TypedDict

from scheduler.errors import NotFoundError, RefusedError, did_you_mean
from scheduler.handlers.params import encode_params
from scheduler.handlers.registry import declared_as
from scheduler.handlers.spec import HandlerSpec
from scheduler.model import NewExecution, UniqueUntil


class EnqueueOptions(TypedDict, total=False):
    """What may follow handler and params in `enqueue(…)`."""

    queue: str
    """The queue that it waits in. Default "default"."""
    priority: int
    """-9 to 9; higher runs first. Default 0."""
    delay: float | timedelta
    """Seconds to wait before it may run, from `available_at` or else from now. Default 0."""
    available_at: datetime | None
    """Not before this time, which names its zone. Default now."""
    timeout: float | timedelta | None
    """Seconds an attempt may take. Default the handler's."""
    max_retry: int | None
    """How often it may fail in all. Default the handler's."""
    unique_key: str | None
    """Only if no execution holds this key; else the id of the one that does is returned. Default none."""
    unique_until: UniqueUntil
    """Until when it holds the key: it "started", it is "finished", or "forever". Default "finished"."""
    concurrency_key: str | None
    """Of those with one key only `concurrency_limit` run at once, over all workers. Default none."""
    concurrency_limit: int | None
    """At least 1. Default 1."""


def new_execution(handler: str | Callable[..., Any], params: Any, options: EnqueueOptions) -> NewExecution:
    """Raises NotFoundError for what isn't a handler, ParamsError, RefusedError, TypeError for an unknown option.

    Whether there is a handler of that name only a worker can say. Params are checked against what the handler declares
    where it is given itself.
    """
    for unknown in options.keys() - EnqueueOptions.__annotations__.keys():
        known = sorted(EnqueueOptions.__annotations__)
        raise TypeError(f"enqueue() has no option {unknown!r}.{did_you_mean(unknown, known)}")
    text = encode_params({} if params is None else params)
    timeout = options.get("timeout")
    return NewExecution(
        handler_name=handler if isinstance(handler, str) else _declared(handler, text).name,
        handler_params=text,
        queue=options.get("queue", "default"),
        priority=options.get("priority", 0),
        delay_seconds=_seconds(options.get("delay", 0)),
        available_at=_aware(options.get("available_at")),
        timeout_seconds=None if timeout is None else _seconds(timeout),
        max_retry=options.get("max_retry"),
        unique_key=options.get("unique_key"),
        unique_until=options.get("unique_until", "finished"),
        concurrency_key=options.get("concurrency_key"),
        concurrency_limit=options.get("concurrency_limit"),
    )


def _declared(handler: Callable[..., Any], params: str) -> HandlerSpec:
    match declared_as(handler):
        case [spec]:
            spec.decode(params)
            return spec
        case []:
            raise NotFoundError(f'{handler!r} is no handler: put @handler("name") on it, or give the name of one.')
        case several:
            names = ", ".join(spec.name for spec in several)
            raise NotFoundError(f"{handler!r} is a handler under several names: give one of {names}.")


def _seconds(given: float | timedelta) -> float:
    return given.total_seconds() if isinstance(given, timedelta) else given


def _aware(given: datetime | None) -> datetime | None:
    if given is not None and given.tzinfo is None:
        raise RefusedError(
            f"available_at {given} names no time zone: write datetime(…, tzinfo=UTC), or datetime.now(UTC) + …."
        )
    return given
