"""What a benchmark found. Times in seconds, rates by the second."""

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median, quantiles
from typing import Self

from scheduler.store.benching import Server


@dataclass(frozen=True, slots=True)
class Yardstick:
    """Medians of what the server itself takes, one after the other."""

    round_trip: float
    insert: float
    """One bare row, committed."""


@dataclass(frozen=True, slots=True)
class Enqueue:
    single_jobs: int
    single_rate: float
    """One after the other, each committed."""
    bulk_jobs: int
    bulk_rate: float
    """In one transaction."""


@dataclass(frozen=True, slots=True)
class Drain:
    jobs: int
    rate: float
    cpu: float
    """Of the workers, by the job."""


@dataclass(frozen=True, slots=True)
class Percentiles:
    count: int
    p50: float
    p99: float
    most: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Self:
        """Of at least one value."""
        found = sorted(values)
        p99 = quantiles(found, n=100, method="inclusive")[98] if len(found) > 1 else found[0]
        return cls(len(found), median(found), p99, found[-1])


@dataclass(frozen=True, slots=True)
class Cron:
    """From the instant of a tick to the start of its handler."""

    cron_jobs: int
    late: Percentiles
    not_run: int
    """Ticks that were skipped."""


@dataclass(frozen=True, slots=True)
class Report:
    """Parts that were not asked for are None."""

    server: Server
    yardstick: Yardstick
    processes: int
    enqueue: Enqueue | None = None
    drain: Drain | None = None
    latency: Percentiles | None = None
    """From an enqueue that is committed to the first line of the handler, on a worker that was idle."""
    cron: Cron | None = None
