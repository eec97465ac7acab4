"""The names that a row may use, and the decorator that declares them."""

import sys
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any, TypeVar, Unpack

from scheduler.errors import ConfigurationError, HandlerNotFoundError
from scheduler.handlers.spec import HandlerOptions, HandlerSpec, declare

Target = TypeVar("Target", bound=Callable[..., Any])


class HandlerRegistry:
    """The handlers of one worker by name: a dict, and nothing that a row could extend or walk."""

    def __init__(self, specs: Iterable[HandlerSpec] = ()) -> None:
        """Raises ConfigurationError when two handlers have one name."""
        self._specs: dict[str, HandlerSpec] = {}
        for spec in specs:
            other = self._specs.setdefault(spec.name, spec)
            if other is not spec:
                raise ConfigurationError(
                    f"Two handlers are named {spec.name!r}: one at {other.where}, one at {spec.where}. "
                    "Rename one of them."
                )

    def get(self, name: str) -> HandlerSpec:
        """Raises HandlerNotFoundError."""
        try:
            return self._specs[name]
        except KeyError:
            raise HandlerNotFoundError(name, self._specs) from None

    @property
    def names(self) -> list[str]:
        return sorted(self._specs)

    def policies_json(self) -> dict[str, dict[str, Any]]:
        """What handlers declare for rows that leave it open, by name; handlers that declare nothing are left out."""
        return {name: policy for name, spec in self._specs.items() if (policy := spec.policy.as_json())}

    def __iter__(self) -> Iterator[HandlerSpec]:
        return iter(self._specs.values())

    def __len__(self) -> int:
        return len(self._specs)

    def __contains__(self, name: object) -> bool:
        return name in self._specs


# By module, place and name: importing a module anew replaces what it declared before.
_declared: dict[tuple[str, str, str], HandlerSpec] = {}


def handler(name: str, **options: Unpack[HandlerOptions]) -> Callable[[Target], Target]:
    """Declare a class deriving from BaseHandler, an `async def` or a `def` as the handler `name`.

    A name is a letter, then up to 99 letters, digits, `_`, `.` or `-`. Options: `run_in` ("task" | "thread" |
    "process"), `timeout` (seconds), `max_retry`, `retry_backoff` ("fixed" | "linear" | "exponential"), `retry_delay`
    (seconds), `max_memory_mb`, `transactional` (names of databases), `cron` (an expression, a `Cron`, or a list of
    them), `batch_size`, `batch_wait_seconds` (seconds); see `HandlerOptions`. What is decorated stays as it is.
    Raises ConfigurationError for a name, option or signature that can't work.
    """

    def register(target: Target) -> Target:
        caller = sys._getframe(1)
        spec = declare(name, target, f"{caller.f_code.co_filename}:{caller.f_lineno}", options)
        _declared[spec.module, spec.where, spec.name] = spec
        return target

    if not isinstance(name, str):
        raise ConfigurationError('@handler needs the name that rows will use: write @handler("name").')
    return register


def declared_in(packages: Collection[str]) -> list[HandlerSpec]:
    """The handlers defined in these modules and in all below them."""
    return [spec for spec in _declared.values() if _is_in(spec.module, packages)]


def declared_as(target: Callable[..., Any]) -> list[HandlerSpec]:
    """What `@handler` has declared this very class or function as; several where it is decorated several times."""
    return [spec for spec in _declared.values() if spec.target is target]


def forget(packages: Collection[str]) -> None:
    """Drop what these modules and all below them declared."""
    for key in [key for key in _declared if _is_in(key[0], packages)]:
        del _declared[key]


def _is_in(module: str, packages: Collection[str]) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)
