"""Ending what a process that is gone has left open on a server."""

import asyncio
from typing import Final

import psycopg

from scheduler.database.libpq import connect

# In one statement, so that what is ended is what carries the name at that moment, and never a number used again. It
# waits a little for each, so that what follows doesn't run into locks that are about to go.
_END: Final = """
SELECT count(*) FILTER (WHERE pg_terminate_backend(pid, 300)) FROM pg_stat_activity WHERE application_name = %s
"""
_SECONDS: Final = 1.0


async def end_sessions(url: str, application_name: str) -> int:
    """How many there were; 0 where the server can't be asked. Takes a second at most."""
    try:
        async with asyncio.timeout(_SECONDS):
            async with await connect(url, application_name="scheduler end") as connection:
                row = await (await connection.execute(_END, (application_name,))).fetchone()
    except (psycopg.Error, TimeoutError):
        return 0
    return int(row[0]) if row else 0
