"""How a handler is called: a fresh object for each attempt, and its say in what a fault means."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from inspect import isawaitable
from typing import Any

from scheduler.errors import ControlFlow
from scheduler.handlers.base import BaseHandler
from scheduler.handlers.context import current_execution
from scheduler.handlers.faults import describe_error


def caller_of(target: Callable[..., Any], takes_params: bool) -> Callable[[Any], Any]:
    """A function from params to the handler's value, or to an awaitable of it."""
    if not (isinstance(target, type) and issubclass(target, BaseHandler)):
        return target if takes_params else lambda _: target()
    if target.handle_error is not BaseHandler.handle_error:
        return lambda params: _guarded(target(), (params,) if takes_params else ())
    return (lambda params: target().execute(params)) if takes_params else (lambda _: target().execute())


def _guarded(instance: BaseHandler, arguments: tuple[Any, ...]) -> Any:
    try:
        value = instance.execute(*arguments)
    except ControlFlow:
        raise
    except Exception as fault:
        with _deciding(fault):
            _act_on(instance.handle_error(fault, current_execution()))
        raise
    return _guarded_await(instance, value) if isawaitable(value) else value


async def _guarded_await(instance: BaseHandler, value: Awaitable[Any]) -> Any:
    try:
        return await value
    except ControlFlow:
        raise
    except Exception as fault:
        with _deciding(fault):
            decision = instance.handle_error(fault, current_execution())
            _act_on(await decision if isawaitable(decision) else decision)
        raise


def _act_on(decision: object) -> None:
    if isinstance(decision, ControlFlow):
        raise decision
    if decision is not None:
        raise TypeError(f"it returned {type(decision).__name__}, not a ControlFlow or None")


@contextmanager
def _deciding(fault: Exception) -> Iterator[None]:
    """Lets a decision replace the fault. A hook that fails itself must not hide what it was asked about."""
    try:
        yield
    except ControlFlow as decision:
        raise decision from fault
    except Exception as broken:
        fault.add_note(f"handle_error failed too: {describe_error(broken)[0]}")
