"""What a transaction may not do if it is to be prepared, in sentences that say so.

Postgres refuses most of it at PREPARE. A session's advisory lock it would let through: the lock isn't part of the
transaction, and stays with a connection that goes back to the pool.
"""

import re
from typing import Final

import psycopg

from scheduler.errors import TransactionError

_FORBIDDEN: Final = tuple(
    (re.compile(pattern, re.IGNORECASE), said)
    for pattern, said in (
        (r"\A\s*NOTIFY\b", "NOTIFY"),
        (r"\A\s*(UN)?LISTEN\b", "LISTEN"),
        (r"\bpg_notify\s*\(", "pg_notify()"),
        (r"\benqueue_job\s*\(", "enqueue_job(), because it notifies,"),
        (r"\bpg_(try_)?advisory_lock(_shared)?\s*\(", "an advisory lock of the session"),
        (r"\A\s*CREATE\s+((LOCAL|GLOBAL)\s+)?TEMP(ORARY)?\b", "a temporary table"),
    )
)

_REFUSED: Final = (
    (
        "LISTEN, UNLISTEN, or NOTIFY",
        "it used NOTIFY, as inserting into job_executions or cron_jobs also does: "
        "notify and enqueue in the job database, or after the transaction.",
    ),
    ("temporary", "it used a temporary table: use a WITH query, or an ordinary table."),
    (
        "session-level and transaction-level locks",
        "it holds an advisory lock of the session: use pg_advisory_xact_lock() instead.",
    ),
    ("exported snapshots", "it exported a snapshot: do that in a transaction of its own."),
    ("cursor", "it has a cursor WITH HOLD open: close it, or read the rows at once."),
)


def forbidden(statement: str) -> str | None:
    """What in the statement can't be prepared, if that is plain to see."""
    return next((said for pattern, said in _FORBIDDEN if pattern.search(statement)), None)


def refusal(name: str, error: psycopg.Error) -> TransactionError | None:
    """Why the server would not prepare, if it is for what the transaction did, or for want of a slot."""
    said = str(error)
    if isinstance(error, psycopg.errors.OutOfMemory) and "prepared transactions" in said:
        return TransactionError(
            f"Database {name!r} has no room for another prepared transaction: everything was rolled back. "
            "Raise max_prepared_transactions on that server; `scheduler doctor` shows what holds them."
        )
    if not isinstance(error, psycopg.errors.FeatureNotSupported):
        return None
    for words, sentence in _REFUSED:
        if words in said:
            return TransactionError(f"Database {name!r} can't prepare this transaction: {sentence}")
    return None
