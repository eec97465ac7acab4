"""Where a Postgres is: a URL taken apart, and put together again so that every part is quoted as it must be."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import quote, unquote

from scheduler.database.libpq import option_names
from scheduler.errors import did_you_mean

SCHEMES = ("postgresql", "postgres", "postgresql+psycopg")

_PLAIN = re.compile(r"[a-z_]+")
_NAMED = ("host", "port", "user", "password", "dbname")
_ENCODE = "in a user or password write / as %2F, ? as %3F, @ as %40, : as %3A, or use the keys host, user and password"


@dataclass(frozen=True, slots=True)
class Address:
    """The parts of a connection, unquoted; None leaves a part to libpq."""

    host: str | None = None
    """One host, several with commas, or the folder of a Unix socket."""
    port: str | None = None
    """One port, or as many as there are hosts, with commas."""
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    dbname: str | None = None
    options: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """Further libpq parameters, such as sslmode."""

    @classmethod
    def parse(cls, url: str) -> Self:
        """Raises ValueError with a sentence that repeats nothing of the URL."""
        scheme, mark, rest = url.partition("://")
        if not mark or scheme.lower() not in SCHEMES:
            raise ValueError("must be a Postgres URL: postgresql://user:password@host:5432/dbname")
        rest, _, query = rest.partition("?")
        authority, _, dbname = rest.partition("/")
        login, _, hosts = authority.rpartition("@")
        if "@" in dbname:
            raise ValueError(f"can't be read: {_ENCODE}")
        user, _, password = login.partition(":")
        options = list(_pairs(query))
        named = dict(options)
        host, port = _hosts(",".join(value for key, value in options if key == "host") or unquote(hosts))
        found = cls(
            host=host,
            port=_ports(named.get("port") or port),
            user=named.get("user") or unquote(user) or None,
            password=named.get("password") or unquote(password) or None,
            dbname=named.get("dbname") or unquote(dbname) or None,
            options=tuple((key, value) for key, value in options if key not in _NAMED),
        )
        _require_known(named)
        return found

    def url(self, scheme: str) -> str:
        """The same address as a URL that libpq and SQLAlchemy read alike."""
        plain = self.host is not None and "," not in self.host and not self.host.startswith("/")
        secret = f":{quote(self.password, safe='')}" if self.password is not None else ""
        login = f"{quote(self.user, safe='')}{secret}@" if self.user is not None else ""
        query = list(self.options)
        if secret and not login:
            query.append(("password", self.password or ""))
        if not plain:
            query += [(key, value) for key, value in (("host", self.host), ("port", self.port)) if value is not None]
        place = _netloc(self.host or "", self.port) if plain else ""
        parameters = "&".join(f"{quote(key)}={quote(value, safe='/,')}" for key, value in query)
        return f"{scheme}://{login}{place}/{quote(self.dbname or '', safe='')}{'?' if parameters else ''}{parameters}"


def _pairs(query: str) -> Iterator[tuple[str, str]]:
    for part in filter(None, query.split("&")):
        key, _, value = part.partition("=")
        yield unquote(key), unquote(value)


def _require_known(options: Iterable[str]) -> None:
    """Raises ValueError, which names an option only where it can't be a part of a password."""
    known = option_names()
    for name in options:
        if name not in known:
            if not _PLAIN.fullmatch(name):
                raise ValueError(f"can't be read: {_ENCODE}")
            hint = did_you_mean(name, known) or " Take it out"
            raise ValueError(f"has the option {name!r}, which Postgres doesn't know.{hint}")


def _hosts(text: str) -> tuple[str | None, str | None]:
    """`a:5432,[::1]:5433` as hosts and ports; a socket's folder stays whole."""
    if text.startswith("/"):
        return text, None
    hosts, ports = [], []
    for part in text.split(","):
        head, bracket, tail = part.rpartition("]")
        name, _, port = (head.lstrip("["), "", tail.lstrip(":")) if bracket else part.partition(":")
        hosts.append(name)
        ports.append(port)
    return ",".join(hosts) or None, ",".join(ports) if any(ports) else None


def _ports(text: str | None) -> str | None:
    if text is not None and not all(
        port.isascii() and port.isdigit() and 0 < int(port) < 65_536 for port in text.split(",") if port
    ):
        raise ValueError(f"has a port that is no number from 1 to 65535; {_ENCODE}")
    return text


def _netloc(host: str, port: str | None) -> str:
    name = f"[{host}]" if ":" in host else quote(host, safe="")
    return f"{name}:{port}" if port else name
