"""Who did what: written by the tables' triggers and functions, and here what no row of theirs tells."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from scheduler.operations.json_values import decoded
from scheduler.store.asking import ask
from scheduler.store.session import SyncSession


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """A line of job_audit_log, where the columns are described. Time in UTC."""

    id: int
    at: datetime
    who: str
    action: str
    target: str
    changes: Any
    role: str
    application: str


def entries(session: SyncSession, *, limit: int, before: int | None = None) -> list[AuditEntry]:
    """The newest first, those with ids below `before`."""
    rows = ask(session, "audit_log", limit=limit, before=before)
    return [AuditEntry(**row | {"changes": decoded(row["changes"])}) for row in rows]


def write(session: SyncSession, action: str, target: str, changes: Mapping[str, Any]) -> None:
    """In the transaction that is open, or in one of its own."""
    ask(session, "write_audit", action=action, target=target, changes=json.dumps(changes, default=str))
