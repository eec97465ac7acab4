"""What ticks do while an earlier execution of their cron job isn't final."""

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
    id_ = tables.cron_job("* * * * *", overlap_policy=policy)
    await plan(session)
    if status == "RUNNING":
        tables.running(cron_job_id=id_, concurrency_key=f"cron:{id_}", **columns)
    else:
        final: dict[str, Any] = {} if status == "PENDING" else {"finished_at": tables.now()}
        tables.enqueue(cron_job_id=id_, concurrency_key=f"cron:{id_}", status=status, **final, **columns)
    tables.move_clock(60)
    await plan(session)
    return tables.rows("SELECT status, error FROM job_executions ORDER BY id")


async def spans_of_a_look(tables: Tables, session: Session, policy: str, **columns: Any) -> list[Any]:
    """Plan several ticks at once: (status, ticks that the row stands for, error) of all rows, oldest first."""
    id_ = tables.cron_job("* * * * * *", overlap_policy=policy, **columns)
    await plan(session)
    tables.move_clock(5)
    await plan(session)
    first, last = tables.rows("""SELECT min(scheduled_at), max(coalesce(skipped_until, scheduled_at))
                                 FROM job_executions""")[0]
    rows = tables.rows("""SELECT status, coalesce(skipped_count, 1), error, scheduled_at, skipped_until
                          FROM job_executions ORDER BY scheduled_at""")
    assert sum(row[1] for row in rows) == (last - first).total_seconds() + 1 >= 5
    assert tables.cron_job_row(id_)["last_run_at"] == max(row[3] for row in rows if row[0] == "PENDING")
    return [row[:3] for row in rows]


@pytest.mark.parametrize("status", ["RUNNING", "PENDING"])
async def test_skip_leaves_a_row_that_says_why(minute: Tables, session: Session, status: str) -> None:
    _, tick = await rows_after_a_tick(minute, session, "skip", status)
    assert tick == ("SKIPPED", "overlap with execution 1, which has not finished")
    span = minute.rows("SELECT skipped_count, skipped_until = scheduled_at FROM job_executions WHERE id = 2")
    assert span == [(1, True)]


async def test_what_runs_is_named_before_what_waits(minute: Tables, session: Session) -> None:
    id_ = minute.cron_job("* * * * *")
    await plan(session)
    key: dict[str, Any] = {"cron_job_id": id_, "concurrency_key": f"cron:{id_}"}
    minute.enqueue(**key)
    minute.running(**key)
    minute.move_clock(60)
    await plan(session)
    assert minute.execution(3)["error"] == "overlap with execution 2, which has not finished"


async def test_a_retry_that_waits_for_its_backoff_is_in_the_way(minute: Tables, session: Session) -> None:
    waiting = {"attempt": 1, "retry_count": 1, "available_at": "2026-03-01 13:00+00"}
    _, tick = await rows_after_a_tick(minute, session, "skip", "PENDING", **waiting)
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
    minute.cron_job("* * * * *", overlap_policy="queue", catch_up_limit=2)
    await plan(session)
    for _ in range(3):
        minute.move_clock(60)
        await plan(session)
    assert minute.rows("SELECT status, error FROM job_executions ORDER BY id") == [
        ("PENDING", None),
        ("PENDING", None),
        ("SKIPPED", "2 executions of this cron job already wait (catch_up_limit 2)"),
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


@pytest.mark.parametrize("status", ["RUNNING", "PENDING"])
@pytest.mark.parametrize("policy", ["skip", "queue", "replace"])
async def test_a_backfill_is_in_nobodys_way(minute: Tables, session: Session, policy: str, status: str) -> None:
    old, new = await rows_after_a_tick(
        minute, session, policy, status, source="backfill", scheduled_at="2026-02-01 12:00+00"
    )
    assert (old, new) == ((status, None), ("PENDING", None))
    assert minute.execution(1)["cancel_requested_at"] is None


async def test_skip_runs_the_first_of_the_ticks_of_one_look_and_names_it(minute: Tables, session: Session) -> None:
    first, rest = await spans_of_a_look(minute, session, "skip")
    assert first == ("PENDING", 1, None)
    assert (rest[0], rest[2]) == ("SKIPPED", "overlap with execution 1, which has not finished")
    assert rest[1] >= 4


async def test_queue_takes_as_many_of_the_ticks_of_one_look_as_may_wait(minute: Tables, session: Session) -> None:
    *waiting, rest = await spans_of_a_look(minute, session, "queue", catch_up_limit=3)
    assert waiting == [("PENDING", 1, None)] * 3
    assert rest[2] == "3 executions of this cron job already wait (catch_up_limit 3)"


async def test_replace_keeps_the_newest_of_the_ticks_of_one_look(minute: Tables, session: Session) -> None:
    replaced, newest = await spans_of_a_look(minute, session, "replace")
    assert (replaced[0], replaced[2]) == ("SKIPPED", "replaced by execution 1, of a newer tick")
    assert newest == ("PENDING", 1, None)


async def test_a_tick_that_is_there_already_is_in_the_way_without_a_number(minute: Tables, session: Session) -> None:
    id_ = minute.cron_job("* * * * * *")
    await plan(session)
    began = minute.now().replace(microsecond=0)
    minute.execute(
        """INSERT INTO job_executions (source, cron_job_id, handler_name, scheduled_at)
           SELECT 'backfill', %s, 'work', %s + n * interval '1 s' FROM generate_series(0, 9) AS n""",
        id_,
        began,
    )
    minute.move_clock(5)
    await plan(session)
    reasons = minute.column("SELECT error FROM job_executions WHERE status = 'SKIPPED'")
    assert reasons == ["overlap with the tick before it, which has not finished"]


async def test_all_that_was_missed_runs_one_after_the_other_where_ticks_may_queue(
    minute: Tables, session: Session
) -> None:
    minute.cron_job("* * * * *", overlap_policy="queue", catch_up="all", catch_up_limit=5)
    await plan(session)
    minute.move_clock(3630)
    await plan(session)
    assert minute.rows("SELECT status, count(*) FROM job_executions GROUP BY 1 ORDER BY 1") == [
        ("PENDING", 5),
        ("SKIPPED", 1),
    ]
    assert minute.value("SELECT count(DISTINCT concurrency_key) FROM job_executions WHERE status = 'PENDING'") == 1
