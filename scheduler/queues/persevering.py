"""Going on while a broker is away: what a step raises is logged, waited out with jittered backoff, and tried again."""

import asyncio
from asyncio import Event
from collections.abc import Awaitable, Callable
from contextlib import suppress
from random import uniform

from scheduler.clock import monotonic
from scheduler.messages import log

_FIRST_WAIT, _LONGEST_WAIT = 0.1, 5.0
_REPEAT_SECONDS = 30.0
"""A failure that goes on is logged again after this long."""


async def persevere(
    name: str,
    step: Callable[[], Awaitable[bool]],
    *,
    hurry: Event | None = None,
    tell: Callable[[Exception], None] = lambda error: None,
) -> None:
    """Run `step` over and over until it returns False. Once `hurry` is set, the next try doesn't wait."""
    wait, since, told = _FIRST_WAIT, 0.0, 0.0
    while True:
        try:
            goes_on = await step()
        except Exception as error:
            tell(error)
            pause, now = wait * uniform(0.5, 1.0), monotonic()
            if not since or now - told >= _REPEAT_SECONDS:
                told = now
                log("loop.failed", loop=name, error=str(error) or type(error).__name__, seconds=round(pause, 1))
            since = since or now
            await _pause(pause, hurry)
            wait = min(_LONGEST_WAIT, wait * 2)
        else:
            if since:
                log("loop.recovered", loop=name, seconds=round(monotonic() - since, 1))
            wait, since = _FIRST_WAIT, 0.0
            if not goes_on:
                return


async def _pause(seconds: float, hurry: Event | None) -> None:
    if hurry is None:
        await asyncio.sleep(seconds)
        return
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await hurry.wait()
