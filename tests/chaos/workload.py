"""What there is to do meanwhile, and an operator who interferes; by a seed of their own, not to disturb the faults'."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from threading import Event
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

PAUSE_SECONDS = 0.25
OPERATOR = """
CREATE SCHEMA chaos;
CREATE TABLE chaos.retried (execution_id bigint NOT NULL, session integer NOT NULL DEFAULT pg_backend_pid());
CREATE TABLE chaos.horizon (cron_job_id bigint PRIMARY KEY, planned_until timestamptz NOT NULL);
CREATE TABLE paired (execution_id bigint NOT NULL);
"""
BUSINESS = """
CREATE TABLE begun (execution_id bigint NOT NULL, attempt integer NOT NULL, at timestamptz DEFAULT clock_timestamp());
CREATE TABLE paired (execution_id bigint NOT NULL);
"""
ENQUEUE = """
INSERT INTO job_executions (handler_name, handler_params, priority, concurrency_key, concurrency_limit)
SELECT %s, %s, %s, %s, %s FROM generate_series(1, %s)
"""
CRON_JOB = """
INSERT INTO cron_jobs
    (name, cron_expression, handler_name, handler_params, overlap_policy, catch_up, catch_up_limit, jitter_seconds)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
"""
CRON_JOBS = [
    ("skips", "* * * * * *", "in_task", {"seconds": 1.4}, "skip", "latest", 100, 0),
    ("queues", "*/2 * * * * *", "in_thread", {"seconds": 0.8}, "queue", "all", 5, 0),
    ("allows", "* * * * * *", "in_task", {"seconds": 0.1}, "allow", "all", 20, 0),
    ("replaces", "* * * * * *", "in_task", {"seconds": 1.2}, "replace", "skip", 100, 0),
    ("jitters", "*/5 * * * * *", "in_process", {"seconds": 0.2}, "allow", "latest", 100, 2),
    ("fails", "*/3 * * * * *", "failing", {}, "skip", "latest", 100, 0),
]
CANCEL = """
SELECT cancel_job(id, 'not needed') FROM job_executions WHERE status IN ('PENDING', 'RUNNING') ORDER BY random() LIMIT 1
"""
RETRY = """
WITH chosen AS (
    SELECT id FROM job_executions
    WHERE status IN ('FAILED', 'TIMEOUT', 'CANCELLED') AND finished_at < job_now() - interval '1 s'
    ORDER BY random() LIMIT 1
), noted AS (INSERT INTO chaos.retried (execution_id) SELECT id FROM chosen RETURNING execution_id)
SELECT retry_job(execution_id) FROM noted
"""
PAUSE_QUEUE = "SELECT pause_queue('default', 'to see what happens', job_now() + interval '1 s')"
PAUSE_CRON = "SELECT pause_cron_job(name) FROM cron_jobs WHERE enabled ORDER BY random() LIMIT 1"
RESUME_CRON = "SELECT resume_cron_job(name) FROM cron_jobs WHERE NOT enabled ORDER BY random() LIMIT 1"
RESUME_ALL = """
UPDATE job_queues SET paused = false;
UPDATE cron_jobs SET enabled = true WHERE NOT enabled
"""
RESUMED = "SELECT bool_and(unplanned IS NULL AND next_run_at IS NOT NULL) IS NOT FALSE FROM cron_jobs"
CALM = """
WITH noted AS (
    INSERT INTO chaos.horizon SELECT id, planned_until FROM cron_jobs FOR UPDATE
    ON CONFLICT DO NOTHING RETURNING cron_job_id
) UPDATE cron_jobs SET enabled = false FROM noted WHERE id = cron_job_id
"""


Deed = Callable[[psycopg.Connection[Any]], None]


@dataclass(frozen=True, slots=True)
class Offer:
    """A kind of work: how often beside the others, and how long it may take."""

    weight: int
    handler: str
    seconds: tuple[float, float] = (0.0, 0.0)


MIXED = (
    Offer(30, "in_task", (0.0, 0.3)),
    Offer(12, "in_thread", (0.0, 0.3)),
    Offer(12, "in_process", (0.0, 0.3)),
    Offer(4, "in_task", (2.0, 5.0)),
    Offer(2, "in_thread", (2.0, 5.0)),
    Offer(2, "in_process", (2.0, 5.0)),
    Offer(10, "failing"),
    Offer(3, "hopeless"),
    Offer(2, "late_task"),
    Offer(2, "late_thread"),
    Offer(2, "late_process"),
    Offer(2, "blocking", (0.2, 2.0)),
    Offer(1, "poison"),
    Offer(2, "poison_in_process"),
    Offer(4, "unstorable"),
    Offer(10, "paired"),
)


@dataclass(slots=True)
class Workload:
    """Work and interference in an endless row. All of it is SQL that a user could type."""

    url: str
    seed: int
    offers: Sequence[Offer] = MIXED
    """None: nothing is done."""
    cron_jobs: bool = True
    _chance: Random = field(init=False)

    def __post_init__(self) -> None:
        self._chance = Random(f"work {self.seed}")

    def prepare(self, business_url: str) -> None:
        for url, tables in ((self.url, OPERATOR), (business_url, BUSINESS)):
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute(tables.encode())

    def begin(self) -> None:
        with psycopg.connect(self.url) as connection:
            for name, expression, handler, params, *policy in CRON_JOBS if self.cron_jobs else ():
                connection.execute(CRON_JOB, [name, expression, handler, Jsonb(params), *policy])

    def go_on(self, until: Event) -> None:
        """Now some rows, now a word of the operator's. An outage of the server is waited for."""
        while self.offers and not until.wait(PAUSE_SECONDS):
            try:
                with psycopg.connect(self.url, autocommit=True, application_name="operator") as connection:
                    while not until.wait(PAUSE_SECONDS):
                        self._chance.choices(*self._deeds())[0](connection)
            except psycopg.OperationalError:
                continue

    def resume(self) -> bool:
        """Let everything run that waits; the planner writes what became of the ticks in a pause when that has ended."""
        with psycopg.connect(self.url) as connection:
            connection.execute(RESUME_ALL.encode())
        return True

    def calm(self) -> bool:
        """Plan nothing more, if everything is resumed. Notes up to when ticks have been accounted for."""
        with psycopg.connect(self.url) as connection:
            resumed = connection.execute(RESUMED).fetchone() == (True,)
            if resumed:
                connection.execute(CALM.encode())
        return resumed

    def _deeds(self) -> tuple[list[Deed], list[int]]:
        """What is done next, and how often each of it."""
        deeds: list[Deed] = [self._enqueue]
        weights = [60]
        if self.cron_jobs:
            deeds += map(_run, (CANCEL, RETRY, PAUSE_QUEUE, PAUSE_CRON, RESUME_CRON))
            weights += [6, 6, 1, 1, 3]
        return deeds, weights

    def _enqueue(self, connection: psycopg.Connection[Any]) -> None:
        offer = self._chance.choices(self.offers, [offer.weight for offer in self.offers])[0]
        params = Jsonb({"seconds": round(self._chance.uniform(*offer.seconds), 3)})
        key = self._chance.choice([None, None, None, "a", "b"]) if self.cron_jobs else None
        limit = None if key is None else 2
        count = self._chance.randint(1, 3)
        connection.execute(ENQUEUE, [offer.handler, params, self._chance.randint(-2, 2), key, limit, count])


def _run(statement: str) -> Deed:
    def deed(connection: psycopg.Connection[Any]) -> None:
        connection.execute(statement.encode())

    return deed


def enqueue(connection: psycopg.Connection[Any], handler: str, params: Mapping[str, float], count: int) -> None:
    connection.execute(ENQUEUE, [handler, Jsonb(dict(params)), 9, None, None, count])
