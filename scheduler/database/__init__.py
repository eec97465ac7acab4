"""Many databases for handlers, one transaction over them. Knows nothing of jobs.

    transactional ──opens──▶ Transaction ──has──▶ Participant, one per database ──on──▶ Database: its pools
         ▲                        │                                                        ▲
    get_connection,               └──ends by its CommitPlan: one COMMIT, or      DatabaseRegistry, by name
    savepoint, session               a two_phase commit, whose decisions `recovery` carries out after a crash

The scheduler's own work uses raw psycopg connections instead, made by `libpq`.
"""

from scheduler.database.connection import AsyncConnection, Connection, get_connection
from scheduler.database.database import Atomicity, Database
from scheduler.database.decorator import transactional
from scheduler.database.registry import DatabaseRegistry
from scheduler.database.result import Result
from scheduler.database.within import savepoint, session
from scheduler.errors import (
    CommitUnknownError,
    ConnectionPoolExhaustedError,
    DatabaseError,
    PartialCommitError,
    QueryExecutionError,
    TransactionError,
)

__all__ = [
    "AsyncConnection",
    "Atomicity",
    "CommitUnknownError",
    "Connection",
    "ConnectionPoolExhaustedError",
    "Database",
    "DatabaseError",
    "DatabaseRegistry",
    "PartialCommitError",
    "QueryExecutionError",
    "Result",
    "TransactionError",
    "get_connection",
    "savepoint",
    "session",
    "transactional",
]
