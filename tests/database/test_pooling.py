"""What stands in between is recognised, and what a pooler says when it turns somebody away is explained."""

from collections.abc import Iterator
from contextlib import ExitStack

import psycopg
import pytest

from scheduler.database.libpq import connect, connect_sync
from scheduler.database.pooling import Pooling, pooling, pooling_sync
from scheduler.database.reaching import Obstacle, Reached, reach
from tests.pgbouncer import Mode, PgBouncer, needs_pgbouncer

NAME = "test"


async def found(url: str) -> Pooling:
    """By both ways of looking, which agree."""
    async with await connect(url, application_name=NAME) as connection:
        one = await pooling(connection, url, NAME)
    with connect_sync(url, application_name=NAME) as connection_sync:
        assert pooling_sync(connection_sync, url, NAME) is one
    return one


async def test_nothing_in_between(database_url: str) -> None:
    assert await found(database_url) is Pooling.NONE


@needs_pgbouncer
@pytest.mark.parametrize(("mode", "kind"), [("transaction", Pooling.TRANSACTION), ("session", Pooling.SESSION)])
async def test_a_pooler(database_url: str, mode: Mode, kind: Pooling) -> None:
    with PgBouncer(database_url, mode) as bouncer:
        assert await found(bouncer.url) is kind


@needs_pgbouncer
async def test_a_pooler_in_transaction_mode_of_which_others_take_sessions_too(database_url: str) -> None:
    with PgBouncer(database_url) as bouncer, ExitStack() as held:
        for _ in range(3):
            other = held.enter_context(psycopg.connect(bouncer.url))
            other.execute("SELECT 1")  # and is in a transaction from now on
        assert await found(bouncer.url) is Pooling.TRANSACTION


@pytest.fixture
def bouncer(database_url: str) -> Iterator[PgBouncer]:
    with PgBouncer(database_url, max_client_conn=4, default_pool_size=1, query_wait_timeout=1) as bouncer:
        yield bouncer


@needs_pgbouncer
def test_what_a_pooler_does_not_take_is_named(bouncer: PgBouncer) -> None:
    assert "does not take options from a client" in refusal(f"{bouncer.url}&options=-csearch_path%3Dother")


@needs_pgbouncer
def test_a_pooler_without_a_free_session(bouncer: PgBouncer) -> None:
    with psycopg.connect(bouncer.url) as busy:
        busy.execute("SELECT 1")
        assert "Raise default_pool_size there" in refusal(bouncer.url)
    assert isinstance(reach(bouncer.url, NAME), Reached)


@needs_pgbouncer
def test_a_pooler_that_takes_no_more_clients(bouncer: PgBouncer) -> None:
    with ExitStack() as held:
        for _ in range(4):
            held.enter_context(psycopg.connect(bouncer.url))
        assert "Raise max_client_conn there" in refusal(bouncer.url)


@needs_pgbouncer
def test_connections_of_ours_prepare_nothing_that_another_would_meet(database_url: str) -> None:
    """The hazard is real: with the driver's prepared statements, two clients of one session of the server collide."""
    with PgBouncer(database_url, default_pool_size=1) as bouncer:
        with ExitStack() as clients, pytest.raises(psycopg.errors.DuplicatePreparedStatement):
            for _ in range(2):
                client = clients.enter_context(psycopg.connect(bouncer.url, autocommit=True, prepare_threshold=0))
                client.execute("SELECT 1")
        with ExitStack() as clients:
            ours = [clients.enter_context(connect_sync(bouncer.url, application_name=NAME)) for _ in range(2)]
            for _ in range(10):
                for each in ours:
                    each.execute("SELECT 1")
            prepared = ours[0].execute("SELECT count(*) FROM pg_prepared_statements WHERE statement = 'SELECT 1'")
            assert prepared.fetchone() == (1,)  # by the client that came before


def refusal(url: str) -> str:
    answer = reach(url, NAME)
    assert isinstance(answer, Obstacle)
    assert answer.code == "pooler"
    return str(answer)
