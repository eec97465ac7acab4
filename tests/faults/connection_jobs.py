"""A handler that keeps a connection of the job database's pool to itself."""

import asyncio
from pathlib import Path

from scheduler import current_execution, handler
from scheduler.database import get_connection, transactional


@handler("holds_a_connection")
async def holds_a_connection() -> dict[str, int]:
    attempt = current_execution().attempt
    async with transactional("default"):
        await get_connection("default").execute("SELECT 1")
        while not Path(f"gate-{attempt}").exists():  # noqa: ASYNC110, ASYNC240 - the test makes the file, in another process
            await asyncio.sleep(0.01)
    return {"attempt": attempt}
