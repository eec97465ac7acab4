"""A handler in a process of its own that keeps a lock in the database and will not stop."""

from pathlib import Path

from scheduler import current_execution, handler
from scheduler.database import get_connection, transactional


@handler("locks_and_hangs", run_in="process", timeout=2, max_retry=1)
async def locks_and_hangs() -> None:
    async with transactional("default"):
        await get_connection("default").execute("LOCK TABLE locked")
        Path(f"locked-{current_execution().id}").touch()
        while True:
            try:
                await get_connection("default").execute("SELECT pg_sleep(3600)")
            except BaseException:
                pass
