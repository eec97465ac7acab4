"""Waiting sees each end, soon where it is notified and for certain where it is not; call() is a function call."""

import asyncio
import threading
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any

import pytest

from scheduler import (
    AsyncClient,
    CallTimeoutError,
    Client,
    ExecutionFailedError,
    NotFoundError,
    TransactionError,
    WaitTimeoutError,
    transactional,
)
from scheduler.client import Claimed, Execution
from scheduler.model import Status
from tests.client.conftest import Place
from tests.client.either import Either, echo, worker

LISTENING = (
    "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE '%client listener'"
)
PATIENCE_SECONDS = 30.0


async def eventually_listening(place: Place, count: int = 1) -> list[tuple[Any, ...]]:
    """Until so many connections listen; one that was closed is still seen for a moment."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while len(found := place.run(LISTENING)) != count:  # noqa: ASYNC110 - a row of the server announces nothing
            await asyncio.sleep(0.01)
    return found


async def test_call_returns_what_the_handler_returned(place: Place, either: Either) -> None:
    with worker(place.url, echo):
        for params in ({"a": [1, "가", None]}, [2], "x", 0):
            assert await either.call("echo", params, timeout=PATIENCE_SECONDS) == params
        assert await either.call("echo", timeout=PATIENCE_SECONDS) == {}


async def test_call_raises_what_became_of_it(place: Place, either: Either) -> None:
    with worker(place.url, echo), pytest.raises(ExecutionFailedError) as raised:
        await either.call("fail", timeout=PATIENCE_SECONDS, max_retry=1)
    error = raised.value
    assert str(error) == f"Execution {error.id} (fail) is FAILED: ValueError: boom"
    assert (error.status, error.error, error.traceback) == ("FAILED", "ValueError: boom", None)


async def test_call_gives_up_and_the_execution_goes_on(place: Place, either: Either) -> None:
    with pytest.raises(CallTimeoutError, match=r"^After 0\.05 s execution \d+ is not final\. Wait longer") as raised:
        await either.call("nobody", timeout=0.05, queue="q", priority=3)
    assert isinstance(raised.value, TimeoutError)
    (id_,) = raised.value.ids
    assert place.run("SELECT id, queue, priority, status FROM job_executions") == [(id_, "q", 3, "PENDING")]


async def test_call_inside_of_a_transaction_would_wait_for_itself(place: Place) -> None:
    said = r"^call\(\) inside of `transactional` would wait for what is only committed at its end"
    async with transactional("default"):
        with pytest.raises(TransactionError, match=said):
            await AsyncClient().call("h")
    with transactional("default"), pytest.raises(TransactionError, match=said):
        Client().call("h")
    assert place.enqueued() == []


@pytest.mark.parametrize("noticed", [True, False])
async def test_wait_gives_the_execution_when_it_is_final(place: Place, either: Either, noticed: bool) -> None:
    id_ = await either.enqueue("echo", {"a": 1}, notify_done=noticed, queue="default")
    with worker(place.url, echo):
        ended: Execution = await either.wait(id_, timeout=PATIENCE_SECONDS)
    assert (ended.id, ended.status, ended.final, ended.result) == (id_, Status.SUCCESS, True, {"a": 1})
    assert ended.created_at.tzinfo == UTC
    assert ended.finished_at is not None
    assert ended == await either.get(id_)


async def test_what_is_final_already(place: Place, either: Either) -> None:
    id_ = await either.enqueue("h")
    assert await either.cancel(id_, "not now") == Status.CANCELLED
    ended = await either.wait(id_, timeout=0)
    assert (ended.status, ended.error) == (Status.CANCELLED, "not now")


async def test_it_is_notified_however_it_ends(place: Place, either: Either) -> None:
    ids = [await either.enqueue(name, notify_done=True, max_retry=1) for name in ("echo", "fail", "cancelled")]
    waiting = asyncio.create_task(either.all_of("as_completed", ids, timeout=PATIENCE_SECONDS))
    await eventually_listening(place)
    place.run("SELECT cancel_job(%s)", ids[2])
    with worker(place.url, echo):
        ended = await waiting
    assert {each.id: each.status for each in ended} == dict(zip(ids, ("SUCCESS", "FAILED", "CANCELLED"), strict=True))


async def test_as_completed_gives_each_once_as_soon_as_it_is_final(place: Place, either: Either) -> None:
    first, second = await either.enqueue_many("h", [{}, {}], notify_done=True)
    place.run("SELECT cancel_job(%s)", second)
    seen: list[int] = []
    if isinstance(either.client, AsyncClient):
        async with aclosing(either.client.as_completed([first, second, first], timeout=PATIENCE_SECONDS)) as ended:
            async for each in ended:
                seen.append(each.id)
                place.run("SELECT cancel_job(%s)", first)
    else:
        for each in either.client.as_completed([first, second, first], timeout=PATIENCE_SECONDS):
            seen.append(each.id)
            place.run("SELECT cancel_job(%s)", first)
    assert seen == [second, first]


async def test_what_is_waited_for_in_vain(place: Place, either: Either) -> None:
    ids = await either.enqueue_many("h", [{}] * 7)
    said = r"^After 0 s 7 executions \(\d+, \d+, \d+, \d+, \d+, …\) are not final\."
    with pytest.raises(WaitTimeoutError, match=said) as raised:
        await either.all_of("as_completed", ids, timeout=0)
    assert list(raised.value.ids) == ids
    for unknown in (999_999, 2**70, -1):
        with pytest.raises(NotFoundError, match=rf"^No execution has the id {unknown}\. One that an open transaction"):
            await either.wait(unknown, timeout=PATIENCE_SECONDS)
        with pytest.raises(NotFoundError, match=f"No execution has the id {unknown}"):
            await either.get(unknown)
    with pytest.raises(NotFoundError, match=r"^'1' is no id of an execution"):
        await either.get("1")
    assert await either.all_of("as_completed", []) == []


async def test_a_listener_that_is_lost_delays_nobody(place: Place, either: Either) -> None:
    id_ = await either.enqueue("echo", notify_done=True)
    waiting = asyncio.create_task(either.wait(id_, timeout=PATIENCE_SECONDS))
    for (pid,) in await eventually_listening(place):
        place.run("SELECT pg_terminate_backend(%s, 60000)", pid)
    with worker(place.url, echo):
        assert (await waiting).status == Status.SUCCESS


async def test_watching_shows_progress_until_the_end(place: Place, either: Either) -> None:
    id_ = await either.enqueue("slow")
    seen: list[tuple[str, float | None, str | None]] = []
    news = threading.Condition()

    def run(client: Client, claimed: Claimed) -> str:
        for progress, message in ((0.25, "a quarter"), (0.5, "half")):
            place.run(
                "UPDATE job_executions SET progress = %s, progress_message = %s WHERE id = %s", progress, message, id_
            )
            with news:
                assert news.wait_for(lambda: seen and seen[-1][1] == progress, PATIENCE_SECONDS)  # noqa: B023 - at once
        return "done"

    def note(each: Execution) -> None:
        with news:
            seen.append((each.status, each.progress, each.progress_message))
            news.notify_all()

    def watched_in_a_thread() -> None:
        with Client() as client:
            for each in client.watch(id_, timeout=PATIENCE_SECONDS):
                note(each)

    with worker(place.url, run):
        if isinstance(either.client, AsyncClient):
            async for each in either.client.watch(id_, timeout=PATIENCE_SECONDS):
                note(each)
        else:
            await asyncio.to_thread(watched_in_a_thread)
    assert seen[-1] == ("SUCCESS", 0.5, "half")
    assert len(set(seen)) == len(seen)
    assert [progress for _, progress, _ in seen if progress is not None] == [0.25, 0.5, 0.5]


async def test_events_of_a_queue(place: Place) -> None:
    async with AsyncClient() as client:
        before = await client.enqueue("h", queue="mail", notify_done=True)
        await client.cancel(before)
        async with client.events(queue="mail") as ended, asyncio.timeout(PATIENCE_SECONDS):
            for queue, noticed in (("other", True), ("mail", False), ("mail", True)):
                last = await client.enqueue("h", queue=queue, notify_done=noticed)
                await client.cancel(last)
            assert (await anext(ended)).id == last
            last = await client.enqueue("h", queue="mail", notify_done=True)
            await client.cancel(last, "why")
            assert ((event := await anext(ended)).id, event.error) == (last, "why")


def test_events_in_a_thread(place: Place) -> None:
    with Client() as client, client.events() as ended:
        ids = client.enqueue_many("h", [{}, {}], notify_done=True)
        for id_ in ids:
            client.cancel(id_)
        assert [next(ended).id, next(ended).id] == ids


async def test_one_connection_listens_for_all(place: Place) -> None:
    async with AsyncClient() as client:
        with worker(place.url, echo):
            results = await asyncio.gather(
                *(client.call("echo", {"n": n}, timeout=PATIENCE_SECONDS) for n in range(40))
            )
        assert results == [{"n": n} for n in range(40)]
        await eventually_listening(place, 1)
    await eventually_listening(place, 0)


async def test_threads_share_it_too(place: Place) -> None:
    with Client() as client, worker(place.url, echo):
        calls = (asyncio.to_thread(client.call, "echo", [n], timeout=PATIENCE_SECONDS) for n in range(8))
        assert await asyncio.gather(*calls) == [[n] for n in range(8)]
        await eventually_listening(place, 1)


async def test_a_wait_that_is_cancelled_leaves_nothing(place: Place) -> None:
    async with AsyncClient() as client:
        id_ = await client.enqueue("h", notify_done=True)
        waiting = asyncio.create_task(client.wait(id_))
        await eventually_listening(place)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        place.run("SELECT cancel_job(%s)", id_)
        assert (await client.wait(id_, timeout=PATIENCE_SECONDS)).status == Status.CANCELLED


async def test_inside_of_a_transaction_it_sees_what_others_commit(place: Place) -> None:
    id_ = Client().enqueue("h")
    place.run("SELECT cancel_job(%s)", id_)
    async with AsyncClient() as client, transactional("default"):
        own = await client.enqueue("h")
        assert (await client.wait(id_, timeout=PATIENCE_SECONDS)).status == Status.CANCELLED
        with pytest.raises(NotFoundError, match="is there once that is committed"):
            await client.wait(own)


async def test_a_row_written_by_hand_with_the_strangest_values(place: Place, either: Either) -> None:
    ((id_,),) = place.run(
        "INSERT INTO job_executions (handler_name, handler_params, status, started_at, finished_at, result) "
        "VALUES ('h', '{\"n\": 1e400}', 'SUCCESS', '-infinity', 'infinity', %s::jsonb) RETURNING id",
        "9" * 5000,
    )
    found = await either.get(id_)
    assert (found.started_at, found.finished_at) == (datetime(2, 1, 1, tzinfo=UTC), datetime(9998, 12, 31, tzinfo=UTC))
    assert found.result == "9" * 5000
