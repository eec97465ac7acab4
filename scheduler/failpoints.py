"""Named points in the code at which a test can pause, raise or end the process.

Off by default and free when off: a hot path asks `if failpoints.armed:` first. Armed by `arm()` in a test, or for a
whole process by `SCHEDULER_FAILPOINTS="after_claim_commit=exit;before_settle=raise"` (exit | raise | pause:SECONDS,
each optionally `@N` for the N-th hit only).
"""

import os
import time
from collections.abc import Awaitable, Callable

Action = Callable[[], Awaitable[object] | None]
"""What it returns is waited for by `reached`, and by nobody else."""

armed: dict[str, Action] = {}
hits: dict[str, int] = {}


class FailpointError(Exception):
    """Raised by a failpoint whose action is `raise`."""


def hit(name: str) -> None:
    """Act out what is armed under `name`, and count it; nothing if nothing is."""
    action = armed.get(name)
    if action is not None:
        hits[name] = hits.get(name, 0) + 1
        action()


async def reached(name: str) -> None:
    """The same in an event loop, where an action may also hold up the task that has come here, and nothing else."""
    action = armed.get(name)
    if action is not None:
        hits[name] = hits.get(name, 0) + 1
        held_up = action()
        if held_up is not None:
            await held_up


def arm(name: str, action: Action) -> None:
    armed[name] = action


def disarm(name: str) -> None:
    armed.pop(name, None)


def arm_from(text: str) -> None:
    """Arm what `SCHEDULER_FAILPOINTS` spells out. Raises ValueError on anything else."""
    for part in filter(None, (p.strip() for p in text.split(";"))):
        name, _, spec = part.partition("=")
        spec, _, nth = spec.partition("@")
        arm(name.strip(), _action(name.strip(), spec.strip(), int(nth) if nth else None))


def _action(name: str, spec: str, nth: int | None) -> Callable[[], None]:
    verb, _, argument = spec.partition(":")
    seconds = float(argument or 0)
    if verb not in ("exit", "raise", "pause"):
        raise ValueError(f"failpoint {name}: unknown action {spec!r}; known: exit, raise, pause:SECONDS")

    def act() -> None:
        if nth is not None and hits[name] != nth:
            return
        if verb == "exit":
            os._exit(137)
        if verb == "raise":
            raise FailpointError(name)
        time.sleep(seconds)

    return act


if _spelled := os.environ.get("SCHEDULER_FAILPOINTS"):
    arm_from(_spelled)
