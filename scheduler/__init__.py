"""Cron jobs and background jobs as rows in Postgres.

The names below are the public ones. Each is imported when it is first asked for, so that importing one small module of
this package doesn't load the database drivers with it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scheduler.client import AsyncClient, Client
    from scheduler.database import DatabaseRegistry, get_connection, savepoint, session, transactional
    from scheduler.errors import (
        BenchmarkError,
        BrokerError,
        CallTimeoutError,
        CancelExecution,
        CommitUnknownError,
        ConfigurationError,
        ConflictError,
        ConnectionPoolExhaustedError,
        ControlFlow,
        DatabaseError,
        EmbeddedPostgresError,
        ExecutionFailedError,
        FailPermanently,
        ForbiddenTargetError,
        HandlerNotFoundError,
        LeaseLostError,
        MalformedMessageError,
        MessageTooLargeError,
        NotFoundError,
        ParamsError,
        PartialCommitError,
        QueryExecutionError,
        QueueClosedError,
        QueueEmptyError,
        QueueFullError,
        RefusedError,
        RetryLater,
        RightsError,
        ScheduleError,
        SchedulerError,
        SchemaError,
        ShutdownTimeoutError,
        Snooze,
        TransactionError,
        UndeliveredError,
        WaitTimeoutError,
    )
    from scheduler.handlers import BaseHandler, Cron, ExecutionContext, current_batch, current_execution, handler
    from scheduler.queues.registry import QueueRegistry

    __version__: str

# Where the public names live that are not errors.
_HOMES = {
    **dict.fromkeys(("AsyncClient", "Client"), "scheduler.client"),
    **dict.fromkeys(
        ("DatabaseRegistry", "get_connection", "savepoint", "session", "transactional"), "scheduler.database"
    ),
    **dict.fromkeys(
        ("BaseHandler", "Cron", "ExecutionContext", "current_batch", "current_execution", "handler"),
        "scheduler.handlers",
    ),
    "QueueRegistry": "scheduler.queues.registry",
}

__all__ = [
    "AsyncClient",
    "BaseHandler",
    "BenchmarkError",
    "BrokerError",
    "CallTimeoutError",
    "CancelExecution",
    "Client",
    "CommitUnknownError",
    "ConfigurationError",
    "ConflictError",
    "ConnectionPoolExhaustedError",
    "ControlFlow",
    "Cron",
    "DatabaseError",
    "DatabaseRegistry",
    "EmbeddedPostgresError",
    "ExecutionContext",
    "ExecutionFailedError",
    "FailPermanently",
    "ForbiddenTargetError",
    "HandlerNotFoundError",
    "LeaseLostError",
    "MalformedMessageError",
    "MessageTooLargeError",
    "NotFoundError",
    "ParamsError",
    "PartialCommitError",
    "QueryExecutionError",
    "QueueClosedError",
    "QueueEmptyError",
    "QueueFullError",
    "QueueRegistry",
    "RefusedError",
    "RetryLater",
    "RightsError",
    "ScheduleError",
    "SchedulerError",
    "SchemaError",
    "ShutdownTimeoutError",
    "Snooze",
    "TransactionError",
    "UndeliveredError",
    "WaitTimeoutError",
    "__version__",
    "current_batch",
    "current_execution",
    "get_connection",
    "handler",
    "savepoint",
    "session",
    "transactional",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = _version() if name == "__version__" else getattr(import_module(_HOMES.get(name, "scheduler.errors")), name)
    globals()[name] = value
    return value


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("pg-scheduler")
    except PackageNotFoundError:  # run from a checkout that isn't installed
        return "unknown"


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
