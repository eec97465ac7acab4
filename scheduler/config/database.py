"""`databases.<name>`: where a Postgres is and how it is used."""

import re
from dataclasses import replace
from typing import Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from scheduler.config.address import Address
from scheduler.config.values import Count, MaybePort, MaybeSecret, MaybeText, Seconds, Section, WholeSeconds

PLACE = ("url", "host", "port", "user", "password", "dbname", "direct_url")
"""The keys that say where a database is; a URL from a variable takes the place of them all."""

_PARTS = ("host", "port", "user", "password", "dbname")
_SCHEMA_BYTES = 48  # the name of the schema's notification channel is longer and has to fit into 63


class DatabaseSettings(Section):
    """One database. Without `url` and `host` it has no address, which only the embedded server can fill in."""

    url: MaybeSecret = None
    """`postgresql://user:password@host:5432/dbname?sslmode=require`. A socket is `postgresql:///dbname?host=/folder`. \
Special characters are percent-encoded."""
    host: MaybeText = None
    """Instead of `url`: a host, several with commas, or the folder of a Unix socket."""
    port: MaybePort = None
    """Goes with `host`. Without it: 5432."""
    user: MaybeText = None
    """Goes with `host`. Without it: the name of the operating system's user."""
    password: MaybeSecret = None
    """Goes with `host`; written as it is, without percent-encoding."""
    dbname: MaybeText = None
    """Goes with `host`. Without it: the same as the user."""
    direct_url: MaybeSecret = None
    """Where `url` is a transaction pooler such as PgBouncer: the server itself, for heartbeats and LISTEN."""
    pool_size: Count = 10
    """Connections that handlers and client of one process may hold at once."""
    pool_timeout_seconds: Seconds = 30.0
    """How long to wait for a free connection before `ConnectionPoolExhaustedError`."""
    connect_timeout_seconds: WholeSeconds = 10
    """How long one try to connect may take, per host; a `connect_timeout` in the URL comes first."""
    schema_: str = Field(default="public", alias="schema")
    """The schema of the scheduler's own tables: lower-case letters, digits and `_`, at most 48 characters."""
    atomicity: Literal["two_phase", "best_effort"] = "two_phase"
    """How a transaction over several databases commits here: all or nothing, or (`best_effort`) one after the other, \
for a server that can't prepare transactions."""

    @field_validator("url", "direct_url")
    @classmethod
    def _readable(cls, given: SecretStr | None) -> SecretStr | None:
        if given is not None:
            Address.parse(given.get_secret_value())
        return given

    @field_validator("schema_")
    @classmethod
    def _identifier(cls, given: str) -> str:
        if not re.fullmatch(r"[a-z_][a-z0-9_]*", given) or given.startswith("pg_") or len(given) > _SCHEMA_BYTES:
            raise ValueError(
                f"must be lower-case letters, digits and _, at most {_SCHEMA_BYTES}, and not begin with pg_ or a digit"
            )
        return given

    @model_validator(mode="after")
    def _one_address(self) -> Self:
        parts = [key for key in _PARTS if getattr(self, key) is not None]
        if self.url is not None and parts:
            raise ValueError(f"has both url and {', '.join(parts)}: keep the one or the others")
        if parts and self.host is None:
            raise ValueError(f"has {', '.join(parts)} but no host: add host, or write a url")
        if self.direct_url is not None and not self.has_address:
            raise ValueError("has a direct_url but no url: add url")
        return self

    @property
    def has_address(self) -> bool:
        return self.url is not None or self.host is not None

    @property
    def conninfo(self) -> str:
        """What psycopg and libpq connect with. It holds the password: never log it."""
        return self._address.url("postgresql")

    @property
    def direct_conninfo(self) -> str:
        """The same past a pooler: `direct_url`, or `conninfo` where there is none."""
        return self._with_timeout(self.direct_url).url("postgresql") if self.direct_url else self.conninfo

    @property
    def sqlalchemy_url(self) -> str:
        """`postgresql+psycopg://…`, for engines. It holds the password: never log it."""
        return self._address.url("postgresql+psycopg")

    def at(self, url: str) -> Self:
        """These settings at another address, as for the embedded server. Raises ValueError on an unreadable URL."""
        kept = self.model_dump(by_alias=True, exclude_unset=True, exclude=set(PLACE))
        return type(self).model_validate(kept | {"url": url})

    @property
    def _address(self) -> Address:
        if self.url is not None:
            return self._with_timeout(self.url)
        return Address(
            host=self.host,
            port=str(self.port) if self.port is not None else None,
            user=self.user,
            password=self.password.get_secret_value() if self.password is not None else None,
            dbname=self.dbname,
            options=(("connect_timeout", str(self.connect_timeout_seconds)),),
        )

    def _with_timeout(self, url: SecretStr) -> Address:
        address = Address.parse(url.get_secret_value())
        if "connect_timeout" in dict(address.options):
            return address
        return replace(address, options=(*address.options, ("connect_timeout", str(self.connect_timeout_seconds))))
