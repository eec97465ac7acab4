"""view: what of a snapshot is looked at, and what each key does to that. Nothing here reads or writes anything."""

from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

from scheduler.operations.live import Snapshot


class Pane(Enum):
    """What can be chosen from."""

    QUEUES = "queues"
    RUNNING = "running"
    FAILURES = "failures"


class Deed(Enum):
    """What can be done to what is chosen."""

    PAUSE = "pause"
    RESUME = "resume"
    CANCEL = "cancel"
    RETRY = "retry"


@dataclass(frozen=True, slots=True)
class Order:
    deed: Deed
    target: str | int
    """A queue, or the id of an execution."""

    @property
    def question(self) -> str:
        what = f"the queue {self.target}" if isinstance(self.target, str) else f"execution {self.target}"
        return f"{self.deed.value.capitalize()} {what}?"


@dataclass(frozen=True, slots=True)
class View:
    pane: Pane = Pane.RUNNING
    chosen: str | int | None = None
    """What of the pane; None, or something that is no longer there: the first."""
    asking: Order | None = None
    """Waits for a yes."""
    agreed: Order | None = None
    """Is to be carried out now."""
    said: str = ""
    """What came of the last one."""
    over: bool = False


_KEYS: Final = {
    Pane.QUEUES: "p pause or resume",
    Pane.RUNNING: "c cancel",
    Pane.FAILURES: "r retry",
}


def help_of(view: View) -> str:
    """The keys that do something now."""
    if view.asking is not None:
        return f"{view.asking.question}  y yes   any other key no"
    return f"↑ ↓ choose   tab next list   {_KEYS[view.pane]}   q quit"


def chosen(view: View, snapshot: Snapshot) -> str | int | None:
    """What the keys are about; None where the list is empty."""
    found = _things(view.pane, snapshot)
    return view.chosen if view.chosen in found else next(iter(found), None)


def pressed(key: str, view: View, snapshot: Snapshot) -> View:
    """The view after a key."""
    if view.asking is not None:
        return replace(view, asking=None, agreed=view.asking if key in {"y", "Y"} else None, said="")
    match key:
        case "q" | "Q" | "escape" | "end":
            return replace(view, over=True)
        case "tab" | "right":
            return _in_pane(view, 1)
        case "left":
            return _in_pane(view, -1)
        case "down" | "j":
            return _moved(view, snapshot, 1)
        case "up" | "k":
            return _moved(view, snapshot, -1)
        case _:
            order = _order(key, view, snapshot)
            return replace(view, asking=order, said="") if order is not None else view


def _things(pane: Pane, snapshot: Snapshot) -> list[str | int]:
    match pane:
        case Pane.QUEUES:
            return [queue.name for queue in snapshot.queues]
        case Pane.RUNNING:
            return [line.id for line in snapshot.running]
        case Pane.FAILURES:
            return [line.id for line in snapshot.failures]


def _in_pane(view: View, step: int) -> View:
    panes = list(Pane)
    return View(panes[(panes.index(view.pane) + step) % len(panes)])


def _moved(view: View, snapshot: Snapshot, step: int) -> View:
    things, now = _things(view.pane, snapshot), chosen(view, snapshot)
    if now is None:
        return view
    at = min(max(things.index(now) + step, 0), len(things) - 1)
    return replace(view, chosen=things[at], said="")


def _order(key: str, view: View, snapshot: Snapshot) -> Order | None:
    target = chosen(view, snapshot)
    match key, view.pane:
        case _ if target is None:
            return None
        case "p", Pane.QUEUES:
            paused = any(queue.paused for queue in snapshot.queues if queue.name == target)
            return Order(Deed.RESUME if paused else Deed.PAUSE, target)
        case "c", Pane.RUNNING:
            return Order(Deed.CANCEL, target)
        case "r", Pane.FAILURES:
            return Order(Deed.RETRY, target)
        case _:
            return None
