"""One database: what commits, what rolls back, and whom to believe."""

import asyncio
from collections.abc import Iterator

import pytest

from scheduler import failpoints
from scheduler.database import DatabaseRegistry, get_connection, transactional
from scheduler.database.participant import Participant
from scheduler.errors import ConnectionPoolExhaustedError, NotFoundError, QueryExecutionError, TransactionError
from tests.database.conftest import Events, Run, Server

INSERT = "INSERT INTO item VALUES (1, 'a')"


async def test_an_async_function_commits_when_it_returns(databases: Server) -> None:
    @transactional(DatabaseRegistry.get("default"))
    async def work(name: str) -> str:
        await get_connection().execute("INSERT INTO item VALUES (1, :name)", {"name": name})
        assert databases.items() == []
        return name * 2

    assert await work("a") == "aa"
    assert databases.items() == ["a"]


def test_a_sync_function_commits_when_it_returns(databases: Server) -> None:
    @transactional("default")
    def work(name: str) -> str:
        get_connection("default").execute("INSERT INTO item VALUES (1, :name)", {"name": name})
        assert databases.items() == []
        return name * 2

    assert work("a") == "aa"
    assert databases.items() == ["a"]


async def test_a_block_commits_or_rolls_back_as_it_ends(databases: Server, run: Run) -> None:
    with pytest.raises(QueryExecutionError):
        await run(INSERT, "SELECT 1 / 0")
    assert databases.items() == []

    await run(INSERT)
    assert databases.items() == ["a"]


async def test_a_block_without_statements_is_fine(databases: Server, run: Run, events: Events) -> None:
    await run()

    assert events == []


async def test_one_transactional_serves_many_calls_at_once(databases: Server) -> None:
    both_inside = asyncio.Barrier(2)

    @transactional()
    async def work(number: int) -> None:
        await both_inside.wait()
        await get_connection().execute("INSERT INTO item VALUES (:n, 'n' || :n)", {"n": number})

    await asyncio.gather(work(1), work(2))

    assert databases.items() == ["n1", "n2"]


def test_outside_of_a_transaction_the_error_names_the_decorator() -> None:
    with pytest.raises(TransactionError, match=r'@transactional\("business"\)'):
        get_connection("business")


async def test_an_unknown_name_is_refused_at_the_call(databases: Server, run: Run) -> None:
    with pytest.raises(NotFoundError, match="Did you mean 'default'"):
        await run(over=("defualt",))


async def test_a_database_outside_of_the_transaction_is_refused(databases: Server, run: Run) -> None:
    with pytest.raises(TransactionError, match=r"'business' isn't part of the open transaction, .* over default\."):
        await run(("business", INSERT))


def test_what_cannot_be_wrapped_is_refused_where_it_is_written() -> None:
    with pytest.raises(TypeError, match=r'write transactional\("default"\)'):
        transactional(print)  # type: ignore[arg-type]

    def numbers() -> Iterator[int]:
        yield 1

    with pytest.raises(TypeError, match="is a generator"):
        transactional()(numbers)


# --- the server's word ---


async def test_a_swallowed_error_of_a_statement_refuses_the_commit(databases: Server, run: Run, events: Events) -> None:
    with pytest.raises(TransactionError, match=r"broken by a statement .* swallowed: SELECT 1 / 0\."):
        await run(INSERT, "SELECT 1 / 0", "SELECT 2", swallow=True)

    assert databases.items() == []
    assert [event for event, _ in events] == [
        "database.query_failed",
        "database.query_failed",
        "database.transaction_failed",
    ]


async def test_the_answer_to_commit_is_read(databases: Server, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Postgres answers ROLLBACK, without an error; here nothing else stands in the way."""
    monkeypatch.setattr(Participant, "check", lambda _: None)
    monkeypatch.setattr(Participant, "transaction_id", lambda _: None)

    with pytest.raises(TransactionError, match="answered ROLLBACK to COMMIT"):
        await run(INSERT, "SELECT 1 / 0", swallow=True)

    assert databases.items() == []


async def test_a_savepoint_saves_the_transaction(databases: Server, run: Run) -> None:
    await run(INSERT, "SAVEPOINT before", "SELECT 1 / 0", "ROLLBACK TO before", swallow=True)

    assert databases.items() == ["a"]


@pytest.mark.parametrize("word", ["COMMIT", "ROLLBACK"])
async def test_a_statement_that_ends_the_transaction_is_refused(databases: Server, run: Run, word: str) -> None:
    with pytest.raises(TransactionError, match=f"the statement {word} ended .* Leave COMMIT and ROLLBACK to"):
        await run("SELECT 1", word)


async def test_a_transaction_that_was_ended_stays_ended(databases: Server) -> None:
    async def work() -> None:
        async with transactional():
            for statement in ("COMMIT", INSERT):
                with pytest.raises(TransactionError, match="the statement COMMIT ended the transaction"):
                    await get_connection().execute(statement)

    with pytest.raises(TransactionError, match="the statement COMMIT ended the transaction"):
        await work()
    assert databases.items() == []


async def test_a_constraint_that_fails_at_commit_is_told(databases: Server, run: Run, events: Events) -> None:
    with pytest.raises(TransactionError, match=r"'default' refused to commit: duplicate key .*item_name_key"):
        await run("INSERT INTO item VALUES (1, 'same'), (2, 'same')")

    assert databases.items() == []
    assert [event for event, _ in events] == ["database.transaction_failed"]


# --- lost connections ---


async def test_idle_connections_that_were_lost_are_replaced(databases: Server, run: Run) -> None:
    await run("SELECT 1")
    assert databases.terminate_handlers() == 1

    await run(INSERT)

    assert databases.items() == ["a"]


async def test_a_connection_lost_within_a_transaction_cannot_be_overlooked(databases: Server) -> None:
    async def work() -> None:
        async with transactional():
            connection = get_connection()
            await connection.execute(INSERT)
            assert databases.terminate_handlers() == 1
            with pytest.raises(QueryExecutionError, match="terminating connection"):
                await connection.execute("SELECT 1")
            with pytest.raises(TransactionError, match="was lost"):
                await connection.execute("SELECT 1")

    with pytest.raises(TransactionError, match="'default' was lost, and with it the transaction"):
        await work()
    assert databases.items() == []


async def test_what_became_of_a_commit_that_was_not_answered_is_read(databases: Server, run: Run) -> None:
    ended: list[int] = []
    failpoints.arm("before_commit:default", lambda: ended.append(databases.terminate_handlers()))

    with pytest.raises(TransactionError, match=r"lost during COMMIT .*It was not committed\."):
        await run(INSERT)
    assert ended == [1]

    failpoints.disarm("before_commit:default")
    await run("INSERT INTO item VALUES (2, 'b')")
    assert databases.items() == ["b"]


# --- a pool without a free connection ---


async def test_an_exhausted_pool_is_named(databases: Server, events: Events) -> None:
    @transactional()
    async def work(inside: asyncio.Barrier, done: asyncio.Event) -> None:
        await inside.wait()
        await done.wait()

    all_inside, done = asyncio.Barrier(3), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for _ in range(2):
            group.create_task(work(all_inside, done))
        await all_inside.wait()
        with pytest.raises(ConnectionPoolExhaustedError, match=r"within 0\.2 s, all 2 are in use.*default\.pool_size"):
            await work(all_inside, done)
        done.set()
    await work(asyncio.Barrier(1), done)

    assert events == [("database.pool_exhausted", {"database": "default", "seconds": 0.2, "pool_size": 2})]


def test_an_exhausted_pool_of_threads_is_named(databases: Server, events: Events) -> None:
    @transactional()
    def work() -> None:
        get_connection().execute(INSERT)

    engine = DatabaseRegistry.get().sync_engine
    with engine.connect(), engine.connect(), pytest.raises(ConnectionPoolExhaustedError, match="all 2 are in use"):
        work()
    work()

    assert databases.items() == ["a"]
    assert [event for event, _ in events] == ["database.pool_exhausted"]
