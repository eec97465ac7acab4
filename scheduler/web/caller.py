"""What a route works with: who asks, what they may do and see, and the operations at their request."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Concatenate, Final, ParamSpec, TypeVar

from fastapi import Depends, Request

from scheduler.client import AsyncClient
from scheduler.model import Role
from scheduler.store.measuring import Measured
from scheduler.store.session import SyncSession
from scheduler.web.desk import Desk
from scheduler.web.guard import Principal
from scheduler.web.kept import Kept
from scheduler.web.problems import Problem
from scheduler.web.streams import Streams
from scheduler.web.veil import Veil

P = ParamSpec("P")
T = TypeVar("T")

_ORDER: Final = tuple(Role)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Of a server: what all its requests share."""

    desk: Desk
    client: AsyncClient
    """For what is waited for; whatever is written goes over the desk, under its actor's name."""
    streams: Streams
    measured: Kept[Measured]
    redact: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Caller:
    principal: Principal
    around: Surroundings
    veil: Veil

    async def do(self, operation: Callable[Concatenate[SyncSession, P], T], *args: P.args, **named: P.kwargs) -> T:
        """The operation, in a thread, under the caller's name."""
        return await self.around.desk.do(self.principal.actor, operation, *args, **named)


def _admitted(role: Role) -> Callable[[Request], Caller]:
    def caller(request: Request) -> Caller:
        principal: Principal = request.state.principal
        if _ORDER.index(principal.role) < _ORDER.index(role):
            raise Problem(
                "forbidden",
                f"The token {principal.name!r} is of a {principal.role}, and this takes {role}s: use another token.",
            )
        around: Surroundings = request.app.state.around
        return Caller(principal, around, Veil(around.redact, principal.role))

    return caller


Viewer = Annotated[Caller, Depends(_admitted(Role.VIEWER))]
Operator = Annotated[Caller, Depends(_admitted(Role.OPERATOR))]
Admin = Annotated[Caller, Depends(_admitted(Role.ADMIN))]
