"""How the params of a row become what a handler takes, and how they become JSON before."""

import json
import math
import re
from collections.abc import Callable, Mapping, MutableMapping
from inspect import Parameter
from typing import Any, get_args, get_origin

from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json, to_jsonable_python

from scheduler.errors import ConfigurationError, ParamsError
from scheduler.handlers.results import holds_nul
from scheduler.handlers.tracing import without

_LISTED = 10
_FLOAT_DIGITS = 308
_MAYBE_INFINITE = re.compile(rf"(?<!\d)\d{{{_FLOAT_DIGITS + 1}}}")
_json = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode


def encode_params(params: Any) -> str:
    """JSON text of what pydantic can turn into JSON, models by their aliases. Raises ParamsError for anything else."""
    try:
        text = _json(to_jsonable_python(params))
        encoded = text.encode()
    except Exception as error:  # serialisers and properties are the user's code, and may raise anything
        raise ParamsError(
            f"The params can't be turned into JSON: {_first_line(error)}. Give plain values or a pydantic model."
        ) from error
    if holds_nul(encoded):
        raise ParamsError("The params hold a NUL character (\\x00), which Postgres can't store: leave it out.")
    return text


def decoder_for(what: str, name: str, annotation: Any) -> Callable[[str], Any]:
    """A function from JSON text to the params of handler `name`; it raises ParamsError.

    Raises ConfigurationError, beginning with `what`, for a type that pydantic can't validate.
    """
    if _is_plain(annotation):
        return _plain_decoder(name)
    try:
        adapter: TypeAdapter[Any] = TypeAdapter(annotation)
    except Exception as error:  # pydantic raises several unrelated kinds, and runs the type's own hooks
        raise ConfigurationError(
            f"{what} declares params of a type that can't be validated: take a pydantic model, dataclass, TypedDict or "
            f"dict. pydantic says: {_first_line(error)}"
        ) from error
    return _validating_decoder(name, adapter)


def _is_plain(annotation: Any) -> bool:
    if annotation is Parameter.empty:
        return True
    is_object = (get_origin(annotation) or annotation) in (dict, Mapping, MutableMapping)
    return is_object and get_args(annotation) in ((), (str, Any), (str, object))


def _plain_decoder(name: str) -> Callable[[str], Any]:
    def decode(text: str) -> Any:
        text = without(text)
        if text == "{}":
            return {}
        _refuse_infinite(name, text, whole=int)
        params = _parse(name, text)
        if type(params) is not dict:
            raise ParamsError(f"Handler {name!r} takes a JSON object as its params; this is {_kind(params)}.")
        return params

    return decode


def _validating_decoder(name: str, adapter: TypeAdapter[Any]) -> Callable[[str], Any]:
    def decode(text: str) -> Any:
        text = without(text)
        _refuse_infinite(name, text, whole=_finite)  # the model may want it as a float
        try:
            return adapter.validate_json(text)
        except ValidationError as error:
            problems = _problems(error)
        # Outside of the except clause: the ValidationError quotes the values, and would travel as the context.
        raise ParamsError(f"The params don't fit handler {name!r}: {problems}.")

    return decode


def _refuse_infinite(name: str, text: str, *, whole: Callable[[str], object]) -> None:
    """A number that the database holds and Python would read as infinite must not reach a handler as that.

    `whole` reads the numbers without a fraction.
    """
    if len(text) > _FLOAT_DIGITS and _MAYBE_INFINITE.search(text):
        try:
            json.loads(text, parse_float=_finite, parse_int=whole)
        except _InfiniteError:
            raise ParamsError(
                f"The params for handler {name!r} hold a number that Python can't: one of more than {_FLOAT_DIGITS} "
                "digits before its decimal point."
            ) from None
        except (ValueError, RecursionError):
            pass  # whoever reads it next says so


class _InfiniteError(Exception):
    pass


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise _InfiniteError
    return number


def _parse(name: str, text: str) -> Any:
    try:
        return from_json(text)
    except ValueError:
        pass  # also for what the quicker parser only finds too deep
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise ParamsError(
            f"The params for handler {name!r} can't be read: not JSON, nested too deeply, or with a whole number of "
            "more than 4300 digits."
        ) from None


def _problems(error: ValidationError) -> str:
    """`to: Field required; items.0: Input should be a valid integer`, without the values, which may be secret."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    listed = [f"{'.'.join(map(str, problem['loc'])) or 'params'}: {problem['msg']}" for problem in found[:_LISTED]]
    if len(found) > _LISTED:
        listed.append(f"and {len(found) - _LISTED} more")
    return "; ".join(listed)


def _kind(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case list():
            return "a list"
        case str():
            return "a string"
        case _:
            return "a number"


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
