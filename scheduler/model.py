"""The nouns: what a row, an outcome and a decision are. Frozen values without behaviour, time or I/O."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal, NamedTuple
from uuid import UUID


class Status(StrEnum):
    """`job_executions.status`."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    SUCCESS = "SUCCESS"
    FAILED = "FAILED"
    TIMEOUT = "TIMEOUT"
    CANCELLED = "CANCELLED"
    SKIPPED = "SKIPPED"


FINAL = frozenset({Status.SUCCESS, Status.FAILED, Status.TIMEOUT, Status.CANCELLED, Status.SKIPPED})


class Backoff(StrEnum):
    """`retry_backoff`."""

    FIXED = "fixed"
    LINEAR = "linear"
    EXPONENTIAL = "exponential"


class OverlapPolicy(StrEnum):
    """`cron_jobs.overlap_policy`: what a tick does while an earlier execution of its cron job isn't final."""

    SKIP = "skip"
    QUEUE = "queue"
    ALLOW = "allow"
    REPLACE = "replace"


class CatchUp(StrEnum):
    """`cron_jobs.catch_up`: which ticks older than 10 s still run."""

    LATEST = "latest"
    SKIP = "skip"
    ALL = "all"


class WorkerStatus(StrEnum):
    """`job_workers.status`."""

    ACTIVE = "ACTIVE"
    DRAINING = "DRAINING"
    STOPPED = "STOPPED"
    LOST = "LOST"


class Role(StrEnum):
    """`job_tokens.role`; each may do what those before it may."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"


UniqueUntil = Literal["started", "finished", "forever"]
"""`unique_until`: how long an execution holds its unique key."""
OnConflict = Literal["return existing", "error", "restart delay"]
"""What comes of enqueuing under a unique key that is held."""


class LoopAge(NamedTuple):
    """How a loop of a worker is. In seconds."""

    age: float
    """Since it last succeeded, or began."""
    limit: float
    """What is too old."""

    @property
    def is_young(self) -> bool:
        return self.age <= self.limit


DEFAULT_TIMEOUT_SECONDS = 300.0
DEFAULT_MAX_RETRY = 3
DEFAULT_RETRY_BACKOFF = Backoff.EXPONENTIAL
DEFAULT_RETRY_DELAY_SECONDS = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class NewExecution:
    """A row to be; None stands for the handler's own policy."""

    handler_name: str
    handler_params: str = "{}"
    """JSON."""
    queue: str = "default"
    priority: int = 0
    """-9 to 9; higher runs first."""
    delay_seconds: float = 0.0
    """Counted from `available_at`, or else from now."""
    available_at: datetime | None = None
    """Aware; None: now."""
    timeout_seconds: float | None = None
    max_retry: int | None = None
    unique_key: str | None = None
    """At most one execution with this key is there, for as long as `unique_until` says."""
    unique_until: UniqueUntil = "finished"
    concurrency_key: str | None = None
    concurrency_limit: int | None = None
    """How many with that key may run at once; None: 1."""
    on_conflict: OnConflict = "return existing"
    notify_done: bool = False
    """Its end is notified."""


class Claim(NamedTuple):
    """One claimed row, in the order in which the claim statement returns its columns, and then its token.

    A tuple, because thousands are made a second. `params_text` is JSON as the database holds it, decoded alone, later.
    """

    id: int
    handler_name: str
    params_text: str
    priority: int
    available_at: float  # Unix seconds
    scheduled_at: float  # Unix seconds
    attempt: int
    timeout_seconds: float
    retry_count: int
    max_retry: int
    retry_backoff: str
    retry_delay_seconds: float
    cron_job_id: int | None
    concurrency_key: str | None
    suspect: bool
    token: UUID

    @property
    def starts_once(self) -> bool:
        """No second start, whatever became of the first: without a second try the promise is "at most once"."""
        return self.max_retry <= 1


class OutcomeKind(StrEnum):
    """What an attempt ended as."""

    SUCCESS = "success"
    FAILURE = "failure"
    TIMEOUT = "timeout"
    CANCELLED = "cancelled"
    SNOOZED = "snoozed"
    HANDED_BACK = "handed back"
    LOST = "lost"


@dataclass(slots=True)
class Outcome:
    """How one attempt ended, as `run` reports it and `settle` records it."""

    kind: OutcomeKind
    seconds: float = 0.0
    """How long the handler ran, on the monotonic clock."""
    result: str | None = None
    """JSON text of what the handler returned; None for SQL NULL."""
    error: str | None = None
    traceback: str | None = None
    delay: float | None = None
    """Seconds asked for by RetryLater or Snooze; None means the row's own backoff."""
    min_delay: float = 0.0
    """A retry waits at least this long, whatever the backoff says (unknown handlers: 30)."""
    permanent: bool = False
    """FAILED at once, without a second try."""
    settled: bool = False
    """It is recorded already: the handler's own transaction carried it."""
    begun: bool = True
    """The handler's code may have run, some of it at least."""


@dataclass(frozen=True, slots=True)
class Transition:
    """The decision about a row: its next status and what is written with it."""

    status: Status
    retry_count: int
    delay: float = 0.0
    """Seconds until a PENDING row is available again."""
    suspect: bool = False
    error: str | None = None
    records_error: bool = False
    """Whether the attempt gets an entry in `errors`."""


@dataclass(frozen=True, slots=True)
class CronJob:
    """A due row of `cron_jobs`, in the order in which the planner's statement returns its columns.

    Times are Unix seconds as the database holds them; a row written by hand may hold one that Python's datetime can't.
    """

    id: int
    name: str
    cron_expression: str
    timezone: str
    overlap_policy: str
    catch_up: str
    catch_up_limit: int
    jitter_seconds: float
    starts_at: float | None
    ends_at: float | None
    planned_until: float
    skipped_until: float | None
    """The last tick that was skipped ahead of time; asked for only where `planned_until` lies in the future."""
    created_at: float
    unplanned: str | None
    """JSON: the stretches of time that a pause or an edit took from the planner."""


@dataclass(frozen=True, slots=True)
class DeclaredCronJob:
    """A cron job as the settings or a handler declare it, checked."""

    name: str
    where: str
    """`file:line`, or the setting: for people."""
    columns: Mapping[str, Any]
    """Of `cron_jobs`, as JSON has them, times in ISO 8601 and UTC; all but `enabled`, which may be left open."""


@dataclass(frozen=True, slots=True)
class Span:
    """Consecutive ticks that share one SKIPPED row."""

    first: datetime
    last: datetime
    count: int
    """Counting stops at 10,000; then `more` is True."""
    more: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be written for one cron job at one look."""

    planned_until: datetime
    """Every tick up to here is accounted for, this plan's included."""
    next_run_at: datetime | None
    """The first tick after `planned_until`; None if there will never be one."""
    due: tuple[datetime, ...] = ()
    """The ticks that run, in order."""
    skipped: Span | None = None
    """Those that don't, because they are too old."""


@dataclass(frozen=True, slots=True)
class HandlerPolicy:
    """What a handler declares for rows that leave these columns NULL; None means the product's default."""

    timeout_seconds: float | None = None
    max_retry: int | None = None
    retry_backoff: Backoff | None = None
    retry_delay_seconds: float | None = None

    def as_json(self) -> dict[str, Any]:
        return {
            k: v
            for k, v in (
                ("timeout_seconds", self.timeout_seconds),
                ("max_retry", self.max_retry),
                ("retry_backoff", self.retry_backoff),
                ("retry_delay_seconds", self.retry_delay_seconds),
            )
            if v is not None
        }
