"""The handlers of the projects that the fault tests run: copied into each one's `handlers/`."""

import asyncio
import itertools
import os
import time
from pathlib import Path
from threading import Event
from typing import Any

from pydantic import BaseModel, Field

from scheduler import current_execution, handler


class WorkParams(BaseModel):
    seconds: float = Field(0.0, ge=0)


def _author() -> dict[str, int]:
    """What each result says of its author: see invariant I5."""
    return {"attempt": current_execution().attempt}


@handler("work", retry_delay=0.1)
async def work(params: WorkParams) -> dict[str, int]:
    await asyncio.sleep(params.seconds)
    return _author()


@handler("flaky", retry_delay=0.1)
async def flaky(params: WorkParams) -> dict[str, int]:
    """Fails each other time."""
    await asyncio.sleep(params.seconds)
    if current_execution().attempt % 2:
        raise ConnectionError("as it happens now and then")
    return _author()


@handler("gated")
async def gated() -> dict[str, int]:
    """Ends when the project folder holds a file `gate-<attempt>`."""
    author = _author()
    gate = Path(f"gate-{author['attempt']}")
    while not gate.exists():  # noqa: ASYNC110, ASYNC240 - the test makes the file, in another process
        await asyncio.sleep(0.01)
    return author


@handler("first_line")
async def first_line() -> dict[str, float]:
    return {"at": time.time()}


@handler("hanging")
def hanging() -> None:
    Event().wait()


@handler("blocking")
async def blocking() -> None:
    time.sleep(3600)  # noqa: ASYNC251 - it is here to do wrong


@handler("blocks_inside", max_retry=1)
async def blocks_inside() -> None:
    """In a task of its own, two calls deep."""

    async def part() -> None:
        time.sleep(3600)  # noqa: ASYNC251 - it is here to do wrong

    await asyncio.gather(part())


@handler("keeps_the_interpreter", timeout=1, max_retry=2, retry_delay=0)
async def keeps_the_interpreter() -> None:
    """No other thread of the process runs any more."""
    sum(itertools.repeat(0))


@handler("unstorable_result")
async def unstorable_result() -> object:
    return {"fine": 1, "thing": object(), "text": "nul \0 surrogate \ud800", "self": asyncio}


@handler("unstorable_error", max_retry=1)
async def unstorable_error() -> None:
    raise ValueError("before \0 between \ud800 after")


@handler("exits", max_retry=1)
async def exits() -> None:
    raise SystemExit(3)


@handler("exits_in_thread", max_retry=1)
def exits_in_thread() -> None:
    raise SystemExit(3)


@handler("dies", max_retry=2)
def dies(params: dict[str, Any]) -> None:
    os._exit(9)
