"""health: whether each loop of each process has succeeded lately, as a page that a prober reads.

`/health` is green while everything gets on: of no use to restart anybody by, for it is red while the database is away.
`/live` is green unless only a restart helps.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
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
    """Everything of this process that has an age."""

    def __init__(self) -> None:
        self._parts: list[Aging] = []

    def watch(self, parts: Iterable[Aging]) -> None:
        self._parts += parts

    def ages(self) -> dict[str, LoopAge]:
        return {part.name: part.age() for part in self._parts}


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
