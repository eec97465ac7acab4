"""Roles with no more rights than their task needs: the SQL that makes them, and running it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby

from scheduler.store import roles
from scheduler.store.roles import DEFAULT_PREFIX, Right, names, script
from scheduler.store.session import SyncSession

__all__ = ["DEFAULT_PREFIX", "RoleChange", "apply", "names", "script"]


@dataclass(frozen=True, slots=True)
class RoleChange:
    """What became of one role."""

    role: str
    created: bool
    granted: tuple[str, ...]
    """Such as `UPDATE (error, status) on job_executions`."""
    revoked: tuple[str, ...]


def apply(session: SyncSession, prefix: str = DEFAULT_PREFIX) -> list[RoleChange]:
    """Run the script in one transaction; what it changed, role by role. Raises as `store.roles.apply()` does."""
    return [
        RoleChange(change.role, change.created, tuple(_words(change.granted)), tuple(_words(change.revoked)))
        for change in roles.apply(session, prefix)
    ]


def _words(rights: Iterable[Right]) -> Iterator[str]:
    """Rights as GRANT would name them, columns of the same privilege together."""
    ordered = sorted((right.object, right.privilege, right.column or "") for right in rights)
    for (thing, privilege), same in groupby(ordered, key=lambda right: right[:2]):
        columns = ", ".join(column for *_, column in same if column)
        yield f"{privilege} ({columns}) on {thing}" if columns else f"{privilege} on {thing}"
