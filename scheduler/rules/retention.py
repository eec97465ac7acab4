"""How long what is over stays: the rules that the pruner and `scheduler prune` share."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from scheduler.model import FINAL, Status


@dataclass(frozen=True, slots=True)
class Keep:
    """A row goes when either bound is passed; None is no bound."""

    days: float | None = None
    """After its end."""
    last: int | None = None
    """The newest so many stay."""


@dataclass(frozen=True, slots=True)
class Retention:
    """Which rows go. A rule of a cron job comes before that of its queue, and that before the one of a status."""

    statuses: Mapping[Status, Keep] = field(default_factory=dict)
    """By final status; one that isn't here is kept for ever."""
    cron_jobs: Mapping[str, Keep] = field(default_factory=dict)
    """By name."""
    unique_forever_days: float | None = None
    """Executions that hold a unique_key for ever stay this long at least; None: for ever."""
    workers_days: float | None = None
    """Workers that have ended, counted from their last heartbeat; None: for ever."""
    messages_days: float | None = None
    """Messages whose execution is gone; None: for ever."""
    requests_days: float | None = None
    """Requests with an Idempotency-Key; None: for ever."""
    audit_days: float | None = None
    """Who did what; None: for ever."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Narrowed:
    """A part of it, for one command."""

    statuses: frozenset[Status] = FINAL
    queue: str | None = None
    older_than_days: float | None = None
    """In place of every rule about status, queue and cron job."""

    @property
    def all(self) -> bool:
        return self == Narrowed()
