"""What waits for long goes up by a level each time, whoever lifts it and however often somebody tries."""

import asyncio
from collections.abc import Callable, Sequence

import pytest

from scheduler.lifecycle.claim import Claimer
from scheduler.services import lifter as lifter_module
from scheduler.services.lifter import Lifter
from scheduler.store.executions import Executions
from scheduler.store.session import Session
from tests.store.fixtures import MakeSession
from tests.store.tables import Tables

Arm = Callable[[str, Callable[[], None]], None]
FOREVER = float("inf")
HOUR = 3600.0
FENCE = "coalesce(w.lifted, 0) < step.times"


@pytest.fixture
def aging(tables: Tables) -> Tables:
    """A queue that lifts what has waited for an hour."""
    tables.execute("INSERT INTO job_queues (name, aging_seconds) VALUES ('default', 3600)")
    return tables


@pytest.fixture
def lifter(session: Session) -> Lifter:
    return Lifter(session)


def wait_for(tables: Tables, *hours: float, priority: int = 0, key: str | None = None) -> None:
    """Rows that have been waiting for so long, or, below zero, are still to begin to."""
    tables.execute(
        """INSERT INTO job_executions (handler_name, available_at, priority, concurrency_key)
           SELECT 'work', job_now() - make_interval(secs => h * 3600), %s, %s FROM unnest(%s::float[]) AS h""",
        priority, key, [float(each) for each in hours],
    )  # fmt: skip


def priorities(tables: Tables) -> Sequence[int]:
    return tables.column("SELECT priority FROM job_executions ORDER BY id")


async def look_again(tables: Tables, lifter: Lifter, *, hours: float = 0.0) -> None:
    """Later, and at what was looked at last as well."""
    tables.move_clock(hours * HOUR)
    tables.execute("UPDATE job_queues SET aged_until = aged_until - interval '5 min'")
    assert await lifter.lift(FOREVER)


async def test_a_level_for_each_time_that_it_has_waited(aging: Tables, lifter: Lifter) -> None:
    wait_for(aging, 0.5, 1.5, 2.5, 17.5, 400, -5)
    wait_for(aging, 1.5, priority=-9)
    wait_for(aging, 3.5, priority=8)
    wait_for(aging, 3.5, priority=9)
    wait_for(aging, 2.5, priority=-2, key="k")
    assert await lifter.lift(FOREVER)
    assert priorities(aging) == [0, 1, 2, 9, 9, 0, -8, 9, 9, 0]
    for _ in range(3):
        await look_again(aging, lifter)
    assert priorities(aging) == [0, 1, 2, 9, 9, 0, -8, 9, 9, 0]
    await look_again(aging, lifter, hours=1)
    assert priorities(aging) == [1, 2, 3, 9, 9, 0, -7, 9, 9, 1]
    await look_again(aging, lifter, hours=3)
    assert priorities(aging) == [4, 5, 6, 9, 9, 0, -4, 9, 9, 4]


async def test_other_queues_and_what_runs_stay(aging: Tables, lifter: Lifter) -> None:
    wait_for(aging, 5)
    aging.execute("UPDATE job_executions SET queue = 'other'")
    aging.running(aging.worker())
    aging.execute("UPDATE job_executions SET available_at = job_now() - interval '5 hours'")
    assert await lifter.lift(FOREVER)
    assert set(priorities(aging)) == {0}


async def test_a_queue_is_looked_at_a_few_times_while_a_row_waits_for_a_level(aging: Tables, lifter: Lifter) -> None:
    assert [queue.name for queue in await lifter.aging.queues()] == ["default"]
    aging.execute("UPDATE job_queues SET aged_until = job_now() - interval '30 s'")
    assert await lifter.aging.queues() == []
    aging.execute("UPDATE job_queues SET aged_until = job_now() - interval '61 s'")
    assert len(await lifter.aging.queues()) == 1
    aging.execute("UPDATE job_queues SET aging_seconds = 100, aged_until = job_now() - interval '11 s'")
    assert len(await lifter.aging.queues()) == 1


async def test_a_clock_that_is_set_back_lifts_nothing_twice(aging: Tables, lifter: Lifter) -> None:
    wait_for(aging, 1.5, 2.5)
    assert await lifter.lift(FOREVER)
    for hours in (-30, 30):
        await look_again(aging, lifter, hours=hours)
    assert priorities(aging) == [1, 2]


@pytest.mark.parametrize("fence", [FENCE, "true"])
async def test_a_crash_between_two_batches_lifts_nothing_twice(
    aging: Tables, session: Session, lifter: Lifter, armed: Arm, monkeypatch: pytest.MonkeyPatch, fence: str
) -> None:
    """Without the fence it does, and this sees it."""
    assert FENCE in session.sql["lift"].decode()
    session.sql = {**session.sql, "lift": session.sql["lift"].decode().replace(FENCE, fence).encode()}

    def crash() -> None:
        raise OSError("it ends here")

    monkeypatch.setattr(lifter_module, "BATCH", 2)
    wait_for(aging, *[1.5] * 5)
    armed("after_lift", crash)
    with pytest.raises(OSError, match="ends here"):
        await lifter.lift(FOREVER)
    assert sum(priorities(aging)) == 2
    armed("after_lift", lambda: None)
    assert await lifter.lift(FOREVER)
    assert (priorities(aging) == [1] * 5) == (fence == FENCE)


async def test_two_at_once_lift_nothing_twice(
    aging: Tables, make_session: MakeSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lifter_module, "BATCH", 7)
    wait_for(aging, *[1.5] * 50, *[3.5] * 50)
    await asyncio.gather(*(Lifter(make_session()).lift(FOREVER) for _ in range(2)))
    assert priorities(aging) == [1] * 50 + [3] * 50


async def test_a_slice_that_was_too_short_is_gone_on_with(
    aging: Tables, lifter: Lifter, armed: Arm, monkeypatch: pytest.MonkeyPatch
) -> None:
    passed = [0]
    monkeypatch.setattr(lifter_module, "BATCH", 5)
    wait_for(aging, *[1.5] * 12)
    armed("after_lift", lambda: passed.append(sum(priorities(aging)) // 5))
    with monkeypatch.context() as patch:
        patch.setattr(lifter_module, "monotonic", lambda: float(sum(passed)))
        assert not await lifter.lift(1.0)
    assert sum(priorities(aging)) == 5
    assert await lifter.lift(FOREVER)
    assert priorities(aging) == [1] * 12


async def test_what_somebody_held_goes_up_by_two_levels_next_time(aging: Tables, lifter: Lifter) -> None:
    wait_for(aging, 1.5, 1.5)
    with aging.connection.transaction():
        aging.execute("SELECT FROM job_executions WHERE id = 1 FOR UPDATE")
        assert await lifter.lift(FOREVER)
    assert priorities(aging) == [0, 1]
    await look_again(aging, lifter, hours=1)
    assert priorities(aging) == [2, 2]


async def test_what_was_lifted_below_the_bound_of_its_level_is_found_by_the_next_full_look(
    aging: Tables, lifter: Lifter, session: Session
) -> None:
    claimer = Claimer(Executions(session), aging.worker(), ["default"], "{}")
    wait_for(aging, 0, 0, priority=1)
    claims = await claimer.claim(2)
    claimer.taken(claims)
    assert [claim.priority for claim in claims] == [1, 1]
    wait_for(aging, 1.5)
    assert await lifter.lift(FOREVER)
    claimer.look_everywhere()  # as it does by itself every few seconds
    assert [(claim.id, claim.priority) for claim in await claimer.claim(2)] == [(3, 1)]
