"""Enqueuing, and looking at what is stored, whatever it is."""

import psycopg
import pytest

from scheduler.errors import NotFoundError, RefusedError
from scheduler.model import Status
from scheduler.operations.executions import Attempt, NewExecution, Selection, enqueue, newest, show
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
    execution = show(session, enqueue(session, new))
    assert (execution.source, execution.status, execution.handler_params) == ("enqueue", "PENDING", {"a": [1, None]})
    assert (execution.available_at - execution.created_at).total_seconds() == pytest.approx(60, abs=1)
    assert (execution.result, execution.errors, execution.worker) == (None, (), None)
    assert enqueue(session, new) == execution.id


def test_refusals(session: SyncSession) -> None:
    with pytest.raises(RefusedError, match="priority BETWEEN -9 AND 9 must hold"):
        enqueue(session, NewExecution(handler_name="h", priority=10))
    with pytest.raises(RefusedError, match="json"):
        enqueue(session, NewExecution(handler_name="h", handler_params="{"))
    with pytest.raises(NotFoundError, match="No execution has the id 5"):
        show(session, 5)
    assert newest(session, Selection()) == []


def test_pages_follow_each_other(session: SyncSession) -> None:
    ids = [enqueue(session, NewExecution(handler_name="h")) for _ in range(5)]
    seen: list[int] = []
    before = None
    while page := newest(session, Selection(limit=2, before=before, status=Status.PENDING)):
        seen += [line.id for line in page]
        before = seen[-1]
    assert seen == ids[::-1]


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
    assert len(newest(session, Selection())) == 2
