"""Two databases, `default` and `business`; a transaction in both its forms; and what the log said."""

import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import suppress
from typing import Any

import psycopg
import pytest

from scheduler import failpoints
from scheduler.database import DatabaseRegistry, get_connection, transactional
from scheduler.errors import QueryExecutionError
from scheduler.messages import logger
from scheduler.testing.postgres import ThrowawayPostgres

Events = list[tuple[str, dict[str, Any]]]
Run = Callable[..., Coroutine[Any, Any, None]]

TABLE = "CREATE TABLE item (id int PRIMARY KEY, name text, UNIQUE (name) DEFERRABLE INITIALLY DEFERRED)"


class Server:
    """The two databases, seen from outside of any transaction of the product."""

    def __init__(self, urls: dict[str, str]) -> None:
        self.urls = urls

    def run(self, statement: str, *params: Any, database: str = "default") -> list[tuple[Any, ...]]:
        with psycopg.connect(self.urls[database], autocommit=True) as connection:
            cursor = connection.execute(statement.encode(), params or None)
            return cursor.fetchall() if cursor.description else []

    def items(self, database: str = "default") -> list[str]:
        return [name for (name,) in self.run("SELECT name FROM item ORDER BY id", database=database)]

    def terminate_handlers(self) -> int:
        """End every session that handlers have on `default`; the number of those ended."""
        ended = self.run(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE datname = current_database() AND application_name = 'scheduler handler'"
        )
        return len(ended)


@pytest.fixture(scope="module")
def server(postgres_server: ThrowawayPostgres) -> Iterator[Server]:
    with postgres_server.fresh_database() as default, postgres_server.fresh_database() as business:
        both = Server({"default": default, "business": business})
        for database in both.urls:
            both.run(TABLE, database=database)
        yield both


@pytest.fixture
async def databases(server: Server) -> AsyncIterator[Server]:
    """The registry configured over both, which are empty; `business` commits on a best effort."""
    DatabaseRegistry.configure(
        {
            "default": {"url": server.urls["default"], "pool_size": 2, "pool_timeout_seconds": 0.2},
            "business": {"url": server.urls["business"], "pool_size": 2, "atomicity": "best_effort"},
        }
    )
    yield server
    await DatabaseRegistry.dispose()
    DatabaseRegistry.configure({})
    for database in server.urls:
        server.run("DELETE FROM item", database=database)


@pytest.fixture(params=["async", "sync"])
def run(request: pytest.FixtureRequest) -> Run:
    """`await run(*statements, over=(…), swallow=False)`: one transaction, as `async with` and as `with`.

    A statement is SQL text for `default`, or a pair of database and text.
    """
    return _run_async if request.param == "async" else _run_sync


async def _run_async(
    *statements: str | tuple[str, str], over: tuple[str, ...] = ("default",), swallow: bool = False
) -> None:
    async with transactional(*over):
        for name, statement in map(_addressed, statements):
            with suppress(*_swallowed(swallow)):
                await get_connection(name).execute(statement)


async def _run_sync(
    *statements: str | tuple[str, str], over: tuple[str, ...] = ("default",), swallow: bool = False
) -> None:
    with transactional(*over):
        for name, statement in map(_addressed, statements):
            with suppress(*_swallowed(swallow)):
                get_connection(name).execute(statement)


def _addressed(statement: str | tuple[str, str]) -> tuple[str, str]:
    return ("default", statement) if isinstance(statement, str) else statement


def _swallowed(swallow: bool) -> tuple[type[Exception], ...]:
    return (QueryExecutionError,) if swallow else ()


@pytest.fixture
def events() -> Iterator[Events]:
    """The events logged during the test, with their values."""
    seen: Events = []

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen.append((record.__dict__["event"], record.__dict__["values"]))

    collector = Collector()
    logger.addHandler(collector)
    yield seen
    logger.removeHandler(collector)


@pytest.fixture(autouse=True)
def _disarmed() -> Iterator[None]:
    yield
    failpoints.armed.clear()
