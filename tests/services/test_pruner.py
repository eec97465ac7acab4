"""The pruner: one at a time, in small steps, and in nobody's way."""

import asyncio
import random
from collections.abc import AsyncIterator

import psycopg
import pytest

from scheduler.clock import monotonic
from scheduler.errors import RightsError
from scheduler.model import FINAL
from scheduler.rules.retention import Keep, Retention
from scheduler.services import pruner as pruner_module
from scheduler.services.loop import Loop
from scheduler.services.pruner import SLICE_SECONDS, Pruner
from scheduler.store import retention
from scheduler.store.session import Session
from tests.store.fixtures import MakeSession
from tests.store.tables import Events, Tables

RULES = Retention(statuses=dict.fromkeys(FINAL, Keep(days=7)), workers_days=7)


@pytest.fixture(autouse=True)
def without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pruner_module, "LEAST_PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(pruner_module, "IDLE", 0.0)


@pytest.fixture
def pruner(make_session: MakeSession) -> Pruner:
    return Pruner(make_session(), make_session(), RULES, interval=0.001)


@pytest.fixture
async def limited(tables: Tables) -> AsyncIterator[Session]:
    """A session of a role that may only read."""
    tables.execute("CREATE ROLE reader LOGIN PASSWORD 'reader'")
    tables.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader")
    session = Session(
        psycopg.conninfo.make_conninfo(tables.url, user="reader", password="reader"),
        "public",
        "scheduler test",
    )
    yield session
    await session.close()
    tables.execute("DROP OWNED BY reader")
    tables.execute("DROP ROLE reader")


def old(tables: Tables, count: int = 1, queue: str = "default") -> None:
    tables.execute(
        """INSERT INTO job_executions (handler_name, queue, status, created_at, finished_at)
           SELECT 'work', %s, 'SUCCESS', job_now() - interval '8 days', job_now() - interval '8 days'
           FROM generate_series(1, %s)""",
        queue,
        count,
    )


def count(tables: Tables) -> int:
    found = tables.value("SELECT count(*) FROM job_executions")
    assert isinstance(found, int)
    return found


async def test_it_deletes_what_is_over_and_tells(tables: Tables, pruner: Pruner, events: Events) -> None:
    old(tables, 3)
    old(tables, 1001, "mail")
    kept = tables.enqueue()
    tables.worker(status="LOST", age=8 * 86_400)
    await pruner.prune()
    assert tables.column("SELECT id FROM job_executions") == [kept]
    told = {"executions": 1004, "kinds": "3 SUCCESS of default, 1,001 SUCCESS of mail", "workers": 1, "messages": 0}
    assert events.of("pruner.pruned") == [told]
    await pruner.prune()
    assert len(events) == 1


async def test_it_goes_on_where_its_slice_of_time_ended(
    tables: Tables, pruner: Pruner, events: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    old(tables, 3)
    monkeypatch.setattr(retention, "BATCH", 1)
    left = []
    while not events.of("pruner.pruned"):
        await pruner.prune(0.0)
        left.append(count(tables))
    assert sorted(set(left), reverse=True) == [3, 2, 1, 0]
    assert [values["executions"] for values in events.of("pruner.pruned")] == [3]


async def test_one_process_at_a_time(tables: Tables, pruner: Pruner, make_session: MakeSession) -> None:
    old(tables)
    async with make_session().transaction() as other:
        assert await other.run("prune_turn", {}) == [(True,)]
        assert await pruner.prune() is None
        assert count(tables) == 1
    assert await pruner.prune() is not None
    assert count(tables) == 0


async def test_it_keeps_no_vacuum_waiting_between_its_steps(
    tables: Tables, pruner: Pruner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor holds it a lock on a row: each step is a transaction of its own, and the turn has no snapshot."""
    old(tables, 3)
    monkeypatch.setattr(retention, "BATCH", 1)
    seen = []

    async def look(_: float) -> None:
        seen.extend(
            tables.rows(
                """SELECT a.backend_xid IS NULL, a.backend_xmin IS NULL, a.state FROM pg_stat_activity AS a
                   WHERE a.datname = current_database() AND a.application_name = 'scheduler test'
                     AND a.pid <> pg_backend_pid()"""
            )
        )

    monkeypatch.setattr(asyncio, "sleep", look)
    await pruner.prune()
    assert {(True, True, "idle in transaction"), (True, True, "idle")} == set(seen)


async def test_what_another_transaction_holds_is_left_for_the_next_time(tables: Tables, pruner: Pruner) -> None:
    old(tables, 2)
    with psycopg.connect(tables.url) as holder:
        holder.execute("SELECT FROM job_executions WHERE id = 1 FOR UPDATE")
        await pruner.prune()
        assert tables.column("SELECT id FROM job_executions") == [1]
    await pruner.prune()
    assert count(tables) == 0


async def test_who_loses_its_turn_stops_and_tells_what_it_did(
    tables: Tables, pruner: Pruner, events: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    old(tables, 10)
    monkeypatch.setattr(retention, "BATCH", 1)
    deleted = pruner.session.run

    async def run(name: str, values: object) -> list[tuple[object, ...]]:
        if name == "prune_delete":
            tables.execute(
                """SELECT pg_terminate_backend(a.pid, 60000) FROM pg_stat_activity AS a
                   WHERE a.datname = current_database() AND a.application_name = 'scheduler test'
                     AND a.state = 'idle in transaction'"""
            )
        return await deleted(name, values)  # type: ignore[arg-type]

    monkeypatch.setattr(pruner.session, "run", run)
    with pytest.raises(psycopg.OperationalError):
        await pruner.prune()
    assert count(tables) == 9
    assert [values["executions"] for values in events.of("pruner.pruned")] == [1]
    monkeypatch.undo()
    await pruner.prune()
    assert count(tables) == 0


async def test_a_right_that_lacks_is_told_and_nothing_breaks(
    tables: Tables, limited: Session, make_session: MakeSession, events: Events
) -> None:
    old(tables)
    pruner = Pruner(limited, make_session(), RULES, interval=0.001)
    with pytest.raises(RightsError, match="permission denied for table job_executions"):
        await pruner.prune()
    while not events.of("pruner.may_not"):
        await pruner.round()
    (told,) = events.of("pruner.may_not")
    assert "permission denied" in str(told["error"])
    assert count(tables) == 1


async def test_processes_share_the_interval(tables: Tables, pruner: Pruner, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each sleeps as many times as long as there are of them, on average; so the interval is that of all together."""
    monkeypatch.setattr(random, "uniform", lambda low, high: (low + high) / 2)
    pruner.interval = 300.0
    assert await pruner.pause() == 300.0
    for status in ("ACTIVE", "ACTIVE", "ACTIVE", "LOST"):
        tables.worker(status=status)
    assert await pruner.pause() == 900.0


async def test_its_loop_goes_on(tables: Tables, pruner: Pruner) -> None:
    loop = asyncio.create_task(Loop("pruner", pruner.round, sleeps=SLICE_SECONDS).forever())
    deadline = monotonic() + 60
    for _ in range(3):
        old(tables)
        while count(tables):
            assert monotonic() < deadline
            await asyncio.sleep(0.01)
    loop.cancel()
    await asyncio.gather(loop, return_exceptions=True)


async def test_a_name_that_no_cron_job_has_is_told_once(tables: Tables, pruner: Pruner, events: Events) -> None:
    pruner.rules = Retention(cron_jobs={"nightl": Keep(last=1)})
    for _ in range(2):
        await pruner.prune()
    assert events == [("pruner.unknown", {"name": "nightl"})]
    tables.cron_job(name="nightl")
    await pruner.prune()
    assert len(events) == 1
