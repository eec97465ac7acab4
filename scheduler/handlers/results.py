"""What a handler returned, as JSON that the database can store, whatever it is.

    whole                  all that pydantic can turn into JSON
    sanitised and cut      what can't be stored is replaced in its place by words that say what was there
    a fixed sentence       when even looking at the value fails

so that writing an outcome can't fail because of what is in it.
"""

import hashlib
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from itertools import takewhile
from typing import Any, NamedTuple, TypeVar, cast

from pydantic_core import to_json, to_jsonable_python

from scheduler.handlers.faults import clean_text

MAX_BYTES = 1024 * 1024
_HEAD_CHARACTERS = 8192
_MAX_DEPTH = 64
_MAX_NODES = 100_000
_MAX_DIGITS = 4300  # what Python's own JSON readers take by default; Postgres takes more
_TOO_MANY_DIGITS = re.compile(rb"(?<!\d)\d{%d}" % (_MAX_DIGITS + 1))
_OUTSIDE_TEXT = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|(?P<number>(?<!\d)\d{%d})' % (_MAX_DIGITS + 1))
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")  # an even number of backslashes before it spell backslashes
T = TypeVar("T")
_UNSTORABLE = json.dumps("The result could not be turned into JSON: return plain values or a pydantic model.")
REFUSED = json.dumps("The result could not be stored: the database refused it.")


class EncodedResult(NamedTuple):
    """A result that is JSON already: the handler ran in another process, or in a transaction that carried it."""

    text: str | None
    changed: bool


NOTHING = EncodedResult(None, False)
"""What most handlers return."""


class SettledResult(EncodedResult):
    """One that is recorded: the row says SUCCESS, by a commit of the handler's own transaction."""

    __slots__ = ()


def encode_result(value: object) -> EncodedResult:
    """JSON text for `job_executions.result` (None for None), and whether something had to be replaced or cut in it.

    Never raises. At most about 1 MiB.
    """
    if value is None:
        return NOTHING
    if issubclass(type(value), EncodedResult):  # unlike isinstance, it asks the value for nothing
        return cast("EncodedResult", value)
    return EncodedResult(*_encoded(value))


def holds_nul(encoded: bytes) -> bool:
    """Whether a string of this JSON has the one character that Postgres can't store."""
    return b"\\u0000" in encoded and _NUL.search(encoded) is not None


def _encoded(value: object) -> tuple[str | None, bool]:
    try:
        encoded = _whole(value)
        if encoded is not None and len(encoded) <= MAX_BYTES:
            return encoded.decode(), False
        encoded = encoded or _whole(value, _name_type) or _sanitised(value)
        return _cut(encoded) if len(encoded) > MAX_BYTES else encoded.decode(), True
    except BaseException:  # serialisers, properties and __iter__ are the user's code, and may raise anything
        return _UNSTORABLE, True


def _whole(value: object, fallback: Callable[[object], str] | None = None) -> bytes | None:
    """The JSON of it, or None if there is none that can be stored; of what will be cut, any will do."""
    try:
        encoded = to_json(value, inf_nan_mode="strings", bytes_mode="base64", fallback=fallback)
    except Exception:
        return None
    if len(encoded) > MAX_BYTES:
        return encoded
    if holds_nul(encoded):
        return None
    if len(encoded) > _MAX_DIGITS and _TOO_MANY_DIGITS.search(encoded) and _has_huge_number(encoded):
        return None
    return encoded


def _has_huge_number(encoded: bytes) -> bool:
    return any(found["number"] for found in _OUTSIDE_TEXT.finditer(encoded))


def _name_type(value: object) -> str:
    """Stands for an object without a JSON form. Its repr could break, or show what nobody meant to store."""
    return f"<{type(value).__qualname__} is not JSON>"


def _sanitised(value: object) -> bytes:
    return json.dumps(_Sanitiser().plain(value, 0), ensure_ascii=False, separators=(",", ":")).encode()


def _cut(encoded: bytes) -> str:
    """What is kept of a result that is too large: its beginning as text, and what identifies the whole."""
    head = encoded[: 4 * _HEAD_CHARACTERS].decode(errors="ignore")[:_HEAD_CHARACTERS]
    return json.dumps(
        {"truncated": True, "bytes": len(encoded), "sha256": hashlib.sha256(encoded).hexdigest(), "head": head}
    )


class _Sanitiser:
    """Rebuilds a value from plain parts, keeping all that can be kept."""

    def __init__(self) -> None:
        self.nodes = 0
        self.open: set[int] = set()

    def plain(self, value: object, depth: int) -> Any:
        self.nodes += 1
        if self.nodes > _MAX_NODES:
            return f"<cut after {_MAX_NODES} values>"
        match value:
            case None | bool():
                return value
            case str():
                return clean_text(str.__str__(value), MAX_BYTES)
            case int():
                bits = value.bit_length()
                return int(value) if bits < 3 * _MAX_DIGITS else f"<an integer of {bits} bits>"
            case float():
                return float(value) if math.isfinite(value) else str(float(value))
            case Mapping() | list() | tuple() | Set():
                return self._container(value, depth)
            case _:
                return self._other(value, depth)

    def _container(self, value: Mapping[Any, Any] | Iterable[Any], depth: int) -> Any:
        if id(value) in self.open:
            return "<contains itself>"
        if depth >= _MAX_DEPTH:
            return f"<nested deeper than {_MAX_DEPTH} levels>"
        self.open.add(id(value))
        try:
            if isinstance(value, Mapping):
                return {self._key(key): self.plain(item, depth + 1) for key, item in self._affordable(value.items())}
            return [self.plain(item, depth + 1) for item in self._affordable(value)]
        finally:
            self.open.discard(id(value))

    def _affordable(self, items: Iterable[T]) -> Iterator[T]:
        """The items until the limit is reached, so that a huge container ends after one marker."""
        return takewhile(lambda _: self.nodes <= _MAX_NODES, items)

    def _key(self, key: object) -> str:
        return clean_text(str.__str__(key) if isinstance(key, str) else str(self._other(key, 0)))

    def _other(self, value: object, depth: int) -> Any:
        """A model, date, decimal and the like, by pydantic; its parts are looked at again."""
        try:
            parts = to_jsonable_python(value, inf_nan_mode="strings", bytes_mode="base64", fallback=_name_type)
        except Exception:
            return _name_type(value)
        return self.plain(parts, depth + 1) if isinstance(parts, str | dict | list) else parts
