"""The JSON of a message: what may be sent, and what is taken from others without believing any of it."""

import json
import math
import re
from collections.abc import Iterable
from itertools import count
from typing import Any, NoReturn
from uuid import uuid4

from scheduler.errors import MalformedMessageError, MessageTooLargeError
from scheduler.queues.protocol import MAX_BODY_BYTES

MAX_DEPTH = 100
"""How deeply lists and objects of a message may be nested."""
MAX_ID_BYTES = 255
"""What every broker takes as the id of a message."""

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def encode(value: Any) -> bytes:
    """The JSON of a message, compact and in UTF-8.

    Raises MalformedMessageError for what is no JSON, and MessageTooLargeError above `MAX_BODY_BYTES`.
    """
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        body = text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise MalformedMessageError(
            "A message is JSON: dicts, lists, texts, finite numbers, booleans and None. "
            f"This one isn't: {_first(error)}."
        ) from error
    check_size(body)
    return body


def decode(body: bytes) -> Any:
    """The value of a message's body, which anybody may have written.

    Raises MalformedMessageError, whose message is the reason to keep with the dead letter, for what isn't JSON by the
    book: not UTF-8, NaN, a key twice in one object, a number that no double holds; and for what Postgres stores in no
    `jsonb`: NUL characters and lone surrogates. So is what is larger than `MAX_BODY_BYTES` or deeper than `MAX_DEPTH`.
    """
    if len(body) > MAX_BODY_BYTES:
        raise MalformedMessageError(f"It has {len(body):,} bytes; a message has at most {MAX_BODY_BYTES:,}.")
    try:
        value = json.loads(
            body.decode(), object_pairs_hook=_object, parse_constant=_refuse_constant, parse_float=_finite
        )
    except UnicodeDecodeError as error:
        raise MalformedMessageError(f"It is not UTF-8: {error.reason} at byte {error.start}.") from error
    except RecursionError as error:
        raise MalformedMessageError(f"It is nested deeper than {MAX_DEPTH} levels.") from error
    except ValueError as error:
        raise MalformedMessageError(f"It is not JSON: {_first(error)}.") from error
    _check(value)
    return value


def check_size(body: bytes) -> None:
    """Raises MessageTooLargeError above `MAX_BODY_BYTES`."""
    if len(body) > MAX_BODY_BYTES:
        raise MessageTooLargeError(
            f"A message has at most {MAX_BODY_BYTES:,} bytes of JSON, and this one {len(body):,}. Store what is large "
            "elsewhere, such as in a table or an object store, and send a reference to it."
        )


def message_id(given: str | None) -> str:
    """The given id, once it is known that every broker takes it; a new one for None."""
    if given is None:
        return uuid4().hex
    if _CONTROL.search(given) or not 1 <= len(given.encode()) <= MAX_ID_BYTES:
        raise MalformedMessageError(
            f"The id of a message is a text of 1 to {MAX_ID_BYTES} bytes without control characters. Take a hash of it."
        )
    return given


def _check(value: Any) -> None:
    """Level by level, so that no nesting exhausts the stack."""
    level: list[Any] = [value]
    for depth in count(1):
        if depth > MAX_DEPTH and any(isinstance(each, list | dict) for each in level):
            raise MalformedMessageError(f"It is nested deeper than {MAX_DEPTH} levels.")
        for text in (each for each in level if isinstance(each, str)):
            if found := _UNSTORABLE.search(text):
                raise MalformedMessageError(f"A text in it has U+{ord(found[0]):04X}, which can't be stored.")
        level = [inner for each in level for inner in _inside(each)]
        if not level:
            return


def _inside(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return (*value.keys(), *value.values())
    return value if isinstance(value, list) else ()


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"the key {name[:50]!r} is there twice in one object")
        found[name] = value
    return found


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"{text[:50]} is too large a number")
    return number


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")


def _first(error: BaseException) -> str:
    return (str(error) or type(error).__name__).partition("\n")[0].rstrip(".")
