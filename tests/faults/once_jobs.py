"""Handlers that say when they have begun, and never end: what may start once is interrupted in the middle of them."""

import asyncio
import time
from pathlib import Path

from scheduler import handler


@handler("once_in_task", max_retry=1)
async def once_in_task() -> None:
    Path("begun").touch()  # noqa: ASYNC240 - the test waits for it
    await asyncio.sleep(3600)


@handler("once_in_thread", max_retry=1)
def once_in_thread() -> None:
    Path("begun").touch()
    time.sleep(3600)


@handler("once_in_process", max_retry=1, run_in="process")
def once_in_process() -> None:
    Path("begun").touch()
    time.sleep(3600)
