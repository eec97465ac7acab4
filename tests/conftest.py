"""Fixtures for the whole suite: one throw-away server a run, a fresh database a test."""

import os
from collections.abc import Iterator

import pytest

from scheduler.store.migration import migrate
from scheduler.testing.postgres import ThrowawayPostgres


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ThrowawayPostgres]:
    """A server that all xdist workers of the run share; `SCHEDULER_PG_BIN` chooses its version."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    with ThrowawayPostgres(folder / "postgres") as server:
        yield server


@pytest.fixture
def database_url(postgres_server: ThrowawayPostgres) -> Iterator[str]:
    """An empty database of the test's own, dropped afterwards."""
    with postgres_server.fresh_database() as url:
        yield url


@pytest.fixture(scope="session")
def migrated_template(postgres_server: ThrowawayPostgres) -> str:
    """The name of a template with the scheduler's tables in schema public."""

    def fill(url: str) -> None:
        migrate(url)

    return postgres_server.template("migrated", fill)


@pytest.fixture
def migrated_url(postgres_server: ThrowawayPostgres, migrated_template: str) -> Iterator[str]:
    """A database of the test's own with the scheduler's tables in schema public: a copy, in milliseconds."""
    with postgres_server.fresh_database(migrated_template) as url:
        yield url
