"""The list of checks, and going through it: one that fails, or lacks what it needs, stops none of the others."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass

from scheduler.errors import ConfigurationError, SchedulerError, SchemaError
from scheduler.operations.doctor import clocks, cron, server, transactions, vacuum, work, workers
from scheduler.operations.doctor.bench import Bench
from scheduler.operations.doctor.facts import DatabaseFacts
from scheduler.operations.doctor.finding import Code, Finding
from scheduler.operations.doctor.unknown_handlers import unknown_handlers
from scheduler.store.guarded import STATEMENT_SECONDS


@dataclass(frozen=True, slots=True)
class Check:
    """One look at the job database."""

    subject: str
    """The heading that its findings stand under."""
    title: str
    look: Callable[[Bench], Iterable[Finding]]
    needs_tables: bool = False


CHECKS = (
    Check("Database", "the way to the server", server.reachable),
    Check("Database", "poolers", server.pooler),
    Check("Database", "direct_url", server.direct_url),
    Check("Tables", "revision", server.revision),
    Check("Tables", "rights", server.rights, needs_tables=True),
    Check("Database", "connections", server.connections),
    Check("Clocks", "clock", clocks.clock),
    Check("Clocks", "time zone data", clocks.tzdata, needs_tables=True),
    Check("Clocks", "zones", clocks.zones, needs_tables=True),
    Check("Vacuum", "autovacuum", vacuum.autovacuum),
    Check("Vacuum", "dead rows", vacuum.dead_rows),
    Check("Vacuum", "old transactions", vacuum.oldest_transaction),
    Check("Vacuum", "transaction ids", vacuum.transaction_ids),
    Check("Two-phase commit", "settings of two-phase commit", transactions.prepared_setting),
    Check("Two-phase commit", "prepared transactions", transactions.prepared),
    Check("Two-phase commit", "decisions in doubt", transactions.undelivered, needs_tables=True),
    Check("Workers", "workers", workers.alive, needs_tables=True),
    Check("Workers", "lost workers", workers.lost, needs_tables=True),
    Check("Workers", "loops", workers.stalled, needs_tables=True),
    Check("Workers", "shutdowns", workers.draining, needs_tables=True),
    Check("Work", "running executions", work.running, needs_tables=True),
    Check("Work", "queues", work.queues, needs_tables=True),
    Check("Cron jobs", "late cron jobs", cron.planned, needs_tables=True),
    Check("Cron jobs", "refused cron jobs", cron.invalid, needs_tables=True),
    Check("Cron jobs", "cron jobs without an end or a tick", cron.never, needs_tables=True),
    Check("Cron jobs", "failing cron jobs", cron.failing, needs_tables=True),
    Check("Cron jobs", "paused cron jobs", cron.paused, needs_tables=True),
    Check("Cron jobs", "handlers that rows name", unknown_handlers, needs_tables=True),
)


def examine(facts: DatabaseFacts, begins: Callable[[str], None] = lambda _: None) -> Iterator[tuple[str, Finding]]:
    """Every finding about the job database with its subject; `begins` is told each check's title before.

    What can't be examined, for want of the database, of its tables or of a right, is named at the end.
    """
    examined, left_out, denied = set[str](), list[str](), list[str]()
    with closing(Bench(facts)) as bench:
        for check in CHECKS:
            if not bench.is_reached or (check.needs_tables and not bench.has_tables):
                left_out.append(check.subject)
                continue
            begins(check.title)
            examined.add(check.subject)
            yield from ((check.subject, finding) for finding in _looked(check, bench, denied))
        if left_out:
            yield "The rest", _left_out([each for each in dict.fromkeys(left_out) if each not in examined], bench)
        if denied:
            yield "The rest", _denied(denied, bench)


def _looked(check: Check, bench: Bench, denied: list[str]) -> Iterator[Finding]:
    """What the check finds; that it failed is a finding, and never the end of the others."""
    try:
        yield from check.look(bench)
    except SchedulerError as error:
        if isinstance(error, ConfigurationError) and not isinstance(error, SchemaError):
            denied.append(check.title)
            return
        yield Finding.warning(
            Code.CHECK_FAILED,
            f"The check of {check.title} failed: {error}",
            f"Try again; a statement that needs more than {STATEMENT_SECONDS} s tells of a server that is overloaded.",
        )
    except Exception as error:
        yield Finding.warning(
            Code.CHECK_FAILED,
            f"The check of {check.title} failed, by a fault of its own: {type(error).__name__}: {error}.",
            "Please report it, with this sentence and the version.",
        )


def _left_out(subjects: Sequence[str], bench: Bench) -> Finding:
    code, what = (
        (Code.SCHEMA_REVISION, "tables of this version")
        if bench.is_reached
        else (Code.DATABASE_REACHABLE, "the database")
    )
    return Finding.unchecked(code, f"Not examined, for it needs {what}: {', '.join(subjects).lower()}.")


def _denied(titles: Sequence[str], bench: Bench) -> Finding:
    return Finding.unchecked(
        Code.SCHEMA_RIGHTS,
        f'Not examined, for role "{bench.server["role"]}" may not read what it needs: {", ".join(titles)}.',
        "Look as a role that may: `scheduler db roles` prints the rights of one that only looks, the viewer.",
    )
