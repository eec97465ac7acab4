"""Tokens of the HTTP API: make one, list them, remove one, and know whose one is. The database never sees a token."""

import secrets
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Final

from scheduler.errors import ConflictError, NotFoundError, RefusedError, did_you_mean
from scheduler.model import Role
from scheduler.store.asking import ask
from scheduler.store.session import SyncSession

PREFIX: Final = "sched_"
"""By which a scanner of secrets knows one."""
_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Token:
    """All that is known of one. Times in UTC."""

    name: str
    role: Role
    created_by: str
    """The database role that made it."""
    created_at: datetime
    expires_at: datetime | None
    """None: it is taken until it is removed."""
    expired: bool


@dataclass(frozen=True, slots=True)
class Holder:
    name: str
    role: Role


def add(session: SyncSession, name: str, role: Role, *, expires_at: datetime | None = None) -> str:
    """The token itself, which can't be shown again: only its SHA-256 is stored, and 256 random bits need no salt.

    Raises ConflictError for a name that is taken, and RefusedError for one that can't be.
    """
    if name != name.strip():
        raise RefusedError(f"The name {name!r} begins or ends with a space: leave it out.")
    token = PREFIX + secrets.token_urlsafe(_BYTES)
    if not ask(session, "add_token", name=name, role=role.value, digest=_digest(token), expires_at=expires_at):
        raise ConflictError(
            f"A token named {name!r} is already there: choose another name, or remove that one with "
            "`scheduler web token remove`."
        )
    return token


def tokens(session: SyncSession) -> list[Token]:
    """By name."""
    return [Token(**row | {"role": Role(row["role"])}) for row in ask(session, "tokens")]


def remove(session: SyncSession, name: str) -> None:
    """It isn't taken any more, after a few seconds anywhere. Raises NotFoundError."""
    if not ask(session, "remove_token", name=name):
        near = did_you_mean(name, [token.name for token in tokens(session)])
        raise NotFoundError(f"No token is named {name!r}.{near} `scheduler web token list` shows all of them.")


def holder(session: SyncSession, token: str) -> Holder | None:
    """Whose it is; None: nobody's, or it has expired."""
    found = ask(session, "token_of_digest", digest=_digest(token))
    return Holder(found[0]["name"], Role(found[0]["role"])) if found else None


def _digest(token: str) -> bytes:
    return sha256(token.encode(errors="surrogatepass")).digest()
