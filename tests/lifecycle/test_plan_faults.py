"""Planning beside each other, and beside rows that can't be planned."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from time import perf_counter

import pytest

from scheduler.lifecycle.plan import plan
from scheduler.model import CronJob
from scheduler.store import cron_jobs as store
from scheduler.store.cron_jobs import CronJobs
from scheduler.store.session import Session, Transaction
from tests.rules import hostile
from tests.store.tables import Events, Tables

LOCK = b"FOR UPDATE SKIP LOCKED"
ONCE = (
    b"ON CONFLICT (cron_job_id, scheduled_at, (CASE source WHEN 'manual' THEN id ELSE 0 END))"
    b" WHERE cron_job_id IS NOT NULL AND status <> 'SKIPPED' DO NOTHING"
)
TWICE = """SELECT cron_job_id, scheduled_at FROM job_executions WHERE status <> 'SKIPPED'
           GROUP BY cron_job_id, scheduled_at HAVING count(*) > 1"""


def without(session: Session, name: str, part: bytes) -> None:
    """Take a part out of a statement of this session."""
    assert part in session.sql[name]
    session.sql = {**session.sql, name: session.sql[name].replace(part, b"")}


@pytest.mark.parametrize(
    ("locks", "unique", "doubled"),
    [(True, True, 0), (True, False, 0), (False, True, 0), (False, False, 10)],
    ids=["sound", "the lock alone", "the index alone", "neither"],
)
async def test_two_planners_at_the_same_moment_make_each_tick_once(
    migrated_url: str, monkeypatch: pytest.MonkeyPatch, locks: bool, unique: bool, doubled: int
) -> None:
    sessions = [Session(migrated_url, "public", "planner") for _ in range(2)]
    for session in sessions:
        if not locks:
            without(session, "lock_due", LOCK)
        if not unique:
            without(session, "insert_ticks", ONCE)
    with Tables(migrated_url) as tables:
        tables.set_clock("2026-03-01 12:00:30+00")
        if not unique:
            tables.execute("DROP INDEX job_executions_tick")
        for _ in range(10):
            tables.cron_job("* * * * *", overlap_policy="allow")
        await plan(sessions[0])
        tables.move_clock(60)
        both_have_looked, lock_due = asyncio.Barrier(2), store.lock_due

        async def look_and_wait(transaction: Transaction, n: int) -> tuple[float, Sequence[CronJob]]:
            found = await lock_due(transaction, n)
            await both_have_looked.wait()
            return found

        monkeypatch.setattr(store, "lock_due", look_and_wait)
        await asyncio.gather(*(plan(session) for session in sessions))
        for session in sessions:
            await session.close()
        assert len(tables.rows(TWICE)) == doubled
        assert tables.value("SELECT count(*) FROM job_executions") == 10 + doubled


async def test_a_disable_at_the_due_instant_waits_for_the_plan_and_stops_the_next(
    tables: Tables, session: Session
) -> None:
    tables.set_clock("2026-03-01 12:00:30+00")
    id_ = tables.cron_job("* * * * *", overlap_policy="allow")
    await plan(session)
    tables.move_clock(60)
    async with session.transaction() as transaction:
        _, rows = await store.lock_due(transaction, 10)
        assert [row.id for row in rows] == [id_]
        disabling = asyncio.create_task(
            asyncio.to_thread(tables.execute, "UPDATE cron_jobs SET enabled = false WHERE id = %s", id_)
        )
        with Tables(tables.url) as other:
            await asyncio.to_thread(other.wait_until_blocked, tables.connection.info.backend_pid)
    await disabling
    tables.move_clock(120)
    assert (await plan(session)).cron_jobs == 0


@pytest.mark.parametrize(("columns", "says"), [
    ({"cron_expression": "61 * * * *"}, "61"),
    ({"cron_expression": "whenever"}, "write 5"),
    ({"cron_expression": "* * * * *", "timezone": "Europe/Berln"}, "Europe/Berlin"),
    ({"cron_expression": "@every 0s"}, "@every"),
    ({"cron_expression": "* " * 100_000}, "more than 200 characters"),
])  # fmt: skip
async def test_what_can_not_be_planned_is_marked_and_the_others_go_on(
    tables: Tables, session: Session, events: Events, columns: dict[str, str], says: str
) -> None:
    tables.set_clock("2026-03-01 12:00:30+00")
    bad = tables.cron_job(name="bad", **columns)
    good = tables.cron_job("* * * * *")
    await plan(session)
    reason = tables.cron_job_row(bad)["invalid_reason"]
    assert says in reason
    assert events.of("planner.refused") == [{"name": "bad", "reason": reason}]
    assert tables.cron_job_row(good)["invalid_reason"] is None
    tables.move_clock(60)
    assert (await plan(session)).executions == 1
    tables.execute("UPDATE cron_jobs SET cron_expression = '*/5 * * * *', timezone = 'UTC' WHERE id = %s", bad)
    await plan(session)
    row = tables.cron_job_row(bad)
    assert row["invalid_reason"] is None
    assert row["next_run_at"] is not None


@pytest.mark.parametrize("expression", hostile.OVERSIZED, ids=len)
async def test_an_oversized_row_weighs_nothing(tables: Tables, session: Session, expression: str) -> None:
    for _ in range(10):
        tables.cron_job(expression)
    began = perf_counter()
    assert (await plan(session)).cron_jobs == 10
    assert perf_counter() - began < 0.5, "ten rows of a megabyte"
    assert tables.value("SELECT count(*) FROM cron_jobs WHERE invalid_reason IS NOT NULL") == 10


TIMES = ["20000-01-01", "2036-03-01", "infinity", "-infinity", "1970-01-01", "0044-03-15 BC"]
ABSURD = {
    "starts_at": TIMES,
    "ends_at": TIMES,
    "created_at": TIMES,
    "planned_until": TIMES,
    "next_run_at": TIMES,
    "jitter_seconds": ["0", "86400"],
}


async def test_absurd_dates_stop_nothing(tables: Tables, session: Session) -> None:
    tables.set_clock("2026-03-01 12:00:30+00")
    good = tables.cron_job("* * * * *", overlap_policy="allow")
    for column, values in ABSURD.items():
        for value in values:
            id_ = tables.cron_job("* * * * *", overlap_policy="allow", name=f"{column} {value}")
            update = f"UPDATE cron_jobs SET {column} = '{value}' WHERE id = {id_}"
            tables.connection.execute(update.encode())
    for _ in range(3):
        await plan(session)
        await CronJobs(session).recompute_zones("as if it were another")
        tables.move_clock(60)
    assert (await plan(session)).cron_jobs > 0
    assert tables.column("SELECT name FROM cron_jobs WHERE invalid_reason IS NOT NULL") == []
    ran = dict(tables.rows("SELECT cron_job_id, count(*) FROM job_executions WHERE status = 'PENDING' GROUP BY 1"))
    assert ran[good] == 3
    assert max(ran.values()) == 3
    for column in ("planned_until", "next_run_at"):
        names = [f"{column} {value}" for value in TIMES]
        ids = tables.column("SELECT id FROM cron_jobs WHERE name = ANY(%s)", names)
        assert [ran[id_] for id_ in ids] == [3] * len(TIMES), column


@pytest.mark.parametrize("place", [0, 4, 8])
async def test_a_row_that_the_database_refuses_is_set_aside_alone(
    tables: Tables, session: Session, events: Events, place: int
) -> None:
    tables.set_clock("2026-03-01 12:00:30+00")
    ids = [tables.cron_job("* * * * *", handler_name="evil" if n == place else "good") for n in range(9)]
    await plan(session)
    tables.move_clock(60)
    tables.execute("ALTER TABLE job_executions ADD CONSTRAINT no_evil CHECK (handler_name <> 'evil')")
    try:
        report = await plan(session)
    finally:
        tables.execute("ALTER TABLE job_executions DROP CONSTRAINT no_evil")
    assert (report.cron_jobs, report.executions) == (9, 8)
    reason = tables.cron_job_row(ids[place])["invalid_reason"]
    assert reason == 'new row for relation "job_executions" violates check constraint "no_evil"'
    assert len(events.of("planner.refused")) == 1
    rest = tables.column("SELECT id FROM cron_jobs WHERE invalid_reason IS NULL ORDER BY id")
    assert rest == [id_ for id_ in ids if id_ != ids[place]]
    assert tables.column("SELECT cron_job_id FROM job_executions ORDER BY cron_job_id") == rest
    assert {row["planned_until"] - tables.now() < timedelta() for row in map(tables.cron_job_row, rest)} == {True}
