"""OpenTelemetry, for those who use it: a span for each call of a handler, below the one that enqueued the work.

What carries the context from there to here is the key `_trace` of the params: it needs no column, passes through SQL
and every client, and is taken out before the params are looked at. Nothing here imports OpenTelemetry: whoever has set
it up has done that, and for everybody else this costs one look-up in sys.modules.
"""

import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from scheduler.errors import CancelExecution, Snooze

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Span

    from scheduler.handlers.context import ExecutionContext

KEY: Final = "_trace"
_QUOTED: Final = f'"{KEY}"'
_DECODER: Final = json.JSONDecoder()
_BETWEEN: Final = re.compile(r"[\s:,]*")


def is_used() -> bool:
    """Whether anything in this process has to do with OpenTelemetry."""
    return "opentelemetry.trace" in sys.modules


def carrying(params: str) -> str:
    """These params as JSON, with the context that is current here; unchanged if there is none, or one is in them."""
    if not is_used() or _QUOTED in params or not params.startswith("{"):
        return params
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    if not carrier:
        return params
    rest = params[1:].lstrip()
    return f"{{{_QUOTED}: {json.dumps(carrier)}{'' if rest.startswith('}') else ', '}{rest}"


def without(params: str) -> str:
    """These params as JSON without the context; every other character of them stays as it is."""
    found = _found(params) if _QUOTED in params else None
    return params if found is None else found[0]


def _found(params: str) -> tuple[str, Any] | None:
    """The params without it, and what it holds; None where there is none at the top, or this is no object."""
    try:
        start, at = -1, _BETWEEN.match(params, 1).end()  # type: ignore[union-attr]  # it matches nothing at the least
        while params.startswith("{") and params[at] == '"':
            key, colon = _DECODER.raw_decode(params, at)
            value, end = _DECODER.raw_decode(params, _BETWEEN.match(params, colon).end())  # type: ignore[union-attr]
            following = _BETWEEN.match(params, end).end()  # type: ignore[union-attr]
            if key == KEY:
                is_last = params[following] == "}"
                return params[: start if is_last and start >= 0 else at] + params[following:], value
            start, at = end, following
    except (ValueError, IndexError, RecursionError):
        pass  # whoever decodes them says what is wrong
    return None


def in_span(call: Callable[[], Any], context: "ExecutionContext", *, is_async: bool) -> Any:
    """What `call` returns, or an awaitable of it, in a span of the attempt. Raises what it raises."""
    return _awaited(call, context) if is_async else _called(call, context)


async def _awaited(call: Callable[[], Any], context: "ExecutionContext") -> Any:
    with _span(context) as span, _judged(span):
        return await call()


def _called(call: Callable[[], Any], context: "ExecutionContext") -> Any:
    with _span(context) as span, _judged(span):
        return call()


@contextmanager
def _span(context: "ExecutionContext") -> "Iterator[Span]":
    """One alone is a child of whoever enqueued it; a batch has many parents, and links to them."""
    from opentelemetry.trace import Link, SpanKind, get_current_span, get_tracer

    parents = [_parent(member.claim.params_text) for member in context.members]
    spans = [get_current_span(parent).get_span_context() for parent in parents if parent is not None]
    attributes: Mapping[str, str | int | Sequence[int]] = {
        "messaging.system": "pg-scheduler",
        "messaging.operation.type": "process",
        "scheduler.handler": context.handler_name,
        "scheduler.execution.id": context.id,
        "scheduler.execution.attempt": context.attempt,
        "scheduler.batch.size": len(parents),
    }
    alone = len(parents) == 1
    with get_tracer("scheduler").start_as_current_span(
        f"execute {context.handler_name}",
        context=parents[0] if alone else None,
        kind=SpanKind.CONSUMER,
        attributes=attributes,
        links=[] if alone else [Link(span) for span in spans],
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        yield span


def _parent(params: str) -> "Context | None":
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    found = _found(params) if _QUOTED in params else None
    carrier = found[1] if found is not None else None
    if not isinstance(carrier, dict):
        return None
    texts = {str(name): value for name, value in carrier.items() if isinstance(value, str)}
    return TraceContextTextMapPropagator().extract(texts)


@contextmanager
def _judged(span: "Span") -> Iterator[None]:
    """A fault makes the span one. What a handler said when it failed is in the row, and may hold a secret."""
    from opentelemetry.trace import StatusCode

    try:
        yield
    except (Snooze, CancelExecution) as decision:
        span.set_attribute("scheduler.decision", type(decision).__name__)
        raise
    except BaseException as error:
        span.set_attribute("error.type", type(error).__name__)
        span.set_status(StatusCode.ERROR)
        raise
