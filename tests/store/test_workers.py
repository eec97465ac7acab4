"""Statements on workers: leases, and who is lost."""

import asyncio
from collections.abc import Iterator
from uuid import UUID, uuid4

import pytest

from scheduler.model import LoopAge, WorkerStatus
from scheduler.store.session import Session, SyncSession
from scheduler.store.workers import Counters, OwnWorker, Registration, Workers
from tests.store.tables import Tables

LOOPS = {"claim": LoopAge(1.26, 15.0), "settle": LoopAge(31.0, 15.0)}


@pytest.fixture
def own(tables: Tables) -> Iterator[OwnWorker]:
    session = SyncSession(tables.url, "public", "scheduler test")
    yield OwnWorker(session)
    session.close()


def registration(worker: UUID, lease: float = 30.0) -> Registration:
    return Registration(worker, "host:1", "host", 1, ("default",), 5, lease, "0.1")


def status(tables: Tables, worker: UUID) -> str:
    found = tables.value("SELECT status FROM job_workers WHERE id = %s", worker)
    assert isinstance(found, str)
    return found


async def test_whose_lease_ran_out_is_lost(tables: Tables, session: Session) -> None:
    alive, draining = tables.worker(), tables.worker(status="DRAINING")
    late, stopped = tables.worker(lease=-0.01, age=30.0), tables.worker(status="STOPPED", lease=-1.0, age=30.0)
    assert await Workers(session).mark_lost() == [(late, "test")]
    assert [status(tables, worker) for worker in (alive, draining, late, stopped)] == [
        "ACTIVE", "DRAINING", "LOST", "STOPPED",
    ]  # fmt: skip
    assert await Workers(session).mark_lost() == []


@pytest.mark.parametrize(("seconds", "lost"), [(1.0, False), (3600.0, True)])
async def test_a_clock_set_back_a_little_makes_nobody_look_dead(
    tables: Tables, session: Session, seconds: float, lost: bool
) -> None:
    worker = tables.worker(lease=30.0)
    tables.move_clock(-seconds)
    assert await Workers(session).mark_lost() == ([(worker, "test")] if lost else [])


async def test_a_heartbeat_at_the_same_moment_keeps_the_lease(tables: Tables, session: Session) -> None:
    worker = tables.worker(lease=-0.01, age=30.0)
    pid = (await session.connection()).info.backend_pid
    with tables.connection.transaction(), Tables(tables.url) as other:
        tables.execute("SELECT heartbeat_worker(%s)", worker)
        marking = asyncio.create_task(Workers(session).mark_lost())
        await asyncio.to_thread(other.wait_until_blocked, pid)
    assert await marking == []
    assert status(tables, worker) == "ACTIVE"


def test_a_worker_registers_renews_and_leaves(tables: Tables, own: OwnWorker) -> None:
    worker = uuid4()
    own.register(registration(worker))
    row = tables.rows("SELECT name, queues, pool_size, status FROM job_workers WHERE id = %s", worker)
    assert row == [("host:1", ["default"], 5, "ACTIVE")]
    tables.move_clock(20)
    assert own.heartbeat(worker, 30.0, WorkerStatus.DRAINING, Counters(running=1, succeeded=2, failed=3), LOOPS)
    (found,) = tables.rows(
        """SELECT status, running_count, succeeded_count, failed_count,
                  round(extract(epoch FROM lease_until - job_now()))
           FROM job_workers WHERE id = %s""",
        worker,
    )
    assert found == ("DRAINING", 1, 2, 3, 30)
    (loops,) = tables.rows("SELECT loops, stalled FROM job_worker_status WHERE id = %s", worker)
    assert loops == ({"claim": {"age": 1.3, "limit": 15.0}, "settle": {"age": 31.0, "limit": 15.0}}, {"settle": 31.0})
    tables.execute("UPDATE job_workers SET status = 'LOST' WHERE id = %s", worker)
    assert tables.rows("SELECT stalled FROM job_worker_status WHERE id = %s", worker) == [({},)]
    tables.execute("UPDATE job_workers SET status = 'DRAINING' WHERE id = %s", worker)
    own.leave(worker, WorkerStatus.STOPPED, Counters(running=1, succeeded=5))
    (found,) = tables.rows("SELECT status, running_count, succeeded_count FROM job_workers WHERE id = %s", worker)
    assert found == ("STOPPED", 0, 5)


@pytest.mark.parametrize("final", ["LOST", "STOPPED"])
def test_what_is_over_stays_over(tables: Tables, own: OwnWorker, final: str) -> None:
    worker = tables.worker(status=final)
    assert not own.heartbeat(worker, 30.0, WorkerStatus.ACTIVE, Counters(), LOOPS)
    own.leave(worker, WorkerStatus.STOPPED, Counters())
    assert status(tables, worker) == final


def test_a_worker_that_is_late_but_not_lost_renews_its_lease(tables: Tables, own: OwnWorker) -> None:
    worker = tables.worker(lease=-5.0, age=40.0)
    assert own.heartbeat(worker, 30.0, WorkerStatus.ACTIVE, Counters(), LOOPS)


def test_what_a_worker_holds(tables: Tables, own: OwnWorker) -> None:
    worker = tables.worker()
    mine, second = tables.running(worker), tables.running(worker)
    tables.running(tables.worker())
    tables.enqueue()
    assert own.held(worker) == {mine, second}
    assert own.release([mine, (second[0], uuid4())]) == [mine[0]]
    assert own.held(worker) == {second}
