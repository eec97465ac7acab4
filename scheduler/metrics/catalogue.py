"""catalogue: every metric of the product, with its kind, its labels and what it says. docs/metrics.md is made of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Kind(StrEnum):
    COUNTER = "counter"
    """Only grows, until all processes of `scheduler run` have ended."""
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Origin(StrEnum):
    """Whom a metric is about, and so whether it may be added up over several hosts."""

    HOST = "processes"
    """The processes of one `scheduler run`: sum over instances."""
    DATABASE = "database"
    """The job database, the same wherever it is asked: max over instances."""


@dataclass(frozen=True, slots=True)
class Metric:
    name: str
    kind: Kind
    origin: Origin
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    """Upper bounds in seconds, of a histogram; a last one without a bound is understood."""


SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800)
C, G, H = Kind.COUNTER, Kind.GAUGE, Kind.HISTOGRAM
P, D = Origin.HOST, Origin.DATABASE

# fmt: off
# ruff: disable[E501] - a metric is read in one line
_METRICS: Final = (
    Metric("scheduler_info", G, P, "1. The version of the package that answers.", ("version",)),
    Metric("scheduler_attempts_total", C, P, "Attempts whose outcome the database has answered for: success, failure, timeout, cancelled, snoozed or handed_back. A handler that is not registered here is called unknown.", ("handler", "queue", "outcome")),
    Metric("scheduler_dead_letters_total", C, P, "Executions that used up their tries, or gave up: FAILED or TIMEOUT for good.", ("handler", "queue")),
    Metric("scheduler_stale_outcomes_total", C, P, "Outcomes that the fence refused, because the row was no longer this worker's."),
    Metric("scheduler_lost_leases_total", C, P, "Leases that a worker lost or gave up before their end, with all that ran under them."),
    Metric("scheduler_wait_seconds", H, P, "From when an execution became available to its claim, in seconds.", ("queue",), SECONDS),
    Metric("scheduler_run_seconds", H, P, "How long the handler of an attempt ran, in seconds; of what was handed back or cancelled too.", ("handler", "queue"), SECONDS),
    Metric("scheduler_processes", G, P, "Worker processes: starting, working or ending.", ("state",)),
    Metric("scheduler_slots", G, P, "Executions that may run at once, over all processes."),
    Metric("scheduler_slots_used", G, P, "Slots that are taken."),
    Metric("scheduler_loop_age_seconds", G, P, "Seconds since the loop last succeeded, in the process where that is longest ago.", ("loop",)),
    Metric("scheduler_loop_limit_seconds", G, P, "The age from which on a loop is stalled, and /health is red.", ("loop",)),
    Metric("scheduler_pool_connections", G, P, "Connections of handlers' pools that are in use, over all processes; those of handlers that run in processes of their own are not counted.", ("database",)),
    Metric("scheduler_pool_limit", G, P, "Connections that those pools may open.", ("database",)),
    Metric("scheduler_queue_waiting", G, D, "Executions that could be claimed now. Counting stops at 20000.", ("queue",)),
    Metric("scheduler_queue_delayed", G, D, "Executions that wait for their time. Counting stops at 20000.", ("queue",)),
    Metric("scheduler_queue_running", G, D, "Executions that are claimed.", ("queue",)),
    Metric("scheduler_queue_oldest_seconds", G, D, "For how many seconds the oldest of those that could be claimed have waited; 0: none waits.", ("queue",)),
    Metric("scheduler_queue_paused", G, D, "1 while nothing is claimed from the queue, or 0.", ("queue",)),
    Metric("scheduler_tick_lag_seconds", G, D, "For how many seconds the tick that is longest due has not been planned; 0: none is due."),
    Metric("scheduler_cron_jobs", G, D, "Cron jobs: enabled, paused, or invalid, which the planner refuses.", ("state",)),
    Metric("scheduler_dead_letters", G, D, "Executions that are FAILED or TIMEOUT now. Counting stops at 10000."),
    Metric("scheduler_workers", G, D, "Workers with a valid lease, on all hosts."),
    Metric("scheduler_in_doubt", G, D, "Transactions that are prepared or decided and not ended everywhere; see the view job_in_doubt."),
    Metric("scheduler_in_doubt_age_seconds", G, D, "Age of the oldest of them in seconds; 0: there is none."),
    Metric("scheduler_dead_rows", G, D, "Dead rows that vacuum has yet to remove, as the server estimates.", ("table",)),
    Metric("scheduler_xmin_age_transactions", G, D, "By how many transactions the oldest snapshot holds vacuum back."),
    Metric("scheduler_xmin_age_seconds", G, D, "For how many seconds the oldest transaction of the database has been open."),
    Metric("scheduler_notification_queue_ratio", G, D, "How full the server's queue of notifications is, from 0 to 1."),
    Metric("scheduler_measured_age_seconds", G, P, "How many seconds ago the database was asked for the values about it; they are left out from 60 s on."),
)
# ruff: enable[E501]
# fmt: on
CATALOGUE: Final[Mapping[str, Metric]] = {metric.name: metric for metric in _METRICS}
