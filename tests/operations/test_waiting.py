"""Waiting for the end."""

from collections.abc import Sequence

import psycopg
import pytest

from scheduler.errors import NotFoundError
from scheduler.operations.waiting import ExecutionState, states, wait
from scheduler.store.session import SyncSession

DONE = "UPDATE job_executions SET status = 'SUCCESS', finished_at = job_now(), result = '[1]' WHERE id = %s"


@pytest.fixture(autouse=True)
def rows(psql: psycopg.Connection) -> None:
    psql.execute("INSERT INTO job_executions (id, handler_name) VALUES (1, 'h'), (2, 'h')")


def test_until_all_of_them_are_final(session: SyncSession, psql: psycopg.Connection) -> None:
    seen: list[list[str]] = []

    def watch(states: Sequence[ExecutionState]) -> None:
        seen.append([state.status for state in states])
        psql.execute(DONE, (1 if len(seen) == 1 else 2,))

    ended = wait(session, [2, 1], watch=watch)
    assert [(state.id, state.status, state.result) for state in ended] == [(2, "SUCCESS", [1]), (1, "SUCCESS", [1])]
    assert seen == [["PENDING", "PENDING"], ["PENDING", "SUCCESS"], ["SUCCESS", "SUCCESS"]]


@pytest.mark.parametrize("timeout", [0, 0.01])
def test_no_longer_than_that(session: SyncSession, timeout: float) -> None:
    (state,) = wait(session, [1], timeout=timeout)
    assert (state.status, state.final, state.served) == ("PENDING", False, False)


def test_one_that_goes_meanwhile(session: SyncSession, psql: psycopg.Connection) -> None:
    def watch(states: Sequence[ExecutionState]) -> None:
        psql.execute("DELETE FROM job_executions WHERE id = 2")

    with pytest.raises(NotFoundError, match="No execution has the id 2"):
        wait(session, [1, 2], watch=watch)


def test_whether_anybody_serves_the_queue(session: SyncSession, psql: psycopg.Connection) -> None:
    psql.execute("SELECT register_worker('w', '{default}')")
    assert states(session, [1])[0].served
    psql.execute("UPDATE job_workers SET lease_until = job_now()")
    assert not states(session, [1])[0].served
