"""The connection of the core: READ COMMITTED whatever the role's default, and opened anew whatever broke it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from uuid import uuid4

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from scheduler.store import session as session_module
from scheduler.store.executions import NO_BOUND, Executions, Success
from scheduler.store.session import Session
from tests.pgbouncer import PgBouncer, needs_pgbouncer
from tests.store.fixtures import MakeSession
from tests.store.tables import Tables

Open = Callable[[str], Session]


@pytest.fixture
async def open_with(tables: Tables) -> AsyncIterator[Open]:
    """A session whose server settings are those of the option."""
    opened: list[Session] = []

    def make(option: str) -> Session:
        opened.append(Session(make_conninfo(tables.url, options=f"-c {option}"), "public", "scheduler test"))
        return opened[-1]

    yield make
    for session in opened:
        await session.close()


def ask(session: Session, setting: str) -> None:
    """Give the session a statement that tells this setting."""
    session.sql = {**session.sql, "ask": f"SELECT current_setting('{setting}')".encode()}


@pytest.mark.parametrize("default", ["read committed", "serializable", "repeatable read"])
async def test_statements_and_transactions_are_read_committed(open_with: Open, default: str) -> None:
    session = open_with("default_transaction_isolation=" + default.replace(" ", r"\ "))
    ask(session, "transaction_isolation")
    assert await session.run("ask", {}) == [("read committed",)]
    async with session.transaction() as transaction:
        assert await transaction.run("ask", {}) == [("read committed",)]


async def test_a_transaction_does_not_idle_for_ever(session: Session, tables: Tables) -> None:
    ask(session, "idle_in_transaction_session_timeout")
    async with session.transaction() as transaction:
        assert await transaction.run("ask", {}) == [("30s",)]
    assert await session.run("ask", {}) == [("0",)]


async def test_a_connection_that_was_ended_is_opened_anew(session: Session, tables: Tables) -> None:
    pid = (await session.connection()).info.backend_pid
    assert tables.value("SELECT pg_terminate_backend(%s, 5000)", pid)
    with pytest.raises(psycopg.OperationalError):
        await session.run("now", {})
    assert len(await session.run("now", {})) == 1
    assert session.opened == 2


async def test_one_ended_within_a_transaction_leaves_nothing_behind(session: Session, tables: Tables) -> None:
    worker = tables.worker()
    with pytest.raises(psycopg.OperationalError):
        async with session.transaction() as transaction:
            await transaction.run("stay_awake", {"id": worker})
            pid = (await session.connection()).info.backend_pid
            tables.execute("SELECT pg_terminate_backend(%s, 5000)", pid)
            await transaction.run("now", {})
    assert tables.value("SELECT wake_until FROM job_workers") is None
    assert len(await session.run("now", {})) == 1


async def test_what_is_wrong_with_a_row_costs_no_connection(session: Session, tables: Tables) -> None:
    values = {"ids": [1], "tokens": ["no uuid"], "claims": [1], "seconds": [0.0], "results": [None]}
    with pytest.raises(psycopg.DataError):
        await session.run("settle_success", values)
    await session.run("now", {})
    assert session.opened == 1


async def test_a_server_that_became_read_only_is_left(open_with: Open, tables: Tables) -> None:
    session = open_with("default_transaction_read_only=on")
    for opened in (1, 2):
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            await session.run("mark_lost", {})
        assert session.opened == opened


async def test_a_savepoint_undoes_its_part_alone(session: Session, tables: Tables) -> None:
    worker, other = tables.worker(), tables.worker()
    async with session.transaction() as transaction:
        await transaction.run("stay_awake", {"id": worker})
        with pytest.raises(psycopg.DataError):
            async with transaction.savepoint():
                await transaction.run("stay_awake", {"id": other})
                await transaction.run("stay_awake", {"id": "no uuid"})
    assert tables.column("SELECT wake_until IS NULL FROM job_workers ORDER BY id = %s", worker) == [True, False]


async def test_tasks_take_turns(session: Session, tables: Tables) -> None:
    found = await asyncio.gather(*(session.run("now", {}) for _ in range(20)))
    assert len(found) == 20
    assert session.opened == 1


async def test_a_server_that_can_not_be_reached_is_tried_anew_each_time(make_session: MakeSession) -> None:
    session = Session("postgresql://nobody@127.0.0.1:1/none", "public", "scheduler test")
    for _ in range(2):
        with pytest.raises(psycopg.OperationalError):
            await session.run("now", {})
    assert session.opened == 0


PREPARED = "SELECT count(*) FROM pg_prepared_statements"


async def test_what_is_said_often_is_prepared_on_a_session_of_its_own(session: Session, tables: Tables) -> None:
    worker = tables.worker()
    session.sql = {**session.sql, "ask": PREPARED.encode()}
    for _ in range(3):
        await session.run("stay_awake", {"id": worker})
        await session.run("now", {})
    assert await session.run("ask", {}) == [(1,)]


@needs_pgbouncer
async def test_nothing_is_prepared_where_sessions_are_shared(tables: Tables) -> None:
    worker = tables.worker()
    with PgBouncer(tables.url) as bouncer:
        session = Session(bouncer.url, "public", "scheduler test")
        session.sql = {**session.sql, "ask": PREPARED.encode()}
        for _ in range(3):
            await session.run("stay_awake", {"id": worker})
        assert await session.run("ask", {}) == [(0,)]
        await session.close()


async def test_what_was_prepared_and_is_gone_is_not_missed_twice(session: Session, tables: Tables) -> None:
    worker = tables.worker()
    # In a block, where the driver doesn't see it; as one in between would do it, too.
    session.sql = {**session.sql, "mix up": b"DO $$ BEGIN EXECUTE 'DEALLOCATE ALL'; END $$", "ask": PREPARED.encode()}
    await session.run("stay_awake", {"id": worker})
    await session.run("mix up", {})
    with pytest.raises(psycopg.errors.InvalidSqlStatementName):
        await session.run("stay_awake", {"id": worker})
    await session.run("stay_awake", {"id": worker})
    assert await session.run("ask", {}) == [(0,)]


@pytest.mark.parametrize("broken", [False, True], ids=["sound", "broken"])
async def test_what_was_planned_for_an_empty_table_does_not_read_all_of_a_full_one(
    session: Session, tables: Tables, monkeypatch: pytest.MonkeyPatch, broken: bool
) -> None:
    if broken:
        monkeypatch.setattr(session_module, "_BY_INDEX", "SELECT")
    tables.execute("ALTER TABLE job_executions SET (autovacuum_enabled = false)")
    session.sql = {**session.sql, "flush": b"SELECT pg_stat_force_next_flush()"}
    executions, worker = Executions(session), tables.worker()

    async def work() -> int:
        claims = await executions.claim(worker, uuid4(), "default", 20, bounds=NO_BOUND, policies="{}")
        await executions.settle_successes([Success(claim.id, claim.token, 0.0, None) for claim in claims])
        await session.run("flush", {})
        await session.run("now", {})
        read: int = tables.value("SELECT seq_tup_read FROM pg_stat_user_tables WHERE relname = 'job_executions'")
        return read

    for _ in range(8):  # from the sixth on the server may keep one plan for all
        tables.enqueue()
        before = await work()
    tables.execute("INSERT INTO job_executions (handler_name) SELECT 'work' FROM generate_series(1, 20000)")
    assert (await work() - before > 10_000) == broken
