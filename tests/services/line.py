"""A worker at work: its loops over real tables, and ways to wait for what it does."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Unpack
from uuid import UUID

from scheduler.handlers import HandlerOptions, HandlerRegistry, declare
from scheduler.isolation import Isolation
from scheduler.isolation.task import TaskIsolation
from scheduler.isolation.thread import ThreadIsolation
from scheduler.lifecycle.settle import Settled
from scheduler.model import Status
from scheduler.services.execution_log import ExecutionLog
from scheduler.services.listener import Listener
from scheduler.services.loop import Loop
from scheduler.services.options import WorkerOptions
from scheduler.services.wakeups import Wakeups
from scheduler.services.worker import Worker
from scheduler.store.executions import Executions
from scheduler.store.notifications import Notifications
from scheduler.store.session import Session
from scheduler.store.workers import Workers
from tests.store.tables import Tables

PATIENCE_SECONDS = 40.0
LOOPS = ("claim", "settle", "watch", "pulse")


class Recorder(ExecutionLog):
    """Hears of every settled execution, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[Settled] = []
        self.news = asyncio.Event()

    def settled(self, batch: Sequence[Settled]) -> None:
        super().settled(batch)
        self.heard += batch
        self.news.set()


class Line:
    def __init__(self, tables: Tables, worker: Worker, wakeups: Wakeups) -> None:
        self.tables, self.worker, self.wakeups = tables, worker, wakeups
        self.recorder = Recorder()
        worker.log = self.recorder
        self.id: UUID | None = None

    def begin_lease(self) -> UUID:
        """Register a worker, as the heartbeat would."""
        self.id = self.tables.worker()
        self.worker.lease_begins(self.id)
        return self.id

    def statuses(self) -> list[tuple[int, Status | None]]:
        return [(settled.claim.id, settled.status) for settled in self.recorder.heard]

    async def settled(self, *ids: int) -> list[Status | None]:
        """Wait until all of these are settled once; their statuses then."""
        await self.until(lambda: set(ids) <= {id_ for id_, _ in self.statuses()})
        found = dict(reversed(self.statuses()))
        return [found[id_] for id_ in ids]

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until it holds, looking whenever something was settled or began or ended."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not condition():
                self.recorder.news.clear()
                await self.recorder.news.wait()


async def eventually(condition: Callable[[], bool]) -> None:
    """Wait until it holds of what announces nothing, such as a row."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not condition():  # noqa: ASYNC110 - there is no event
            await asyncio.sleep(0.002)


def with_options(**options: Unpack[HandlerOptions]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """What `@handler` would be given for this handler."""

    def note(function: Callable[..., Any]) -> Callable[..., Any]:
        function.options = options  # type: ignore[attr-defined]
        return function

    return note


def registry(**handlers: Callable[..., Any]) -> HandlerRegistry:
    return HandlerRegistry(
        [
            declare(name, function, "here", getattr(function, "options", HandlerOptions()))
            for name, function in handlers.items()
        ]
    )


@asynccontextmanager
async def working(
    tables: Tables,
    options: WorkerOptions | None = None,
    *,
    loops: Sequence[str] = LOOPS,
    listens_at: str | None = None,
    **handlers: Callable[..., Any],
) -> AsyncIterator[Line]:
    """A worker with a lease and its loops; whatever still runs at the end is cancelled.

    `listens_at`: another way to the database, for the loop `listen` alone.
    """
    options = options or WorkerOptions()
    sessions = [Session(tables.url, "public", "scheduler test") for _ in range(3)]
    claims, settles, upkeep = map(Executions, sessions)
    wakeups, notifications = Wakeups(), Notifications(listens_at or tables.url, "public")
    isolations: dict[str, Isolation] = {"task": TaskIsolation(), "thread": ThreadIsolation(options.pool_size)}
    worker = Worker(
        options, claims=claims, settles=settles, upkeep=upkeep, workers=Workers(sessions[0]),
        handlers=registry(**handlers), isolations=isolations, wakeups=wakeups, policies="{}",
    )  # fmt: skip
    line = Line(tables, worker, wakeups)
    bodies = {
        "claim": worker.claim_round, "settle": worker.settle_round, "watch": worker.watch_round,
        "pulse": worker.pulse_round, "listen": Listener(notifications, wakeups).round,
    }  # fmt: skip
    before = asyncio.all_tasks()
    tasks = [asyncio.create_task(Loop(name, bodies[name], sleeps=1.0).forever()) for name in loops]
    line.begin_lease()
    try:
        yield line
    finally:
        worker.slots.closed = True  # or each attempt that is cancelled makes room for another
        left = [*tasks, *(asyncio.all_tasks() - before - set(tasks))]
        for task in left:
            task.cancel()
        await asyncio.wait(left, timeout=PATIENCE_SECONDS)
        for isolation in isolations.values():
            await isolation.close(PATIENCE_SECONDS)
        await notifications.close()
        for session in sessions:
            await session.close()
