import asyncio
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from typing import Any

import pytest

from scheduler.config import DatabaseSettings
from scheduler.config.settings import WorkerSettings
from scheduler.database import Atomicity, DatabaseRegistry, get_connection, transactional
from scheduler.errors import ConfigurationError, NotFoundError, TransactionError
from tests.database.conftest import Server


def test_an_unknown_name_lists_the_known_ones(databases: Server) -> None:
    with pytest.raises(NotFoundError, match=r"'busines'\. Did you mean 'business'\? Known: default, business\."):
        DatabaseRegistry.get("busines")


def test_without_any_database_the_error_says_how_to_configure_one() -> None:
    DatabaseRegistry.configure({})

    with pytest.raises(NotFoundError, match=r"`databases:`.*DatabaseRegistry\.configure"):
        DatabaseRegistry.get()


def test_a_url_alone_is_enough() -> None:
    DatabaseRegistry.configure({"default": "postgresql:///shop"})

    options = DatabaseRegistry.get().options
    assert (options.pool_size, options.atomicity, options.prepare_threshold) == (10, Atomicity.TWO_PHASE, None)
    assert "shop" not in repr(options)


def test_the_products_settings_are_understood() -> None:
    @dataclass
    class Settings:
        databases: dict[str, DatabaseSettings]
        worker: WorkerSettings

    given = {"host": "db", "dbname": "shop", "password": "p@ss", "pool_size": 3, "atomicity": "best_effort"}
    DatabaseRegistry.configure(Settings({"business": DatabaseSettings.model_validate(given)}, WorkerSettings()))

    options = DatabaseRegistry.get("business").options
    assert DatabaseRegistry.names() == ["business"]
    assert (options.pool_size, options.atomicity) == (3, Atomicity.BEST_EFFORT)
    assert "p%40ss" in options.url


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"url": "postgresql:///a", "poolsize": 3}, r"no option 'poolsize'\. Did you mean 'pool_size'\?"),
        ({"pool_size": 3}, r"'default' needs a `url`"),
        ({"url": "postgresql:///a", "atomicity": "both"}, r"two_phase or best_effort, not 'both'"),
    ],
)
def test_wrong_options_are_refused_in_a_sentence(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        DatabaseRegistry.configure({"default": options})


async def test_configuring_again_keeps_the_connections_of_an_unchanged_database(databases: Server) -> None:
    kept, changed = DatabaseRegistry.get("default"), DatabaseRegistry.get("business")
    drivers = []
    for database in (kept, changed):
        async with database.async_engine.connect() as connection:
            drivers.append((await connection.get_raw_connection()).driver_connection)

    same = {"url": databases.urls["default"], "pool_size": 2, "pool_timeout_seconds": 0.2}
    DatabaseRegistry.configure({"default": same, "business": databases.urls["business"]})

    assert DatabaseRegistry.get("default") is kept
    assert DatabaseRegistry.get("business") is not changed
    await DatabaseRegistry.dispose()
    assert [driver is not None and driver.closed for driver in drivers] == [True, True]


def test_dispose_closes_the_connections_of_threads_and_loops(databases: Server) -> None:
    database = DatabaseRegistry.get()
    with database.sync_engine.connect() as connection:
        sync_driver = connection.connection.driver_connection

    async def connected() -> Any:
        async with database.async_engine.connect() as connection:
            return (await connection.get_raw_connection()).driver_connection

    async_driver = asyncio.run(connected())
    assert sync_driver is not None

    DatabaseRegistry.dispose_sync()

    assert (sync_driver.closed, async_driver.closed) == (True, True)


def test_a_loop_that_ends_leaves_no_connection_to_the_next(databases: Server) -> None:
    async def connected() -> Any:
        async with transactional():
            await get_connection().execute("SELECT 1")
        async with DatabaseRegistry.get().async_engine.connect() as connection:
            return (await connection.get_raw_connection()).driver_connection

    first, second = asyncio.run(connected()), asyncio.run(connected())

    assert (first.closed, second.closed) == (True, False)


async def test_an_unreachable_database_is_named(events: list[tuple[str, dict[str, Any]]]) -> None:
    DatabaseRegistry.configure({"default": "postgresql:///db?host=/nowhere"})

    with pytest.raises(TransactionError, match=r"Database 'default' can't be reached: .*/nowhere"):
        async with transactional():
            pytest.fail("the block must not be entered")
    assert [event for event, _ in events] == ["database.transaction_failed"]


def test_a_forked_child_opens_connections_of_its_own(server: Server) -> None:
    script = """
        import os, sys
        from scheduler.database import DatabaseRegistry, TransactionError, get_connection, transactional

        @transactional()
        def backend():
            return get_connection().execute("SELECT pg_backend_pid()").scalar()

        DatabaseRegistry.configure({"default": sys.argv[1]})
        own = backend()
        with transactional():
            inherited = get_connection()
            child = os.fork()
            if child == 0:
                try:
                    get_connection()
                except TransactionError:
                    os._exit(0)
                os._exit(1)
            assert os.waitpid(child, 0)[1] == 0
        child = os.fork()
        if child == 0:
            os._exit(1 if backend() == own else 0)
        assert os.waitpid(child, 0)[1] == 0
        assert backend() == own
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(script), server.urls["default"]], check=True, timeout=30)
