"""A session in a migrated database, and somebody in psql beside it."""

from collections.abc import Iterator

import psycopg
import pytest

from scheduler.store.session import SyncSession
from tests.store.fixtures import events

__all__ = ["events", "psql", "session"]


@pytest.fixture
def session(migrated_url: str) -> Iterator[SyncSession]:
    session = SyncSession(migrated_url, "public", "test")
    yield session
    session.close()


@pytest.fixture
def psql(migrated_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(migrated_url, autocommit=True) as connection:
        yield connection
