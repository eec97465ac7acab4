"""A handler in a process of its own that keeps a lock in the database and will not stop."""

from contextlib import suppress
from pathlib import Path

from scheduler import current_execution, handler
from scheduler.database import get_connection, transactional


@handler("locks_and_hangs", run_in="process", timeout=2, max_retry=1)
async def locks_and_hangs() -> None:
    async with transactional("default"):
        await get_connection("default").execute("LOCK TABLE locked")
        Path(f"locked-{current_execution().id}").touch()  # noqa: ASYNC240 - the test waits for it, in another process
        while True:
            with suppress(BaseException):
                await get_connection("default").execute("SELECT pg_sleep(3600)")
