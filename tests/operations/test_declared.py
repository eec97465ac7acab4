"""Making rows as declared, on real tables: once, all or none, and never somebody else's."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import Any, LiteralString

import psycopg
import pytest

from scheduler.errors import ConflictError, RefusedError
from scheduler.operations.declared import Action, Comparison, Options, apply, plan
from scheduler.store.session import SyncSession
from tests.operations.declaring import declared, job

BY_HAND = "INSERT INTO cron_jobs (name, cron_expression, handler_name) VALUES ('a', '@hourly', 'h')"
PATIENCE_SECONDS = 40
Actions = list[tuple[Action, str]]


def actions(comparison: Comparison) -> Actions:
    return [(step.action, step.name) for step in comparison.steps]


def cells(psql: psycopg.Connection, columns: LiteralString) -> list[tuple[Any, ...]]:
    return psql.execute(f"SELECT {columns} FROM cron_jobs ORDER BY name").fetchall()


class TestApply:
    def test_it_does_what_the_plan_says_and_then_there_is_nothing_to_do(
        self, session: SyncSession, psql: psycopg.Connection
    ) -> None:
        first = declared(job("a"), job("b"), job("c"))
        assert actions(plan(session, first)) == [(Action.CREATE, name) for name in "abc"]
        apply(session, first)
        assert actions(plan(session, first)) == []
        versions = cells(psql, "name, xmin::text, managed_by")

        assert actions(apply(session, first)) == []
        assert cells(psql, "name, xmin::text, managed_by") == versions  # not even written

        then = declared(job("a"), job("b", "@hourly"), job("d", queue="slow"))
        expected = [(Action.CHANGE, "b"), (Action.REMOVE, "c"), (Action.CREATE, "d")]
        assert actions(plan(session, then)) == expected
        assert actions(apply(session, then)) == expected
        assert cells(psql, "name, cron_expression, queue") == [
            ("a", "@daily", "default"), ("b", "@hourly", "default"), ("d", "@daily", "slow"),
        ]  # fmt: skip

    def test_what_is_not_declared_is_what_the_table_says(self, session: SyncSession, psql: psycopg.Connection) -> None:
        apply(session, declared(job("a")))
        psql.execute("INSERT INTO cron_jobs (name, cron_expression, handler_name) VALUES ('b', '@daily', 'h')")
        differing = psql.execute(
            "SELECT a.key FROM cron_jobs x, cron_jobs y, jsonb_each(to_jsonb(x)) a JOIN jsonb_each(to_jsonb(y)) b"
            " USING (key) WHERE x.name = 'a' AND y.name = 'b' AND a.value IS DISTINCT FROM b.value ORDER BY 1"
        )
        own = {"id", "name", "created_at", "updated_at", "planned_until"}
        assert {key for (key,) in differing} == own | {"managed_by", "declared"}

    def test_every_column_arrives_and_comes_back_the_same(self, session: SyncSession, migrated_url: str) -> None:
        everything = job(
            "a", "*/7 3 * * 1-5", timezone="Asia/Seoul", params={"n": 1.5, "deep": [None, True, "é"]}, queue="slow",
            priority=-9, timeout_seconds=0.25, max_retry=0, retry_backoff="linear", retry_delay_seconds=0.0,
            overlap_policy="replace", catch_up="all", catch_up_limit=7, jitter_seconds=1.5,
            expected_duration_seconds=60.0, max_start_delay_seconds=0.5,
            starts_at="2026-01-01T00:00:00.123456+09:00", ends_at="2027-01-01", enabled=False, description="it's a%s",
        )  # fmt: skip
        apply(session, declared(job("a")))
        (step,) = apply(session, declared(everything)).steps
        assert {difference.column for difference in step.differences} == everything.columns.keys() - {"handler_name"}
        elsewhere = f"{migrated_url}&options=-c%20timezone%3DAsia/Tokyo%20-c%20datestyle%3DGerman"
        with closing(SyncSession(elsewhere, "public", "test")) as other:
            assert actions(plan(other, declared(everything))) == []

    def test_all_or_none(self, session: SyncSession, psql: psycopg.Connection) -> None:
        apply(session, declared(job("a"), job("b")))
        with pytest.raises(RefusedError, match="Unicode"):
            apply(session, declared(job("b", "@hourly"), job("c"), job("d", description="\0")))
        assert cells(psql, "name, cron_expression") == [("a", "@daily"), ("b", "@daily")]

    def test_a_change_elsewhere_leaves_the_schedule_where_it_is(
        self, session: SyncSession, psql: psycopg.Connection
    ) -> None:
        apply(session, declared(job("a"), job("b")))
        psql.execute("UPDATE cron_jobs SET next_run_at = '2090-01-01 00:00Z', planned_until = '2089-12-31 00:00Z'")
        apply(session, declared(job("a", queue="slow"), job("b", "@hourly")))
        kept = cells(psql, "name, next_run_at IS NOT NULL, planned_until = '2089-12-31 00:00Z'")
        assert kept == [("a", True, True), ("b", False, False)]

    def test_a_removed_one_leaves_its_executions(self, session: SyncSession, psql: psycopg.Connection) -> None:
        apply(session, declared(job("a")))
        psql.execute("SELECT run_cron_job('a')")
        apply(session, declared())
        assert cells(psql, "name") == []
        assert psql.execute("SELECT status FROM job_executions").fetchall() == [("PENDING",)]

    def test_only_what_was_agreed_to_is_removed(self, session: SyncSession, psql: psycopg.Connection) -> None:
        apply(session, declared(job("a"), job("b")))
        with pytest.raises(ConflictError, match="Meanwhile b would be removed, too"):
            apply(session, declared(job("c")), may_remove=["a"])
        assert cells(psql, "name") == [("a",), ("b",)]
        apply(session, declared(job("c")), may_remove=["a", "b", "long gone"])
        assert cells(psql, "name") == [("c",)]

    def test_a_rename_is_a_removal_and_a_creation(self, session: SyncSession) -> None:
        apply(session, declared(job("a", queue="slow"), job("b")))
        steps = {step.name: step for step in plan(session, declared(job("c", queue="slow"), job("d", "@hourly"))).steps}
        assert steps["a"].renamed_to == "c"
        assert steps["b"].renamed_to is None


class TestDrift:
    def test_an_edit_stays_beside_what_changed(self, session: SyncSession, psql: psycopg.Connection) -> None:
        apply(session, declared(job("a"), job("b")))
        psql.execute("UPDATE cron_jobs SET priority = 5")
        then = declared(job("a", queue="slow"), job("b"))
        assert actions(apply(session, then)) == [(Action.CHANGE, "a"), (Action.DRIFT, "b")]
        assert cells(psql, "queue, priority") == [("slow", 5), ("default", 5)]
        assert actions(plan(session, then)) == [(Action.DRIFT, "a"), (Action.DRIFT, "b")]

        apply(session, then, Options(overwrite=True))
        assert cells(psql, "queue, priority") == [("slow", 0), ("default", 0)]
        assert actions(plan(session, then)) == []

    def test_an_edit_that_is_declared_afterwards_is_none_any_more(
        self, session: SyncSession, psql: psycopg.Connection
    ) -> None:
        apply(session, declared(job("a")))
        psql.execute("UPDATE cron_jobs SET priority = 5")
        assert actions(apply(session, declared(job("a", priority=5)))) == []
        assert actions(apply(session, declared(job("a", priority=6)))) == [(Action.CHANGE, "a")]
        assert cells(psql, "priority") == [(6,)]

    def test_whoever_pauses_it_decides(self, session: SyncSession, psql: psycopg.Connection) -> None:
        apply(session, declared(job("a")))
        psql.execute("SELECT pause_cron_job('a')")
        (step,) = apply(session, declared(job("a", "@hourly"))).steps
        assert (step.paused, step.next_ticks) == (True, ())
        assert cells(psql, "cron_expression, enabled") == [("@hourly", False)]

    def test_an_infinite_time_that_is_left_stays_infinite(self, session: SyncSession, psql: psycopg.Connection) -> None:
        apply(session, declared(job("a")))
        psql.execute("UPDATE cron_jobs SET ends_at = 'infinity', handler_params = '[1e5000]'")
        apply(session, declared(job("a", queue="slow")))
        assert cells(psql, "queue, ends_at = 'infinity', handler_params = '[1e5000]'") == [("slow", True, True)]

    @pytest.mark.parametrize("memory", ["NULL", "'{}'", """'{"priority": [1e400], "nothing": 1}'"""])
    def test_a_memory_that_somebody_wrote_over_hurts_nobody(
        self, session: SyncSession, psql: psycopg.Connection, memory: LiteralString
    ) -> None:
        apply(session, declared(job("a")))
        psql.execute(f"UPDATE cron_jobs SET declared = {memory}")
        apply(session, declared(job("a", queue="slow")))
        assert cells(psql, "queue, declared->>'queue'") == [("slow", "slow")]


class TestOthers:
    def test_two_projects_leave_each_other_alone(self, session: SyncSession, psql: psycopg.Connection) -> None:
        psql.execute("INSERT INTO cron_jobs (name, cron_expression, handler_name) VALUES ('hand', '@daily', 'h')")
        apply(session, declared(job("a"), managed_by="ours"))
        theirs = apply(session, declared(*(job(f"b{n:02}") for n in range(12)), managed_by="theirs"))
        assert [(other.managed_by, other.count) for other in theirs.others] == [(None, 1), ("ours", 1)]

        emptied = apply(session, declared(managed_by="ours"))
        assert actions(emptied) == [(Action.REMOVE, "a")]
        (_, others) = emptied.others
        assert (others.managed_by, others.count, others.names) == ("theirs", 12, [f"b{n:02}" for n in range(10)])
        assert len(cells(psql, "name")) == 13

    def test_a_taken_name_stops_everything(self, session: SyncSession, psql: psycopg.Connection) -> None:
        psql.execute(BY_HAND)
        both = declared(job("a"), job("b"))
        with pytest.raises(ConflictError, match=r"somebody else: a \(written by hand\). Nothing was changed"):
            apply(session, both)
        assert cells(psql, "name") == [("a",)]
        assert actions(apply(session, both, leave_taken=True)) == [(Action.TAKEN, "a"), (Action.CREATE, "b")]
        assert cells(psql, "cron_expression, managed_by") == [("@hourly", None), ("@daily", "ours")]

    def test_a_row_is_taken_over_only_when_told_to(self, session: SyncSession, psql: psycopg.Connection) -> None:
        psql.execute(BY_HAND)
        psql.execute("UPDATE cron_jobs SET priority = 5, enabled = false")
        assert actions(apply(session, declared(job("a")), Options(adopt=True))) == [(Action.ADOPT, "a")]
        assert cells(psql, "cron_expression, priority, enabled, managed_by") == [("@daily", 0, False, "ours")]
        with pytest.raises(ConflictError, match="managed by ours"):
            apply(session, declared(job("a"), managed_by="theirs"))
        apply(session, declared(job("a"), managed_by="theirs"), Options(adopt=True))
        assert cells(psql, "managed_by") == [("theirs",)]
        assert actions(plan(session, declared())) == []


class TestAtTheSameTime:
    def test_two_applies_take_turns_and_end_the_same(
        self, session: SyncSession, psql: psycopg.Connection, migrated_url: str
    ) -> None:
        jobs = declared(job("a"), job("b"))
        with psycopg.connect(migrated_url) as first:
            first.execute(
                "SELECT pg_advisory_xact_lock(hashtextextended('cron apply', 'cron_jobs'::regclass::oid::bigint))"
            )
            with in_a_thread(lambda: apply(session, jobs)) as second:
                wait_for_a_lock(psql, "advisory")
                with closing(SyncSession(migrated_url, "public", "test")) as other:
                    assert actions(plan(other, jobs)) == [(Action.CREATE, "a"), (Action.CREATE, "b")]
                first.execute(
                    "INSERT INTO cron_jobs (name, cron_expression, handler_name, managed_by)"
                    " VALUES ('a', '@daily', 'h', 'ours')"
                )
                first.commit()
                assert actions(second.result(PATIENCE_SECONDS)) == [(Action.CREATE, "b")]

    def test_a_name_that_is_inserted_by_hand_meanwhile_stops_everything(
        self, session: SyncSession, psql: psycopg.Connection, migrated_url: str
    ) -> None:
        with psycopg.connect(migrated_url) as somebody:
            somebody.execute(BY_HAND)
            with in_a_thread(lambda: apply(session, declared(job("a"), job("b")))) as applying:
                wait_for_a_lock(psql, "transactionid")
                somebody.commit()
                with pytest.raises(ConflictError, match="just inserted a by hand"):
                    applying.result(PATIENCE_SECONDS)
        assert cells(psql, "name, managed_by") == [("a", None)]

    def test_an_edit_in_between_is_seen(
        self, session: SyncSession, psql: psycopg.Connection, migrated_url: str
    ) -> None:
        apply(session, declared(job("a")))
        with psycopg.connect(migrated_url) as somebody:
            somebody.execute("UPDATE cron_jobs SET queue = 'by hand'")
            with in_a_thread(lambda: apply(session, declared(job("a", queue="slow")))) as applying:
                wait_for_a_lock(psql, "transactionid")
                somebody.commit()
                assert actions(applying.result(PATIENCE_SECONDS)) == [(Action.DRIFT, "a")]
        assert cells(psql, "queue") == [("by hand",)]


@contextmanager
def in_a_thread(work: Any) -> Iterator[Future[Comparison]]:
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(work)


def wait_for_a_lock(psql: psycopg.Connection, kind: str) -> None:
    """Until somebody waits for one of this kind here; each look takes the time of a statement."""
    waits = """SELECT 1 FROM pg_locks AS l JOIN pg_stat_activity AS a ON a.pid = l.pid
               WHERE a.datname = current_database() AND NOT l.granted AND l.locktype = %s"""
    for _ in range(100_000):
        if psql.execute(waits, (kind,)).fetchone():
            return
    raise AssertionError(f"nobody waits for a lock of kind {kind}")
