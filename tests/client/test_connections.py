"""`connection=`: the row is in the caller's own transaction, of whatever kind, and ends as that one does."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from typing import Any, LiteralString

import psycopg
import pytest
from psycopg.rows import dict_row
from sqlalchemy import Engine, NullPool, create_engine, text
from sqlalchemy.ext.asyncio import (
    AsyncConnection,
    AsyncEngine,
    AsyncSession,
    async_scoped_session,
    async_sessionmaker,
    create_async_engine,
)
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from scheduler import (
    AsyncClient,
    Client,
    DatabaseRegistry,
    QueryExecutionError,
    RefusedError,
    SchemaError,
    TransactionError,
    transactional,
)
from tests.client.conftest import Place

EFFECT: LiteralString = "INSERT INTO effect VALUES (1)"


@contextmanager
def sync_engine(url: str) -> Iterator[Engine]:
    engine = create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(url), poolclass=NullPool)
    yield engine
    engine.dispose()


@asynccontextmanager
async def async_engine(url: str) -> AsyncIterator[AsyncEngine]:
    async def connect() -> psycopg.AsyncConnection[Any]:
        return await psycopg.AsyncConnection.connect(url)

    engine = create_async_engine("postgresql+psycopg://", async_creator=connect, poolclass=NullPool)
    yield engine
    await engine.dispose()


@contextmanager
def psycopg_connection(url: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(url, row_factory=dict_row, cursor_factory=psycopg.ClientCursor) as connection:
        yield connection


@contextmanager
def connection(url: str) -> Iterator[Any]:
    with sync_engine(url) as engine, engine.connect() as connection:
        yield connection


@contextmanager
def session(url: str) -> Iterator[Session]:
    with sync_engine(url) as engine, Session(engine) as session:
        yield session


@contextmanager
def scoped(url: str) -> Iterator[Any]:
    with sync_engine(url) as engine:
        session = scoped_session(sessionmaker(engine))
        yield session
        session.remove()


@asynccontextmanager
async def async_psycopg_connection(url: str) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
    async with await psycopg.AsyncConnection.connect(url, row_factory=dict_row) as connection:
        yield connection


@asynccontextmanager
async def async_connection(url: str) -> AsyncIterator[AsyncConnection]:
    async with async_engine(url) as engine, engine.connect() as connection:
        yield connection


@asynccontextmanager
async def async_session(url: str) -> AsyncIterator[AsyncSession]:
    async with async_engine(url) as engine, AsyncSession(engine) as session:
        yield session


@asynccontextmanager
async def async_scoped(url: str) -> AsyncIterator[Any]:
    async with async_engine(url) as engine:
        session = async_scoped_session(async_sessionmaker(engine), scopefunc=lambda: 1)
        yield session
        await session.remove()


SYNC = (psycopg_connection, connection, session, scoped)
ASYNC = (async_psycopg_connection, async_connection, async_session, async_scoped)
Opened = Callable[[str], AbstractAsyncContextManager[Any]]


def written(connection: Any) -> Any:
    """What the caller itself writes."""
    plain = isinstance(connection, psycopg.Connection | psycopg.AsyncConnection)
    return connection.execute(EFFECT if plain else text(EFFECT))


@pytest.mark.parametrize("opened", SYNC)
def test_it_is_committed_or_rolled_back_with_what_the_caller_wrote(place: Place, opened: Any) -> None:
    with opened(place.url) as given:
        written(given)
        Client().enqueue("h", connection=given)
        assert place.enqueued() == []
        given.rollback()
        assert (place.enqueued(), place.effects()[0]) == ([], [])

        written(given)
        id_ = Client().enqueue("h", {"a": 1}, connection=given, delay=5, available_at=None)
        assert place.enqueued() == []
        given.commit()
    assert (place.enqueued(), place.effects()[0]) == ([id_], [1])


@pytest.mark.parametrize("opened", ASYNC)
async def test_so_it_is_in_asyncio(place: Place, opened: Opened) -> None:
    async with opened(place.url) as given:
        await written(given)
        await AsyncClient().enqueue("h", connection=given)
        assert place.enqueued() == []
        await given.rollback()
        assert (place.enqueued(), place.effects()[0]) == ([], [])

        await written(given)
        id_ = await AsyncClient().enqueue("h", {"a": 1}, connection=given, delay=5, available_at=None)
        assert place.enqueued() == []
        await given.commit()
    assert (place.enqueued(), place.effects()[0]) == ([id_], [1])


async def test_in_autocommit_it_is_there_at_once(place: Place) -> None:
    with psycopg.connect(place.url, autocommit=True) as given:
        first = Client().enqueue("h", connection=given)
        assert place.enqueued() == [first]
        with given.transaction(force_rollback=True):
            Client().enqueue("h", connection=given)
    assert place.enqueued() == [first]


async def test_it_needs_no_registry(place: Place) -> None:
    DatabaseRegistry.configure({})
    with psycopg.connect(place.url) as given:
        id_ = Client().enqueue("h", connection=given)
    assert place.enqueued() == [id_]


async def test_inside_of_transactional_a_given_connection_stands_apart(place: Place) -> None:
    async with await psycopg.AsyncConnection.connect(place.url) as given:
        with pytest.raises(KeyError):
            async with transactional("business"):
                id_ = await AsyncClient().enqueue("h", connection=given)
                raise KeyError
    assert place.enqueued() == [id_]


@pytest.mark.parametrize("opened", SYNC)
def test_what_is_refused_can_be_undone_by_a_savepoint(place: Place, opened: Any) -> None:
    with opened(place.url) as given:
        written(given)
        savepoint = given.transaction() if isinstance(given, psycopg.Connection) else given.begin_nested()
        with pytest.raises(RefusedError, match=r"^priority 10 is out of range"), savepoint:
            Client().enqueue("h", connection=given, priority=10)
        id_ = Client().enqueue("h", connection=given)
        given.commit()
    assert (place.enqueued(), place.effects()[0]) == ([id_], [1])


@pytest.mark.parametrize("opened", SYNC)
def test_a_transaction_that_is_broken_already(place: Place, opened: Any) -> None:
    with opened(place.url) as given:
        with pytest.raises(RefusedError):
            Client().enqueue("h", connection=given, priority=10)
        with pytest.raises(TransactionError, match="broken by an earlier statement whose error was swallowed"):
            Client().enqueue("h", connection=given)
        given.rollback()
    assert place.enqueued() == []


@pytest.mark.parametrize("opened", [psycopg_connection, connection])
def test_a_closed_one(place: Place, opened: Any) -> None:
    with opened(place.url) as given:
        given.close()
        with pytest.raises(TransactionError, match=r"^The connection can't be used: .*closed\.$"):
            Client().enqueue("h", connection=given)


@pytest.mark.parametrize("opened", [async_psycopg_connection, async_connection])
async def test_a_closed_one_in_asyncio(place: Place, opened: Opened) -> None:
    async with opened(place.url) as given:
        await given.close()
        with pytest.raises(TransactionError, match=r"^The connection can't be used: .*(closed|not been started).*\.$"):
            await AsyncClient().enqueue("h", connection=given)


@pytest.mark.parametrize("opened", SYNC)
def test_one_that_the_server_has_ended(place: Place, opened: Any) -> None:
    with opened(place.url) as given:
        written(given)
        ended = place.run(
            "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity "
            "WHERE datname = current_database() AND state = 'idle in transaction'"
        )
        assert ended == [(True,)]
        with pytest.raises(TransactionError, match=r"^The connection can't be used: terminating connection due to"):
            Client().enqueue("h", connection=given)
        if not isinstance(given, psycopg.Connection):
            given.rollback()
    assert (place.enqueued(), place.effects()[0]) == ([], [])


def test_one_of_another_database(place: Place) -> None:
    said = r'leads to a database without the tables of this version in schema "public": give one to the job database'
    with psycopg.connect(place.urls["business"]) as given, pytest.raises(SchemaError, match=said):
        Client().enqueue("h", connection=given)


async def test_one_of_the_other_form(place: Place) -> None:
    said = r"^Client can't write on sqlalchemy's AsyncSession, which is AsyncClient's: use AsyncClient\.$"
    async with async_session(place.url) as given:
        with pytest.raises(TransactionError, match=said):
            Client().enqueue("h", connection=given)  # type: ignore[call-overload]  # what is tested
    said = r"^AsyncClient can't write on psycopg's Connection, which is Client's: use Client\.$"
    with psycopg.connect(place.url) as other, pytest.raises(TransactionError, match=said):
        await AsyncClient().enqueue("h", connection=other)  # type: ignore[call-overload]  # what is tested


def test_what_is_no_connection(place: Place) -> None:
    said = "can't write on sqlalchemy's Engine: connection= takes a connection of psycopg or of SQLAlchemy"
    with sync_engine(place.url) as engine, pytest.raises(TransactionError, match=said):
        Client().enqueue("h", connection=engine)  # type: ignore[call-overload]  # what is tested


def test_a_session_that_leads_nowhere(place: Place) -> None:
    with (
        Session() as unbound,
        pytest.raises(TransactionError, match=r"^The connection can't be used: Could not locate"),
    ):
        Client().enqueue("h", connection=unbound)


def test_another_database_than_postgres(place: Place) -> None:
    engine = create_engine("sqlite://")
    with engine.connect() as given, pytest.raises(QueryExecutionError, match=r"^The job database refused it: near "):
        Client().enqueue("h", connection=given)
    engine.dispose()
