"""What is held by a unique key, and what one asks about executions and queues."""

from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from scheduler import AsyncClient, Client, ConflictError, NotFoundError, RefusedError, transactional
from scheduler.model import Status
from tests.client.conftest import Enqueue, Place
from tests.client.either import Either, echo, worker

LATER = datetime(2040, 1, 1, tzinfo=UTC)


async def test_on_conflict_error(place: Place, enqueue: Enqueue) -> None:
    holder = await enqueue("h", unique_key="k", on_conflict="error")
    with pytest.raises(ConflictError, match=rf'^execution {holder} \(PENDING\) holds the unique_key "k"\. Enqueue it'):
        await enqueue("h", unique_key="k", on_conflict="error")
    assert await enqueue("h", unique_key="k") == holder
    assert place.enqueued() == [holder]


async def test_on_conflict_restarts_the_delay(place: Place, enqueue: Enqueue) -> None:
    async def debounced(**options: Any) -> int:
        return await enqueue("h", unique_key="k", on_conflict="restart delay", **options)

    def waits_until() -> datetime:
        ((moment,),) = place.run("SELECT available_at FROM job_executions WHERE id = %s", holder)
        assert isinstance(moment, datetime)
        return moment

    holder = await debounced(delay=3600)
    first = waits_until()
    assert await debounced(delay=7200) == holder
    assert waits_until() > first
    assert await debounced(delay=60) == holder
    assert waits_until() < first

    # One that waits for its next try keeps its backoff.
    place.run("UPDATE job_executions SET attempt = 1, available_at = %s", LATER)
    assert await debounced(delay=60) == holder
    assert waits_until() == LATER

    # One that runs is left alone, and returned as long as it holds the key.
    place.run(
        "UPDATE job_executions SET status = 'RUNNING', claimed_by = gen_random_uuid(), claim_token = gen_random_uuid(),"
        " started_at = now()"
    )
    assert await debounced(delay=60) == holder
    assert waits_until() == LATER
    place.run("UPDATE job_executions SET unique_until = 'started'")
    other = await debounced(delay=60)
    assert other != holder
    assert place.enqueued() == [holder, other]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            {"on_conflict": "ignore", "unique_key": "k"},
            r'^on_conflict "ignore" is not known\. Write return existing, err',
        ),
        ({"on_conflict": None, "unique_key": "k"}, "^on_conflict .* is not known"),
        (
            {"on_conflict": "error"},
            r'^on_conflict "error" is for a unique_key, and there is none\. Write both, or neith',
        ),
        ({"notify_done": None}, r"^notify_done is NULL\. Write true or false\."),
    ],
)
async def test_nonsense(place: Place, enqueue: Enqueue, options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(RefusedError, match=sentence):
        await enqueue("h", **options)
    assert place.enqueued() == []


async def test_cancel_and_retry(place: Place, either: Either) -> None:
    id_ = await either.enqueue("h", {"a": 1}, unique_key="k", concurrency_key="c", queue="q", priority=2)
    assert await either.cancel(id_) == Status.CANCELLED
    assert await either.cancel(id_) == Status.CANCELLED
    assert await either.retry(id_) == Status.PENDING
    assert await either.cancel(id_, "why") == Status.CANCELLED
    holder = await either.enqueue("h", unique_key="k")
    held = rf"^Execution {id_} stays CANCELLED: execution {holder} \(PENDING\) holds its unique key 'k'\. Retry it when"
    with pytest.raises(ConflictError, match=held):
        await either.retry(id_)
    found = await either.get(id_)
    assert (found.handler_name, found.params, found.queue, found.priority) == ("h", {"a": 1}, "q", 2)
    assert (found.unique_key, found.concurrency_key, found.error, found.result) == ("k", "c", "why", None)
    for act in (either.cancel, either.retry):
        with pytest.raises(NotFoundError, match=r"^no execution has the id 999\. SELECT id, handler_name"):
            await act(999)


async def test_they_are_part_of_the_transaction_around(place: Place) -> None:
    first, second, third = (Client().enqueue("h") for _ in range(3))
    with pytest.raises(KeyError):
        async with transactional("default"):
            assert await AsyncClient().cancel(first) == Status.CANCELLED
            assert (await AsyncClient().get(first)).status == Status.CANCELLED
            raise KeyError
    with psycopg.connect(place.url) as given:
        Client().cancel(second, connection=given)
        given.rollback()
        Client().cancel(third, connection=given)
    statuses = [Client().get(id_).status for id_ in (first, second, third)]
    assert statuses == [Status.PENDING, Status.PENDING, Status.CANCELLED]


async def test_queue_stats(place: Place, either: Either) -> None:
    await either.enqueue_many("h", [{}, {}], queue="mail")
    await either.enqueue("h", queue="mail", delay=60)
    place.run("SELECT pause_queue('mail', 'provider is down')")
    stats = await either.queue_stats("mail")
    assert (stats.name, stats.paused, stats.paused_reason) == ("mail", True, "provider is down")
    assert (stats.waiting, stats.delayed, stats.running, stats.workers, stats.per_minute) == (2, 1, 0, 0, None)
    assert stats.oldest_waiting_seconds >= 0
    with pytest.raises(NotFoundError, match=r"^No worker, cron job or .* names a queue 'mial'\. Did you mean 'mail'\?"):
        await either.queue_stats("mial")


async def test_sql_has_the_same(place: Place, either: Either) -> None:
    ((id_,),) = place.run("SELECT enqueue_job('echo', '{\"a\": 1}', notify_done => true)")
    with worker(place.url, echo):
        assert (await either.wait(id_, timeout=30)).result == {"a": 1}
