"""The worker keeps its slots full, runs what it claims, and has every outcome settled."""

import asyncio
from itertools import pairwise

import pytest

from scheduler.clock import monotonic
from scheduler.handlers import current_execution
from scheduler.model import Status
from scheduler.services import slots as slots_module
from scheduler.services import worker as worker_module
from scheduler.services.options import WorkerOptions
from tests.lifecycle.handlers import Gate, Stubborn, forever
from tests.services.line import PATIENCE_SECONDS, eventually, working
from tests.store.tables import Events, Tables

ASLEEP = "SELECT coalesce(bool_or(wake_until > job_now()), false) FROM job_workers"


async def echo(params: dict[str, object]) -> dict[str, object]:
    return params


async def test_what_waits_is_run_and_recorded(tables: Tables) -> None:
    ids = [tables.enqueue("echo", handler_params={"n": n}) for n in range(30)]
    async with working(tables, echo=echo) as line:
        assert await line.settled(*ids) == [Status.SUCCESS] * 30
    rows = [tables.execution(id_) for id_ in ids]
    assert [row["result"] for row in rows] == [{"n": n} for n in range(30)]
    assert {row["attempt"] for row in rows} == {1}
    assert line.worker.slots.succeeded == 30


@pytest.mark.parametrize("seconds", [0.02, 0.3])
async def test_a_timeout_strikes_whenever_it_was_armed(tables: Tables, seconds: float) -> None:
    gate = Gate()
    ids = [tables.enqueue(timeout_seconds=seconds, max_retry=1) for _ in range(3)]
    async with working(tables, work=gate.handler()) as line:
        assert await line.settled(*ids) == [Status.TIMEOUT] * 3
    took = tables.value("SELECT max(extract(epoch FROM finished_at - started_at)) FROM job_executions")
    assert seconds <= took < seconds + 10


async def test_all_slots_are_used_and_no_more(tables: Tables) -> None:
    gate = Gate()
    ids = [tables.enqueue() for _ in range(12)]
    async with working(tables, WorkerOptions(pool_size=4), work=gate.handler()) as line:
        await gate.until(lambda: gate.inside == 4)
        assert line.worker.counters().running == 4
        gate.open.set()
        await line.settled(*ids)
    assert gate.most == 4
    assert gate.begun == ids


async def test_work_that_turned_out_longer_than_measured_is_left_to_others(
    tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slots_module, "AHEAD_SECONDS", 0.02)
    monkeypatch.setattr(worker_module, "PULSE_SECONDS", 0.01)
    gate = Gate()
    async with working(tables, WorkerOptions(pool_size=2), echo=echo, work=gate.handler()) as line:
        await line.settled(*(tables.enqueue("echo") for _ in range(20)))
        line.worker.slots.mean_seconds = 1e-4  # as if it had measured the fastest of work
        ids = [tables.enqueue() for _ in range(10)]
        line.wakeups.ring()
        await gate.until(lambda: gate.inside == 2)
        await eventually(lambda: len(line.worker.slots.handed_back) >= 8)
        waiting = tables.column("SELECT id FROM job_executions WHERE status = 'PENDING' AND retry_count = 0")
        assert set(waiting) <= set(ids[2:])
        gate.open.set()
        assert await line.settled(*ids[:2]) == [Status.SUCCESS] * 2


async def test_an_idle_worker_is_woken_by_an_insert(tables: Tables) -> None:
    async with working(tables, loops=("claim", "settle", "listen"), echo=echo) as line:
        late = []
        for _ in range(20):
            await eventually(lambda: bool(tables.value(ASLEEP)))
            before = monotonic()
            await line.settled(tables.enqueue("echo"))
            late.append(monotonic() - before)
    assert sorted(late)[10] < 0.25  # polling alone would take seconds


async def test_a_retry_is_taken_up_when_it_is_due_though_the_worker_sleeps(tables: Tables) -> None:
    attempts = list[float]()

    async def flaky() -> None:
        attempts.append(monotonic())
        if len(attempts) < 3:
            raise ValueError("not yet")

    id_ = tables.enqueue("flaky", retry_backoff="fixed", retry_delay_seconds=0.2, max_retry=5)
    async with working(tables, WorkerOptions(poll_interval_seconds=60.0), flaky=flaky) as line:
        await line.until(lambda: (id_, Status.SUCCESS) in line.statuses())
    waits = [later - earlier for earlier, later in pairwise(attempts)]
    assert all(0.17 <= wait < 2 for wait in waits)
    assert tables.execution(id_)["retry_count"] == 2


async def test_the_next_of_a_key_follows_at_once(tables: Tables) -> None:
    gate = Gate()
    gate.open.set()
    ids = [tables.enqueue(concurrency_key="k") for _ in range(10)]
    before = monotonic()
    async with working(tables, WorkerOptions(poll_interval_seconds=60.0), work=gate.handler()) as line:
        await line.settled(*ids)
    assert monotonic() - before < 10
    assert (gate.most, gate.begun) == (1, ids)


async def test_queues_take_turns(tables: Tables) -> None:
    gate = Gate()
    gate.open.set()
    ids = [tables.enqueue(queue=queue) for queue in ("a", "b") for _ in range(3)]
    tables.enqueue(queue="c")
    async with working(
        tables,
        WorkerOptions(queues=("a", "b"), pool_size=1, claim_batch_size=1, claim_batch_max=1),
        work=gate.handler(),
    ) as line:
        await line.settled(*ids)
    first_of_b = gate.begun.index(ids[3])
    assert first_of_b < 3
    assert tables.value("SELECT status FROM job_executions WHERE queue = 'c'") == "PENDING"


async def test_cancel_stops_what_runs(tables: Tables, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_module, "PULSE_SECONDS", 0.01)
    gate = Gate()
    id_ = tables.enqueue()
    async with working(tables, work=gate.handler()) as line:
        await gate.until(lambda: gate.inside == 1)
        tables.execute("SELECT cancel_job(%s, 'enough')", id_)
        assert await line.settled(id_) == [Status.CANCELLED]
    assert tables.execution(id_)["error"] == "enough"


async def test_progress_is_written_while_it_runs(tables: Tables, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_module, "PULSE_SECONDS", 0.01)
    go_on = asyncio.Event()

    async def work() -> None:
        current_execution().progress(0.25, "a quarter")
        await go_on.wait()

    id_ = tables.enqueue()
    async with working(tables, work=work) as line:
        await eventually(lambda: tables.execution(id_)["progress"] is not None)
        go_on.set()
        await line.settled(id_)
    assert tables.rows("SELECT progress, progress_message FROM job_executions") == [(0.25, "a quarter")]


async def test_the_retry_of_an_attempt_that_will_not_stop_waits_until_it_has(
    tables: Tables, events: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "PULSE_SECONDS", 0.01)
    stubborn = Stubborn()
    id_ = tables.enqueue(timeout_seconds=0.02, retry_backoff="fixed", retry_delay_seconds=0.0)

    def wait() -> float:
        seconds = tables.execution(id_)["available_at"] - tables.now()
        return float(seconds.total_seconds())

    async with working(tables, WorkerOptions(lease_seconds=30.0), work=stubborn.handler()) as line:
        assert await line.settled(id_) == [Status.PENDING]
        assert line.worker.counters().running == 1  # its slot is taken
        assert [values["id"] for values in events.of("execution.overdue")] == [id_]
        assert wait() > 20
        tables.execute("UPDATE job_executions SET available_at = job_now() + interval '1 s'")
        await eventually(lambda: wait() > 20)  # held back again and again
        stubborn.let_go.set()
        await line.until(lambda: (id_, Status.SUCCESS) in line.statuses())
    assert tables.execution(id_)["attempt"] == 2


async def test_a_lost_lease_stops_everything_and_tells_nothing(tables: Tables, events: Events) -> None:
    begun = asyncio.Event()

    async def work() -> None:
        begun.set()
        await forever()

    id_ = tables.enqueue()
    async with working(tables, work=work, echo=echo) as line:
        await begun.wait()
        tables.execute("UPDATE job_workers SET status = 'LOST'")
        line.worker.lease_lost("it was marked LOST")
        assert line.worker.memory().running == frozenset()
        line.begin_lease()
        other = tables.enqueue("echo")
        line.wakeups.ring()
        assert await line.settled(other) == [Status.SUCCESS]
        assert line.statuses() == [(other, Status.SUCCESS)]
    assert tables.execution(id_)["status"] == "RUNNING"
    assert [values["running"] for values in events.of("worker.lease_lost")] == [1]
    assert len(events.of("execution.stale")) == 1


async def test_one_that_goes_on_after_its_lease_is_mentioned_once(tables: Tables, events: Events) -> None:
    stubborn = Stubborn()
    tables.enqueue()
    async with working(tables, work=stubborn.handler()) as line:
        await stubborn.begun.wait()
        line.worker.lease_lost("it was marked LOST")
        line.begin_lease()
        for _ in range(3):
            line.worker.claims_lost(list(line.worker.memory().running))
        assert line.worker.counters().running == 1
        stubborn.let_go.set()
    assert len(events.of("execution.stale")) == 1


async def test_found_nothing_waits_for_a_whole_look(tables: Tables) -> None:
    async with working(tables, echo=echo) as line, asyncio.timeout(PATIENCE_SECONDS):
        assert await line.worker.found_nothing()
        late = tables.enqueue("echo", available_at="2020-01-01")
        while not await line.worker.found_nothing():
            pass
        assert tables.execution(late)["status"] == "SUCCESS"
