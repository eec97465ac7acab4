"""The rescuer judges by state, and only after its own view has been steady."""

from collections.abc import Callable

import psycopg
import pytest

from scheduler.lifecycle.settle import Settler
from scheduler.services import rescuer as rescuer_module
from scheduler.services.rescuer import Rescuer
from scheduler.services.wakeups import Wakeups
from scheduler.store.executions import Executions
from scheduler.store.session import Session
from tests.store.fixtures import MakeSession
from tests.store.tables import Events, Tables, claim, success

Arm = Callable[[str, Callable[[], None]], None]


class Clock:
    """The monotonic clock, when the test says so."""

    def __init__(self) -> None:
        self.time = 1000.0

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(rescuer_module, "monotonic", clock)
    monkeypatch.setattr(rescuer_module, "ROUND_SECONDS", 0.0)
    return clock


@pytest.fixture
def rescuer(session: Session, clock: Clock) -> Rescuer:
    return Rescuer(session, Wakeups(), steady_seconds=10.0)


def late(tables: Tables) -> int:
    """An execution whose worker's lease is over."""
    return tables.running(tables.worker(lease=-1.0, age=30.0))[0]


async def pass_time(tables: Tables, clock: Clock, seconds: float) -> None:
    """For the process and for the database alike."""
    clock.time += seconds
    tables.move_clock(seconds)


def status(tables: Tables, id_: int) -> str:
    found = tables.execution(id_)["status"]
    assert isinstance(found, str)
    return found


async def test_it_judges_after_a_steady_interval(tables: Tables, rescuer: Rescuer, clock: Clock) -> None:
    id_ = late(tables)
    for _ in range(4):
        await rescuer.round()
        assert status(tables, id_) == "RUNNING"
        await pass_time(tables, clock, 3.0)
    await rescuer.round()
    assert status(tables, id_) == "PENDING"


@pytest.mark.parametrize("jump", [-7200.0, -3.0, 3.0, 7200.0])
async def test_a_jump_of_the_databases_clock_begins_the_interval_anew(
    tables: Tables, rescuer: Rescuer, clock: Clock, jump: float
) -> None:
    await rescuer.round()
    await pass_time(tables, clock, 9.9)
    id_ = late(tables)
    tables.move_clock(jump)
    for _ in range(3):
        await pass_time(tables, clock, 3.0)
        await rescuer.round()
        assert status(tables, id_) == "RUNNING"
    await pass_time(tables, clock, 5.0)
    tables.execute("UPDATE job_workers SET lease_until = job_now() - interval '1 s'")
    await rescuer.round()
    assert status(tables, id_) == "PENDING"


async def test_a_lost_connection_begins_the_interval_anew(
    tables: Tables, session: Session, rescuer: Rescuer, clock: Clock
) -> None:
    await rescuer.round()
    await pass_time(tables, clock, 20.0)
    id_ = late(tables)
    await session.close()
    await rescuer.round()
    assert status(tables, id_) == "RUNNING"
    await pass_time(tables, clock, 10.0)
    await rescuer.round()
    assert status(tables, id_) == "PENDING"


async def test_workers_with_a_lease_keep_what_they_have(tables: Tables, rescuer: Rescuer) -> None:
    ids = [tables.running(tables.worker())[0], tables.running(tables.worker(status="DRAINING"))[0]]
    assert await rescuer.rescue() == 0
    assert [status(tables, id_) for id_ in ids] == ["RUNNING", "RUNNING"]


async def test_it_says_whom_and_what_it_found_and_wakes_the_worker_next_to_it(
    tables: Tables, rescuer: Rescuer, events: Events
) -> None:
    ids = [late(tables) for _ in range(3)]
    bell = rescuer.wakeups.bell()
    assert await rescuer.rescue() == 3
    assert await bell.wait(0)
    assert events.of("rescuer.rescued") == [{"count": 3, "ids": ", ".join(map(str, ids))}]
    assert events.of("rescuer.workers_lost")[0]["workers"].count("test (") == 3
    events.clear()
    assert await rescuer.rescue() == 0
    assert not await bell.wait(0)
    assert events == []


async def test_more_than_a_batch_is_rescued_at_once(
    tables: Tables, rescuer: Rescuer, events: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rescuer_module, "BATCH", 10)
    lost = tables.worker(status="LOST")
    ids = [tables.running(lost)[0] for _ in range(25)]
    assert await rescuer.rescue() == 25
    assert [values["count"] for values in events.of("rescuer.rescued")] == [10, 10, 5]
    assert {status(tables, id_) for id_ in ids} == {"PENDING"}


async def test_what_is_settled_between_the_look_and_the_rescue_stays_settled(
    tables: Tables, rescuer: Rescuer, make_session: MakeSession, armed: Arm
) -> None:
    worker = tables.worker(lease=-1.0, age=30.0)
    id_, token = tables.running(worker)
    hits = []

    def complete() -> None:
        hits.append(tables.value("SELECT status FROM job_workers"))
        assert tables.value("SELECT complete_job(%s, %s, '1')", id_, token)

    armed("before_rescue", complete)
    assert await rescuer.rescue() == 0
    assert hits == ["LOST"]
    assert status(tables, id_) == "SUCCESS"
    heard = list[object]()
    settler = Settler(Executions(make_session()), heard.extend)
    settler.put(claim(id=id_, token=token), success("2"))
    await settler.flush()
    assert tables.execution(id_)["result"] == 1


async def test_what_is_being_settled_is_left_alone(tables: Tables, rescuer: Rescuer) -> None:
    id_, token = tables.running(tables.worker(status="LOST"))
    with psycopg.connect(tables.url) as settling:
        settling.execute("SELECT complete_job(%s, %s, '1')", [id_, token])
        assert await rescuer.rescue() == 0
    assert status(tables, id_) == "SUCCESS"
