"""What every connection of ours tells libpq, and the raw psycopg connections of the scheduler's own work."""

import math
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import TupleRow

from scheduler.errors import ConfigurationError

# A peer that is gone without a word is noticed within a minute. A url that sets one of these itself keeps its own.
_KEEPALIVE: Final[Mapping[str, int]] = {
    "keepalives": 1,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
_SCHEMES: Final = ("postgresql+psycopg://", "postgresql://", "postgres://")


@lru_cache
def conninfo_from_url(url: str) -> str:
    """libpq's own form of `url`, whose password, socket folder and options it quotes as libpq wants them.

    Takes `postgresql+psycopg://`, `postgresql://`, `postgres://` and libpq's `key=value` strings.
    Raises ConfigurationError on anything else; the message never repeats the url, which may hold a password.
    """
    return make_conninfo("", **_parsed(url))


def connection_params(url: str, *, application_name: str, connect_timeout_seconds: float) -> dict[str, Any]:
    """libpq's parameters for `url`, with keepalives. `connect_timeout_seconds` is rounded up, 2 s is the least."""
    defaults = {**_KEEPALIVE, "connect_timeout": max(2, math.ceil(connect_timeout_seconds))}
    return {**defaults, **_parsed(url), "application_name": application_name}


def variables(url: str) -> dict[str, str]:
    """The environment in which libpq's own programs connect to `url`, without what libpq has no variable for.

    Raises ConfigurationError on an unreadable url.
    """
    named = {
        option.keyword.decode(): option.envvar.decode()
        for option in psycopg.pq.Conninfo.get_defaults()
        if option.envvar is not None
    }
    return {named[key]: str(value) for key, value in _parsed(url).items() if key in named}


async def connect(
    url: str, *, application_name: str, connect_timeout_seconds: float = 10
) -> psycopg.AsyncConnection[TupleRow]:
    """A raw connection in autocommit, without prepared statements, so that it also works behind PgBouncer.

    Raises ConfigurationError on an unreadable url, psycopg.OperationalError when the server can't be reached.
    """
    params = connection_params(url, application_name=application_name, connect_timeout_seconds=connect_timeout_seconds)
    return await psycopg.AsyncConnection.connect(autocommit=True, prepare_threshold=None, **params)


def connect_sync(
    url: str, *, application_name: str, connect_timeout_seconds: float = 10
) -> psycopg.Connection[TupleRow]:
    """`connect()` for threads, such as the heartbeat's."""
    params = connection_params(url, application_name=application_name, connect_timeout_seconds=connect_timeout_seconds)
    return psycopg.Connection.connect(autocommit=True, prepare_threshold=None, **params)


def option_names() -> frozenset[str]:
    """What may stand behind the `?` of a url, by the libpq that is here."""
    return frozenset(option.keyword.decode() for option in psycopg.pq.Conninfo.get_defaults())


def _parsed(url: str) -> dict[str, Any]:
    scheme = next((scheme for scheme in _SCHEMES if url.startswith(scheme)), None)
    plain = url if scheme is None else "postgresql://" + url.removeprefix(scheme)
    try:
        return dict(conninfo_to_dict(plain))
    except psycopg.ProgrammingError:
        # libpq quotes the part that it can't read, which may be the password.
        raise ConfigurationError(
            "A database url can't be read. Write postgresql://user:password@host:5432/dbname, "
            "with %40 for @, %2F for / and %25 for % inside the password."
        ) from None
