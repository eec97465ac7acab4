"""Fixtures for the whole suite: one throw-away server a run, a fresh database a test."""

import os
import shutil
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from scheduler.store.migration import migrate
from scheduler.testing.postgres import ThrowawayPostgres

MEMORY = Path("/dev/shm")
ROOM = 2 * 1024**3


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ThrowawayPostgres]:
    """A server that all xdist workers of the run share; `SCHEDULER_PG_BIN` chooses its version."""
    folder = _server_folder(tmp_path_factory)
    folder.mkdir(exist_ok=True)
    with ThrowawayPostgres(folder) as server:
        yield server


def _server_folder(factory: pytest.TempPathFactory) -> Path:
    """In memory where there is room: a fresh database is a few hundred small files."""
    base = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent
    if MEMORY.is_dir() and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ROOM:
        return MEMORY / f"scheduler-tests-{sha256(str(base).encode()).hexdigest()[:12]}"
    return base / "postgres"


def pytest_sessionfinish(session: pytest.Session) -> None:
    """What the server leaves in memory goes with the run, in the process that outlives the xdist workers."""
    factory: pytest.TempPathFactory = session.config._tmp_path_factory  # type: ignore[attr-defined]  # no public name
    folder = _server_folder(factory)
    if "PYTEST_XDIST_WORKER" not in os.environ and folder.parent == MEMORY:
        shutil.rmtree(folder, ignore_errors=True)


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
