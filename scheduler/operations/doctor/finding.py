"""What a check says: a finding, its level, and the code that leads to its section of docs/doctor.md."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Self


class Level(StrEnum):
    """How bad it is. Errors, and with `--strict` warnings, make `scheduler doctor` exit with 1."""

    FINE = "fine"
    WARNING = "warning"
    ERROR = "error"
    UNCHECKED = "unchecked"
    """Not looked at, with the reason: the role may not see it, or it needs what is missing."""


class Code(StrEnum):
    """Each is a section of docs/doctor.md."""

    SETTINGS = "settings"
    SETTINGS_IGNORED = "settings-ignored"
    HANDLERS = "handlers"
    MESSAGE_QUEUES = "message-queues"
    MESSAGE_BROKERS = "message-brokers"
    MESSAGES_DEAD = "messages-dead"
    EMBEDDED_SERVER = "embedded-server"
    DATABASE_NONE = "database-none"
    DATABASE_REACHABLE = "database-reachable"
    DATABASE_URL = "database-url"
    DATABASE_HOST = "database-host"
    DATABASE_REFUSED = "database-refused"
    DATABASE_TIMEOUT = "database-timeout"
    DATABASE_NOT_POSTGRES = "database-not-postgres"
    DATABASE_PASSWORD = "database-password"
    DATABASE_ROLE = "database-role"
    DATABASE_ACCESS = "database-access"
    DATABASE_MISSING = "database-missing"
    DATABASE_TLS = "database-tls"
    DATABASE_FULL = "database-full"
    DATABASE_STARTING = "database-starting"
    DATABASE_UNREACHABLE = "database-unreachable"
    DATABASE_READ_ONLY = "database-read-only"
    SERVER_VERSION = "server-version"
    SCHEMA_REVISION = "schema-revision"
    SCHEMA_RIGHTS = "schema-rights"
    POOLER = "pooler"
    DIRECT_URL = "direct-url"
    CONNECTIONS = "connections"
    NOTIFICATIONS = "notifications"
    CLOCK = "clock"
    TZDATA = "tzdata"
    ZONES = "zones"
    PREPARED_SETTING = "prepared-setting"
    PREPARED_ORPHANS = "prepared-orphans"
    PREPARED_ROLE = "prepared-role"
    PREPARED_FOREIGN = "prepared-foreign"
    IN_DOUBT = "in-doubt"
    AUTOVACUUM = "autovacuum"
    DEAD_ROWS = "dead-rows"
    OLDEST_TRANSACTION = "oldest-transaction"
    TRANSACTION_IDS = "transaction-ids"
    WORKERS = "workers"
    WORKERS_LOST = "workers-lost"
    WORKERS_SILENT = "workers-silent"
    LOOP_STALLED = "loop-stalled"
    WORKERS_DRAINING = "workers-draining"
    WORKERS_VERSIONS = "workers-versions"
    RUNNING_ABANDONED = "running-abandoned"
    RUNNING_OVERDUE = "running-overdue"
    QUEUES = "queues"
    QUEUE_UNSERVED = "queue-unserved"
    QUEUE_BACKLOG = "queue-backlog"
    QUEUE_LIMITED = "queue-limited"
    QUEUE_PAUSED = "queue-paused"
    CRON_LATE = "cron-late"
    CRON_INVALID = "cron-invalid"
    CRON_NEVER = "cron-never"
    CRON_DATES = "cron-dates"
    CRON_FAILING = "cron-failing"
    CRON_PAUSED = "cron-paused"
    UNKNOWN_HANDLERS = "unknown-handlers"
    CHECK_FAILED = "check-failed"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the answer. `says` is one sentence or a few, `fix` says what to do, `sql` is what to type in psql."""

    code: Code
    level: Level
    says: str
    fix: str | None = None
    sql: Sequence[str] = ()

    @property
    def page(self) -> str:
        return f"docs/doctor.md#{self.code}"

    @classmethod
    def fine(cls, code: Code, says: str) -> Self:
        return cls(code, Level.FINE, says)

    @classmethod
    def warning(cls, code: Code, says: str, fix: str, sql: Sequence[str] = ()) -> Self:
        return cls(code, Level.WARNING, says, fix, sql)

    @classmethod
    def error(cls, code: Code, says: str, fix: str | None, sql: Sequence[str] = ()) -> Self:
        """`fix` may be None only where `says` ends with what to do, as the product's own errors do."""
        return cls(code, Level.ERROR, says, fix, sql)

    @classmethod
    def unchecked(cls, code: Code, says: str, fix: str | None = None, sql: Sequence[str] = ()) -> Self:
        return cls(code, Level.UNCHECKED, says, fix, sql)


def literal(text: str) -> str:
    """As SQL, quoted."""
    return "'" + text.replace("'", "''") + "'"
