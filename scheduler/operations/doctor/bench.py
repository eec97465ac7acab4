"""What the checks of a database work with: the facts, and sessions that can do no harm."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from scheduler.operations.doctor.facts import DatabaseFacts
from scheduler.operations.json_values import decoded
from scheduler.store.asking import ask
from scheduler.store.guarded import GuardedSession
from scheduler.store.statements import quote

APPLICATION_NAME = "scheduler doctor"


@dataclass(frozen=True, slots=True)
class Process:
    """A row of job_workers that says it lives, or was lost within a day. Times in seconds."""

    name: str
    status: str
    version: str
    queues: Sequence[str]
    pool_size: int
    running: int
    silent_for: float
    alive: bool
    """Its lease is valid."""
    last_claim: float | None
    """Since the newest claim that it still works on."""
    stalled: Mapping[str, float]
    """Its loops that don't get on: for how long they have not."""


class Bench:
    """One look at one job database. What is asked twice is read once."""

    def __init__(self, facts: DatabaseFacts) -> None:
        self.facts = facts
        self.session = GuardedSession(facts.job.conninfo, facts.schema, APPLICATION_NAME)
        self.places = [facts.job, *facts.others]
        """The databases that are used; those that turn out to be beyond reach are taken out."""
        self.has_tables = False
        """Those of this version; to be found out."""

    @property
    def is_reached(self) -> bool:
        """The job database, as far as anybody has tried."""
        return self.facts.job in self.places

    def ask(self, statement: str, **values: Any) -> list[dict[str, Any]]:
        """Rows of a statement of doctor.sql. Raises as `store.asking.ask` does."""
        return ask(self.session, statement, **values)

    def one(self, statement: str, **values: Any) -> dict[str, Any]:
        (row,) = self.ask(statement, **values)
        return row

    @contextmanager
    def elsewhere(self, conninfo: str) -> Iterator[GuardedSession]:
        """Another session: in another database, or in this one by another way."""
        with closing(GuardedSession(conninfo, self.facts.schema, APPLICATION_NAME)) as session:
            yield session

    def table(self, name: str) -> str:
        """A table of ours as SQL for people: without the schema where psql needs none."""
        return name if self.facts.schema == "public" else f"{quote(self.facts.schema)}.{name}"

    @cached_property
    def server(self) -> dict[str, Any]:
        return self.one("doctor_server")

    @cached_property
    def processes(self) -> list[Process]:
        """The newest first."""
        rows = self.ask("doctor_workers")
        return [Process(**row | {"stalled": decoded(row["stalled"]) or {}}) for row in rows]

    @property
    def alive(self) -> list[Process]:
        return [process for process in self.processes if process.alive] if self.has_tables else []

    def close(self) -> None:
        self.session.close()
