"""health: whether each loop of each process has succeeded lately, as a page that a prober reads.

`/health` is green while everything gets on: of no use to restart anybody by, for it is red while the database is away.
`/live` is green unless only a restart helps.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Protocol

from scheduler.model import LoopAge

PULSE: Final = "pulse"
"""Old when the event loop does not turn."""
SLOTS: Final = "slots"
"""Old when every slot is taken by a handler that would not stop."""


class State(StrEnum):
    STARTING = "starting"
    WORKING = "working"
    ENDING = "ending"


class Aging(Protocol):
    """Whatever must succeed now and then. `age` is asked from any thread."""

    @property
    def name(self) -> str: ...

    def age(self) -> LoopAge: ...


@dataclass(frozen=True, slots=True)
class ProcessHealth:
    pid: int
    state: State
    loops: Mapping[str, LoopAge]


Examine = Callable[[], Sequence[ProcessHealth]]


class Vitals:
    """Everything of this process that has an age. May be asked from any thread."""

    def __init__(self) -> None:
        self._parts: Sequence[Aging] = ()
        self._has_begun: Callable[[], bool] = lambda: False

    def watch(self, parts: Sequence[Aging], *, has_begun: Callable[[], bool]) -> None:
        """`has_begun`: whether the database has been reached, and this is a worker."""
        self._parts, self._has_begun = parts, has_begun

    def ages(self) -> dict[str, LoopAge]:
        """None before it has begun."""
        return {part.name: part.age() for part in self._parts} if self._has_begun() else {}

    def health(self) -> list[ProcessHealth]:
        return [reported(os.getpid(), self.ages(), 0.0)]

    def life(self) -> list[ProcessHealth]:
        """What only a restart helps against, also while it is still beginning."""
        vital = {part.name: part.age() for part in self._parts if part.name in {PULSE, SLOTS}}
        return [ProcessHealth(os.getpid(), State.WORKING, vital)]


def reported(pid: int, ages: Mapping[str, LoopAge], seconds: float) -> ProcessHealth:
    """Of a process whose loops were so old so many seconds ago."""
    older = {name: loop._replace(age=loop.age + seconds) for name, loop in ages.items()}
    return ProcessHealth(pid, State.WORKING if older else State.STARTING, older)


def page(processes: Sequence[ProcessHealth]) -> tuple[bool, dict[str, Any]]:
    """Whether all is well, and the page that says so: somebody works, and no loop of whoever does is too old.

    Processes that start or end are shown and not judged: a worn one is replaced without anybody being ill.
    """
    working = [process for process in processes if process.state is State.WORKING]
    stalled = sorted({name for process in working for name, loop in process.loops.items() if not loop.is_young})
    healthy = bool(working) and not stalled
    return healthy, {"healthy": healthy, "stalled": stalled, "processes": [_shown(process) for process in processes]}


def _shown(process: ProcessHealth) -> dict[str, Any]:
    loops = {
        name: {"age": round(loop.age, 1), "limit": round(loop.limit, 1), "young": loop.is_young}
        for name, loop in process.loops.items()
    }
    return {"pid": process.pid, "state": process.state, "loops": loops}
