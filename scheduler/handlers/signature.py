"""What a handler's signature says: async or not, whether it takes params, and of which type."""

import inspect
import typing
from collections.abc import Callable
from dataclasses import dataclass
from inspect import Parameter
from types import SimpleNamespace
from typing import Any

from scheduler.errors import ConfigurationError
from scheduler.handlers.base import BaseHandler

_POSITIONAL = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD, Parameter.VAR_POSITIONAL)
_VARIADIC = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)


@dataclass(frozen=True, slots=True)
class Shape:
    is_async: bool
    takes_params: bool
    annotation: Any
    """Of the params; `inspect.Parameter.empty` when there is none."""


def shape_of(what: str, target: object) -> Shape:
    """Read a handler class or function. Raises ConfigurationError, beginning with `what`, when it can't be called."""
    if isinstance(target, type):
        return _shape_of_class(what, target)
    if inspect.isfunction(target):
        return _shape_of_function(what, target, list(inspect.signature(target).parameters.values()))
    raise ConfigurationError(
        f"{what} is neither a class nor a function: put @handler on a class that derives from BaseHandler, "
        "on a def, or on an async def."
    )


def _shape_of_class(what: str, target: type) -> Shape:
    if not issubclass(target, BaseHandler):
        raise ConfigurationError(f"{what} must derive from BaseHandler: write `class {target.__name__}(BaseHandler)`.")
    if target.execute is BaseHandler.execute:
        raise ConfigurationError(f"{what} has no execute: write `async def execute(self, params)` or `def execute(…)`.")
    if not inspect.isfunction(inspect.getattr_static(target, "execute")):
        raise ConfigurationError(f"{what} must have `execute` as an ordinary method, with self.")
    if any(_is_required(parameter) for parameter in inspect.signature(target).parameters.values()):
        raise ConfigurationError(f"{what} must be constructible without arguments: each attempt makes a new object.")
    parameters = list(inspect.signature(target.execute).parameters.values())
    shape = _shape_of_function(what, target.execute, parameters[1:])
    if inspect.iscoroutinefunction(target.handle_error) and not shape.is_async:
        raise ConfigurationError(f"{what} has an async handle_error beside a def execute: write both as def.")
    return shape


def _shape_of_function(what: str, function: Callable[..., Any], parameters: list[Parameter]) -> Shape:
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise ConfigurationError(f"{what} is a generator: a handler returns its result, so write return, not yield.")
    first = next((parameter for parameter in parameters if parameter.kind in _POSITIONAL), None)
    required = [parameter.name for parameter in parameters if _is_required(parameter) and parameter is not first]
    if required:
        raise ConfigurationError(
            f"{what} needs more than params ({', '.join(required)}): write it with one argument, params, or with none. "
            "Everything else about the execution is in current_execution()."
        )
    if first is None and parameters:
        raise ConfigurationError(f"{what} can't be given its params: write params as the first, positional argument.")
    annotation = Parameter.empty if first is None or first.kind in _VARIADIC else _resolved(what, function, first)
    return Shape(inspect.iscoroutinefunction(function), first is not None, annotation)


def _is_required(parameter: Parameter) -> bool:
    return parameter.default is Parameter.empty and parameter.kind not in _VARIADIC


def _resolved(what: str, function: Callable[..., Any], parameter: Parameter) -> Any:
    """The annotation itself, where it was written as a string or under `from __future__ import annotations`."""
    if not isinstance(parameter.annotation, str):
        return parameter.annotation
    scope = getattr(inspect.unwrap(function), "__globals__", {})
    written = SimpleNamespace(__annotations__={"params": parameter.annotation})
    try:
        return typing.get_type_hints(written, globalns=scope, include_extras=True)["params"]
    except Exception as error:
        raise ConfigurationError(
            f"{what} declares its params as {parameter.annotation!r}, which can't be resolved ({error}): "
            "define or import that type above the handler, at module level and outside of TYPE_CHECKING."
        ) from error
