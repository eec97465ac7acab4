"""Short ways to ask a database in a test."""

import time
from typing import Any, LiteralString

import psycopg


def value(db: psycopg.Connection, query: LiteralString, *parameters: Any) -> Any:
    """The first column of the only row."""
    rows = db.execute(query, parameters).fetchall()
    assert len(rows) == 1, rows
    return rows[0][0]


def row(db: psycopg.Connection, execution_id: int) -> dict[str, Any]:
    """The execution as a dict of JSON values."""
    found = value(db, "SELECT to_jsonb(e) FROM public.job_executions e WHERE id = %s", execution_id)
    assert isinstance(found, dict)
    return found


def wait_until(db: psycopg.Connection, query: LiteralString, *parameters: Any, seconds: float = 30) -> None:
    """Ask until the answer is true; what is waited for is a state of the server that nothing announces."""
    deadline = time.monotonic() + seconds
    while not value(db, query, *parameters):
        assert time.monotonic() < deadline, f"not within {seconds} s: {query}"


def wait_until_blocked(db: psycopg.Connection, waiting: psycopg.Connection) -> None:
    wait_until(db, "SELECT cardinality(pg_blocking_pids(%s)) > 0", waiting.info.backend_pid)
