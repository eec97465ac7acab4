"""What is wrong is noted once, told once, and over when its cause is."""

from typing import Any

import pytest

from scheduler.services.alerts.watcher import Watch, Watcher
from scheduler.services.alerts.words import duration
from scheduler.store.alerts import AlertRules
from scheduler.store.session import Session
from tests.store.fixtures import MakeSession
from tests.store.tables import Events, Tables

CRON = """INSERT INTO cron_jobs
          (name, cron_expression, handler_name, expected_duration_seconds, max_start_delay_seconds)
          VALUES ('nightly', '0 3 * * *', 'report', 60, 60) RETURNING id"""
FINAL = """INSERT INTO job_executions (handler_name, cron_job_id, scheduled_at, status, finished_at)
           SELECT 'report', %s, job_now() - make_interval(mins => n), %s, job_now() FROM generate_series(1, %s) AS n"""
RUNNING = """INSERT INTO job_executions (handler_name, cron_job_id, status, started_at, claim_token, claimed_by)
             VALUES ('report', %s, 'RUNNING', job_now() - interval '2 min', gen_random_uuid(), gen_random_uuid())"""
LATE = """UPDATE cron_jobs SET next_run_at = job_now() - interval '2 min', planned_until = job_now() - interval '1 day',
          tzdata_version = 'x'"""
DEAD = "INSERT INTO job_executions (handler_name, status, finished_at) VALUES ('mail', 'FAILED', job_now())"
WAITING = """INSERT INTO job_executions (handler_name, cron_job_id, source, scheduled_at, available_at)
             VALUES ('report', %s, 'tick', job_now() - interval '2 min', job_now() - interval '2 min')"""
MANY = "INSERT INTO job_executions (handler_name, queue) SELECT 'h', 'mail' FROM generate_series(1, 50)"
OPEN = "SELECT rule, subject, message FROM job_alerts WHERE closed_at IS NULL ORDER BY rule, subject"


def watching(session: Session, **rules: Any) -> Watcher:
    return Watcher(session, Watch(AlertRules(**rules), targets=("ops", "chat"), queue="alerts", quiet_seconds=0))


def told(tables: Tables) -> list[tuple[Any, ...]]:
    return tables.rows("""
        SELECT handler_params ->> 'state', handler_params ->> 'target', handler_params #>> '{alert,rule}', queue,
               concurrency_key FROM job_executions WHERE handler_name = 'scheduler.alert' ORDER BY id""")


async def test_a_dead_letter_is_told_once_and_over_when_it_is_tried_again(
    session: Session, tables: Tables, events: Events
) -> None:
    tables.execute(
        "INSERT INTO job_executions (handler_name, status, finished_at) VALUES ('mail', 'FAILED', job_now())"
    )
    watcher = watching(session)
    for _ in range(2):
        await watcher.look()
    assert tables.rows(OPEN) == [
        ("dead_letter", "mail", "1 execution has used up all tries of the handler mail, the last one is 1")
    ]
    opened = [("opened", target, "dead_letter", "alerts", f"alert:{target}") for target in ("ops", "chat")]
    assert told(tables) == opened
    tables.execute("SELECT retry_job(1)")
    for _ in range(2):
        await watcher.look()
    assert tables.rows(OPEN) == []
    assert told(tables) == opened + [("closed", *rest) for _, *rest in opened]
    assert [event.name for event in events if event.name.startswith("alert.")] == ["alert.opened", "alert.closed"]


async def test_what_begins_again_is_told_again(session: Session, tables: Tables) -> None:
    watcher = watching(session, backlog=50)
    for _ in range(2):
        tables.execute(
            "INSERT INTO job_executions (handler_name, queue) SELECT 'h', 'mail' FROM generate_series(1, 50)"
        )
        await watcher.look()
        tables.execute("DELETE FROM job_executions WHERE queue = 'mail'")
        await watcher.look()
    assert [state for state, target, *_ in told(tables) if target == "ops"] == ["opened", "closed"] * 2


async def test_a_cause_that_flickers_stays_open(session: Session, tables: Tables) -> None:
    watcher = Watcher(session, Watch(AlertRules(backlog=1), quiet_seconds=3600))
    tables.execute("INSERT INTO job_executions (handler_name) VALUES ('h')")
    await watcher.look()
    tables.execute("DELETE FROM job_executions")
    await watcher.look()
    assert tables.rows(OPEN) == [("backlog", "default", "At least 1 executions wait in the queue default")]


async def test_a_failing_alert_makes_no_alert(session: Session, tables: Tables) -> None:
    tables.execute("""INSERT INTO job_executions (handler_name, status, finished_at)
                      VALUES ('scheduler.alert', 'FAILED', job_now())""")
    await watching(session).look()
    assert tables.rows(OPEN) == []


async def test_a_cron_job_that_fails_again_and_again(session: Session, tables: Tables) -> None:
    cron_job = tables.value(CRON)
    watcher = watching(session, dead_letter_seconds=None, late_cron_job=False)
    tables.execute(FINAL, cron_job, "FAILED", 2)
    await watcher.look()
    assert tables.rows(OPEN) == []
    tables.execute("UPDATE job_executions SET scheduled_at = scheduled_at - interval '1 hour'")
    tables.execute(FINAL, cron_job, "TIMEOUT", 1)
    await watcher.look()
    assert [row[:2] for row in tables.rows(OPEN)] == [("failing_cron_job", "nightly")]
    tables.execute("UPDATE job_executions SET scheduled_at = scheduled_at - interval '1 hour'")
    tables.execute(FINAL, cron_job, "SUCCESS", 1)
    await watcher.look()
    assert tables.rows(OPEN) == []


async def test_a_tick_that_nobody_plans(session: Session, tables: Tables) -> None:
    tables.execute(CRON)
    tables.execute(LATE)
    watcher = watching(session)
    await watcher.look()
    assert tables.rows(OPEN) == [("late_cron_job", "nightly", "The cron job nightly is late by 2 minutes: not planned")]
    tables.execute("UPDATE cron_jobs SET next_run_at = job_now() + interval '1 day', planned_until = job_now()")
    await watcher.look()
    assert tables.rows(OPEN) == []


async def test_a_cron_job_that_nobody_has_ever_planned(session: Session, tables: Tables) -> None:
    tables.execute(CRON)
    watcher = watching(session)
    await watcher.look()
    assert tables.rows(OPEN) == []
    tables.execute("UPDATE cron_jobs SET max_start_delay_seconds = 1e-6")
    await watcher.look()
    assert [row[:2] for row in tables.rows(OPEN)] == [("late_cron_job", "nightly")]


async def test_a_tick_that_nobody_starts(session: Session, tables: Tables) -> None:
    cron_job = tables.value(CRON)
    tables.execute(
        """INSERT INTO job_executions (handler_name, cron_job_id, source, scheduled_at, available_at)
                      VALUES ('report', %s, 'tick', job_now() - interval '2 min', job_now() - interval '2 min')""",
        cron_job,
    )
    watcher = watching(session)
    await watcher.look()
    assert [row[2] for row in tables.rows(OPEN)] == ["The cron job nightly is late by 2 minutes: not started"]
    tables.execute("SELECT cancel_job(id) FROM job_executions WHERE handler_name = 'report'")
    await watcher.look()
    assert tables.rows(OPEN) == []


async def test_one_that_takes_longer_than_it_should(session: Session, tables: Tables) -> None:
    cron_job = tables.value(CRON)
    tables.execute(RUNNING, cron_job)
    watcher = watching(session)
    await watcher.look()
    assert [row[:2] for row in tables.rows(OPEN)] == [("slow_cron_job", "nightly")]
    assert tables.value("SELECT status FROM cron_job_slow") == "RUNNING"
    tables.execute("UPDATE job_executions SET started_at = job_now() WHERE handler_name = 'report'")
    await watcher.look()
    assert tables.rows(OPEN) == []


async def test_loops_that_are_stuck_are_one_alert_of_their_worker(session: Session, tables: Tables) -> None:
    worker = tables.worker()
    ill = '{"settle": {"age": 80, "limit": 15}, "claim": {"age": 99, "limit": 15}, "pulse": {"age": 1, "limit": 15}}'
    tables.execute("UPDATE job_workers SET loops = %s WHERE id = %s", ill, worker)
    watcher = watching(session)
    await watcher.look()
    ((rule, subject, message),) = tables.rows(OPEN)
    assert rule == "stuck_loop"
    assert message == f"The worker {subject} has not got on for 99 seconds with: claim, settle"
    tables.execute('UPDATE job_workers SET loops = \'{"claim": {"age": 1, "limit": 15}}\'')
    await watcher.look()
    assert tables.rows(OPEN) == []


async def test_a_transaction_in_doubt(session: Session, tables: Tables) -> None:
    tables.execute("""INSERT INTO job_transactions (gid, decision, participants, decided_at)
                      VALUES ('sched:x:y', 'COMMIT', '{business}', job_now() - interval '1 hour')""")
    watcher = watching(session)
    await watcher.look()
    assert tables.rows(OPEN) == [
        ("in_doubt", "sched:x:y", "The transaction sched:x:y is in doubt for 60 minutes (COMMIT)")
    ]
    tables.execute("UPDATE job_transactions SET settled_at = job_now()")
    await watcher.look()
    assert tables.rows(OPEN) == []


async def test_rules_that_are_off_see_nothing(session: Session, tables: Tables) -> None:
    tables.execute(CRON)
    tables.execute(LATE)
    tables.execute(
        "INSERT INTO job_executions (handler_name, status, finished_at) VALUES ('mail', 'FAILED', job_now())"
    )
    off = AlertRules(
        dead_letter_seconds=None, failing_cron_job_times=None, late_cron_job=False, slow_cron_job=False, backlog=None,
        stuck_loop=False, in_doubt_seconds=None,
    )  # fmt: skip
    await Watcher(session, Watch(off)).look()
    assert tables.rows(OPEN) == []


async def test_one_looks_at_a_time(session: Session, make_session: MakeSession, tables: Tables) -> None:
    tables.execute("INSERT INTO job_executions (handler_name) VALUES ('h')")
    other = watching(make_session(), backlog=1)
    async with session.transaction() as transaction:
        assert (await transaction.run("alert_turn", {}))[0][0]
        await other.look()
    assert tables.rows(OPEN) == []
    await other.look()
    assert len(tables.rows(OPEN)) == 1


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.0, "0 seconds"), (119.0, "119 seconds"), (120.0, "2 minutes"), (7200.0, "2 hours"), (200_000.0, "2 days")],
)
def test_a_duration_is_said_in_a_unit_that_fits(seconds: float, said: str) -> None:
    assert duration(seconds) == said
