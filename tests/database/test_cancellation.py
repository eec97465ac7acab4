"""A handler's task can be cancelled anywhere; the server and the pool are left clean."""

import asyncio
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from sqlalchemy import event

from scheduler import failpoints
from scheduler.database import DatabaseRegistry, get_connection, transactional
from tests.database.conftest import Server

INSERT = "INSERT INTO item VALUES (:id, :name)"
SLEEP = "DO $$ BEGIN RAISE NOTICE 'running'; PERFORM pg_sleep(60); END $$"
SLEEPING = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND query LIKE 'DO $$%' AND state = 'active'
"""
COMMIT_WAITS = """
    CREATE TABLE item (id int);
    CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN RAISE NOTICE 'committing'; PERFORM pg_advisory_xact_lock(7); RETURN NULL; END $$;
    CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON item DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION wait()
"""


def on_notice(act: Callable[[], object]) -> None:
    """Call `act` when the server says that a statement of `default` runs."""

    @event.listens_for(DatabaseRegistry.get().async_engine.sync_engine, "connect")
    def _listen(connection: Any, _record: object) -> None:
        connection.add_notice_handler(lambda _: act())


async def test_a_cancelled_statement_ends_on_the_server_and_rolls_back(databases: Server) -> None:
    running = asyncio.Event()
    on_notice(running.set)

    async def work() -> None:
        async with transactional():
            await get_connection().execute(INSERT, {"id": 1, "name": "a"})
            await get_connection().execute(SLEEP)

    task = asyncio.create_task(work())
    await running.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert databases.run(SLEEPING) == [(0,)]
    async with transactional():
        await get_connection().execute(INSERT, {"id": 1, "name": "again"})
    assert databases.items() == ["again"]


async def test_cancelled_again_and_again_the_pool_keeps_its_size(databases: Server) -> None:
    pool: Any = DatabaseRegistry.get().async_engine.sync_engine.pool

    async def work() -> None:
        async with transactional():
            await get_connection().execute(INSERT, {"id": 1, "name": "a"})
            await asyncio.Event().wait()

    for steps in range(30):
        task = asyncio.create_task(work())
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()

    assert pool.checkedout() == 0
    assert databases.items() == []


async def test_a_timeout_turns_into_its_own_error(databases: Server) -> None:
    on_notice(lambda: deadline.reschedule(0))

    @transactional()
    async def work() -> None:
        await get_connection().execute(SLEEP)

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(None) as deadline:
            await work()


async def test_a_commit_under_way_is_heard_out_before_the_cancellation_goes_on(databases: Server) -> None:
    cancelled: list[bool] = []

    async def work() -> None:
        async with transactional("default", "business"):
            await get_connection("business").execute(INSERT, {"id": 1, "name": "b"})
            await get_connection("default").execute(INSERT, {"id": 1, "name": "a"})

    task = asyncio.create_task(work())
    failpoints.arm("after_commit:business", lambda: cancelled.append(task.cancel()))
    with pytest.raises(asyncio.CancelledError):
        await task

    assert cancelled == [True]
    assert (databases.items(), databases.items("business")) == (["a"], ["b"])


async def test_a_cancellation_on_its_way_before_the_commit_rolls_back(databases: Server) -> None:
    async def work() -> None:
        async with transactional():
            await get_connection().execute(INSERT, {"id": 1, "name": "a"})
            task.cancel()

    task = asyncio.create_task(work())
    with pytest.raises(asyncio.CancelledError):
        await task

    assert databases.items() == []


async def test_a_silent_server_cannot_hold_a_cancelled_task(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The task goes after a while; its commit goes on alone and gives the connection back."""
    monkeypatch.setattr("scheduler.database.transaction._ANSWER_SECONDS", 0.05)
    DatabaseRegistry.configure({"default": database_url})
    committing, given_back = asyncio.Event(), asyncio.Event()
    on_notice(committing.set)
    event.listen(DatabaseRegistry.get().async_engine.sync_engine, "checkin", lambda *_: given_back.set())

    async def work() -> None:
        async with transactional():
            await get_connection().execute("INSERT INTO item VALUES (1)")

    with psycopg.connect(database_url, autocommit=True) as outside:
        outside.execute(COMMIT_WAITS)
        outside.execute("SELECT pg_advisory_lock(7)")
        task = asyncio.create_task(work())
        await committing.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not given_back.is_set()
        outside.execute("SELECT pg_advisory_unlock(7)")
        await given_back.wait()
        assert outside.execute("SELECT id FROM item").fetchall() == [(1,)]
    await DatabaseRegistry.dispose()
