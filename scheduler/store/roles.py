"""The four roles of roles.sql: the script for a schema, and what running it changed."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Final, NamedTuple

import psycopg
from psycopg import errors

from scheduler.errors import ConfigurationError, ConflictError
from scheduler.store.asking import one_transaction
from scheduler.store.session import Row, SyncSession
from scheduler.store.statements import quote

ROLES: Final = ("viewer", "enqueuer", "worker", "admin")
DEFAULT_PREFIX: Final = "scheduler"

_PREFIX: Final = re.compile(r"(?!pg_)[a-z_][a-z0-9_]{0,53}")
"""The longest role has nine further characters, and a name 63."""

_TRANSACTION: Final = re.compile(r"^(BEGIN|COMMIT);\n", re.MULTILINE)


class Right(NamedTuple):
    """What a role may do with an object, or with one column of it."""

    role: str
    object: str
    column: str | None
    privilege: str


@dataclass(frozen=True, slots=True)
class RightsChange:
    """What became of one role."""

    role: str
    created: bool
    granted: frozenset[Right]
    revoked: frozenset[Right]


def names(prefix: str) -> Mapping[str, str]:
    """The roles' names by what they are for. Raises ConfigurationError for a prefix that can't be one."""
    if not _PREFIX.fullmatch(prefix):
        raise ConfigurationError(
            f"No role's name can begin with {prefix!r}: write lower-case letters, digits and _, at most 54 of them and "
            "not pg_ in front, such as scheduler."
        )
    return {role: f"{prefix}_{role}" for role in ROLES}


def script(schema: str, prefix: str = DEFAULT_PREFIX) -> str:
    """SQL that makes the roles and gives each its rights in `schema`, in one transaction. It may run again."""
    text = files("scheduler.store").joinpath("roles.sql").read_text(encoding="utf-8")
    for name, value in {**names(prefix), "schema": schema, "s": quote(schema)}.items():
        text = text.replace(f"{{{name}}}", value)
    return text


def apply(session: SyncSession, prefix: str = DEFAULT_PREFIX) -> list[RightsChange]:
    """Run the script in one transaction; what it changed, role by role.

    Raises ConflictError where a name is that of a login, ConfigurationError where the session's role may not do this,
    and otherwise as `ask()` does.
    """
    roles = list(names(prefix).values())
    body = _TRANSACTION.sub("", script(session.schema, prefix)).encode()
    with one_transaction(session), _refused():
        connection = session.connection()
        connection.execute("SELECT pg_advisory_xact_lock(hashtextextended('scheduler db roles', 0))")
        there, before = _found(connection, session, roles)
        connection.execute(body)
        _, after = _found(connection, session, roles)
    return [
        RightsChange(role, role not in there, _of(role, after - before), _of(role, before - after)) for role in roles
    ]


def _found(connection: psycopg.Connection[Row], session: SyncSession, roles: list[str]) -> tuple[set[str], set[Right]]:
    """Which of the roles exist, and the rights that they hold in the schema."""
    values: Mapping[str, Any] = {"roles": roles, "schema": session.schema}
    rows = connection.execute(session.sql["role_rights"], values).fetchall()
    return {row[0] for row in rows}, {Right(*row) for row in rows if row[1] is not None}


def _of(role: str, rights: set[Right]) -> frozenset[Right]:
    return frozenset(right for right in rights if right.role == role)


@contextmanager
def _refused() -> Iterator[None]:
    try:
        yield
    except errors.DuplicateObject as error:
        said = error.diag.message_primary
        raise ConflictError(f"Nothing was changed, for {said}: choose another --prefix.") from error
    except errors.InsufficientPrivilege as error:
        said = error.diag.message_primary
        raise ConfigurationError(
            f"Nothing was changed, for the role of the job database's url may not do this ({said}). Hand what "
            "`scheduler db roles` prints to the owner of the tables, who needs CREATEROLE where a role is missing."
        ) from error
