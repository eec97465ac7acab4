"""The scheduler's own tables: make them, and see whether they are those of this version."""

from scheduler.store import migration
from scheduler.store.revision import SchemaState, check, require_writable

__all__ = ["SchemaState", "migrated", "ready", "state"]


def state(conninfo: str, schema: str) -> SchemaState:
    """Raises ConfigurationError if the database can't be reached or is too old."""
    return check(conninfo, schema)


def migrated(conninfo: str, schema: str) -> SchemaState:
    """How they are once they are made or updated. Raises as `state()` does, and SchemaError where it can't be done."""
    if not state(conninfo, schema).current:
        require_writable(conninfo)
    migration.migrate(conninfo, schema)
    return state(conninfo, schema)


def ready(conninfo: str, schema: str, *, may_migrate: bool) -> bool:
    """Whether they are those of this version, made or updated if need be. Raises SchemaError where they are newer."""
    found = state(conninfo, schema)
    if found.newer:
        found.require_current()
    return found.current or (may_migrate and migrated(conninfo, schema).current)
