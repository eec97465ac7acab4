"""The scheduler's own tables: make them, and see whether they are those of this version."""

from scheduler.store.migration import migrate
from scheduler.store.revision import SchemaState, check

__all__ = ["SchemaState", "check", "migrate"]
