"""A job database and `business` beside it, both in the registry; a client in either form; and what was enqueued."""

from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any

import psycopg
import pytest

from scheduler import AsyncClient, Client, DatabaseRegistry, failpoints
from scheduler.testing.postgres import ThrowawayPostgres
from tests.client.either import Either

Enqueue = Callable[..., Coroutine[Any, Any, int]]


class Place:
    """The two databases, seen from outside of any transaction."""

    def __init__(self, urls: dict[str, str]) -> None:
        self.urls = urls
        self.url = urls["default"]

    def run(self, statement: str, *params: Any, database: str = "default") -> list[tuple[Any, ...]]:
        with psycopg.connect(self.urls[database], autocommit=True) as connection:
            cursor = connection.execute(statement.encode(), params or None)
            return cursor.fetchall() if cursor.description else []

    def enqueued(self) -> list[int]:
        return [id_ for (id_,) in self.run("SELECT id FROM job_executions ORDER BY id")]

    def effects(self) -> list[list[int]]:
        """The ids in `effect`, of the job database and of `business`."""
        return [[id_ for (id_,) in self.run("SELECT id FROM effect", database=name)] for name in self.urls]


@pytest.fixture(scope="module")
def databases(postgres_server: ThrowawayPostgres, migrated_template: str) -> Iterator[Place]:
    with postgres_server.fresh_database(migrated_template) as default, postgres_server.fresh_database() as business:
        place = Place({"default": default, "business": business})
        for name in place.urls:
            place.run("CREATE TABLE effect (id int PRIMARY KEY)", database=name)
        place.run("UPDATE job_installation SET id = gen_random_uuid()")  # the template's copies share one
        yield place


@pytest.fixture
async def place(databases: Place) -> AsyncIterator[Place]:
    """Both are empty."""
    DatabaseRegistry.configure(databases.urls)
    yield databases
    failpoints.armed.clear()
    await DatabaseRegistry.dispose()
    DatabaseRegistry.configure({})
    databases.run("TRUNCATE effect, job_executions, job_workers, job_queues, job_transactions RESTART IDENTITY")
    databases.run("TRUNCATE effect", database="business")


@pytest.fixture
async def registry() -> AsyncIterator[type[DatabaseRegistry]]:
    """Forgotten afterwards; for tests that change their database for good, and so have one of their own."""
    yield DatabaseRegistry
    await DatabaseRegistry.dispose()
    DatabaseRegistry.configure({})


@pytest.fixture(params=["async", "sync"])
def enqueue(request: pytest.FixtureRequest) -> Enqueue:
    """`await enqueue(…)`, by a client of the registry's job database."""
    if request.param == "async":
        return AsyncClient().enqueue

    async def called(*args: Any, **options: Any) -> int:
        return Client().enqueue(*args, **options)

    return called


@pytest.fixture(params=["async", "sync"])
async def either(request: pytest.FixtureRequest, place: Place) -> AsyncIterator[Either]:
    client = AsyncClient() if request.param == "async" else Client()
    either = Either(client)
    yield either
    await either.close()
