"""Statements on executions beyond claim and settle: rescue, release, hold back, and when the next is available."""

import asyncio
from datetime import timedelta

import pytest

from scheduler.model import Status
from scheduler.store.executions import Executions, Success, success_values
from scheduler.store.session import Session
from tests.store.fixtures import MakeSession
from tests.store.tables import Tables, claim

ASKED_AGAIN = b"""
      AND NOT coalesce((SELECT j.status IN ('ACTIVE', 'DRAINING') FROM "public".job_workers AS j WHERE j.id = r.claimed_by), false)
"""  # noqa: E501 - as it stands there
ANTI_JOINED = b"""
      AND NOT EXISTS (SELECT FROM "public".job_workers AS j
                      WHERE j.id = r.claimed_by AND j.status IN ('ACTIVE', 'DRAINING'))
"""


async def rescued(executions: Executions) -> dict[int, Status]:
    return dict(await executions.rescue(100))


@pytest.mark.parametrize("status", ["LOST", "STOPPED", None])
async def test_rows_of_a_worker_that_is_gone_are_rescued(
    tables: Tables, executions: Executions, status: str | None
) -> None:
    id_, _ = tables.running(tables.worker(status=status) if status else None, suspect=False)
    assert await rescued(executions) == {id_: Status.PENDING}
    row = tables.execution(id_)
    assert (row["claim_token"], row["claimed_by"], row["suspect"], row["retry_count"]) == (None, None, True, 1)
    assert [entry["outcome"] for entry in row["errors"]] == ["lost"]


@pytest.mark.parametrize("status", ["ACTIVE", "DRAINING"])
async def test_a_worker_that_nobody_has_marked_keeps_its_rows(
    tables: Tables, executions: Executions, status: str
) -> None:
    tables.running(tables.worker(status=status, lease=-10.0, age=60.0))
    assert await rescued(executions) == {}


async def test_the_last_try_of_a_lost_one_has_failed(tables: Tables, executions: Executions) -> None:
    once, counted = tables.running(max_retry=1)[0], tables.running(retry_count=2**31 - 1, max_retry=2**31 - 1)[0]
    waiting = tables.running()[0]
    assert await rescued(executions) == {
        once: Status.FAILED, counted: Status.FAILED, waiting: Status.PENDING,
    }  # fmt: skip
    assert tables.execution(once)["error"] == "worker lost, may not have started"


async def test_a_batch_is_as_large_as_was_asked(tables: Tables, executions: Executions) -> None:
    ids = [tables.running()[0] for _ in range(5)]
    batches = [sorted(id_ for id_, _ in await executions.rescue(2)) for _ in range(4)]
    assert batches == [ids[:2], ids[2:4], ids[4:], []]


async def test_a_settle_under_way_is_left_alone(tables: Tables, session: Session, make_session: MakeSession) -> None:
    id_, token = tables.running()
    values = success_values([Success(id_, token, 0.0, None)])
    async with session.transaction() as settling:
        assert await settling.run("settle_success", values)
        assert await rescued(Executions(make_session())) == {}
    assert await rescued(Executions(make_session())) == {}
    assert tables.execution(id_)["status"] == "SUCCESS"


async def test_a_rescue_under_way_wins_over_the_settle(
    tables: Tables, session: Session, make_session: MakeSession
) -> None:
    id_, token = tables.running()
    settler = Executions(make_session())
    pid = (await settler.session.connection()).info.backend_pid
    async with session.transaction() as rescuing:
        assert len(await rescuing.run("rescue", {"n": 10})) == 1
        settling = asyncio.create_task(settler.settle_successes([Success(id_, token, 0.0, "1")]))
        await asyncio.to_thread(tables.wait_until_blocked, pid)
    assert await settling == [None]
    assert tables.execution(id_)["status"] == "PENDING"


@pytest.mark.parametrize(("broken", "rescues"), [(False, 0), (True, 1)], ids=["sound", "anti-join"])
async def test_who_claimed_the_row_meanwhile_is_asked_for_under_its_lock(
    tables: Tables, session: Session, broken: bool, rescues: int
) -> None:
    """The rescuer stops after it has seen a row of a lost worker; until it locks the row, a live one has claimed it."""
    tables.running(tables.worker(status="LOST"))
    alive = tables.worker()
    tables.execute("""CREATE OR REPLACE FUNCTION pause() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN
                      PERFORM pg_advisory_xact_lock_shared(42); RETURN true; END $$""")
    text = session.sql["rescue"].replace(b"WHERE r.status = 'RUNNING'", b"WHERE r.status = 'RUNNING' AND pause()")
    assert b"pause()" in text
    assert ASKED_AGAIN in text
    session.sql = {**session.sql, "rescue": text.replace(ASKED_AGAIN, ANTI_JOINED) if broken else text}
    pid = (await session.connection()).info.backend_pid
    tables.execute("SELECT pg_advisory_lock(42)")
    rescuing = asyncio.create_task(Executions(session).rescue(10))
    await asyncio.to_thread(tables.wait_until_blocked, pid)
    tables.execute("UPDATE job_executions SET claimed_by = %s, claim_token = gen_random_uuid(), attempt = 2", alive)
    tables.execute("SELECT pg_advisory_unlock(42)")
    assert len(await rescuing) == rescues
    tables.execute("DROP FUNCTION pause")


async def test_release_uses_up_no_try(tables: Tables, executions: Executions) -> None:
    mine, other = tables.running(available_at="2020-01-01"), tables.running()
    cancelled = tables.running()
    tables.execute("SELECT cancel_job(%s, 'enough')", cancelled[0])
    before = tables.now()
    claims = [claim(id=mine[0], token=mine[1]), claim(id=other[0]), claim(id=cancelled[0], token=cancelled[1])]
    assert await executions.release(claims) == {mine[0], cancelled[0]}
    row = tables.execution(mine[0])
    assert (row["status"], row["retry_count"], row["claim_token"], row["claimed_by"]) == ("PENDING", 0, None, None)
    assert row["available_at"] >= before
    assert tables.execution(other[0])["status"] == "RUNNING"
    row = tables.execution(cancelled[0])
    assert (row["status"], row["error"], row["claim_token"]) == ("CANCELLED", "enough", cancelled[1])


async def test_only_the_next_try_of_the_very_attempt_is_held_back_and_let_go(
    tables: Tables, executions: Executions
) -> None:
    mine, later, running = tables.enqueue(attempt=1), tables.enqueue(attempt=2), tables.running()[0]
    before = tables.now()
    await executions.hold_back([(mine, 1, 60.0), (later, 1, 60.0), (running, 1, 60.0)])
    waits = [(tables.execution(id_)["available_at"] - before) > timedelta(seconds=59) for id_ in (mine, later, running)]
    assert waits == [True, False, False]
    await executions.let_go(mine, 2, 0.0)
    assert tables.execution(mine)["available_at"] - before > timedelta(seconds=59)
    await executions.let_go(mine, 1, 5.0)
    wait = tables.execution(mine)["available_at"] - before
    assert timedelta(seconds=5) <= wait < timedelta(seconds=30)


async def test_progress_and_cancels_know_the_claim(tables: Tables, executions: Executions) -> None:
    worker = tables.worker()
    id_, token = tables.running(worker)
    await executions.write_progress([(id_, token, 0.5, "half"), (id_, claim().token, 0.9, "a stranger's")])
    assert tables.rows("SELECT progress, progress_message FROM job_executions") == [(0.5, "half")]
    assert await executions.cancels_asked(worker) == []
    tables.execute("SELECT cancel_job(%s)", id_)
    assert await executions.cancels_asked(worker) == [(id_, token, "cancelled by request")]
    assert await executions.cancels_asked(tables.worker()) == []


async def test_when_the_next_is_available(tables: Tables, executions: Executions) -> None:
    assert await executions.next_available(["default"]) is None
    tables.enqueue(available_at=tables.now() - timedelta(seconds=60))
    assert await executions.next_available(["default"]) is None
    tables.enqueue(available_at=tables.now() + timedelta(seconds=100), priority=9)
    tables.enqueue(available_at=tables.now() + timedelta(seconds=50), priority=-9, concurrency_key="k")
    tables.enqueue(available_at=tables.now() + timedelta(seconds=10), queue="other")
    assert await executions.next_available(["default"]) == pytest.approx(50, abs=5)
    assert await executions.next_available(["default", "other"]) == pytest.approx(10, abs=5)


async def test_what_became_available_since_the_last_look_counts(tables: Tables, executions: Executions) -> None:
    tables.enqueue(available_at=tables.now() - timedelta(seconds=1))
    assert await executions.next_available(["default"], since=0.5) is None
    since = await executions.next_available(["default"], since=30.0)
    assert since is not None
    assert since <= -1
