"""Editing, pausing, removing and running cron jobs, with somebody in psql beside it."""

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from scheduler.errors import ConflictError, NotFoundError, RefusedError, ScheduleError
from scheduler.model import Backoff, CatchUp, OverlapPolicy
from scheduler.operations.cron_job_changes import edit, pause, remove, resume, run
from scheduler.operations.cron_job_page import find, show
from scheduler.operations.cron_jobs import CronJobDefinition, Selection, add, due_next, names, statuses
from scheduler.operations.executions import show as show_execution
from scheduler.store.session import SyncSession
from scheduler.store.statements import statements

FULL = CronJobDefinition(
    name="a",
    cron_expression="@every 90s",
    handler_name="h",
    handler_params='{"n": 1.10}',
    description="why",
    timezone="Asia/Seoul",
    queue="mail",
    priority=-3,
    timeout_seconds=1.5,
    max_retry=0,
    retry_backoff=Backoff.LINEAR,
    retry_delay_seconds=0.25,
    overlap_policy=OverlapPolicy.REPLACE,
    catch_up=CatchUp.ALL,
    catch_up_limit=7,
    jitter_seconds=2.5,
    starts_at=datetime(2090, 1, 1, tzinfo=UTC),
    ends_at=datetime(2091, 1, 1, 12, 30, 15, 250, tzinfo=UTC),
    enabled=False,
    expected_duration_seconds=60.5,
    max_start_delay_seconds=5.0,
)


@pytest.fixture
def session(session: SyncSession) -> SyncSession:
    add(session, FULL)
    add(session, CronJobDefinition(name="b", cron_expression="@daily", handler_name="h"))
    return session


def test_what_was_added_is_what_is_found(session: SyncSession) -> None:
    assert find(session, "a").definition == FULL


def test_every_column_can_be_edited_and_only_it_changes(session: SyncSession) -> None:
    plain = find(session, "b")
    wanted = replace(FULL, name="c", handler_name="other")
    changes = edit(session, plain, wanted)
    assert {change.column for change in changes} == set(CronJobDefinition.__slots__)
    assert find(session, "c").definition == wanted
    assert find(session, "c").id == plain.id
    assert find(session, "a").definition == FULL


def test_an_edit_and_its_opposite(session: SyncSession) -> None:
    seen = find(session, "a")
    (change,) = edit(session, seen, replace(seen.definition, timezone="UTC"))
    assert (change.column, change.one, change.other) == ("timezone", "Asia/Seoul", "UTC")
    edited = find(session, "a")
    edit(session, edited, replace(edited.definition, timezone="Asia/Seoul"))
    assert find(session, "a").definition == FULL


def test_params_that_mean_the_same_are_no_change(session: SyncSession) -> None:
    seen = find(session, "a")
    assert edit(session, seen, replace(seen.definition, handler_params=' {"n" : 1.1} ')) == []
    assert len(edit(session, seen, replace(seen.definition, handler_params='{"n": 1.1000000000000000001}'))) == 1
    assert find(session, "a").handler_params == '{"n": 1.1000000000000000001}'


def test_somebody_else_was_faster(session: SyncSession, psql: psycopg.Connection) -> None:
    seen = find(session, "b")
    psql.execute("UPDATE cron_jobs SET timezone = 'Asia/Tokyo' WHERE name = 'b'")
    with pytest.raises(ConflictError, match=r"Somebody else has edited cron job 'b' meanwhile .*UTC → Asia/Tokyo"):
        edit(session, seen, replace(seen.definition, priority=5))
    assert (find(session, "b").priority, find(session, "b").timezone) == (0, "Asia/Tokyo")


def test_a_planner_at_work_is_nobody_else(session: SyncSession, psql: psycopg.Connection) -> None:
    seen = find(session, "b")
    psql.execute("UPDATE cron_jobs SET next_run_at = '2090-01-01', planned_until = job_now(), last_run_at = job_now()")
    assert len(edit(session, seen, replace(seen.definition, priority=5))) == 1


def test_it_is_gone(session: SyncSession, psql: psycopg.Connection) -> None:
    seen = find(session, "b")
    psql.execute("DELETE FROM cron_jobs WHERE name = 'b'")
    with pytest.raises(NotFoundError, match="'b'"):
        edit(session, seen, replace(seen.definition, priority=5))


@pytest.mark.parametrize(
    ("column", "value", "error", "match"),
    [
        ("cron_expression", "61 * * * *", ScheduleError, "minute"),
        ("timezone", "Nowhere", ScheduleError, "unknown"),
        ("name", "a", ConflictError, "'a' is already there"),
        ("name", "", RefusedError, "name must have from 1 to 200"),
        ("priority", 10, RefusedError, "priority must be"),
        ("priority", 10**12, RefusedError, "out of range"),
        ("timeout_seconds", float("nan"), RefusedError, "timeout_seconds"),
        ("handler_params", "{", RefusedError, "json"),
    ],
)
def test_nothing_is_written_unless_all_of_it_can_be(
    session: SyncSession, column: str, value: Any, error: type[Exception], match: str
) -> None:
    seen = find(session, "b")
    wanted = replace(seen.definition, description="new", **{column: value})
    with pytest.raises(error, match=match):
        edit(session, seen, wanted)
    assert find(session, "b").definition == seen.definition


def test_a_window_without_room(session: SyncSession) -> None:
    seen = find(session, "a")
    with pytest.raises(RefusedError, match="has to be later than starts_at"):
        edit(session, seen, replace(seen.definition, ends_at=seen.starts_at))


def test_a_bad_row_can_be_edited_elsewhere(session: SyncSession, psql: psycopg.Connection) -> None:
    psql.execute("UPDATE cron_jobs SET cron_expression = 'nonsense' WHERE name = 'b'")
    seen = find(session, "b")
    assert seen.next_run_at is None
    assert len(edit(session, seen, replace(seen.definition, description="to be mended"))) == 1
    assert "1 field:" in (show(session, "b").refusal or "")


def test_an_absurd_time_hides_nothing(session: SyncSession, psql: psycopg.Connection) -> None:
    psql.execute("UPDATE cron_jobs SET starts_at = 'infinity', created_at = '-infinity', updated_at = 'infinity'")
    page = show(session, "a")
    assert page.ticks == ()
    assert page.cron_job.starts_at is not None


def test_a_pause_has_a_reason_and_an_end(session: SyncSession) -> None:
    end = datetime(2090, 1, 1, tzinfo=UTC)
    assert pause(session, ["a", "b"], reason="why", resume_at=end) == ["b"]
    assert {(job.paused_reason, job.resume_at) for job in statuses(session, Selection(enabled=False))} == {("why", end)}
    found = find(session, "a")
    assert (found.enabled, found.paused_reason, found.resume_at) == (False, "why", end)
    pause(session, ["a", "b"])  # as it is
    pause(session, ["a"], reason="another")
    assert [(job.paused_reason, job.resume_at) for job in statuses(session)] == [("another", None), ("why", end)]
    with pytest.raises(RefusedError, match="is past"):
        pause(session, ["a"], resume_at=datetime(2020, 1, 1, tzinfo=UTC))
    resume(session, ["a", "b"])
    assert {(job.enabled, job.paused_reason, job.resume_at) for job in statuses(session)} == {(True, None, None)}


def test_pause_and_resume_say_what_they_changed(session: SyncSession) -> None:
    assert dict(names(session)) == {"a": False, "b": True}
    assert pause(session, ["a", "b"]) == ["b"]
    assert resume(session, ["b"]) == ["b"]
    assert resume(session, ["b"]) == []
    assert dict(names(session)) == {"a": False, "b": True}
    with pytest.raises(NotFoundError, match="'c'"):
        pause(session, ["b", "c"])
    assert names(session)["b"]
    assert pause(session, []) == []


def test_the_next_ticks_of_many_are_those_of_each(session: SyncSession, psql: psycopg.Connection) -> None:
    psql.execute("UPDATE cron_jobs SET invalid_reason = 'why' WHERE name = 'a'")
    told = due_next(session, ["b", "a", "gone"])
    assert told == {name: find(session, name).next_run_at for name in "ab"}
    assert (told["a"], told["b"] is None) == (None, False)


def test_removed_is_gone_and_its_executions_stay(session: SyncSession, psql: psycopg.Connection) -> None:
    enqueued = run(session, "b")
    with pytest.raises(NotFoundError):
        remove(session, ["b", "nobody"])
    (removed,) = remove(session, ["b", "b"])
    assert (removed.name, removed.waiting) == ("b", 1)
    assert list(names(session)) == ["a"]
    assert psql.execute("SELECT status FROM job_executions WHERE id = %s", (enqueued,)).fetchone() == ("PENDING",)


def test_run_is_an_execution_apart_from_the_schedule(session: SyncSession) -> None:
    execution = show_execution(session, run(session, "a"))
    assert (execution.source, execution.cron_job, execution.queue) == ("manual", "a", "mail")
    with pytest.raises(NotFoundError, match="'c'"):
        run(session, "c")


def test_the_newest_executions_of_a_page(session: SyncSession, psql: psycopg.Connection) -> None:
    job = find(session, "b")
    psql.execute(
        "INSERT INTO job_executions (cron_job_id, handler_name, status, scheduled_at, finished_at, error)"
        " SELECT %s, 'h', CASE WHEN n %% 2 = 0 THEN 'SKIPPED' ELSE 'FAILED' END, job_now() - n * interval '1 h',"
        " job_now(), E'first\\nsecond' FROM generate_series(1, 10) n",
        (job.id,),
    )
    executions = show(session, "b").executions
    assert [execution.status for execution in executions] == ["FAILED", "SKIPPED", "FAILED", "SKIPPED", "FAILED"]
    assert {execution.error for execution in executions} == {"first"}
    assert show(session, "b").cron_job.failures_in_a_row == 5


def test_ticks_begin_where_the_planner_is(session: SyncSession, psql: psycopg.Connection) -> None:
    psql.execute("UPDATE cron_jobs SET next_run_at = '2090-05-01 00:00+00', planned_until = job_now() WHERE name = 'b'")
    assert [tick.utc.day for tick in show(session, "b").ticks] == [1, 2, 3]
    pause(session, ["b"])
    assert show(session, "b").ticks == ()


def test_ticks_end_with_the_window(session: SyncSession) -> None:
    seen = find(session, "b")
    end = datetime.now(UTC) + timedelta(days=2)
    edit(session, seen, replace(seen.definition, ends_at=end))
    assert len(show(session, "b").ticks) == 2


@pytest.mark.parametrize(
    ("selection", "found"),
    [
        (Selection(), ["a", "b"]),
        (Selection(enabled=False), ["a"]),
        (Selection(enabled=True), ["b"]),
        (Selection(text="A"), ["a"]),
        (Selection(queue="mail"), ["a"]),
        (Selection(queue="default"), ["b"]),
        (Selection(handler_name="h", failing=True), ["b"]),
        (Selection(invalid=True), []),
        (Selection(handler_name="other"), []),
    ],
)
def test_some_of_the_list(
    session: SyncSession, psql: psycopg.Connection, selection: Selection, found: list[str]
) -> None:
    psql.execute(
        "INSERT INTO job_executions (cron_job_id, handler_name, status, finished_at)"
        " SELECT id, 'h', 'FAILED', job_now() FROM cron_jobs WHERE name = 'b'"
    )
    assert [status.name for status in statuses(session, selection)] == found


def test_what_python_cannot_hold_stays_as_it_is(session: SyncSession, psql: psycopg.Connection) -> None:
    psql.execute("UPDATE cron_jobs SET ends_at = 'infinity', starts_at = '-infinity' WHERE name = 'b'")
    seen = find(session, "b")
    assert [it.column for it in edit(session, seen, replace(seen.definition, description="x"))] == ["description"]
    times = psql.execute("SELECT starts_at::text, ends_at::text FROM cron_jobs WHERE name = 'b'").fetchall()
    assert times == [("-infinity", "infinity")]


def test_the_way_a_database_writes_dates_is_no_edit(
    session: SyncSession, psql: psycopg.Connection, migrated_url: str
) -> None:
    name = psql.info.dbname
    psql.execute(f"ALTER DATABASE \"{name}\" SET datestyle = 'SQL, DMY'".encode())
    psql.execute(f"ALTER DATABASE \"{name}\" SET timezone = 'Asia/Kolkata'".encode())
    with closing(SyncSession(migrated_url, "public", "test")) as elsewhere:
        seen = find(elsewhere, "b")
        assert edit(elsewhere, seen, replace(seen.definition, description="x"))


def test_true_is_not_one(session: SyncSession) -> None:
    for params in ('{"a": 1}', '{"a": true}'):
        seen = find(session, "b")
        assert edit(session, seen, replace(seen.definition, handler_params=params))
        assert find(session, "b").handler_params == params
    seen = find(session, "b")
    edit(session, seen, replace(seen.definition, handler_params='{"a": 1}'))
    seen = find(session, "b")
    assert edit(session, seen, replace(seen.definition, handler_params='{"a": 1.0}')) == []


def test_what_the_planner_writes_is_no_edit(session: SyncSession, psql: psycopg.Connection) -> None:
    psql.execute("UPDATE cron_jobs SET tzdata_version = '2019a', next_run_at = job_now() WHERE name = 'b'")
    seen = find(session, "b")
    psql.execute("UPDATE cron_jobs SET next_run_at = NULL, tzdata_version = NULL WHERE name = 'b'")
    psql.execute("UPDATE cron_jobs SET next_run_at = NULL, invalid_reason = 'why' WHERE name = 'b'")
    assert edit(session, seen, replace(seen.definition, description="x"))


def test_many_at_once_from_both_ends_do_not_block_each_other(
    session: SyncSession, psql: psycopg.Connection, migrated_url: str
) -> None:
    psql.execute(
        "INSERT INTO cron_jobs (name, cron_expression, handler_name) SELECT 'n' || n, '@daily', 'h' "
        "FROM generate_series(1, 400) AS n"
    )
    every = [f"n{n}" for n in range(1, 401)]

    def change(names_: list[str]) -> None:
        with closing(SyncSession(migrated_url, "public", "test")) as own:
            for act in (pause, resume, pause):
                act(own, names_)

    with ThreadPoolExecutor(2) as both:
        for done in [both.submit(change, every), both.submit(change, every[::-1])]:
            done.result()
    assert psql.execute("SELECT count(*) FROM cron_jobs WHERE enabled").fetchone() == (1,)


def test_one_cron_job_is_read_without_a_look_at_the_others(session: SyncSession, psql: psycopg.Connection) -> None:
    statement = statements("public")["one_cron_job"].replace(b"%(name)s", b"'b'")
    ((plan,),) = psql.execute(b"EXPLAIN (ANALYZE, FORMAT JSON) " + statement).fetchall()
    assert '"Actual Loops": 2' not in json.dumps(plan)
