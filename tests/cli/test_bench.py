"""`scheduler bench`: what it measures, and that nothing of it is left."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import closing, suppress
from pathlib import Path

import psycopg
import pytest

from scheduler.app.bench.report import Percentiles
from scheduler.errors import QueryExecutionError
from scheduler.store import benching
from scheduler.store.session import SyncSession
from tests.cli.conftest import Command, Sql

ROOT = Path(__file__).resolve().parents[2]
SCHEMAS = "SELECT nspname::text FROM pg_namespace WHERE starts_with(nspname::text, 'scheduler_bench_') ORDER BY nspname"
ALONE = """SELECT count(*) = 1 FROM pg_stat_activity
           WHERE datname = current_database() AND backend_type = 'client backend'"""
TINY = ("--jobs", "200", "--seconds", "0.2")
PATIENCE_SECONDS = 60.0


def test_it_measures_everything_and_leaves_nothing(online: Command, sql: Sql) -> None:
    code, out, err = online("bench", *TINY, "--json")
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert found["server"]["fsync"] in ("on", "off")
    assert found["yardstick"]["insert"] > 0 < found["yardstick"]["round_trip"]
    assert found["enqueue"]["single_rate"] > 0 < found["enqueue"]["bulk_rate"]
    assert found["drain"]["jobs"] == 200
    assert found["drain"]["rate"] > 0 < found["drain"]["cpu"]
    assert found["latency"]["count"] >= 5
    assert found["latency"]["p50"] <= found["latency"]["p99"] <= found["latency"]["most"]
    assert found["cron"]["late"]["count"] > 0
    assert sql(SCHEMAS) == []
    assert sql("SELECT (SELECT count(*) FROM job_executions), (SELECT count(*) FROM job_workers)") == [(0, 0)]


def test_where_work_waits_it_asks_first(online: Command, sql: Sql) -> None:
    sql("INSERT INTO job_executions (handler_name) SELECT 'email' FROM generate_series(1, 1200)")
    sql("INSERT INTO job_workers (name, status, lease_until) VALUES ('w', 'ACTIVE', job_now() + interval '1 hour')")
    code, out, err = online("bench", *TINY)
    assert (code, out) == (2, "")
    assert "is in use: 1 worker works and more than 1,000 executions wait." in err
    assert "add --yes" in err
    assert sql(SCHEMAS) == []


def test_with_yes_it_leaves_what_waits_alone(online: Command, sql: Sql) -> None:
    sql("INSERT INTO job_executions (handler_name) VALUES ('email')")
    before = sql("SELECT e.*, e.xmin::text FROM job_executions AS e")
    code, out, err = online("bench", *TINY, "--yes", "--only", "enqueue")
    assert (code, err) == (0, "")
    assert [line.split()[0] for line in out.splitlines() if "a second" in line] == ["enqueue", "enqueue_many"]
    assert "one enqueue takes" in out
    assert sql("SELECT e.*, e.xmin::text FROM job_executions AS e") == before


def test_a_role_that_may_not_make_schemas_is_told_which_right_it_lacks(
    scheduler: Command, migrated_url: str, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    role = f"bench_{os.urandom(8).hex()}"
    sql(f"CREATE ROLE {role}")
    try:
        monkeypatch.setenv("SCHEDULER_DATABASE_URL", f"{migrated_url}&options=-c%20role%3D{role}")
        code, _, err = scheduler("bench", *TINY)
        assert code == 2
        assert f'Role "{role}" may not make schemas in database' in err
        assert "GRANT CREATE ON DATABASE" in err
    finally:
        sql(f"DROP ROLE {role}")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_leaves_nothing(folder: Path, migrated_url: str, sql: Sql, number: signal.Signals) -> None:
    with endless(folder, migrated_url) as process:
        worker_of(sql)
        process.send_signal(number)
        _, err = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 1
    assert "Interrupted: the schema of the benchmark is dropped" in err
    assert sql(SCHEMAS) == []


def test_killed_it_takes_its_workers_along_and_the_next_one_names_what_is_left(
    folder: Path, migrated_url: str, online: Command, sql: Sql
) -> None:
    with endless(folder, migrated_url) as process:
        worker_of(sql)
        assert left_over(migrated_url) == []
        process.kill()
    until(
        sql, "SELECT count(*) = 1 FROM pg_stat_activity WHERE datname = current_database() AND backend_type LIKE 'c%'"
    )
    ((schema,),) = sql(SCHEMAS)
    assert left_over(migrated_url) == [schema]
    code, _, err = online("bench", *TINY, "--only", "enqueue")
    assert code == 0
    assert err == f"note: An earlier benchmark left a schema behind: DROP SCHEMA {schema} CASCADE;\n"
    assert sql(SCHEMAS) == [(schema,)]


def test_only_its_own_schemas_are_taken_for_left_over_and_dropped(migrated_url: str, sql: Sql) -> None:
    sql("CREATE SCHEMA scheduler_bench_results; CREATE SCHEMA scheduler_bench_0badcafe")
    assert left_over(migrated_url) == ["scheduler_bench_0badcafe"]
    with pytest.raises(ValueError, match="no schema of a benchmark"):
        benching.drop(SyncSession(migrated_url, "scheduler_bench_results", "test"))
    assert sql(SCHEMAS) == [("scheduler_bench_0badcafe",), ("scheduler_bench_results",)]


def test_a_schema_that_cannot_be_dropped_is_named(online: Command, sql: Sql, monkeypatch: pytest.MonkeyPatch) -> None:
    def drop(_: SyncSession) -> None:
        raise QueryExecutionError("The job database did not answer.")

    monkeypatch.setattr(benching, "drop", drop)
    code, _, err = online("bench", *TINY, "--only", "enqueue")
    ((schema,),) = sql(SCHEMAS)
    assert code == 1
    assert err == (
        f"error: The benchmark's schema is left (The job database did not answer.): DROP SCHEMA {schema} CASCADE;\n"
    )


def test_a_worker_that_dies_ends_it_and_nothing_is_left(folder: Path, migrated_url: str, sql: Sql) -> None:
    with endless(folder, migrated_url) as process:
        os.kill(worker_of(sql), signal.SIGKILL)
        _, err = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 1
    assert "error: A worker process of the benchmark has ended" in err
    assert sql(SCHEMAS) == []


def endless(folder: Path, url: str) -> "subprocess.Popen[str]":
    """A benchmark that ends only by what is done to it."""
    return subprocess.Popen(
        [sys.executable, "-m", "scheduler", "bench", "--only", "cron", "--seconds", "3600"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "SCHEDULER_DATABASE_URL": url},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def left_over(url: str) -> list[str]:
    with closing(benching.new_session(url)) as session:
        return benching.left_over(session)


def until(sql: Sql, question: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while sql(question) != [(True,)]:
        assert time.monotonic() < deadline, f"{question}: not within {PATIENCE_SECONDS:g} s"
        time.sleep(0.05)


def worker_of(sql: Sql) -> int:
    """The process of its worker, once it has begun."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        for (schema,) in sql(SCHEMAS):
            with suppress(psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):  # it is being made
                if found := sql(f"SELECT pid FROM {schema}.job_workers"):
                    return int(found[0][0])
        time.sleep(0.05)
    raise AssertionError(f"No benchmark has begun within {PATIENCE_SECONDS:g} s.")


def test_percentiles() -> None:
    assert Percentiles.of([float(n) for n in range(100, -1, -1)]) == Percentiles(101, 50.0, 99.0, 100.0)
    assert Percentiles.of([7.0]) == Percentiles(1, 7.0, 7.0, 7.0)
