"""The handlers that come with the project, found and called as a worker does it."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from scheduler.database import DatabaseRegistry
from scheduler.errors import NotFoundError, ParamsError
from scheduler.handlers import discover
from scheduler.isolation.task import TaskIsolation
from scheduler.testing.isolation_contract import Ended, context, ended
from scheduler.testing.postgres import ThrowawayPostgres

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
async def default_url(migrated_url: str) -> AsyncIterator[str]:
    """A fresh start: the job database alone."""
    DatabaseRegistry.configure({"default": migrated_url})
    yield migrated_url
    await DatabaseRegistry.dispose()
    DatabaseRegistry.configure({})


async def call(name: str, params: str = "{}") -> Ended:
    return await ended(TaskIsolation().start(discover(["handlers"], ROOT).get(name), context(params)))


def run(url: str, *statements: str) -> list[tuple[Any, ...]]:
    """What the last of the statements returns."""
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


class TestReport:
    async def test_the_largest_come_first_whatever_schema_they_are_in(self, default_url: str) -> None:
        run(
            default_url,
            "CREATE SCHEMA shop",
            "CREATE TABLE shop.large AS SELECT repeat('x', 100) FROM generate_series(1, 20000)",
            "CREATE TABLE small AS SELECT repeat('x', 100) FROM generate_series(1, 2000)",
            "SELECT pg_stat_force_next_flush()",
        )
        report = (await call("report", '{"largest": 2}')).value
        assert [(table["table"], table["live_rows"]) for table in report] == [
            ("shop.large", 20_000),
            ("public.small", 2000),
        ]
        assert report[0]["bytes"] > 20_000 * 100

    async def test_it_needs_no_table_of_ours(self, database_url: str) -> None:
        DatabaseRegistry.configure({"default": database_url})
        assert (await call("report")).value == []
        await DatabaseRegistry.dispose()

    async def test_its_params_are_checked(self, default_url: str) -> None:
        assert isinstance((await call("report", '{"largest": 0}')).error, ParamsError)


class TestSync:
    @pytest.fixture
    async def business_url(self, default_url: str, postgres_server: ThrowawayPostgres) -> AsyncIterator[str]:
        with postgres_server.fresh_database() as url:
            run(default_url, "CREATE TABLE outbox (id bigint PRIMARY KEY, body text)")
            run(url, "CREATE TABLE inbox (id bigint PRIMARY KEY, body text)")
            business = {"url": url, "atomicity": "best_effort"}
            DatabaseRegistry.configure({"default": default_url, "business": business})
            yield url
            await DatabaseRegistry.dispose()

    async def test_it_moves_each_row_once(self, default_url: str, business_url: str) -> None:
        run(default_url, "INSERT INTO outbox VALUES (1, 'a'), (2, 'b'), (3, 'c')")
        run(business_url, "INSERT INTO inbox VALUES (2, 'b')")
        assert (await call("sync")).value == {"synced": 3}
        assert run(business_url, "SELECT id, body FROM inbox ORDER BY id") == [(1, "a"), (2, "b"), (3, "c")]
        assert run(default_url, "SELECT id FROM outbox") == []

    async def test_nothing_moves_when_one_of_them_refuses(self, default_url: str, business_url: str) -> None:
        run(default_url, "INSERT INTO outbox VALUES (1, 'a'), (2, NULL)")
        run(business_url, "ALTER TABLE inbox ALTER body SET NOT NULL")
        assert (await call("sync")).error is not None
        assert run(business_url, "SELECT id FROM inbox") == []
        assert run(default_url, "SELECT id FROM outbox ORDER BY id") == [(1,), (2,)]

    async def test_without_business_it_says_what_is_missing(self, default_url: str) -> None:
        error = (await call("sync")).error
        assert isinstance(error, NotFoundError)
        assert "'business'" in str(error)
