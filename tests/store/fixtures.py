"""Fixtures for the tests of the line: a migrated database, sessions of the core on it, and what was logged."""

import logging
from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from scheduler import failpoints
from scheduler.messages import logger
from scheduler.store.executions import Executions
from scheduler.store.session import Session
from scheduler.testing.postgres import ThrowawayPostgres
from tests.store.tables import Event, Events, Tables

MakeSession = Callable[[], Session]


@pytest.fixture(scope="session")
def line_url(postgres_server: ThrowawayPostgres, migrated_template: str) -> Iterator[str]:
    """One database for all tests of a folder, which leave its schema as it was."""
    with postgres_server.fresh_database(migrated_template) as url:
        yield url


@pytest.fixture
def tables(line_url: str) -> Iterator[Tables]:
    """Empty tables."""
    with Tables(line_url) as tables:
        tables.empty()
        yield tables


@pytest.fixture
async def make_session(line_url: str) -> AsyncIterator[MakeSession]:
    """Further sessions of the core; closed at the end."""
    made: list[Session] = []

    def make() -> Session:
        made.append(Session(line_url, "public", "scheduler test"))
        return made[-1]

    yield make
    for session in made:
        await session.close()


@pytest.fixture
def session(make_session: MakeSession) -> Session:
    return make_session()


@pytest.fixture
def executions(session: Session) -> Executions:
    return Executions(session)


@pytest.fixture
def events() -> Iterator[Events]:
    """Every line that is logged meanwhile."""
    found = Events()

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            found.append(Event(record.__dict__["event"], record.__dict__["values"]))

    collector, level = Collector(), logger.level
    logger.addHandler(collector)
    logger.setLevel(logging.DEBUG)
    yield found
    logger.setLevel(level)
    logger.removeHandler(collector)


@pytest.fixture
def armed() -> Iterator[Callable[[str, Callable[[], None]], None]]:
    """Arm a failpoint for this test alone."""
    names: list[str] = []

    def arm(name: str, action: Callable[[], None]) -> None:
        names.append(name)
        failpoints.arm(name, action)

    yield arm
    for name in names:
        failpoints.disarm(name)
