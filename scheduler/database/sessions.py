"""Ending what a process that is gone has left open on a server."""

from typing import Final

import psycopg

from scheduler.database.libpq import connect

# In one statement, so that what is ended is what carries the name at that moment, and never a number used again.
_END: Final = (
    "SELECT count(*) FILTER (WHERE pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = %s"
)
_CONNECT_SECONDS: Final = 2


async def end_sessions(url: str, application_name: str) -> int:
    """How many there were; 0 where the server can't be asked."""
    try:
        async with await connect(
            url, application_name="scheduler end", connect_timeout_seconds=_CONNECT_SECONDS
        ) as connection:
            row = await (await connection.execute(_END, (application_name,))).fetchone()
    except psycopg.Error:
        return 0
    return int(row[0]) if row else 0
