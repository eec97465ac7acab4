"""What is asked for becomes a row to be, or a sentence that says why it can't."""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any, Generic, TypedDict, TypeVar, Unpack, cast

from scheduler.errors import NotFoundError, ParamsError, RefusedError, did_you_mean
from scheduler.handlers.params import encode_params
from scheduler.handlers.registry import declared_as
from scheduler.handlers.spec import HandlerSpec
from scheduler.handlers.tracing import carrying
from scheduler.model import NewExecution, OnConflict, UniqueUntil

P = TypeVar("P")


class CallOptions(TypedDict, total=False):
    """What may follow handler and params in `call(…)`."""

    queue: str
    """The queue that it waits in. Default "default"."""
    priority: int
    """-9 to 9; higher runs first. Default 0."""
    delay: float | timedelta
    """Seconds to wait before it may run, from `available_at` or else from now. Default 0."""
    available_at: datetime | None
    """Not before this time, which names its zone. Default now."""
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
    on_conflict: OnConflict
    """Where `unique_key` is held: "return existing" (the id of the holder, which is the default), "error"
    (ConflictError), or "restart delay": a holder that waits does so anew, as if it had been enqueued now."""


class EnqueueOptions(CallOptions, total=False):
    """What may follow handler and params in `enqueue(…)` and `enqueue_many(…)`."""

    timeout: float | timedelta | None
    """Seconds an attempt may take. Default the handler's."""
    notify_done: bool
    """Its end is notified at once to who waits for it in a client; else they find it by polling. Default False."""


def new_execution(handler: str | Callable[..., Any], params: Any, options: EnqueueOptions) -> NewExecution:
    """Raises NotFoundError for what isn't a handler, ParamsError, RefusedError, TypeError for an unknown option.

    Whether there is a handler of that name only a worker can say. Params are checked against what the handler declares
    where it is given itself.
    """
    target = _Target(handler)
    return _row(target.name, target.encode(params), options)


def noticed(options: CallOptions) -> EnqueueOptions:
    """The same for one whose end is waited for at once."""
    return cast("EnqueueOptions", {**options, "notify_done": True})


def many_executions(
    handler: str | Callable[..., Any], params: Iterable[Any], options: EnqueueOptions
) -> Iterator[tuple[NewExecution, str]]:
    """For each what it shares with the others, and its params as JSON. Raises as `new_execution()`, with its place."""
    target = _Target(handler)
    shared = _row(target.name, "{}", options)
    for place, each in enumerate(params):
        own = isinstance(each, Item)
        try:
            row = _row(target.name, "{}", {**options, **each.options}) if own else shared
            yield row, target.encode(each.params if own else each)
        except (ParamsError, RefusedError, TypeError) as error:
            raise type(error)(f"Item {place}: {error}") from error


class Item(Generic[P]):
    """One of `enqueue_many()` that has options of its own: `Item({"to": "ada@example.com"}, delay=60)`."""

    __slots__ = ("options", "params")

    def __init__(self, params: P, **options: Unpack[EnqueueOptions]) -> None:
        self.params, self.options = params, options


_KNOWN = CallOptions.__annotations__.keys() | EnqueueOptions.__annotations__.keys()


class _Target:
    """The handler that is meant: by its name, or itself."""

    def __init__(self, handler: str | Callable[..., Any]) -> None:
        self._spec = None if isinstance(handler, str) else _declared(handler)
        self.name: str = handler if self._spec is None else self._spec.name  # type: ignore[assignment]  # a name then

    def encode(self, params: Any) -> str:
        text = encode_params({} if params is None else params)
        if self._spec is not None:
            self._spec.decode(text)
        return carrying(text)


def _row(handler_name: str, params: str, options: EnqueueOptions) -> NewExecution:
    for unknown in options.keys() - _KNOWN:
        raise TypeError(f"enqueue() has no option {unknown!r}.{did_you_mean(unknown, sorted(_KNOWN))}")
    timeout = options.get("timeout")
    return NewExecution(
        handler_name=handler_name,
        handler_params=params,
        queue=options.get("queue", "default"),
        priority=options.get("priority", 0),
        delay_seconds=seconds_of(options.get("delay", 0)),
        available_at=_aware(options.get("available_at")),
        timeout_seconds=None if timeout is None else seconds_of(timeout),
        max_retry=options.get("max_retry"),
        unique_key=options.get("unique_key"),
        unique_until=options.get("unique_until", "finished"),
        concurrency_key=options.get("concurrency_key"),
        concurrency_limit=options.get("concurrency_limit"),
        on_conflict=options.get("on_conflict", "return existing"),
        notify_done=options.get("notify_done", False),
    )


def _declared(handler: Callable[..., Any]) -> HandlerSpec:
    match declared_as(handler):
        case [spec]:
            return spec
        case []:
            raise NotFoundError(f'{handler!r} is no handler: put @handler("name") on it, or give the name of one.')
        case several:
            names = ", ".join(spec.name for spec in several)
            raise NotFoundError(f"{handler!r} is a handler under several names: give one of {names}.")


def seconds_of(given: float | timedelta) -> float:
    return given.total_seconds() if isinstance(given, timedelta) else given


def optional_seconds(given: float | timedelta | None) -> float | None:
    return None if given is None else seconds_of(given)


def _aware(given: datetime | None) -> datetime | None:
    if given is not None and given.tzinfo is None:
        raise RefusedError(
            f"available_at {given} names no time zone: write datetime(…, tzinfo=UTC), or datetime.now(UTC) + …."
        )
    return given
