"""Inside of `transactional` an execution is enqueued with everything else, or not at all."""

import asyncio
from typing import Any

import pytest

from scheduler import (
    AsyncClient,
    Client,
    DatabaseRegistry,
    RefusedError,
    TransactionError,
    failpoints,
    get_connection,
    savepoint,
    session,
    transactional,
)
from tests.client.conftest import Place

BOTH = ("default", "business")
EFFECT = "INSERT INTO effect VALUES (1)"


async def write(client: Client | AsyncClient, over: tuple[str, ...] = BOTH, *, fail: bool = False) -> None:
    """An effect in each database and an execution, in the form of the client."""
    if isinstance(client, AsyncClient):
        async with transactional(*over):
            for name in over:
                await get_connection(name).execute(EFFECT)
            await client.enqueue("h", {"a": 1})
            if fail:
                raise KeyError
    else:
        with transactional(*over):
            for name in over:
                get_connection(name).execute(EFFECT)
            client.enqueue("h", {"a": 1})
            if fail:
                raise KeyError


@pytest.fixture(params=[Client, AsyncClient])
def form(request: pytest.FixtureRequest) -> type[Client | AsyncClient]:
    kind: type[Client | AsyncClient] = request.param
    return kind


@pytest.fixture(params=["of the registry", "by url"])
def client(request: pytest.FixtureRequest, place: Place, form: type[Client | AsyncClient]) -> Client | AsyncClient:
    """One given the job database's url is of the registry's all the same."""
    return form(place.url if request.param == "by url" else None)


async def test_it_is_committed_with_both_databases(place: Place, client: Client | AsyncClient) -> None:
    await write(client)
    assert len(place.enqueued()) == 1
    assert place.effects() == [[1], [1]]
    assert place.run("SELECT decision FROM job_transactions") == [("COMMIT",)]


async def test_an_error_leaves_nothing_in_either(place: Place, client: Client | AsyncClient) -> None:
    with pytest.raises(KeyError):
        await write(client, fail=True)
    assert (place.enqueued(), place.effects()) == ([], [[], []])


@pytest.mark.parametrize("at", ["before_prepare:business", "after_prepare:business", "before_decision"])
async def test_a_commit_that_fails_leaves_nothing_in_either(
    place: Place, client: Client | AsyncClient, at: str
) -> None:
    def fail() -> None:
        raise failpoints.FailpointError(at)

    failpoints.arm(at, fail)
    with pytest.raises(failpoints.FailpointError):
        await write(client)
    assert (place.enqueued(), place.effects()) == ([], [[], []])
    assert place.run("SELECT gid FROM pg_prepared_xacts WHERE database = current_database()", database="business") == []


async def test_in_the_job_database_alone(place: Place, client: Client | AsyncClient) -> None:
    await write(client, ("default",))
    assert (len(place.enqueued()), place.effects()) == (1, [[1], []])


async def test_where_the_job_database_is_no_part_of_it_it_says_so(place: Place, client: Client | AsyncClient) -> None:
    with pytest.raises(
        TransactionError,
        match=r"^Database 'default' isn't part of the open transaction, which is over business\. .*Name it",
    ):
        await write(client, ("business",))
    assert (place.enqueued(), place.effects()) == ([], [[], []])


async def test_a_job_database_that_is_nowhere_in_the_registry_cannot_be_part_of_it(place: Place) -> None:
    DatabaseRegistry.configure({"business": place.urls["business"]})
    with Client(place.url) as client, pytest.raises(TransactionError, match="isn't part of the open transaction"):
        await write(client, ("business",))
    assert place.enqueued() == []


async def test_a_database_that_prepares_refuses_it_before_it_is_sent(place: Place) -> None:
    """What is enqueued in the tables of another installation would notify, which only the one that decides may do."""
    with pytest.raises(TransactionError, match=r"two-phase commit, which enqueue_job\(\), because it notifies, can't"):
        async with transactional(*BOTH):
            await get_connection("default").execute(EFFECT)
            await AsyncClient(place.urls["business"]).enqueue("h")
    assert place.effects() == [[], []]


async def test_given_what_get_connection_gives_it_is_the_same(place: Place) -> None:
    async with transactional():
        await AsyncClient().enqueue("h", connection=get_connection())
    with transactional():
        Client().enqueue("h", connection=get_connection())
    async with transactional(), session() as orm:
        await AsyncClient().enqueue("h", connection=orm)
    assert len(place.enqueued()) == 3


async def test_a_savepoint_undoes_what_was_refused(place: Place) -> None:
    async with transactional(*BOTH):
        await get_connection("business").execute(EFFECT)
        with pytest.raises(RefusedError, match=r"^priority 10 is out of range"):
            async with savepoint():
                await AsyncClient().enqueue("h", priority=10)
        id_ = await AsyncClient().enqueue("h")
    assert (place.enqueued(), place.effects()) == ([id_], [[], [1]])


async def test_what_was_refused_and_swallowed_keeps_all_of_it_from_being_committed(place: Place) -> None:
    with pytest.raises(TransactionError, match="its error was swallowed: RefusedError: priority 10"):
        async with transactional(*BOTH):
            await get_connection("business").execute(EFFECT)
            with pytest.raises(RefusedError):
                await AsyncClient().enqueue("h", priority=10)
    assert (place.enqueued(), place.effects()) == ([], [[], []])


async def test_a_client_of_the_other_form(place: Place) -> None:
    with pytest.raises(TransactionError, match="`async with` or AsyncClient inside of `async with`"):
        async with transactional():
            Client().enqueue("h")
    assert place.enqueued() == []


async def test_after_the_block_it_is_committed_at_once_again(place: Place) -> None:
    ended = asyncio.Event()

    async def outliving() -> int:
        await ended.wait()
        return await AsyncClient().enqueue("h")

    async with transactional():
        task: asyncio.Task[Any] = asyncio.create_task(outliving())
    ended.set()
    id_ = await task
    assert place.enqueued() == [id_]
