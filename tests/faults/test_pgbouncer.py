"""PgBouncer in transaction mode in front of the job database: all that holds without it holds through it."""

import os
import signal
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from scheduler.testing.fault_proxy import FaultProxy
from scheduler.testing.postgres import ThrowawayPostgres
from tests.faults.harness import LEASE_SECONDS, PATIENCE_SECONDS, Scene, SchedulerProcess
from tests.faults.test_connections import CORE, FAULTS, HANDLER, arm
from tests.faults.test_crash import MIDDLE, kill
from tests.faults.test_transactional import POINTS, Both
from tests.faults.test_zombie import freeze_past_its_lease
from tests.pgbouncer import PgBouncer, needs_pgbouncer

pytestmark = needs_pgbouncer

HASTY: dict[str, Any] = {"WORKER__POLL_INTERVAL_SECONDS": 0.1}
"""Nothing is heard through it."""
DONE = "SELECT count(*) >= %s FROM job_executions WHERE status = 'SUCCESS'"
LISTENERS = f"SELECT count(*) {CORE}"
FEW = 3
LONG = "SCHEDULER_TEST_LONG" in os.environ


@pytest.fixture
def bouncer(scene: Scene) -> Iterator[PgBouncer]:
    with PgBouncer(scene.url) as bouncer:
        yield bouncer


def shared(bouncer: PgBouncer) -> bool:
    """Whether more clients than sessions of the server were served, so that they must have taken turns."""
    clients = [row for row in bouncer.ask("SHOW CLIENTS") if row["database"] != "pgbouncer"]
    servers = bouncer.ask("SHOW SERVERS")
    return len(clients) > len(servers) > 0


def test_the_whole_line_works_through_it_and_it_is_said_what_does_not(scene: Scene, bouncer: PgBouncer) -> None:
    scene.add("process_jobs.py")
    worker = scene.worker(url=bouncer.url, **HASTY)
    scene.cron_job("each second", "@every 1s", "work")
    ids = [
        *scene.enqueue("work", count=50),
        *scene.enqueue("work", {"seconds": 0.01}, count=20, concurrency_key="one at a time"),
        *scene.enqueue("flaky", count=10),
        *scene.enqueue("patient", count=2),
    ]
    (failed,) = scene.enqueue("exits_in_thread")
    (stopped,) = scene.enqueue("gated")
    (timed_out,) = scene.enqueue("stubborn")
    scene.until_all("RUNNING", [stopped])
    scene.rows("SELECT cancel_job(%s, 'not needed')", stopped)
    scene.until_all("CANCELLED", [stopped])
    scene.until_all("FAILED", [failed])
    scene.until_all("TIMEOUT", [timed_out])
    scene.until_all("SUCCESS", ids)
    scene.until_true("SELECT count(*) >= 3 FROM job_executions WHERE source = 'tick' AND status = 'SUCCESS'")
    assert shared(bouncer)
    assert len(worker.said("listener.deaf")) == 1
    assert worker.events("loop.failed") == worker.events("worker.lease_lost") == []
    assert len(scene.incarnations(worker)) == 1
    scene.rows("UPDATE cron_jobs SET enabled = false")
    worker.send(signal.SIGTERM)
    assert worker.exit_status() == 0
    scene.assert_sound()


def test_past_it_notifications_are_heard_and_heartbeats_need_none_of_its_connections(scene: Scene) -> None:
    scene.add("connection_jobs.py")
    with PgBouncer(scene.url, default_pool_size=FEW) as bouncer:
        settings: dict[str, Any] = {
            "DATABASES__DEFAULT__DIRECT_URL": scene.url,
            "DATABASES__DEFAULT__POOL_SIZE": FEW,
            "WORKER__POLL_INTERVAL_SECONDS": 3600,
        }
        worker = scene.worker(url=bouncer.url, **settings)
        scene.until(1, LISTENERS, "listener")
        for _ in range(3):  # each of them while the worker sleeps
            scene.until_all("SUCCESS", scene.enqueue("work"))
        ids = scene.enqueue("holds_a_connection", count=FEW)
        held = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in tr%%'"
        scene.until(FEW, held)
        since = scene.value("SELECT clock_timestamp()")
        beaten = f"SELECT min(heartbeat_at) > %s::timestamptz + interval '{2 * LEASE_SECONDS} s' FROM job_workers"
        scene.until_true(beaten, since)
        assert scene.value(held) == FEW
        scene.open_gate(1)
        scene.until_all("SUCCESS", ids)
        assert worker.events("listener.deaf") == worker.events("worker.lease_lost") == []
        assert len(scene.incarnations(worker)) == 1
    scene.assert_sound()


def test_many_workers_at_one_queue_claim_each_row_once(scene: Scene, bouncer: PgBouncer) -> None:
    workers = [scene.start(url=bouncer.url, **HASTY) for _ in range(3)]
    ids = scene.enqueue("work", count=600) + scene.enqueue("work", count=60, concurrency_key="one at a time")
    scene.until_all("SUCCESS", ids)
    assert shared(bouncer)
    assert scene.rows("SELECT DISTINCT attempt FROM job_executions") == [(1,)]
    assert [worker.events("loop.failed") for worker in workers] == [[], [], []]
    scene.assert_sound()


def test_what_a_killed_worker_held_is_done_by_another(scene: Scene, bouncer: PgBouncer) -> None:
    victim, survivor = (scene.worker(url=bouncer.url, **HASTY) for _ in range(2))
    ids = scene.enqueue("work", {"seconds": 0.3}, count=50)
    scene.until_true(MIDDLE, *scene.incarnations(victim))
    left = kill(scene, victim)
    scene.until_all("SUCCESS", ids)
    lost = """SELECT count(*) FROM job_executions WHERE errors @> '[{"outcome": "lost"}]'"""
    rescued = sum(event["count"] for event in survivor.events("rescuer.rescued"))
    assert 0 < rescued == scene.value(lost) <= left
    scene.assert_sound()


def test_a_frozen_worker_that_wakes_changes_nothing(scene: Scene, bouncer: PgBouncer) -> None:
    zombie = scene.worker(url=bouncer.url, **HASTY)
    ids = scene.enqueue("gated", count=2)
    scene.until_all("RUNNING", ids)
    other = freeze_past_its_lease(scene, zombie, ids)
    zombie.send(signal.SIGCONT)
    zombie.said("worker.lease_lost")
    assert {event["id"] for event in zombie.said("execution.stale", count=2)} == set(ids)
    scene.open_gate(2)
    scene.until_all("SUCCESS", ids)
    assert other.is_up
    scene.assert_sound()


def test_it_dies_and_comes_back_in_the_middle_of_a_long_queue(scene: Scene, bouncer: PgBouncer) -> None:
    worker = scene.worker(url=bouncer.url, **HASTY)
    ids = scene.enqueue("work", {"seconds": 0.02}, count=200)
    for times, done in enumerate((20, 70, 120), start=1):
        scene.until_true(DONE, done)
        bouncer.kill()
        worker.said("loop.failed", count=times)
        bouncer.start()
    scene.until_all("SUCCESS", ids)
    worker.said("loop.recovered")
    assert worker.is_up
    scene.assert_sound()


def test_paused_for_longer_than_a_lease_it_costs_the_lease_and_nothing_else(scene: Scene, bouncer: PgBouncer) -> None:
    worker = scene.worker(url=bouncer.url, **HASTY)
    ids = scene.enqueue("gated", count=2)
    scene.until_all("RUNNING", ids)
    bouncer.ask("PAUSE")
    scene.until_true(f"SELECT bool_and(lease_until < job_now() - interval '{LEASE_SECONDS} s') FROM job_workers")
    bouncer.ask("RESUME")
    worker.said("worker.lease_lost")
    scene.open_gate(1)
    scene.open_gate(2)
    scene.until_all("SUCCESS", ids + scene.enqueue("work", count=10))
    assert len(scene.incarnations(worker)) == 2
    scene.assert_sound()


def test_whose_server_ends_all_sessions_finishes_the_same_attempts(scene: Scene, bouncer: PgBouncer) -> None:
    worker = scene.worker(url=bouncer.url, **HASTY)
    (gated,) = scene.enqueue("gated")
    ids = scene.enqueue("work", {"seconds": 0.02}, count=200)
    scene.until_all("RUNNING", [gated])
    for done in (20, 50, 80, 110, 140, 170):
        scene.until_true(DONE, done)
        scene.until_true(f"SELECT count(pg_terminate_backend(pid)) > 0 {CORE}", "%")
    scene.open_gate(1)
    scene.until_all("SUCCESS", [gated, *ids])
    assert scene.rows("SELECT DISTINCT retry_count FROM job_executions") == [(0,)]
    assert worker.is_up
    assert len(scene.incarnations(worker)) == 1
    scene.assert_sound()


def test_one_outcome_whatever_message_is_lost_on_the_way_to_it(scene: Scene, bouncer: PgBouncer) -> None:
    with FaultProxy(bouncer.url) as proxy:
        worker = scene.worker(url=proxy.url, **HASTY)
        for fault in FAULTS:
            armed = arm(proxy, fault)
            ids = scene.enqueue(HANDLER, concurrency_key="key" if "keyed" in fault else None)
            scene.until_all("SUCCESS", ids)
            assert armed.struck.wait(PATIENCE_SECONDS), fault  # the row may say so before the answer is lost
            assert scene.rows("SELECT attempt, retry_count FROM job_executions WHERE id = %s", *ids) == [(1, 0)], fault
        assert worker.events("execution.stale") == worker.events("worker.lease_lost") == []
    scene.assert_sound()


@pytest.mark.parametrize("point", POINTS if LONG else ["after_prepare:business", "after_decision"])
def test_a_worker_that_dies_in_the_middle_of_a_commit_in_two_databases(
    scene: Scene, postgres_server: ThrowawayPostgres, point: str
) -> None:
    with postgres_server.fresh_database() as business, PgBouncer(scene.url) as bouncer:
        both, other = Both(scene, business), bouncer.to(business)
        ids = scene.enqueue("effects", count=3)
        dying = both.start(failpoints=f"{point}=exit", url=bouncer.url, other=other)
        assert dying.exit_status() == 137
        both.worker(url=bouncer.url, other=other)
        scene.until_all("SUCCESS", ids)
        both.assert_each_once(ids)


def test_what_the_handlers_of_a_killed_child_held_is_given_back(scene: Scene, bouncer: PgBouncer) -> None:
    """Its sessions are the pooler's, which ends them with it, and passes on the name that they are found by."""
    scene.add("pooled_jobs.py")
    scene.rows("CREATE TABLE locked (id int)")
    scene.worker(url=bouncer.url, **HASTY)
    (id_,) = scene.enqueue("locks_and_hangs")
    scene.until_there(f"locked-{id_}")
    scene.until_all("TIMEOUT", [id_])
    assert "SIGKILL" in scene.value("SELECT errors -> 0 ->> 'traceback' FROM job_executions WHERE id = %s", id_)
    scene.rows("SET lock_timeout = '30s'; LOCK TABLE locked")
    scene.until(0, f"SELECT count(*) {CORE} AND state <> 'idle' AND query LIKE '%%pg_sleep%%'", "handlers%")
    scene.assert_sound()


def test_supervised_processes_end_with_all_their_connections(scene: Scene, bouncer: PgBouncer) -> None:
    process = scene.supervised(2, url=bouncer.url, **HASTY)
    scene.until_all("SUCCESS", scene.enqueue("work", count=50))
    os.kill(process.workers(2)[0], signal.SIGKILL)
    process.said("supervisor.replacing")
    scene.until(2, "SELECT count(*) FROM job_workers WHERE status = 'ACTIVE'")
    scene.until_all("SUCCESS", scene.enqueue("work", count=50))
    process.send(signal.SIGTERM)
    assert process.exit_status() == 0
    assert [row for row in bouncer.ask("SHOW CLIENTS") if row["database"] != "pgbouncer"] == []
    scene.assert_sound()


def test_commands_work_through_it(scene: Scene, database_url: str) -> None:
    with PgBouncer(database_url) as bouncer:

        def typed(*arguments: str) -> str:
            with scene.command(*arguments, url=bouncer.url) as command:
                assert command.exit_status() == 0, command.log
            return command.log

        typed("migrate")
        typed("cron", "add", "nightly", "0 3 * * *", "work")
        typed("cron", "run", "nightly")
        typed("jobs", "enqueue", "work")
        typed("jobs", "enqueue", "gated")
        typed("run", "--only", "planner", "--until-idle")
        assert "gated" in typed("jobs", "list")
        typed("jobs", "cancel", "2")
        typed("queues", "pause", "default")
        with scene.command("doctor", url=bouncer.url) as doctor:
            assert doctor.exit_status() == 1  # the server of the tests has no autovacuum
        assert "LISTEN does not work through it" in doctor.log
        assert "Write the server's own address as databases.default.direct_url." in doctor.log
        assert "1 error" in doctor.log
        with psycopg.connect(database_url) as connection:
            counted = connection.execute("SELECT status, count(*) FROM job_executions GROUP BY status").fetchall()
        assert dict(counted) == {"PENDING": 2, "CANCELLED": 1}


@pytest.mark.parametrize("arguments", [["run"], ["jobs", "list"], ["doctor"]])
def test_in_statement_mode_it_is_refused(scene: Scene, arguments: list[str]) -> None:
    with PgBouncer(scene.url, "statement") as bouncer, scene.command(*arguments, url=bouncer.url) as command:
        assert command.exit_status() in (1, 2)
    assert_refused(command)


def test_in_statement_mode_no_tables_are_made(scene: Scene, database_url: str) -> None:
    with PgBouncer(database_url, "statement") as bouncer, scene.command("migrate", url=bouncer.url) as command:
        assert command.exit_status() in (1, 2)
    assert_refused(command)


def assert_refused(command: SchedulerProcess) -> None:
    assert "is in statement mode, in which there are no transactions." in command.log
    assert "pool_mode = transaction" in command.log
    assert "Traceback" not in command.log


def test_in_session_mode_notifications_are_heard_through_it(scene: Scene) -> None:
    with PgBouncer(scene.url, "session") as bouncer:
        worker = scene.worker(url=bouncer.url, WORKER__POLL_INTERVAL_SECONDS=3600)
        scene.until(1, LISTENERS, "listener")
        for _ in range(3):
            scene.until_all("SUCCESS", scene.enqueue("work"))
        assert worker.events("listener.deaf") == []
    scene.assert_sound()
