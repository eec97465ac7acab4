"""What may be given as a handler, and what its params are: for type checkers."""

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

P = TypeVar("P")
P_contra = TypeVar("P_contra", contravariant=True)


class HandlerClass(Protocol[P_contra]):
    """A class as `BaseHandler` wants it: what `execute` takes are its params."""

    def execute(self, params: P_contra, /) -> Any: ...


class BareHandlerClass(Protocol):
    """One that takes none."""

    def execute(self) -> Any: ...


Handle = Callable[[P], Any] | type[HandlerClass[P]]
"""What `@handler` decorates, with params of type P."""
BareHandle = Callable[[], Any] | type[BareHandlerClass]
