"""A handler as it was declared: everything a worker knows of it."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, TypedDict, get_args

from scheduler.errors import ConfigurationError, did_you_mean
from scheduler.handlers import tracing
from scheduler.handlers.base import BaseHandler
from scheduler.handlers.batch import Batching, annotation_of_one, batching_of, call_batch
from scheduler.handlers.calling import caller_of
from scheduler.handlers.context import ExecutionContext, make_current
from scheduler.handlers.cron import BackoffName, Cron, declared_by
from scheduler.handlers.params import decoder_for
from scheduler.handlers.signature import Shape, shape_of
from scheduler.model import Backoff, DeclaredCronJob, HandlerPolicy

RunIn = Literal["task", "thread", "process"]

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,99}")
_MAX_RETRY_LIMIT = 1000
_MAX_RETRY_DELAY = 86_400
_LEAST_MEMORY_MB, _MOST_MEMORY_MB = 16, 1_048_576
_MAX_TIMEOUT = 31_622_400  # a year, as in the CHECK of the tables


class HandlerOptions(TypedDict, total=False):
    """What may follow the name in `@handler(name, …)`. Rows override the first four."""

    timeout: float | None
    """Seconds an attempt may take, above 0, up to 31,622,400 (a year). Default 300."""
    max_retry: int | None
    """How often an execution may fail in all, 0 to 1,000; 0 and 1 both mean no second try. Default 3."""
    retry_backoff: Backoff | BackoffName | None
    """How the wait before the next try grows. Default "exponential"."""
    retry_delay: float | None
    """Seconds before the first retry, 0 to 86,400. Default 2."""
    run_in: RunIn | None
    """Default "task" for an `async def`, "thread" for a `def`."""
    max_memory_mb: float | None
    """MiB of data that its process may come to hold beyond what it began with, 16 to 1,048,576; more raises MemoryError
    in the handler. Needs run_in="process"; enforced on Linux. Default: no limit."""
    transactional: Sequence[str]
    """Databases whose transaction spans the handler and its SUCCESS. Default none."""
    cron: str | Cron | Sequence[str | Cron] | None
    """When it runs by itself: `scheduler cron apply` makes rows of it. Default never."""
    batch_size: int | None
    """How many executions one call takes at most, 1 to 1,000: it is given a list of params, and answers for each.
    Default: one, and no list."""
    batch_wait_seconds: float | None
    """How long the first execution of a batch waits for others, 0 to 60. Needs batch_size. Default 0."""


@dataclass(frozen=True, slots=True, eq=False)
class HandlerSpec:
    name: str
    target: Callable[..., Any]
    module: str
    where: str
    """`file:line` of the declaration."""
    run_in: RunIn
    max_memory_mb: float | None
    policy: HandlerPolicy
    transactional: tuple[str, ...]
    is_async: bool
    cron_jobs: tuple[DeclaredCronJob, ...]
    decode: Callable[[str], Any]
    """From the JSON text of a row to what the handler takes. Raises ParamsError."""
    invoke: Callable[[Any], Any]
    """From decoded params to the handler's value, or an awaitable of it; a fresh object each time."""
    batching: Batching | None = None
    """It takes several executions at once: `decode` is for the params of each, `invoke` for the list of them."""

    def call(self, context: ExecutionContext) -> Any:
        """Run one attempt here: its value, or an awaitable of it.

        The calling task or thread takes `context` as its current execution. Raises what the handler raises, and
        ParamsError. Of a BatchContext the value is a BatchAnswer.
        """
        if not tracing.is_used():
            return self._call(context)
        return tracing.in_span(partial(self._call, context), context, is_async=self.is_async)

    def _call(self, context: ExecutionContext) -> Any:
        if self.batching is not None:
            return call_batch(context, self.decode, self.invoke, is_async=self.is_async)
        make_current(context)
        params = context.params = self.decode(context.claim.params_text)
        return self.invoke(params)


def declare(name: str, target: Callable[..., Any], where: str, options: HandlerOptions) -> HandlerSpec:
    """Check a handler and its options. Raises ConfigurationError with the name, the place, and what to write."""
    what = f"Handler {name!r} ({where})"
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ConfigurationError(
            f"{what} has a name that can't be used: write a letter, then up to 99 letters, digits, '_', '.' or '-'."
        )
    for unknown in options.keys() - HandlerOptions.__annotations__.keys():
        known = sorted(HandlerOptions.__annotations__)
        raise ConfigurationError(
            f"{what} has no option {unknown!r}.{did_you_mean(unknown, known)} The options are: {', '.join(known)}."
        )
    shape = shape_of(what, target)
    run_in = _run_in(what, options.get("run_in"), shape)
    batching = batching_of(what, options.get("batch_size"), options.get("batch_wait_seconds"))
    if batching is not None:
        _check_batch(what, target, shape, run_in, options)
    return HandlerSpec(
        name=name,
        target=target,
        module=target.__module__,
        where=where,
        run_in=run_in,
        max_memory_mb=_max_memory_mb(what, options.get("max_memory_mb"), run_in),
        policy=_policy(what, options),
        transactional=_transactional(what, options.get("transactional", ())),
        is_async=shape.is_async,
        cron_jobs=declared_by(what, name, where, options.get("cron")),
        decode=decoder_for(what, name, annotation_of_one(what, shape.annotation) if batching else shape.annotation),
        invoke=caller_of(target, shape.takes_params),
        batching=batching,
    )


def _check_batch(what: str, target: Any, shape: Shape, run_in: RunIn, options: HandlerOptions) -> None:
    if not shape.takes_params:
        raise ConfigurationError(f"{what} has a batch_size and takes nothing: write `batch: list[…]` as its argument.")
    if run_in == "process":
        raise ConfigurationError(
            f'{what} has a batch_size, which works in a task or thread: leave run_in="process" out.'
        )
    if options.get("transactional"):
        raise ConfigurationError(
            f"{what} has a batch_size and is transactional: each execution of a batch has an outcome of its own, and "
            "one commit can't carry them all. Leave one of the two out."
        )
    if isinstance(target, type) and target.handle_error is not BaseHandler.handle_error:  # type: ignore[attr-defined]
        raise ConfigurationError(
            f"{what} has a batch_size and a handle_error, which is asked about one execution: return an exception for "
            "each that failed."
        )


def _run_in(what: str, given: RunIn | None, shape: Shape) -> RunIn:
    if given is None:
        return "task" if shape.is_async else "thread"
    if given not in get_args(RunIn):
        raise _unknown_word(what, "run_in", given, get_args(RunIn))
    if given == "task" and not shape.is_async:
        raise ConfigurationError(
            f'{what} is a def with run_in="task", which would block the worker\'s event loop: '
            'write async def, or run_in="thread".'
        )
    return given


def _max_memory_mb(what: str, given: float | None, run_in: RunIn) -> float | None:
    if given is None:
        return None
    if run_in != "process":
        raise ConfigurationError(
            f'{what}: max_memory_mb needs run_in="process", for only a process has its own memory.'
        )
    if not (_is_number(given) and _LEAST_MEMORY_MB <= given <= _MOST_MEMORY_MB):
        raise ConfigurationError(
            f"{what}: max_memory_mb must be a number of MiB from {_LEAST_MEMORY_MB} to {_MOST_MEMORY_MB}."
        )
    return float(given)


def _policy(what: str, options: HandlerOptions) -> HandlerPolicy:
    max_retry = options.get("max_retry")
    if max_retry is not None and not (_is_number(max_retry, int) and 0 <= max_retry <= _MAX_RETRY_LIMIT):
        raise ConfigurationError(f"{what}: max_retry must be a whole number from 0 to {_MAX_RETRY_LIMIT}.")
    timeout = options.get("timeout")
    if timeout is not None and not (_is_number(timeout) and 0 < timeout <= _MAX_TIMEOUT):
        raise ConfigurationError(f"{what}: timeout must be a number of seconds above 0, up to {_MAX_TIMEOUT}.")
    delay = options.get("retry_delay")
    if delay is not None and not (_is_number(delay) and 0 <= delay <= _MAX_RETRY_DELAY):
        raise ConfigurationError(f"{what}: retry_delay must be a number of seconds from 0 to {_MAX_RETRY_DELAY}.")
    backoff = options.get("retry_backoff")
    if backoff is not None and backoff not in list(Backoff):
        raise _unknown_word(what, "retry_backoff", backoff, [word.value for word in Backoff])
    return HandlerPolicy(
        timeout_seconds=None if timeout is None else float(timeout),
        max_retry=max_retry,
        retry_backoff=None if backoff is None else Backoff(backoff),
        retry_delay_seconds=None if delay is None else float(delay),
    )


def _transactional(what: str, given: Sequence[str]) -> tuple[str, ...]:
    if not isinstance(given, list | tuple) or not all(isinstance(name, str) and name for name in given):
        raise ConfigurationError(f'{what}: transactional must list databases by name, like ["default", "business"].')
    if len(set(given)) < len(given):
        raise ConfigurationError(f"{what}: transactional names a database twice: {', '.join(given)}.")
    return tuple(given)


def _is_number(value: object, kind: type[int] | type[float] = float) -> bool:
    return isinstance(value, kind if kind is int else (int, float)) and not isinstance(value, bool)


def _unknown_word(what: str, option: str, given: object, known: Sequence[str]) -> ConfigurationError:
    words = ", ".join(f'"{word}"' for word in known)
    return ConfigurationError(f"{what}: {option} can't be {given!r}.{did_you_mean(str(given), known)} Write {words}.")
