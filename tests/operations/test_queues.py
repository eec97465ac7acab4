"""Queues, which exist by being named."""

import psycopg
import pytest

from scheduler.errors import NotFoundError
from scheduler.operations import queues
from scheduler.store.session import SyncSession


@pytest.fixture
def named(psql: psycopg.Connection) -> None:
    psql.execute("INSERT INTO job_queues (name) VALUES ('settings')")
    psql.execute(
        "INSERT INTO cron_jobs (name, cron_expression, handler_name, queue) VALUES ('c', '@daily', 'h', 'cron')"
    )
    psql.execute("SELECT register_worker('w', '{served,other}')")
    psql.execute(
        "INSERT INTO job_executions (handler_name, queue, concurrency_key) VALUES ('h', 'a', NULL), ('h', 'a', NULL),"
        " ('h', 'b', 'k'), ('h', 'c', 'k')"
    )
    psql.execute(
        "INSERT INTO job_executions (handler_name, queue, status, finished_at)"
        " VALUES ('h', 'old', 'SUCCESS', job_now())"
    )


@pytest.mark.usefixtures("named")
def test_whatever_names_one(session: SyncSession) -> None:
    names = ["a", "b", "c", "cron", "old", "other", "served", "settings"]
    assert queues.names(session) == names
    assert [status.name for status in queues.statuses(session)] == names


@pytest.mark.usefixtures("named")
def test_a_mistyped_one_is_refused(session: SyncSession) -> None:
    with pytest.raises(NotFoundError, match=r"names a queue 'sreved'\. Did you mean 'served'\?"):
        queues.require(session, "sreved")
    with pytest.raises(NotFoundError, match="Did you mean 'settings'"):
        queues.resume(session, "setings")
    queues.require(session, "mine", configured=["mine"])
    queues.require(session, "cron")


def test_a_pause_and_its_end(session: SyncSession, psql: psycopg.Connection) -> None:
    assert queues.pause_of(session, "q") is None
    queues.pause(session, "q", reason="why")
    paused = queues.pause_of(session, "q")
    assert (paused and paused.reason, paused and paused.resume_at) == ("why", None)
    assert queues.resume(session, "q")
    assert not queues.resume(session, "q")
    assert queues.pause_of(session, "q") is None


def test_a_pause_that_has_ended_by_itself(session: SyncSession, psql: psycopg.Connection) -> None:
    psql.execute("INSERT INTO job_queues (name, paused, resume_at) VALUES ('q', true, job_now() - interval '1 s')")
    assert queues.pause_of(session, "q") is None
    assert [status.paused for status in queues.statuses(session)] == [False]
