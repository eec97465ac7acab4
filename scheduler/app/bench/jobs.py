"""The handlers of a benchmark, which do nothing: what is measured is all that is not theirs."""

from typing import Any, Final

from scheduler.clock import monotonic
from scheduler.handlers import handler

NOOP: Final = "noop"
PICKED_UP: Final = "picked_up"


@handler(NOOP)
async def noop(params: dict[str, Any]) -> None:
    pass


@handler(PICKED_UP)
async def picked_up(params: dict[str, Any]) -> float:
    """The moment of its first line. All processes of a host share this clock."""
    return monotonic()
