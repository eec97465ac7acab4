"""Roles with no more rights than their task needs: the SQL that makes them, and running it."""

from scheduler.store.roles import DEFAULT_PREFIX, RoleChange, apply, names, script

__all__ = ["DEFAULT_PREFIX", "RoleChange", "apply", "names", "script"]
