"""What a tick does while an earlier execution of its cron job isn't final."""

from typing import Any

import pytest

from scheduler.lifecycle.plan import plan
from scheduler.store.session import Session
from tests.store.tables import Tables


@pytest.fixture
def minute(tables: Tables) -> Tables:
    tables.set_clock("2026-03-01 12:00:01+00")
    return tables


async def rows_after_a_tick(tables: Tables, session: Session, policy: str, status: str, **columns: Any) -> list[Any]:
    """Plan one tick beside an execution of that status; (status, error) of all rows, oldest first."""
    id_ = tables.cron_job("* * * * *", overlap_policy=policy, **columns)
    await plan(session)
    if status == "RUNNING":
        tables.running(cron_job_id=id_, concurrency_key=f"cron:{id_}")
    else:
        final: dict[str, Any] = {} if status == "PENDING" else {"finished_at": tables.now()}
        tables.enqueue(cron_job_id=id_, concurrency_key=f"cron:{id_}", status=status, **final)
    tables.move_clock(60)
    await plan(session)
    return tables.rows("SELECT status, error FROM job_executions ORDER BY id")


@pytest.mark.parametrize("status", ["RUNNING", "PENDING"])
async def test_skip_leaves_a_row_that_says_why(minute: Tables, session: Session, status: str) -> None:
    _, tick = await rows_after_a_tick(minute, session, "skip", status)
    assert tick == ("SKIPPED", "overlap with execution 1, which has not finished")


@pytest.mark.parametrize("policy", ["skip", "queue", "replace", "allow"])
@pytest.mark.parametrize("status", ["SUCCESS", "FAILED", "CANCELLED"])
async def test_what_is_final_is_in_nobodys_way(minute: Tables, session: Session, policy: str, status: str) -> None:
    _, tick = await rows_after_a_tick(minute, session, policy, status)
    assert tick == ("PENDING", None)


@pytest.mark.parametrize("status", ["RUNNING", "PENDING"])
async def test_allow_runs_beside_it(minute: Tables, session: Session, status: str) -> None:
    _, tick = await rows_after_a_tick(minute, session, "allow", status)
    assert tick == ("PENDING", None)
    assert minute.value("SELECT concurrency_key FROM job_executions WHERE source = 'tick'") is None


async def test_queue_waits_up_to_the_limit(minute: Tables, session: Session) -> None:
    rows = await rows_after_a_tick(minute, session, "queue", "RUNNING", catch_up_limit=2)
    assert rows[1] == ("PENDING", None)
    for _ in range(2):
        minute.move_clock(60)
        await plan(session)
    assert minute.rows("SELECT status, error FROM job_executions WHERE id > 2 ORDER BY id") == [
        ("PENDING", None),
        ("SKIPPED", "2 executions of this cron job already wait (limit 2)"),
    ]


async def test_replace_cancels_what_waits(minute: Tables, session: Session) -> None:
    old, new = await rows_after_a_tick(minute, session, "replace", "PENDING")
    assert old == ("CANCELLED", "replaced by the next tick")
    assert new == ("PENDING", None)


async def test_replace_asks_what_runs_to_stop(minute: Tables, session: Session) -> None:
    old, new = await rows_after_a_tick(minute, session, "replace", "RUNNING")
    assert (old, new) == (("RUNNING", None), ("PENDING", None))
    row = minute.execution(1)
    assert row["cancel_requested_at"] is not None
    assert row["cancel_reason"] == "replaced by the next tick"


async def test_replace_keeps_the_newest_of_the_ticks_of_one_look(minute: Tables, session: Session) -> None:
    minute.cron_job("* * * * * *", overlap_policy="replace")
    await plan(session)
    minute.move_clock(3)
    await plan(session)
    rows = minute.rows("SELECT status, error FROM job_executions ORDER BY scheduled_at")
    assert [status for status, _ in rows] == ["SKIPPED"] * (len(rows) - 1) + ["PENDING"]
    assert len(rows) >= 3
    assert all(error.startswith("replaced by the tick of") for status, error in rows if status == "SKIPPED")
