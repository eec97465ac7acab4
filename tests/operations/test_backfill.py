"""Backfill: each tick of the past once, however often, by however many, and in nobody's way."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from scheduler import failpoints
from scheduler.errors import ConflictError, NotFoundError, RefusedError, ScheduleError
from scheduler.operations import backfill
from scheduler.operations.backfill import Ahead, Done, Wanted, enqueue, prepare, rehearse
from scheduler.store.session import SyncSession

MAY = datetime(2025, 5, 1, tzinfo=UTC)
DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)

AddJob = Callable[..., int]


@pytest.fixture
def job(psql: psycopg.Connection) -> AddJob:
    """Insert a cron job named `often`, due each minute; its id."""

    def add(cron_expression: str = "* * * * *", **columns: Any) -> int:
        values = {"name": "often", "handler_name": "work", "cron_expression": cron_expression, **columns}
        names, places = ", ".join(values), ", ".join(["%s"] * len(values))
        found = psql.execute(
            f"INSERT INTO cron_jobs ({names}) VALUES ({places}) RETURNING id".encode(), list(values.values())
        ).fetchone()
        assert found is not None
        return int(found[0])

    return add


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backfill, "BATCH", 7)


@pytest.fixture
def interrupted() -> Iterator[None]:
    """Ctrl-C after the first batch."""

    def interrupt() -> None:
        failpoints.disarm("after_backfill_batch")
        raise KeyboardInterrupt

    failpoints.arm("after_backfill_batch", interrupt)
    yield
    failpoints.disarm("after_backfill_batch")


def an_hour(**wanted: Any) -> Wanted:
    return Wanted(**{"cron_job": "often", "start": MAY, "end": MAY + HOUR, **wanted})


def run(session: SyncSession, wanted: Wanted) -> tuple[Ahead, Done]:
    ahead = prepare(session, wanted)
    done = Done()
    for step in enqueue(session, ahead):
        done = step
    return ahead, done


def ticks(psql: psycopg.Connection) -> list[datetime]:
    found = psql.execute("SELECT scheduled_at FROM job_executions WHERE status <> 'SKIPPED' ORDER BY scheduled_at, id")
    return [row[0] for row in found]


def test_each_tick_has_an_execution_with_the_values_of_its_cron_job(
    session: SyncSession, psql: psycopg.Connection, job: AddJob
) -> None:
    id_ = job(queue="slow", priority=3, timeout_seconds=7.0, max_retry=9, handler_params='{"a": 1}', jitter_seconds=30)
    ahead, done = run(session, an_hour())
    assert (ahead.count, done) == (60, Done(ticks=60, enqueued=60))
    assert ticks(psql) == [MAY + n * MINUTE for n in range(60)]
    rows = psql.execute(
        """SELECT DISTINCT source, status, cron_job_id, handler_name, handler_params, queue, priority, timeout_seconds,
                           max_retry, concurrency_key, concurrency_limit, available_at <= job_now()
           FROM job_executions"""
    ).fetchall()
    assert rows == [
        ("backfill", "PENDING", id_, "work", {"a": 1}, "slow", 2, 7.0, 9, f"cron:{id_}", 1, True),
    ]  # fmt: skip
    in_order = psql.execute("SELECT scheduled_at FROM job_executions ORDER BY available_at, id").fetchall()
    assert [row[0] for row in in_order] == ticks(psql)


def test_a_second_one_finds_them_and_adds_what_is_missing(
    session: SyncSession, psql: psycopg.Connection, job: AddJob
) -> None:
    job()
    run(session, an_hour(end=MAY + 20 * MINUTE))
    assert list(rehearse(session, prepare(session, an_hour())))[-1] == Done(ticks=60, enqueued=40)
    assert len(ticks(psql)) == 20
    _, done = run(session, an_hour())
    assert (done.enqueued, done.there_already) == (40, 20)
    psql.execute("UPDATE job_executions SET status = 'FAILED', finished_at = job_now()")
    _, done = run(session, an_hour())
    assert (done.enqueued, done.there_already) == (0, 60)
    assert len(ticks(psql)) == 60


def test_a_skipped_tick_gets_its_execution(session: SyncSession, psql: psycopg.Connection, job: AddJob) -> None:
    id_ = job()
    psql.execute(
        """INSERT INTO job_executions (source, cron_job_id, handler_name, status, scheduled_at, skipped_until,
                                       skipped_count, finished_at)
           VALUES ('tick', %s, 'work', 'SKIPPED', %s, %s, 60, job_now())""",
        (id_, MAY, MAY + 59 * MINUTE),
    )
    _, done = run(session, an_hour())
    assert done.enqueued == 60


@pytest.mark.usefixtures("interrupted")
def test_an_interrupted_one_goes_on_where_it_was(session: SyncSession, psql: psycopg.Connection, job: AddJob) -> None:
    job()
    with pytest.raises(KeyboardInterrupt):
        run(session, an_hour())
    assert ticks(psql) == [MAY + n * MINUTE for n in range(7)]
    _, done = run(session, an_hour())
    assert (done.enqueued, done.there_already) == (53, 7)
    assert ticks(psql) == [MAY + n * MINUTE for n in range(60)]


def test_several_at_once_make_each_tick_once(
    session: SyncSession, migrated_url: str, psql: psycopg.Connection, job: AddJob
) -> None:
    job()
    wanted = an_hour(end=MAY + 10 * HOUR)
    sessions = [SyncSession(migrated_url, "public", f"test {n}") for n in range(4)]
    with ThreadPoolExecutor(len(sessions)) as threads:
        done = [each for _, each in threads.map(lambda one: run(one, wanted), sessions)]
    for each in sessions:
        each.close()
    assert [each.ticks for each in done] == [600] * 4
    assert sum(each.enqueued for each in done) == 600
    assert ticks(psql) == [MAY + n * MINUTE for n in range(600)]


def test_what_the_planner_has_not_come_to_is_left_to_it(
    session: SyncSession, psql: psycopg.Connection, job: AddJob
) -> None:
    job()
    psql.execute("UPDATE cron_jobs SET created_at = %s, planned_until = %s", (MAY, MAY + 20 * MINUTE))
    ahead, _ = run(session, an_hour())
    assert (ahead.count, ahead.left_to_planner) == (21, 39)
    assert ticks(psql) == [MAY + n * MINUTE for n in range(21)]
    psql.execute("UPDATE cron_jobs SET enabled = false")
    psql.execute("UPDATE cron_jobs SET planned_until = %s", (MAY + 20 * MINUTE,))
    ahead, done = run(session, an_hour())
    assert (ahead.left_to_planner, done.enqueued) == (0, 39)


def test_the_window_of_the_cron_job_is_kept(session: SyncSession, psql: psycopg.Connection, job: AddJob) -> None:
    job(starts_at=MAY + 10 * MINUTE, ends_at=MAY + 20 * MINUTE)
    ahead, _ = run(session, an_hour())
    assert (ahead.count, ahead.left_to_planner) == (10, 0)
    assert ticks(psql) == [MAY + n * MINUTE for n in range(10, 20)]


def test_a_time_without_a_tick_is_no_error(session: SyncSession, psql: psycopg.Connection, job: AddJob) -> None:
    job("0 0 1 1 *")
    ahead, done = run(session, an_hour())
    assert (ahead.count, ahead.first, ahead.last, done) == (0, None, None, Done())


def test_the_changes_of_the_clock_are_those_of_the_schedule(
    session: SyncSession, psql: psycopg.Connection, job: AddJob
) -> None:
    job("30 2 * * *", timezone="America/New_York")
    start, end = datetime(2025, 3, 8, 12, tzinfo=UTC), datetime(2025, 3, 11, tzinfo=UTC)
    ahead, _ = run(session, an_hour(start=start, end=end))
    assert ticks(psql) == [datetime(2025, 3, 9, 7, tzinfo=UTC), datetime(2025, 3, 10, 6, 30, tzinfo=UTC)]
    assert ahead.first is not None
    assert ahead.first.local.isoformat() == "2025-03-09T03:00:00-04:00"


@pytest.mark.parametrize("starts_at", [None, datetime(2025, 4, 30, 23, 57, 30, tzinfo=UTC)])
def test_an_interval_keeps_its_phase_also_before_the_row_was_there(
    session: SyncSession, psql: psycopg.Connection, job: AddJob, starts_at: datetime | None
) -> None:
    job("@every 7m", starts_at=starts_at)
    run(session, an_hour())
    found = ticks(psql)
    assert len(found) in (8, 9)
    row = psql.execute("SELECT coalesce(starts_at, date_trunc('second', created_at)) FROM cron_jobs").fetchone()
    assert row is not None
    assert {(tick - row[0]) % (7 * MINUTE) for tick in found} == {timedelta()}


def test_where_executions_may_overlap_it_has_a_key_of_its_own(
    session: SyncSession, psql: psycopg.Connection, job: AddJob
) -> None:
    id_ = job(overlap_policy="allow")
    run(session, an_hour(max_parallel=4, queue="slow", priority=-5, end=MAY + MINUTE))
    run(session, an_hour(start=MAY + MINUTE, end=MAY + 2 * MINUTE))
    rows = psql.execute(
        "SELECT concurrency_key, concurrency_limit, queue, priority FROM job_executions ORDER BY id"
    ).fetchall()
    assert rows == [(f"backfill:{id_}", 4, "slow", -5), (f"backfill:{id_}", 1, "default", -1)]


@pytest.mark.parametrize("policy", ["skip", "queue", "replace"])
def test_elsewhere_more_than_one_at_once_is_refused(session: SyncSession, job: AddJob, policy: str) -> None:
    job(overlap_policy=policy)
    assert prepare(session, an_hour(max_parallel=1)).at_once == 1
    with pytest.raises(RefusedError, match=rf"only one execution runs at a time \(overlap_policy '{policy}'\)"):
        prepare(session, an_hour(max_parallel=2))


@pytest.mark.parametrize(
    ("own", "wanted", "priority", "delays"), [(0, None, -1, False), (-9, None, -9, True), (0, 0, 0, True)]
)
def test_it_goes_below_the_cron_job_as_far_as_there_is_room(
    session: SyncSession, job: AddJob, own: int, wanted: int | None, priority: int, delays: bool
) -> None:
    job(priority=own)
    ahead = prepare(session, an_hour(priority=wanted))
    assert (ahead.priority, ahead.delays_ticks) == (priority, delays)


def test_an_edit_of_the_schedule_ends_it_and_another_edit_counts_from_the_next_batch(
    session: SyncSession, psql: psycopg.Connection, job: AddJob
) -> None:
    job()
    steps = enqueue(session, prepare(session, an_hour()))
    assert next(steps) == Done(ticks=7, enqueued=7)
    psql.execute("UPDATE cron_jobs SET handler_name = 'other'")
    assert next(steps) == Done(ticks=14, enqueued=14)
    psql.execute("UPDATE cron_jobs SET cron_expression = '*/2 * * * *'")
    with pytest.raises(ConflictError, match="'often' was edited meanwhile"):
        next(steps)
    found = psql.execute("SELECT handler_name, count(*) FROM job_executions GROUP BY 1 ORDER BY 1").fetchall()
    assert found == [("other", 7), ("work", 7)]


def test_a_removed_cron_job_ends_it(session: SyncSession, psql: psycopg.Connection, job: AddJob) -> None:
    job()
    steps = enqueue(session, prepare(session, an_hour()))
    next(steps)
    psql.execute("DELETE FROM cron_jobs")
    with pytest.raises(NotFoundError, match="No cron job is named 'often'"):
        next(steps)
    assert len(ticks(psql)) == 7


def test_each_refusal_has_its_error(session: SyncSession, psql: psycopg.Connection, job: AddJob) -> None:
    job("* * * * * *")
    with pytest.raises(NotFoundError, match="Did you mean 'often'"):
        prepare(session, an_hour(cron_job="oftne"))
    with pytest.raises(RefusedError, match="lies in the future"):
        prepare(session, an_hour(end=datetime(2999, 1, 1, tzinfo=UTC)))
    with pytest.raises(RefusedError, match="is not before the end"):
        prepare(session, an_hour(start=MAY + HOUR))
    with pytest.raises(RefusedError, match="more than 1,000,000 ticks"):
        prepare(session, an_hour(end=MAY + 12 * DAY))
    with pytest.raises(RefusedError, match="write 1 or more"):
        prepare(session, an_hour(max_parallel=0))
    psql.execute("UPDATE cron_jobs SET cron_expression = '61 * * * *'")
    with pytest.raises(ScheduleError, match="minute"):
        prepare(session, an_hour())


@pytest.mark.parametrize("at", ["infinity", "-infinity", "4713-01-01 BC", "294000-01-01"])
def test_an_absurd_cursor_hurts_nobody(session: SyncSession, psql: psycopg.Connection, job: AddJob, at: str) -> None:
    job()
    psql.execute("UPDATE cron_jobs SET planned_until = %s", (at,))
    ahead, done = run(session, an_hour())
    assert (ahead.count, done.enqueued) == (60, 60)
