"""A backlog of some size, and how the server would go about a statement on it."""

import re
import time
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, Self
from uuid import uuid4

import psycopg
from psycopg import sql

from scheduler.store.executions import LEVELS, NO_BOUND
from scheduler.store.statements import statements

_PARAMETER = re.compile(r"%\((\w+)\)s")

FILL = """
    ALTER TABLE job_executions SET (autovacuum_enabled = false);
    ALTER TABLE cron_jobs SET (autovacuum_enabled = false);
    INSERT INTO job_executions (handler_name, priority, available_at)
        SELECT 'work', n % 3 - 1, job_now() - interval '1 hour' + n * interval '1 ms'
        FROM generate_series(1, {rows}) AS n;
    INSERT INTO job_executions (handler_name, priority, available_at)
        SELECT 'work', n % 19 - 9, job_now() + interval '1 hour' + n * interval '1 s'
        FROM generate_series(1, {rows}) AS n;
    INSERT INTO job_executions (handler_name, status, available_at, claimed_by, claim_token, attempt, started_at,
                                finished_at)
        SELECT 'work', (ARRAY['SUCCESS', 'FAILED'])[n % 2 + 1], job_now() - interval '2 hours', gen_random_uuid(),
               gen_random_uuid(), 1, job_now(), job_now()
        FROM generate_series(1, {rows}) AS n;
    INSERT INTO job_executions (handler_name, concurrency_key, priority)
        SELECT 'work', 'key ' || n % 100, 2 FROM generate_series(1, {rows} / 20) AS n;
    INSERT INTO job_messages (source, message_id) SELECT 'orders', 'old ' || n FROM generate_series(1, {rows}) AS n;
    INSERT INTO cron_jobs (name, handler_name, cron_expression)
        SELECT 'job ' || n, 'work', '@hourly' FROM generate_series(1, {rows} / 4) AS n;
    UPDATE cron_jobs SET planned_until = job_now() - interval '1 s',
                         next_run_at = job_now() + interval '1 hour' - id * interval '1 ms';
    UPDATE cron_jobs SET planned_until = job_now() - interval '2 s', next_run_at = job_now() - interval '1 s'
        WHERE id <= 20;
"""
RUN = """
    UPDATE job_executions
    SET status = 'RUNNING', claimed_by = %s, claim_token = %s, started_at = job_now(), attempt = 1, max_retry = 3
    WHERE id IN (SELECT id FROM job_executions
                 WHERE status = 'PENDING' AND available_at <= job_now() ORDER BY id LIMIT %s)
    RETURNING id
"""


class Node(NamedTuple):
    """A node of a plan: what it does, on what, through which index."""

    kind: str
    relation: str
    through: str
    children: tuple["Node", ...]

    @classmethod
    def of(cls, plan: Mapping[str, Any]) -> Self:
        children = tuple(cls.of(child) for child in plan.get("Plans", ()))
        return cls(plan["Node Type"], plan.get("Relation Name", ""), plan.get("Index Name", ""), children)

    def walk(self) -> Iterator["Node"]:
        yield self
        for child in self.children:
            yield from child.walk()

    def indexes(self) -> set[str]:
        return {node.through for node in self.walk() if node.through}

    def read_whole(self) -> set[str]:
        """The tables that are read from one end to the other."""
        return {node.relation for node in self.walk() if node.kind == "Seq Scan"}


class Explained(NamedTuple):
    shape: Node
    buffers: int
    """Pages touched; 0 unless it was carried out."""


def explain(
    connection: psycopg.Connection, text: str, values: Mapping[str, Any], *, mode: str = "custom", run: bool = False
) -> Explained:
    """The plan of a statement as written in queries.sql, custom or generic; carried out and rolled back if `run`."""
    names = list(dict.fromkeys(_PARAMETER.findall(text)))
    numbered = _PARAMETER.sub(lambda match: f"${names.index(match[1]) + 1}", text)
    with connection.transaction(force_rollback=True):
        connection.execute(f"SET LOCAL plan_cache_mode = force_{mode}_plan".encode())
        name = sql.Identifier(f"plan_{uuid4().hex}")
        connection.execute(sql.SQL("PREPARE {} AS ").format(name) + sql.SQL(numbered))
        options = sql.SQL("ANALYZE, BUFFERS, " if run else "")
        given = sql.SQL(", ").join(sql.Literal(values[each]) for each in names)
        asked = sql.SQL("EXPLAIN ({}FORMAT JSON) EXECUTE {}").format(options, name)
        if names:
            asked += sql.SQL("({})").format(given)
        found = connection.execute(asked).fetchone()
    assert found is not None
    plan = found[0][0]["Plan"]
    return Explained(Node.of(plan), plan.get("Shared Hit Blocks", 0) + plan.get("Shared Read Blocks", 0))


def statement(name: str) -> str:
    return statements("public")[name].decode()


def usual_values(connection: psycopg.Connection) -> dict[str, Any]:
    """A value for each parameter that the line's statements have, of a worker with 500 running rows and a lease."""
    worker, token = uuid4(), uuid4()
    connection.execute(
        "INSERT INTO job_workers (id, name, lease_until) VALUES (%s, 'test', job_now() + interval '1 day')", [worker]
    )
    ids = [row[0] for row in connection.execute(RUN, [worker, token, 500]).fetchall()]
    keyed = connection.execute(
        "SELECT id, concurrency_key FROM job_executions WHERE concurrency_key IS NOT NULL LIMIT 20"
    ).fetchall()
    many = len(ids)
    return {
        "worker": worker, "token": uuid4(), "queue": "default", "queues": ["default", "other"], "n": 500, "since": 0.01,
        "levels": LEVELS, "bounds": NO_BOUND, "policies": "{}",
        "no_keys": True,
        "ids": ids, "tokens": [token] * many, "claims": [1] * many, "seconds": [0.1] * many, "results": ["1"] * many,
        "statuses": ["PENDING"] * many, "retry_counts": [1] * many, "delays": [2.0] * many, "suspects": [False] * many,
        "errors": ["e"] * many, "entries": ["{}"] * many, "attempts": [1] * many,
        "keyed_ids": [row[0] for row in keyed], "keys": [row[1] for row in keyed], "limits": [1] * len(keyed),
        "progresses": [0.5] * many, "messages": [""] * many, "id": ids[0], "attempt": 1, "delay": 0.0,
        "now": time.time(), "until": time.time(), "aging": 60.0, "level": 0,
        "above": 0, "top": 2**62, "below": 2**62, "look": 5000, "forever_days": None, "left": "{}",
        "cron_job_ids": [], "first": 0, "last": 9, "of_queue": True, "name": "default",
        "status_days": "{}", "queue_days": "{}", "cron_days": "{}",
        "key": "key 7", "prefetch": 1000, "source": "orders", "handler": "work", "concurrency": 4, "room": 500,
        "message_ids": [f"m{n}" for n in range(500)], "params": ["{}"] * 500,
        "status_bounds": "{}", "queue_bounds": "{}", "cron_bounds": "{}",
    }  # fmt: skip
