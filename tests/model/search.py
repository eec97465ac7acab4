"""Every state that a machine can reach, breadth first, so that what goes wrong comes with its shortest story."""

from collections import deque
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

State = TypeVar("State", bound=Hashable)


class Step(NamedTuple, Generic[State]):
    """Something that may happen next."""

    name: str
    state: State
    fault: bool = False
    """Nobody may count on it to happen."""
    wrong: str | None = None
    """The invariant that it breaks."""


@dataclass(frozen=True)
class Found:
    """What there is to reach."""

    states: int
    violations: Mapping[str, Sequence[str]]
    """Each invariant that breaks, with the steps that lead there."""

    def __str__(self) -> str:
        if not self.violations:
            return f"{self.states} states, all invariants hold"
        stories = (f"{name} [{len(steps)} steps]: {'; '.join(steps)}" for name, steps in self.violations.items())
        return "\n  ".join([f"{self.states} states", *stories])


STUCK = "without another fault it never ends"


def explore(initial: State, steps: Callable[[State], Iterable[Step[State]]], ended: Callable[[State], bool]) -> Found:
    """Try everything, up to the first length at which an invariant breaks.

    `ended`: nothing more has to happen in this state. From every other one, steps that are no faults must lead there.
    """
    origin: dict[State, tuple[State, str] | None] = {initial: None}
    before: dict[State, list[State]] = {}
    violations: dict[str, list[str]] = {}
    waiting = deque([initial])
    while waiting and not violations:
        state = waiting.popleft()
        for step in steps(state):
            if step.wrong is not None and step.wrong not in violations:
                violations[step.wrong] = [*_story(origin, state), step.name]
            if step.state not in origin:
                origin[step.state] = state, step.name
                waiting.append(step.state)
            if not step.fault:
                before.setdefault(step.state, []).append(state)
    if not violations:
        ending = _closure((state for state in origin if ended(state)), before)
        stuck = next((state for state in origin if state not in ending), None)
        if stuck is not None:
            violations[STUCK] = _story(origin, stuck)
    return Found(len(origin), violations)


def _story(origin: Mapping[State, tuple[State, str] | None], state: State) -> list[str]:
    names = []
    while (found := origin[state]) is not None:
        state, name = found
        names.append(name)
    return names[::-1]


def _closure(first: Iterable[State], before: Mapping[State, Sequence[State]]) -> set[State]:
    found = set(first)
    waiting = list(found)
    while waiting:
        for state in before.get(waiting.pop(), ()):
            if state not in found:
                found.add(state)
                waiting.append(state)
    return found
