"""The planner plans what is due, wakes the others, and sleeps until something is."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from scheduler.clock import monotonic
from scheduler.services import planner as planner_module
from scheduler.services.loop import Loop
from scheduler.services.planner import Planner
from scheduler.services.wakeups import Wakeups
from scheduler.store.session import Session
from tests.store.tables import Tables


@pytest.fixture
def wakeups() -> Wakeups:
    return Wakeups()


@pytest.fixture
async def planner(session: Session, wakeups: Wakeups, tables: Tables) -> AsyncIterator[Planner]:
    """A planner at work."""
    planner = Planner(session, wakeups)
    loop = asyncio.create_task(Loop("planner", planner.round, sleeps=1.0).forever())
    async with asyncio.timeout(30):
        yield planner
    loop.cancel()
    await asyncio.gather(loop, return_exceptions=True)


async def test_looked_waits_for_a_look_that_sees_what_is_there_now(planner: Planner, tables: Tables) -> None:
    for _ in range(5):
        id_ = tables.cron_job("@daily")
        await planner.looked()
        assert tables.cron_job_row(id_)["next_run_at"] is not None


async def test_a_tick_is_planned_when_it_is_due_and_wakes_the_worker(
    planner: Planner, wakeups: Wakeups, tables: Tables
) -> None:
    worker = wakeups.bell()
    id_ = tables.cron_job("* * * * * *", overlap_policy="allow")
    wakeups.ring()
    assert await worker.wait(0)
    assert await worker.wait(5)  # rung by the planner
    (tick,) = tables.column("SELECT scheduled_at FROM job_executions WHERE cron_job_id = %s", id_)
    assert timedelta(0) <= tables.now() - tick < timedelta(seconds=10)


async def test_an_edit_is_seen_when_the_bell_rings(
    planner: Planner, wakeups: Wakeups, tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planner_module, "POLL_SECONDS", 3600.0)
    await planner.looked()
    id_ = tables.cron_job("@daily")
    wakeups.ring()
    await planner.looked()
    assert tables.cron_job_row(id_)["next_run_at"] is not None


async def test_a_pause_ends_when_it_is_to_end(planner: Planner, tables: Tables) -> None:
    id_ = tables.cron_job("@daily")
    tables.execute("SELECT pause_cron_job(name, resume_at => job_now() + interval '100 ms') FROM cron_jobs")
    while not tables.cron_job_row(id_)["enabled"]:
        await planner.looked()
    while tables.cron_job_row(id_)["next_run_at"] is None:
        await planner.looked()


async def test_zones_are_checked_once_at_the_start(session: Session, wakeups: Wakeups, tables: Tables) -> None:
    id_ = tables.cron_job("@daily")
    planner = Planner(session, wakeups)
    far = tables.now() + timedelta(days=300)
    tables.execute("UPDATE cron_jobs SET next_run_at = %s, planned_until = job_now(), tzdata_version = '2019a'", far)
    planner.bell.ring()
    await planner.round()
    assert tables.cron_job_row(id_)["next_run_at"] < far
    tables.execute("UPDATE cron_jobs SET planned_until = job_now(), tzdata_version = '2019a'")
    planner.bell.ring()
    await planner.round()
    assert tables.cron_job_row(id_)["tzdata_version"] == "2019a"


async def test_what_another_holds_is_looked_at_again_soon_and_not_in_a_spin(
    session: Session, wakeups: Wakeups, tables: Tables
) -> None:
    tables.cron_job("* * * * * *")
    planner = Planner(session, wakeups)
    planner.bell.ring()
    await planner.round()
    tables.move_clock(60)
    with tables.connection.transaction():
        tables.execute("SELECT * FROM cron_jobs FOR UPDATE")
        before = monotonic()
        for _ in range(3):
            await planner.round()
        waited = monotonic() - before
    assert tables.value("SELECT count(*) FROM job_executions") == 0
    assert 3 * planner_module.HELD_SECONDS <= waited < 3 * planner_module.POLL_SECONDS
