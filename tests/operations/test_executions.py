"""Enqueuing, and looking at what is stored, whatever it is."""

from uuid import UUID

import psycopg
import pytest

from scheduler.errors import NotFoundError, RefusedError
from scheduler.model import NewExecution
from scheduler.operations.executions import Attempt, Enqueued, enqueue, show
from scheduler.store.session import SyncSession


def test_what_is_not_given_is_what_the_table_says(session: SyncSession, psql: psycopg.Connection) -> None:
    enqueue(session, NewExecution(handler_name="h"))
    psql.execute("INSERT INTO job_executions (handler_name) VALUES ('h')")
    differing = psql.execute(
        "SELECT a.key FROM job_executions x, job_executions y, jsonb_each(to_jsonb(x)) a JOIN jsonb_each(to_jsonb(y)) b"
        " USING (key) WHERE x.id < y.id AND a.value IS DISTINCT FROM b.value"
    )
    assert {key for (key,) in differing} == {"id", "scheduled_at", "available_at", "created_at"}


def test_what_was_enqueued_can_be_shown(session: SyncSession) -> None:
    new = NewExecution(
        handler_name="h", handler_params='{"a": [1, null]}', priority=-9, delay_seconds=60, unique_key="k"
    )
    execution = show(session, enqueue(session, new).id)
    assert (execution.source, execution.status, execution.handler_params) == ("enqueue", "PENDING", {"a": [1, None]})
    assert (execution.available_at - execution.created_at).total_seconds() == pytest.approx(60, abs=1)
    assert (execution.result, execution.errors, execution.worker) == (None, (), None)
    assert enqueue(session, new) == Enqueued(execution.id, existing=True)


def test_refusals(session: SyncSession) -> None:
    with pytest.raises(RefusedError, match=r"^priority 10 is out of range\. Write -9 to 9; higher runs first\.$"):
        enqueue(session, NewExecution(handler_name="h", priority=10))
    with pytest.raises(RefusedError, match="json"):
        enqueue(session, NewExecution(handler_name="h", handler_params="{"))
    with pytest.raises(NotFoundError, match="No execution has the id 5"):
        show(session, 5)


@pytest.mark.parametrize(
    ("stored", "seen"),
    [
        ('{"a": 1.5}', {"a": 1.5}),
        ("[1e200]", [10**200]),
        ("1e5000", "1" + "0" * 5000),
        ("1e400", 10**400),
        ("[1e400, 0.5]", [10**400, 0.5]),
    ],
)
def test_json_that_python_cannot_hold_stays_its_text(
    session: SyncSession, psql: psycopg.Connection, stored: str, seen: object
) -> None:
    psql.execute("INSERT INTO job_executions (id, handler_name, handler_params) VALUES (1, 'h', %s)", (stored,))
    assert show(session, 1).handler_params == seen


def test_errors_written_by_hand(session: SyncSession, psql: psycopg.Connection) -> None:
    entries = '[{"attempt": "two", "outcome": "failure", "error": {"code": 4}}, 7, null]'
    psql.execute("INSERT INTO job_executions (id, handler_name, errors) VALUES (1, 'h', %s)", (entries,))
    first, second, third = show(session, 1).errors
    assert first == Attempt(None, "failure", None, None, '{"code": 4}', None)
    assert (second.error, third.error) == ("7", None)


def test_an_absurd_time_hides_nothing(session: SyncSession, psql: psycopg.Connection) -> None:
    psql.execute(
        "INSERT INTO job_executions (id, handler_name, created_at) VALUES (1, 'h', '-infinity'), (2, 'h', 'infinity')"
    )
    assert show(session, 1).created_at.year < 3
    assert show(session, 2).created_at.year > 9990


def test_what_it_waits_for(session: SyncSession, psql: psycopg.Connection) -> None:
    psql.execute(
        "INSERT INTO job_executions (id, handler_name, concurrency_key, concurrency_limit) VALUES (1, 'h', 'k', 2)"
    )
    waiting = show(session, 1)
    assert (waiting.queue_workers, waiting.held_by, waiting.queue_paused) == (0, None, False)
    psql.execute(
        "SELECT register_worker('w', '{default,mail}'), register_worker('x', '{mail}'), pause_queue('default', 'why')"
    )
    psql.execute(
        "INSERT INTO job_executions (id, handler_name, concurrency_key, status, claimed_by, claim_token, started_at)"
        " SELECT n, 'h', 'k', 'RUNNING', gen_random_uuid(), gen_random_uuid(), job_now() FROM generate_series(2, 3) n"
    )
    waiting = show(session, 1)
    assert (waiting.queue_workers, waiting.held_by) == (1, 2)
    assert (waiting.queue_paused, waiting.queue_paused_reason) == (True, "why")
    assert show(session, 2).held_by is None
    psql.execute("UPDATE job_queues SET resume_at = job_now() - interval '1 s'")
    psql.execute("UPDATE job_workers SET lease_until = job_now() - interval '1 s'")
    psql.execute("UPDATE job_executions SET status = 'SUCCESS', finished_at = job_now() WHERE id = 3")
    waiting = show(session, 1)
    assert (waiting.queue_workers, waiting.held_by, waiting.queue_paused) == (0, None, False)


def test_attempts_name_their_workers(session: SyncSession, psql: psycopg.Connection) -> None:
    psql.execute(
        "INSERT INTO job_executions (id, handler_name, errors) SELECT 1, 'h', jsonb_build_array("
        " jsonb_build_object('worker', register_worker('web-1')), jsonb_build_object('worker', gen_random_uuid()), 7)"
    )
    known, forgotten, by_hand = show(session, 1).errors
    assert known.worker == "web-1"
    assert forgotten.worker is not None
    assert UUID(forgotten.worker)
    assert by_hand.worker is None
