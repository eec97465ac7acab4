"""Who takes part in a transaction: inner blocks, tasks and threads."""

import asyncio
import threading

import pytest

from scheduler.database import get_connection, transactional
from scheduler.errors import TransactionError
from tests.database.conftest import Events, Server

INSERT = "INSERT INTO item VALUES (1, 'a')"


class BoomError(Exception):
    pass


@transactional()
async def insert() -> None:
    await get_connection().execute(INSERT)


@transactional()
async def insert_and_fail() -> None:
    await get_connection().execute(INSERT)
    raise BoomError("half done")


@transactional()
def insert_sync() -> None:
    get_connection().execute(INSERT)


async def test_an_inner_block_commits_with_the_outer_one(databases: Server) -> None:
    async with transactional("business", "default"):
        await insert()
        assert len(await get_connection("default").execute("SELECT * FROM item")) == 1
        assert databases.items() == []

    assert databases.items() == ["a"]


async def test_an_inner_block_rolls_back_with_the_outer_one(databases: Server) -> None:
    @transactional()
    async def work() -> None:
        await insert()
        raise BoomError

    with pytest.raises(BoomError):
        await work()
    assert databases.items() == []


def test_the_sync_form_joins_likewise(databases: Server) -> None:
    with transactional():
        insert_sync()
        assert databases.items() == []

    assert databases.items() == ["a"]


async def test_an_inner_block_over_a_further_database_is_refused(databases: Server) -> None:
    @transactional("default", "business")
    async def work() -> None:
        await get_connection("business").execute(INSERT)

    async with transactional():
        with pytest.raises(TransactionError, match="'business' isn't part of the open transaction"):
            await work()
    assert databases.items("business") == []


async def test_a_swallowed_error_of_an_inner_block_rolls_all_back(databases: Server, events: Events) -> None:
    @transactional()
    async def work() -> None:
        with pytest.raises(BoomError):
            await insert_and_fail()

    with pytest.raises(TransactionError, match=r"inner `transactional` block failed .* BoomError: half done") as failed:
        await work()

    assert isinstance(failed.value.__cause__, BoomError)
    assert databases.items() == []
    assert [event for event, _ in events] == ["database.transaction_failed"]


async def test_the_other_form_does_not_join(databases: Server) -> None:
    async with transactional():
        with pytest.raises(TransactionError, match="`with` or Client inside of `with`"):
            insert_sync()
    with transactional(), pytest.raises(TransactionError, match="`async with` or AsyncClient inside of `async with`"):
        await insert()

    assert databases.items() == []


async def test_tasks_of_a_transaction_share_its_connection_in_turns(databases: Server) -> None:
    async def insert_one(number: int) -> None:
        await get_connection().execute("INSERT INTO item VALUES (:n, 'n' || :n)", {"n": number})

    async with transactional():
        async with asyncio.TaskGroup() as group:
            for number in range(20):
                group.create_task(insert_one(number))
        assert databases.items() == []

    assert len(databases.items()) == 20


async def test_statements_of_tasks_are_judged_one_after_the_other(databases: Server) -> None:
    @transactional()
    async def work() -> None:
        statements = ("SELECT 1 / 0", "SELECT 2")
        await asyncio.gather(*map(get_connection().execute, statements), return_exceptions=True)

    with pytest.raises(TransactionError, match=r"swallowed: SELECT 1 / 0\."):
        await work()


async def test_a_task_that_outlives_its_transaction_is_told_so(databases: Server) -> None:
    holds_connection, ended = asyncio.Event(), asyncio.Event()

    async def stray() -> None:
        connection = get_connection()
        holds_connection.set()
        await ended.wait()
        with pytest.raises(TransactionError, match="outlived its transaction"):
            get_connection()
        with pytest.raises(TransactionError, match="over default has ended"):
            await connection.execute("SELECT 1")
        await insert()

    async with transactional():
        task = asyncio.create_task(stray())
        await holds_connection.wait()
    ended.set()
    await task

    assert databases.items() == ["a"]


async def test_a_thread_cannot_use_an_async_transaction(databases: Server) -> None:
    async with transactional():
        with pytest.raises(TransactionError, match="in another thread, event loop or process"):
            await asyncio.to_thread(get_connection)


async def test_a_thread_without_the_context_has_a_transaction_of_its_own(databases: Server) -> None:
    async with transactional():
        thread = threading.Thread(target=insert_sync)
        thread.start()
        await asyncio.to_thread(thread.join)
        assert databases.items() == ["a"]
