"""A worker gathers executions of a batch handler, runs them in one slot, and settles each by itself."""

import asyncio
from collections.abc import Callable
from typing import Any

from scheduler.handlers import current_batch
from scheduler.model import Status
from scheduler.services.options import WorkerOptions
from tests.lifecycle.handlers import PATIENCE_SECONDS
from tests.services.line import eventually, with_options, working
from tests.store.tables import Tables


class Batches:
    """Remembers what it was given at a time; waits in each call while it is closed."""

    def __init__(self) -> None:
        self.given: list[list[int]] = []
        self.open = asyncio.Event()
        self.open.set()
        self.news = asyncio.Event()
        self.inside = self.most = 0

    def handler(self, size: int, wait: float = 0.0) -> Callable[..., Any]:
        @with_options(batch_size=size, batch_wait_seconds=wait)
        async def index(batch: list[dict[str, Any]]) -> list[Any]:
            self.given.append([execution.id for execution in current_batch()])
            self.inside += 1
            self.most = max(self.most, self.inside)
            self.news.set()
            await self.open.wait()
            self.inside -= 1
            return [ValueError("not this one") if each.get("bad") else "done" for each in batch]

        return index

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not condition():
                self.news.clear()
                await self.news.wait()


async def test_what_waits_is_run_in_batches(tables: Tables) -> None:
    ids = [tables.enqueue("index") for _ in range(250)]
    batches = Batches()
    async with working(tables, index=batches.handler(100, 0.2)) as line:
        assert await line.settled(*ids) == [Status.SUCCESS] * 250
    assert sorted(id_ for given in batches.given for id_ in given) == ids
    assert max(map(len, batches.given)) == 100
    assert len(batches.given) < 250 / 20
    assert tables.column("SELECT DISTINCT result FROM job_executions") == ["done"]


async def test_the_first_waits_for_others(tables: Tables) -> None:
    """They come one by one, while it waits for as long as it may; the third fills the batch."""
    batches = Batches()
    async with working(tables, index=batches.handler(3, 60.0)) as line:
        ids = []
        for n in range(3):
            assert batches.given == []
            ids.append(tables.enqueue("index"))
            line.wakeups.ring()
            if n < 2:
                await eventually(lambda: set(ids) <= set(line.worker.slots.left()))
        await line.settled(*ids)
    assert batches.given == [ids]


async def test_nobody_waits_longer_than_was_said(tables: Tables) -> None:
    batches = Batches()
    id_ = tables.enqueue("index")
    async with working(tables, index=batches.handler(100, 0.1)) as line:
        await line.settled(id_)
    assert batches.given == [[id_]]
    assert tables.execution(id_)["result"] == "done"


async def test_only_what_failed_is_tried_again(tables: Tables) -> None:
    ids = [tables.enqueue("index", handler_params={"bad": n == 3}, max_retry=2) for n in range(6)]
    tables.execute("UPDATE job_executions SET retry_delay_seconds = 0")
    batches = Batches()
    async with working(tables, index=batches.handler(6, 1.0)) as line:
        await line.until(lambda: (ids[3], Status.FAILED) in line.statuses())
    rows = [tables.execution(id_) for id_ in ids]
    assert [row["attempt"] for row in rows] == [1, 1, 1, 2, 1, 1]
    assert [row["status"] for row in rows] == ["SUCCESS"] * 3 + ["FAILED"] + ["SUCCESS"] * 2
    assert [id_ for given in batches.given for id_ in given].count(ids[3]) == 2
    assert rows[3]["error"] == "ValueError: not this one"


async def test_a_batch_takes_one_slot(tables: Tables) -> None:
    batches = Batches()
    batches.open.clear()
    ids = [tables.enqueue("index") for _ in range(40)]
    async with working(tables, WorkerOptions(pool_size=2), index=batches.handler(10)) as line:
        await batches.until(lambda: batches.inside == 2)
        assert line.worker.slots.load == 1.0
        assert line.worker.counters().running == sum(map(len, batches.given))
        batches.open.set()
        await line.settled(*ids)
        assert line.worker.slots.load == 0.0
    assert batches.most <= 2


async def test_timeouts_that_differ_are_not_mixed(tables: Tables) -> None:
    ids = [tables.enqueue("index", timeout_seconds=seconds) for seconds in (10, 20, 10, 20)]
    batches = Batches()
    async with working(tables, index=batches.handler(2, 20.0)) as line:
        await line.settled(*ids)
    assert sorted(batches.given) == [[ids[0], ids[2]], [ids[1], ids[3]]]


async def test_a_cancel_of_one_leaves_the_others_alone(tables: Tables) -> None:
    batches = Batches()
    batches.open.clear()
    ids = [tables.enqueue("index", handler_params={"bad": n == 1}) for n in range(3)]
    async with working(tables, index=batches.handler(3, 20.0)) as line:
        await batches.until(lambda: batches.inside == 1)
        tables.value("SELECT cancel_job(%s, 'enough')", ids[1])
        (asked,) = (a for a in line.worker.slots.attempts.values() if a.claim.id == ids[1])
        await eventually(lambda: asked.context.cancelled)
        batches.open.set()
        assert await line.settled(*ids) == [Status.SUCCESS, Status.CANCELLED, Status.SUCCESS]
    assert tables.execution(ids[1])["error"] == "enough"


async def test_what_gathers_is_handed_back_at_a_shutdown(tables: Tables) -> None:
    batches = Batches()
    ids = [tables.enqueue("index") for _ in range(3)]
    async with working(tables, index=batches.handler(100, 60.0)) as line:
        await eventually(lambda: line.worker.slots.left() == ids)
        assert await line.worker.drain(0) == []
    assert batches.given == []
    rows = [tables.execution(id_) for id_ in ids]
    assert {(row["status"], row["retry_count"]) for row in rows} == {("PENDING", 0)}


async def test_other_handlers_of_the_queue_run_beside_it(tables: Tables) -> None:
    async def single(params: dict[str, Any]) -> str:
        return "alone"

    ids = [tables.enqueue("index" if n % 2 else "single") for n in range(40)]
    batches = Batches()
    async with working(tables, index=batches.handler(5, 0.05), single=single) as line:
        assert await line.settled(*ids) == [Status.SUCCESS] * 40
    assert tables.value("SELECT count(*) FROM job_executions WHERE result = '\"alone\"'") == 20
