"""The end of a worker: short work finishes, the rest is handed back, and nothing keeps it for long."""

import asyncio
from collections.abc import Sequence

import psycopg
import pytest

from scheduler.clock import monotonic
from scheduler.model import Claim, Status
from scheduler.services import worker as worker_module
from scheduler.services.options import WorkerOptions
from tests.lifecycle.handlers import Gate, Stubborn, forever
from tests.services.line import LOOPS, eventually, working
from tests.store.tables import Events, Tables


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_module, "INTERRUPT_SECONDS", 0.2)


async def test_short_ones_finish_and_long_ones_are_handed_back(tables: Tables, events: Events) -> None:
    short = Gate()
    shorts, longs = [tables.enqueue("short") for _ in range(2)], [tables.enqueue("long") for _ in range(2)]
    async with working(tables, short=short.handler(), long=forever) as line:
        await short.until(lambda: short.inside == 2)
        await eventually(lambda: line.worker.counters().running == 4)
        draining = asyncio.create_task(line.worker.drain(0.1))
        await line.worker._claims_ended.wait()  # one was perhaps under way
        late = tables.enqueue("short")
        short.open.set()
        assert await draining == []
        assert await line.settled(*shorts, *longs) == [Status.SUCCESS] * 2 + [Status.PENDING] * 2
    for id_ in longs:
        row = tables.execution(id_)
        assert (row["claim_token"], row["claimed_by"], row["retry_count"], row["attempt"]) == (None, None, 0, 1)
        assert row["available_at"] <= tables.now()
    assert tables.execution(late)["attempt"] == 0
    assert [values["ids"] for values in events.of("worker.handed_back")] == [", ".join(map(str, longs))]


async def test_a_handler_that_looks_finishes_early(tables: Tables) -> None:
    gate = Gate()
    id_ = tables.enqueue()
    async with working(tables, work=gate.handler()) as line:
        await gate.until(lambda: gate.inside == 1)
        draining = asyncio.create_task(line.worker.drain(60.0))
        (attempt,) = line.worker.slots.attempts.values()
        await eventually(lambda: attempt.context.cancelled)
        gate.open.set()
        assert await draining == []
    assert attempt.context.cancel_reason == "the worker shuts down"
    assert tables.execution(id_)["status"] == "SUCCESS"


async def test_what_had_not_begun_is_handed_back_at_once(tables: Tables) -> None:
    gate = Gate()
    async with working(tables, WorkerOptions(pool_size=1), work=gate.handler()) as line:
        line.worker.slots.mean_seconds = 1e-3  # it claims ahead
        ids = [tables.enqueue() for _ in range(5)]
        line.wakeups.ring()
        await eventually(lambda: tables.column("SELECT status FROM job_executions") == ["RUNNING"] * 5)
        await gate.until(lambda: gate.inside == 1)
        draining = asyncio.create_task(line.worker.drain(60.0))
        await eventually(lambda: tables.column("SELECT status FROM job_executions ORDER BY id")[1:] == ["PENDING"] * 4)
        gate.open.set()
        assert await draining == []
    assert gate.begun == ids[:1]
    assert sorted(line.worker.slots.handed_back) == ids[1:]


async def test_one_that_will_not_stop_is_handed_back_and_named(tables: Tables) -> None:
    stubborn = Stubborn()
    id_ = tables.enqueue()
    async with working(tables, work=stubborn.handler()) as line:
        await stubborn.begun.wait()
        before = monotonic()
        assert await line.worker.drain(0.05) == [id_]
        assert monotonic() - before < 0.05 + 10
        assert tables.execution(id_)["status"] == "PENDING"
        stubborn.let_go.set()


async def test_a_second_signal_interrupts_at_once(tables: Tables) -> None:
    id_ = tables.enqueue()
    async with working(tables, work=forever) as line:
        await eventually(lambda: line.worker.counters().running == 1)
        draining = asyncio.create_task(line.worker.drain(3600.0))
        await eventually(lambda: line.worker.slots.closed)
        line.worker.hurry()
        assert await draining == []
        assert await line.settled(id_) == [Status.PENDING]


async def test_an_idle_worker_and_one_without_queues_end_at_once(tables: Tables) -> None:
    async with working(tables) as line:
        assert await asyncio.wait_for(line.worker.drain(3600.0), 5.0) == []
    async with working(tables, WorkerOptions(queues=()), loops=("pulse",)) as line:
        assert await asyncio.wait_for(line.worker.drain(3600.0), 5.0) == []


async def test_an_outcome_that_can_not_be_written_keeps_nobody(tables: Tables) -> None:
    gate = Gate()
    id_ = tables.enqueue()
    without_settle = [name for name in LOOPS if name != "settle"]
    async with working(tables, loops=without_settle, work=gate.handler()) as line:
        await gate.until(lambda: gate.inside == 1)
        gate.open.set()
        assert await asyncio.wait_for(line.worker.drain(60.0), 5.0) == [id_]
    assert tables.execution(id_)["status"] == "RUNNING"  # the rescuer's


async def test_what_may_have_been_handed_back_is_never_begun(tables: Tables, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate()
    async with working(tables, WorkerOptions(pool_size=1), work=gate.handler()) as line:
        executions, lost = line.worker.upkeep.executions, list[int]()
        release = executions.release

        async def lose_the_answer(claims: Sequence[Claim]) -> set[int]:
            found = await release(claims)
            if not lost:
                lost.extend(found)
                raise psycopg.OperationalError("the connection is lost")
            return found

        monkeypatch.setattr(executions, "release", lose_the_answer)
        line.worker.slots.mean_seconds = 1e-3
        ids = [tables.enqueue() for _ in range(4)]
        line.wakeups.ring()
        await gate.until(lambda: gate.inside == 1)
        await eventually(lambda: tables.column("SELECT status FROM job_executions") == ["RUNNING"] * 4)
        tables.execute("SELECT pause_queue('default')")
        with pytest.raises(psycopg.OperationalError):
            await line.worker.upkeep.return_waiting()
        assert sorted(lost) == ids[1:]
        gate.open.set()
        await line.settled(ids[0])
        await line.worker.upkeep.return_waiting()
        assert await line.worker.drain(60.0) == []
    assert gate.begun == ids[:1]
    assert {row[0] for row in tables.rows("SELECT attempt FROM job_executions")} == {1}
