"""Cancel and retry in batches: what is done, what is refused, and that nobody is waited for while others are held."""

from collections.abc import Iterator
from threading import Thread

import psycopg
import pytest

from scheduler.operations import bulk
from scheduler.operations.bulk import MEANT, POSSIBLE, Action, Answer, Result, act
from scheduler.store.session import SyncSession


@pytest.fixture
def other(migrated_url: str) -> Iterator[psycopg.Connection]:
    """Somebody else, in the middle of a transaction."""
    with psycopg.connect(migrated_url) as connection:
        yield connection
        connection.rollback()


def rows(psql: psycopg.Connection, status: str, ids: range) -> None:
    final = "job_now()" if status not in {"PENDING", "RUNNING"} else "NULL"
    claimed = "gen_random_uuid(), gen_random_uuid(), job_now()" if status == "RUNNING" else "NULL, NULL, NULL"
    psql.execute(
        "INSERT INTO job_executions (id, handler_name, status, finished_at, claimed_by, claim_token, started_at)"
        f" SELECT n, 'h', %s, {final}, {claimed} FROM generate_series(%s::int, %s::int) AS n".encode(),
        (status, ids.start, ids.stop - 1),
    )


def status_of(psql: psycopg.Connection, id_: int) -> str:
    row = psql.execute("SELECT status FROM job_executions WHERE id = %s", (id_,)).fetchone()
    assert row is not None
    return str(row[0])


def one(session: SyncSession, action: Action, id_: int, reason: str | None = None) -> Answer:
    ((answer,),) = act(session, action, [id_], reason=reason)
    return answer


@pytest.mark.parametrize(
    ("action", "status", "result", "now"),
    [
        (Action.CANCEL, "PENDING", Result.DONE, "CANCELLED"),
        (Action.CANCEL, "RUNNING", Result.DONE, "RUNNING"),
        (Action.CANCEL, "SUCCESS", Result.REFUSED, "SUCCESS"),
        (Action.CANCEL, "CANCELLED", Result.REFUSED, "CANCELLED"),
        (Action.CANCEL, "SKIPPED", Result.REFUSED, "SKIPPED"),
        (Action.RETRY, "SUCCESS", Result.DONE, "PENDING"),
        (Action.RETRY, "FAILED", Result.DONE, "PENDING"),
        (Action.RETRY, "TIMEOUT", Result.DONE, "PENDING"),
        (Action.RETRY, "CANCELLED", Result.DONE, "PENDING"),
        (Action.RETRY, "PENDING", Result.REFUSED, "PENDING"),
        (Action.RETRY, "RUNNING", Result.REFUSED, "RUNNING"),
        (Action.RETRY, "SKIPPED", Result.REFUSED, "SKIPPED"),
    ],
)
def test_each_action_on_each_status(
    action: Action, status: str, result: Result, now: str, session: SyncSession, psql: psycopg.Connection
) -> None:
    rows(psql, status, range(1, 2))
    answer = one(session, action, 1)
    assert (answer.result, answer.status, status_of(psql, 1)) == (result, now, now)
    assert (answer.why is None) == (result is Result.DONE)
    assert (status in POSSIBLE[action]) == (result is Result.DONE)


def test_a_reason_is_kept(session: SyncSession, psql: psycopg.Connection) -> None:
    rows(psql, "PENDING", range(1, 2))
    one(session, Action.CANCEL, 1, "wrong address")
    assert psql.execute("SELECT error, cancel_reason FROM job_executions").fetchall() == [("wrong address",) * 2]


def test_an_unknown_id_stops_no_other(session: SyncSession, psql: psycopg.Connection) -> None:
    rows(psql, "PENDING", range(1, 2))
    ((unknown, done),) = act(session, Action.CANCEL, [99, 1])
    assert unknown.why == "No execution has the id 99: `scheduler jobs list` shows the newest."
    assert done == Answer(1, Result.DONE, "CANCELLED")


def test_many_go_in_batches(session: SyncSession, psql: psycopg.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "BATCH", 7)
    rows(psql, "FAILED", range(1, 21))
    batches = list(act(session, Action.RETRY, range(20, 0, -1), statuses=MEANT[Action.RETRY]))
    assert [len(batch) for batch in batches] == [7, 7, 6]
    assert [answer.id for batch in batches for answer in batch] == [*range(20, 0, -1)]
    assert psql.execute("SELECT DISTINCT status FROM job_executions").fetchall() == [("PENDING",)]


def test_what_has_changed_since_it_was_found_stays(session: SyncSession, psql: psycopg.Connection) -> None:
    """Somebody retried it, and it succeeded: nobody wants it to run once more."""
    rows(psql, "FAILED", range(1, 2))
    rows(psql, "SUCCESS", range(2, 3))
    ((failed, succeeded, gone),) = act(session, Action.RETRY, [1, 2, 3], statuses=MEANT[Action.RETRY])
    assert (gone.result, gone.status) == (Result.CHANGED, None)
    assert (failed.result, succeeded.result, succeeded.status) == (Result.DONE, Result.CHANGED, "SUCCESS")
    assert status_of(psql, 2) == "SUCCESS"


def test_one_that_somebody_holds_is_waited_for_with_nothing_locked(
    session: SyncSession, psql: psycopg.Connection, other: psycopg.Connection
) -> None:
    """A worker settles 2 and then wants 1, while a cancel has 1 and wants 2: neither may be killed as a deadlock."""
    rows(psql, "RUNNING", range(1, 4))
    other.execute("UPDATE job_executions SET status = 'SUCCESS', finished_at = job_now() WHERE id = 2")
    answers: list[Answer] = []
    thread = Thread(target=lambda: answers.extend(*act(session, Action.CANCEL, [1, 2, 3])))
    thread.start()
    waits = """SELECT 1 FROM pg_locks AS l JOIN pg_stat_activity AS a ON a.pid = l.pid
               WHERE a.datname = current_database() AND NOT l.granted"""
    while not psql.execute(waits).fetchall():
        assert thread.is_alive()
    other.execute("SET lock_timeout = '5s'")
    other.execute("UPDATE job_executions SET status = 'SUCCESS', finished_at = job_now() WHERE id = 1")
    other.commit()
    thread.join(10)
    assert [(answer.id, answer.result, answer.status) for answer in answers] == [
        (1, Result.DONE, "RUNNING"), (2, Result.REFUSED, "SUCCESS"), (3, Result.DONE, "RUNNING")
    ]  # fmt: skip


def test_a_unique_key_that_is_taken_names_its_holder(session: SyncSession, psql: psycopg.Connection) -> None:
    rows(psql, "FAILED", range(1, 3))
    psql.execute("UPDATE job_executions SET unique_key = 'k' WHERE id = 1")
    psql.execute("INSERT INTO job_executions (id, handler_name, unique_key) VALUES (3, 'h', 'k')")
    ((taken, free),) = act(session, Action.RETRY, [1, 2])
    assert taken.why is not None
    assert "execution 3 (PENDING) holds its unique key 'k'" in taken.why
    assert (taken.result, free.result) == (Result.REFUSED, Result.DONE)
    assert (status_of(psql, 1), status_of(psql, 2)) == ("FAILED", "PENDING")


def test_two_of_a_batch_with_the_same_unique_key(session: SyncSession, psql: psycopg.Connection) -> None:
    rows(psql, "FAILED", range(1, 4))
    psql.execute("UPDATE job_executions SET unique_key = 'k' WHERE id < 3")
    ((first, second, third),) = act(session, Action.RETRY, [1, 2, 3])
    assert [first.result, second.result, third.result] == [Result.DONE, Result.REFUSED, Result.DONE]
