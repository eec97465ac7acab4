"""leftovers: what handlers leave behind in a process that is about to end."""

import asyncio
import threading
from typing import Final

_PATIENCE_SECONDS: Final = 0.2


async def stuck() -> bool:
    """Whether something a handler left behind would keep this process from ending by itself."""
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    if left:
        _, left = await asyncio.wait(left, timeout=_PATIENCE_SECONDS)
    return bool(left) or any(
        not thread.daemon for thread in threading.enumerate() if thread is not threading.main_thread()
    )
