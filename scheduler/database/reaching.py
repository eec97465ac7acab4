"""What keeps a database from being used: libpq's many words as one cause each, with what to do about it.

A refused log-in has no SQLSTATE that a client could read, so that the words are all there is. A server that speaks
another language than English is told by its own words, with advice that holds for every cause.
"""

import re
from dataclasses import dataclass
from typing import Final

import psycopg
from psycopg.rows import TupleRow

from scheduler.clock import monotonic
from scheduler.database.libpq import connect_sync, conninfo_from_url
from scheduler.database.pooling import refuses_transactions

MINIMUM_SERVER: Final = 15
WITHOUT_TRANSACTIONS: Final = "is in statement mode, in which there are no transactions."
TRANSACTION_MODE: Final = "Set pool_mode = transaction there, or name the server itself."


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why a database can't be used. `says` and `fix` are sentences and hold no password."""

    code: str
    """The section of docs/doctor.md that explains it."""
    says: str
    fix: str

    def __str__(self) -> str:
        return f"{self.says} {self.fix}"


@dataclass(frozen=True, slots=True)
class Reached:
    """What a log-in tells."""

    role: str
    version: str
    """Of the server, such as "18.6"."""
    driver: str
    """Ours, such as "psycopg 3.3.9, libpq 18.6"."""
    encrypted: bool
    round_trip_seconds: float
    read_only: Obstacle | None


@dataclass(frozen=True, slots=True)
class _Cause:
    """`why` ends a sentence and `fix` is one; groups that `words` names may stand in both."""

    code: str
    words: re.Pattern[str]
    why: str
    fix: str


def _cause(code: str, words: str, why: str, fix: str) -> _Cause:
    return _Cause(code, re.compile(words, re.DOTALL), why, fix)


# The first that fits counts. Of several hosts, the last one's words come first.
_CAUSES: Final = (
    _cause(
        "database-host",
        r"(could not translate host name|failed to resolve host) [\"'](?P<host>[^\"']*)",
        'no host is known as "{host}"',
        "Correct the host in its url, or see to its name in the DNS.",
    ),
    _cause(
        "database-password",
        r"password authentication failed for user \"(?P<role>.*?)\"",
        'the password of role "{role}" is wrong, or there is no such role',
        "Correct user and password in its url; special characters in a url are percent-encoded (/ is %2F, @ is %40).",
    ),
    _cause(
        "database-password",
        r"no password supplied",
        "it asks for a password and none is set",
        "Write it into its url, or set SCHEDULER_DATABASES__<NAME>__PASSWORD.",
    ),
    _cause(
        "database-missing",
        r"database \"(?P<name>.*?)\" does not exist",
        'the server has no database "{name}"',
        'Correct the name in its url, or make it: CREATE DATABASE "{name}".',
    ),
    _cause(
        "database-role",
        r"role \"(?P<role>.*?)\" (does not exist|is not permitted to log in)",
        'the server has no role "{role}" that may log in',
        'Correct the user in its url, or make it: CREATE ROLE "{role}" LOGIN.',
    ),
    _cause(
        "database-access",
        r"pg_hba\.conf (entry for|rejects connection for) host \"(?!\[local\])[^\n]*no encryption",
        "the server does not let this role in from here without TLS",
        "Add ?sslmode=require to its url, or a line for this host and role to pg_hba.conf.",
    ),
    _cause(
        "database-access",
        r"no pg_hba\.conf entry for|pg_hba\.conf rejects|permission denied for database"
        r"|is not currently accepting connections|(Peer|Ident) authentication failed",
        "the server does not let this role in from here",
        "Let the server's administrator add a line for this host and role to pg_hba.conf, or GRANT CONNECT.",
    ),
    _cause(
        "database-full",
        r"too many connections for (?P<what>role|database)",
        "all connections that its {what} may have are in use",
        "Close some, or have its limit raised: ALTER ROLE … CONNECTION LIMIT, ALTER DATABASE … CONNECTION LIMIT.",
    ),
    _cause(
        "pooler",
        r"unsupported startup parameter(?: in options)?: (?P<name>\w+)",
        "the pooler in front of it does not take {name} from a client",
        "Take it out of the url and set it by ALTER ROLE … SET, or add it to ignore_startup_parameters there.",
    ),
    _cause(
        "pooler",
        r"query_wait_timeout",
        "the pooler in front of it had no connection free in time",
        "Raise default_pool_size there, or write the server's own address as databases.<name>.direct_url.",
    ),
    _cause(
        "pooler",
        r"no more connections allowed \(max_client_conn\)",
        "all clients that the pooler in front of it takes are connected",
        "Raise max_client_conn there, or run fewer processes.",
    ),
    _cause(
        "database-full",
        r"too many clients already|remaining connection slots|no more connections allowed",
        "all its connections are in use",
        "Close some, raise max_connections, or put a pooler in front; pg_stat_activity shows who holds them.",
    ),
    _cause(
        "database-starting",
        r"the database system is (?P<state>starting up|shutting down|in recovery mode|not yet accepting connections)",
        "the database system is {state}",
        "Try again in a moment; the server's log tells more.",
    ),
    _cause(
        "database-tls",
        r"server does not support SSL, but SSL was required",
        "its url asks for TLS and the server offers none",
        "Set ssl = on in postgresql.conf; only on a network that you trust, write sslmode=disable.",
    ),
    _cause(
        "database-tls",
        r"(?:SSL error: )?(?P<why>(?<=SSL error: )[^\n]+|certificate verify failed|private key file [^\n]*"
        r"|root certificate file .*? does not exist|server certificate for .*? does not match host name \".*?\")",
        "TLS fails ({why})",
        "Give the server's authority as sslrootcert=FILE in its url, and the host by the name in its certificate.",
    ),
    _cause(
        "database-not-postgres",
        r"invalid response to SSL negotiation|expected authentication request from server"
        r"|server closed the connection unexpectedly",
        "what answers there is not PostgreSQL, or hangs up at once",
        "Correct host and port in its url; PostgreSQL's own port is 5432.",
    ),
    _cause(
        "database-timeout",
        r"timeout expired|timed out|No route to host|Network is unreachable",
        "nothing answers there in time",
        "Look at the address and at firewalls in between, or raise databases.<name>.connect_timeout_seconds.",
    ),
    _cause(
        "database-refused",
        r"on socket \"(?P<socket>.*?)\" failed: (No such file or directory|Connection refused)",
        "no server listens on the socket {socket}",
        "Start the server, or correct the host in its url.",
    ),
    _cause(
        "database-refused",
        r"port (?P<port>\d+) failed: Connection refused",
        "no server listens on port {port} there",
        "Start the server, or correct host and port in its url.",
    ),
    _cause(
        "database-url",
        r"invalid (?P<name>\w+) value: \"(?P<value>.*?)\"",
        "its url has {name}={value}, which libpq does not know",
        "Correct that part of the url.",
    ),
)


def reach(url: str, application_name: str) -> Reached | Obstacle:
    """Log in once and look around. Raises ConfigurationError on an unreadable url."""
    try:
        with connect_sync(url, application_name=application_name) as connection:
            if obstacle := too_old(url, connection) or statement_pooled(url, connection):
                return obstacle
            began = monotonic()
            obstacle = read_only(url, connection)
            return Reached(
                role=connection.info.user,
                version=(connection.info.parameter_status("server_version") or "").partition(" ")[0],
                driver=f"psycopg {psycopg.__version__}, libpq {_dotted(psycopg.pq.version())}",
                encrypted=connection.pgconn.ssl_in_use,
                round_trip_seconds=monotonic() - began,
                read_only=obstacle,
            )
    except psycopg.Error as error:
        return unreachable(url, error)


def unreachable(url: str, error: psycopg.Error) -> Obstacle:
    """What `error`, raised by a try to connect to `url`, means. Raises ConfigurationError on an unreadable url."""
    said, place = str(error), described(url)
    for cause in _CAUSES:
        if found := cause.words.search(said):
            why, fix = cause.why.format(**found.groupdict()), cause.fix.format(**found.groupdict())
            return Obstacle(cause.code, f"The database {place} can't be reached: {why}.", fix)
    first = (said.strip().splitlines() or [type(error).__name__])[0].rstrip(". ")
    return Obstacle(
        "database-unreachable",
        f"The database {place} can't be reached: {first}.",
        "Check its url, and that the server is running and lets this role in.",
    )


def too_old(url: str, connection: psycopg.Connection[TupleRow]) -> Obstacle | None:
    """Whether the server is older than what the scheduler's statements need."""
    major = connection.info.server_version // 10_000
    if major >= MINIMUM_SERVER:
        return None
    return Obstacle(
        "server-version",
        f"The database {described(url)} is PostgreSQL {major}; "
        f"the scheduler needs PostgreSQL {MINIMUM_SERVER} or newer.",
        "Upgrade the server, or name another one.",
    )


def statement_pooled(url: str, connection: psycopg.Connection[TupleRow]) -> Obstacle | None:
    """Whether a pooler lets nobody have a transaction."""
    try:
        with connection.transaction():
            return None
    except psycopg.OperationalError as error:
        if not refuses_transactions(error):
            raise
        return Obstacle(
            "pooler", f"The pooler in front of the database {described(url)} {WITHOUT_TRANSACTIONS}", TRANSACTION_MODE
        )


def read_only(url: str, connection: psycopg.Connection[TupleRow]) -> Obstacle | None:
    """Whether nothing can be written there, and why."""
    standby, read_only_by_default = connection.execute(_WRITABLE).fetchone() or (False, False)
    if standby:
        return Obstacle(
            "database-read-only",
            f"The database {described(url)} can't be written: it is a standby.",
            "Name the primary in its url, or all hosts and target_session_attrs=read-write.",
        )
    if read_only_by_default:
        name = connection.info.dbname
        return Obstacle(
            "database-read-only",
            f"The database {described(url)} can't be written: default_transaction_read_only is on here.",
            f'Turn it off where it was set, such as by ALTER DATABASE "{name}" RESET default_transaction_read_only.',
        )
    return None


def described(url: str) -> str:
    """The database and host that a url names; never its password."""
    parts = psycopg.conninfo.conninfo_to_dict(conninfo_from_url(url))
    name = parts.get("dbname") or parts.get("user") or "of the url"
    host = parts.get("host")
    return f'"{name}"' + (f" on {host}" if host else "")


def _dotted(version: int) -> str:
    return f"{version // 10_000}.{version % 10_000}"


_WRITABLE: Final = "SELECT pg_is_in_recovery(), current_setting('transaction_read_only') = 'on'"
