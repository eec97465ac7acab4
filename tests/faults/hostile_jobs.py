"""What a handler can return and raise that no row can hold, or that breaks whoever looks at it.

Handlers for the three ways of running one, and a collection for other tests.
"""

import asyncio
import math
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NoReturn

from pydantic import BaseModel, computed_field

from scheduler import CancelExecution, FailPermanently, RetryLater, handler

MEGABYTE = 1_000_000


class HostileParams(BaseModel):
    ends: str
    """A name in VALUES or ERRORS."""


class Unspeakable:
    def __repr__(self) -> str:
        raise RuntimeError("no")

    __str__ = __repr__


class HostileMapping(Mapping[str, Any]):
    def __getitem__(self, key: str) -> Any:
        raise KeyError(key)

    def __iter__(self) -> Iterator[str]:
        raise SystemExit(3)

    def __len__(self) -> int:
        raise MemoryError


class HostileDict(dict[str, Any]):
    """Looks like a dict until one looks."""

    def items(self) -> Any:
        raise KeyboardInterrupt


class HostileText(str):
    __slots__ = ()

    def _no(self, *_: object) -> Any:
        raise SystemExit(5)

    __len__ = __contains__ = __format__ = __getitem__ = __iter__ = _no
    encode = replace = isascii = _no  # type: ignore[assignment]  # that is what is wrong with it


class Leaving(BaseModel):
    @computed_field
    def total(self) -> int:
        raise SystemExit(4)


class NobodyError(Exception):
    """Has no class that could be asked for."""

    @property  # type: ignore[misc]  # that is what is wrong with it
    def __class__(self) -> Any:
        raise RuntimeError("no")


class UnspeakableError(Exception):
    def __str__(self) -> str:
        raise SystemExit(1)


class HostileTextError(Exception):
    def __str__(self) -> str:
        return HostileText("text\0")


class Nameless(type):
    @property
    def __name__(cls) -> str:  # type: ignore[override]  # that is what is wrong with it
        raise KeyboardInterrupt


class NamelessError(Exception, metaclass=Nameless):
    pass


class UnnotedError(Exception):
    def __getattribute__(self, name: str) -> Any:
        if name == "__notes__":
            raise KeyboardInterrupt
        return super().__getattribute__(name)


class ForgetfulRetry(RetryLater):
    def __init__(self) -> None:  # a subclass that leaves its base alone, and so has neither delay nor reason
        pass


def cyclic() -> dict[str, Any]:
    value: dict[str, Any] = {"kept": 1}
    value["self"] = value
    return value


def deep() -> list[Any]:
    value: list[Any] = []
    for _ in range(5000):
        value = [value]
    return value


VALUES: Mapping[str, Callable[[], object]] = {
    "nul": lambda: "nul \0 here",
    "nul in a key": lambda: {"a\0": 1},
    "lone surrogate": lambda: ["\ud800", {"\udfff": 1}],
    "NaN and infinities": lambda: [math.nan, math.inf, -math.inf],
    "integer of 5000 digits": lambda: 10**5000,
    "datetime": lambda: datetime(2026, 1, 8, tzinfo=UTC),
    "Decimal": lambda: [Decimal("1.10"), Decimal("NaN"), Decimal("1e999999")],
    "bytes": lambda: b"\xff\0",
    "set": lambda: {1, "a"},
    "cyclic": cyclic,
    "deep": deep,
    "no repr": Unspeakable,
    "mapping that exits": HostileMapping,
    "dict that interrupts": lambda: HostileDict(a="\0"),
    "model that exits": Leaving,
    "text that exits": lambda: HostileText("text"),
    "a type, a function, an iterator": lambda: [int, print, iter([1])],
    "an exception": lambda: ValueError("\0"),
    "keys of all kinds": lambda: {(1, "\0"): 1, None: 2, b"\xff": 3, 1.5: 4, Unspeakable(): 5},
    "SQL and formats": lambda: "'; DROP TABLE job_executions; -- %s %(id)s {} {0} \\ \\\\ \\u0000 $$ \x1b[2J",
    "100 MB": lambda: "x" * (100 * MEGABYTE),
    "100 MB that can't be stored": lambda: {"a": "\ud800", "b": "x" * (100 * MEGABYTE)},
}


def with_cause_in_a_circle() -> Exception:
    first, second = ValueError("first"), ValueError("second")
    first.__cause__, second.__cause__ = second, first
    return first


def after_ten_thousand_others() -> Exception:
    error = ValueError("0")
    for number in range(10_000):
        later = ValueError(str(number))
        later.__cause__, error = error, later
    return error


def at_the_bottom() -> Exception:
    def descend() -> NoReturn:
        descend()

    try:
        descend()
    except RecursionError as error:
        return error


def noted() -> Exception:
    error = ValueError("noted")
    error.add_note("\0\ud800" * MEGABYTE)
    return error


ERRORS: Mapping[str, Callable[[], BaseException]] = {
    "error with nul and surrogate": lambda: ValueError("before \0 between \ud800 after"),
    "error of 10 MB": lambda: ValueError("x" * (10 * MEGABYTE)),
    "error without str": UnspeakableError,
    "error with a text that exits": HostileTextError,
    "error of a type without a name": lambda: NamelessError("x"),
    "error without a class": lambda: NobodyError("x"),
    "error that interrupts": lambda: UnnotedError("x"),
    "error with notes": noted,
    "error in a circle": with_cause_in_a_circle,
    "error after 10,000 others": after_ten_thousand_others,
    "error at the bottom": at_the_bottom,
    "a thousand errors": lambda: ExceptionGroup("many", [ValueError("\0" * 1000) for _ in range(1000)]),
    "an exit in a group": lambda: BaseExceptionGroup("both", [SystemExit(1), ValueError("x")]),
    "failure with an error as its reason": lambda: FailPermanently(ValueError("why \0")),  # type: ignore[arg-type]
    "failure without a reason": lambda: FailPermanently(Unspeakable()),  # type: ignore[arg-type]
    "failure of 10 MB": lambda: FailPermanently("\ud800" * (10 * MEGABYTE)),
    "cancelled without a reason": lambda: CancelExecution(None),  # type: ignore[arg-type]
    "retry without a delay": ForgetfulRetry,
    "exit": lambda: SystemExit("\0"),
    "interrupt": KeyboardInterrupt,
    "end of a generator": GeneratorExit,
    "end of an iteration": lambda: StopIteration("x"),
    "end of an async iteration": StopAsyncIteration,
    "its own cancel": asyncio.CancelledError,
    "no memory": MemoryError,
    "SQL and formats in an error": lambda: ValueError("'; -- %s %(id)s {} {0} \\ \x1b[2J\nsecond line"),
}


def end(name: str) -> object:
    if name in VALUES:
        return VALUES[name]()
    raise ERRORS[name]()


@handler("hostile_task", max_retry=1)
async def hostile_task(params: HostileParams) -> object:
    return end(params.ends)


@handler("hostile_thread", max_retry=1)
def hostile_thread(params: HostileParams) -> object:
    return end(params.ends)


@handler("hostile_process", max_retry=1, run_in="process")
def hostile_process(params: HostileParams) -> object:
    return end(params.ends)
