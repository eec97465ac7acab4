"""A job database and two others, `business` and `books`; a transaction over them in both forms; and what was left."""

from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from scheduler import failpoints
from scheduler.database import DatabaseRegistry, get_connection, transactional
from scheduler.testing.postgres import ThrowawayPostgres
from tests.store.fixtures import events

__all__ = ["events"]

NAMES = ("default", "business", "books")
TABLE = "CREATE TABLE effect (id bigint PRIMARY KEY, name text, UNIQUE (name) DEFERRABLE INITIALLY DEFERRED)"
INSERT = "INSERT INTO effect VALUES (1, 'a')"

Run = Callable[..., Coroutine[Any, Any, None]]


class Place:
    """The databases, seen from outside of any transaction of the product."""

    def __init__(self, urls: Mapping[str, str]) -> None:
        self.urls = dict(urls)

    def run(self, statement: str, *params: Any, database: str = "default") -> list[tuple[Any, ...]]:
        with psycopg.connect(self.urls[database], autocommit=True) as connection:
            cursor = connection.execute(statement.encode(), params or None)
            return cursor.fetchall() if cursor.description else []

    def effects(self) -> list[list[int]]:
        """The ids that each database holds, in the order of `NAMES`."""
        return [[row[0] for row in self.run("SELECT id FROM effect ORDER BY id", database=name)] for name in self.urls]

    def prepared(self) -> list[str]:
        """What waits for its end, anywhere."""
        query = "SELECT gid FROM pg_prepared_xacts WHERE database = current_database() ORDER BY gid"
        return [gid for name in self.urls for (gid,) in self.run(query, database=name)]

    def decisions(self) -> list[tuple[str, list[str]]]:
        return [
            (row[0], row[1]) for row in self.run("SELECT decision, participants FROM job_transactions ORDER BY gid")
        ]

    def installation(self) -> str:
        return str(self.run("SELECT id FROM job_installation")[0][0])

    def empty(self) -> None:
        for name in self.urls:
            self.run("TRUNCATE effect", database=name)
        self.run("TRUNCATE job_transactions")


@contextmanager
def three_databases(server: ThrowawayPostgres, template: str) -> Iterator[Place]:
    with (
        server.fresh_database(template) as default,
        server.fresh_database() as business,
        server.fresh_database() as books,
    ):
        place = Place(dict(zip(NAMES, (default, business, books), strict=True)))
        for name in NAMES:
            place.run(TABLE, database=name)
        place.run("UPDATE job_installation SET id = gen_random_uuid()")  # the template's copies share one
        yield place


@pytest.fixture(scope="module")
def databases(postgres_server: ThrowawayPostgres, migrated_template: str) -> Iterator[Place]:
    with three_databases(postgres_server, migrated_template) as place:
        yield place


@pytest.fixture
async def place(databases: Place) -> AsyncIterator[Place]:
    """The registry configured over all three, which are empty."""
    DatabaseRegistry.configure({name: {"url": url, "pool_size": 2} for name, url in databases.urls.items()})
    yield databases
    failpoints.armed.clear()
    await DatabaseRegistry.dispose()
    DatabaseRegistry.configure({})
    assert databases.prepared() == []
    databases.empty()


@pytest.fixture(params=["async", "sync"])
def run(request: pytest.FixtureRequest) -> Run:
    """`await run({database: statement}, over=(…))`: one transaction, as `async with` and as `with`."""
    return run_async if request.param == "async" else run_sync


async def run_async(statements: Mapping[str, str], over: Sequence[str] = NAMES) -> None:
    async with transactional(*over):
        for name, statement in statements.items():
            await get_connection(name).execute(statement)


async def run_sync(statements: Mapping[str, str], over: Sequence[str] = NAMES) -> None:
    with transactional(*over):
        for name, statement in statements.items():
            get_connection(name).execute(statement)
