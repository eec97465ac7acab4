"""Handlers that take many executions in one call: how it is made, and what its answer says of each."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from inspect import Parameter, isawaitable
from typing import Any, Final, get_args, get_origin

from scheduler.errors import ConfigurationError, ParamsError, SchedulerError
from scheduler.handlers.context import BatchContext, ExecutionContext, make_current

MOST_SIZE: Final = 1000
MOST_WAIT_SECONDS: Final = 60


@dataclass(frozen=True, slots=True)
class Batching:
    size: int
    """How many executions one call takes at most."""
    wait_seconds: float
    """How long the first of them waits for others."""


class BatchAnswer(list[Any]):
    """What became of each execution of a batch: its result, or the exception that is its own."""


def batching_of(what: str, size: object, wait_seconds: object) -> Batching | None:
    """Check the options. Raises ConfigurationError, beginning with `what`."""
    if size is None:
        if wait_seconds is not None:
            raise ConfigurationError(f"{what}: batch_wait_seconds needs batch_size: write how many one call takes.")
        return None
    if not (isinstance(size, int) and not isinstance(size, bool) and 1 <= size <= MOST_SIZE):
        raise ConfigurationError(f"{what}: batch_size must be a whole number from 1 to {MOST_SIZE}.")
    wait = 0.0 if wait_seconds is None else wait_seconds
    if not (isinstance(wait, int | float) and not isinstance(wait, bool) and 0 <= wait <= MOST_WAIT_SECONDS):
        raise ConfigurationError(f"{what}: batch_wait_seconds must be a number from 0 to {MOST_WAIT_SECONDS}.")
    return Batching(size, float(wait))


def annotation_of_one(what: str, annotation: Any) -> Any:
    """Of `list[X]`, the X that the params of each execution are. Raises ConfigurationError."""
    if annotation is Parameter.empty or annotation in (list, Sequence):
        return Parameter.empty
    if get_origin(annotation) not in (list, Sequence):
        raise ConfigurationError(
            f"{what} has a batch_size and takes the params of one execution: write `batch: list[…]`, with their type."
        )
    (of_one,) = get_args(annotation)
    return Parameter.empty if of_one is Any else of_one


def call_batch(
    context: ExecutionContext, decode: Callable[[str], Any], invoke: Callable[[Any], Any], *, is_async: bool
) -> Any:
    """Run a batch here, or one attempt as a batch of its own: what became of it, or an awaitable of that.

    Of a BatchContext that is a BatchAnswer, with an entry for each of its members. Params that don't fit are the fault
    of their execution alone, and an exception of the call is that of all others.
    """
    batch = context if isinstance(context, BatchContext) else BatchContext([context])
    make_current(batch)
    faults = [_decoded(member, decode) for member in batch.members]
    batch.given = [member for member, fault in zip(batch.members, faults, strict=True) if fault is None]
    called = _answer_of(batch, invoke)
    if is_async or isawaitable(called):
        return _awaited(context, faults, called)
    return _told(context, faults, called)


def _answer_of(batch: BatchContext, invoke: Callable[[Any], Any]) -> Any:
    """What the handler says of those that it is given; an awaitable, if it is async."""
    if not batch.given:
        return []
    try:
        value = invoke([member.params for member in batch.given])
    except Exception as error:
        return [_storable(error)] * len(batch.given)
    return _once_awaited(batch, value) if isawaitable(value) else _each(batch, value)


async def _once_awaited(batch: BatchContext, value: Awaitable[Any]) -> list[Any]:
    try:
        return _each(batch, await value)
    except Exception as error:
        return [_storable(error)] * len(batch.given)


async def _awaited(
    context: ExecutionContext, faults: Sequence[ParamsError | None], called: list[Any] | Awaitable[list[Any]]
) -> Any:
    return _told(context, faults, await called if isawaitable(called) else called)


def _decoded(member: ExecutionContext, decode: Callable[[str], Any]) -> ParamsError | None:
    try:
        member.params = decode(member.claim.params_text)
    except ParamsError as error:
        return error
    return None


def _each(batch: BatchContext, value: object) -> list[Any]:
    """The handler's answer, with an entry for each of those that it was given."""
    count = len(batch.given)
    if value is None:
        return [None] * count
    if isinstance(value, list | tuple) and len(value) == count:
        return [_storable(said) for said in value]
    return [_wrong_answer(f"{len(value)} outcomes" if isinstance(value, list | tuple) else _kind(value), count)] * count


def _kind(value: object) -> str:
    return f"an object of type {type(value).__name__}"


def _wrong_answer(given: str, count: int) -> SchedulerError:
    return SchedulerError(
        f"The handler returned {given} for a batch of {count}: return None, or a list with a result or an exception "
        "for each, in their order."
    )


def _storable(said: object) -> object:
    """An exception that a future can carry; asyncio.gather, for one, hands out CancelledError as well."""
    if not isinstance(said, BaseException) or (isinstance(said, Exception) and not isinstance(said, StopIteration)):
        return said
    failure = SchedulerError(f"The handler ended this execution with {type(said).__name__}.")
    failure.__cause__ = said
    return failure


def _told(context: ExecutionContext, faults: Sequence[ParamsError | None], said: Sequence[Any]) -> Any:
    """To the one who called: all of it, or what became of the only one."""
    rest = iter(said)
    answer = BatchAnswer(next(rest) if fault is None else fault for fault in faults)
    if isinstance(context, BatchContext):
        return answer
    (only,) = answer
    if isinstance(only, Exception):
        raise only
    return only
