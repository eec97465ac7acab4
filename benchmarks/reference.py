"""The reference loop: the least that a Python worker must do which claims durably, records durably and keeps each row.

A prefetching claimer on one connection, a task per job (at most 200 at once), a completer on another connection that
flushes as soon as its last flush returned. No retries, leases, timeouts, limits or logs: what the product adds is
measured against this, in the same run on the same server.
"""

import asyncio
from collections import deque
from collections.abc import Callable

import psycopg

BATCH = 500
AT_ONCE = 200

TABLE = """
CREATE TABLE reference_jobs (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, task text NOT NULL DEFAULT 'noop',
    queue text NOT NULL DEFAULT 'default', priority integer NOT NULL DEFAULT 0, status text NOT NULL DEFAULT 'pending',
    scheduled_at timestamptz NOT NULL DEFAULT now(), attempt integer NOT NULL DEFAULT 0,
    payload jsonb NOT NULL DEFAULT '{}', claimed_by text, started_at timestamptz, finished_at timestamptz, result jsonb,
    error text);
CREATE INDEX reference_jobs_claim ON reference_jobs (queue, priority DESC, scheduled_at, id) WHERE status = 'pending';
"""
FILL = "INSERT INTO reference_jobs (task) SELECT 'noop' FROM generate_series(1, %s)"
FILL_NUMBERED = (
    "INSERT INTO reference_jobs (payload) SELECT jsonb_build_object('number', n) FROM generate_series(1, %s) AS n"
)
PUT = """
WITH put AS (INSERT INTO reference_jobs (payload) VALUES (jsonb_build_object('number', %s::integer)) RETURNING id)
SELECT pg_notify('reference_jobs', '') FROM put"""
CLAIM = """
UPDATE reference_jobs
SET status = 'running', claimed_by = 'reference', started_at = clock_timestamp(), attempt = attempt + 1
WHERE id = ANY(ARRAY(SELECT id FROM reference_jobs
                     WHERE queue = 'default' AND status = 'pending' AND scheduled_at <= now()
                     ORDER BY priority DESC, scheduled_at, id LIMIT %s FOR UPDATE SKIP LOCKED))
RETURNING id, task, payload, attempt"""
COMPLETE = """
UPDATE reference_jobs j SET status = 'success', finished_at = clock_timestamp(), result = u.result::jsonb
FROM unnest((SELECT %s::bigint[]), (SELECT %s::text[])) u (id, result)
WHERE j.id = u.id AND j.claimed_by = 'reference' AND j.status || '' = 'running'"""


async def drain(url: str, hit: Callable[[], None] | None = None) -> None:
    """Work off everything in `reference_jobs`, then return; `hit` is called in each handler."""
    async with (
        await psycopg.AsyncConnection.connect(url, autocommit=True, prepare_threshold=0) as claims,
        await psycopg.AsyncConnection.connect(url, autocommit=True, prepare_threshold=0) as settles,
    ):
        loop = _Loop(claims, settles, hit)
        await asyncio.gather(loop.claim(), loop.complete())


class _Loop:
    def __init__(
        self,
        claims: psycopg.AsyncConnection[tuple[object, ...]],
        settles: psycopg.AsyncConnection[tuple[object, ...]],
        hit: Callable[[], None] | None,
    ) -> None:
        self.claims, self.settles, self.hit = claims, settles, hit
        self.waiting: deque[tuple[object, ...]] = deque()
        self.finished: list[object] = []
        self.running = 0
        self.empty = False
        self.room, self.some = asyncio.Event(), asyncio.Event()
        self.room.set()
        self.tasks: set[asyncio.Task[None]] = set()

    async def claim(self) -> None:
        while True:
            await self.room.wait()
            rows = await (await self.claims.execute(CLAIM, (BATCH,))).fetchall()
            if not rows:
                self.empty = True
                self.some.set()
                return
            self.waiting.extend(rows)
            if len(self.waiting) >= BATCH:
                self.room.clear()
            self.start()

    def start(self) -> None:
        loop = asyncio.get_running_loop()
        while self.waiting and self.running < AT_ONCE:
            self.running += 1
            task = loop.create_task(self.run(self.waiting.popleft()))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)
        if len(self.waiting) < BATCH:
            self.room.set()

    async def run(self, row: tuple[object, ...]) -> None:
        await self.handle(row[2])
        self.running -= 1
        self.finished.append(row[0])
        self.some.set()
        if self.waiting:
            self.start()

    async def handle(self, payload: object) -> None:
        if self.hit:
            self.hit()

    async def complete(self) -> None:
        while not (self.empty and not self.running and not self.waiting and not self.finished):
            await self.some.wait()
            self.some.clear()
            batch, self.finished = self.finished[:1000], self.finished[1000:]
            if batch:
                await self.settles.execute(COMPLETE, (batch, ["null"] * len(batch)))
                if self.finished:
                    self.some.set()
