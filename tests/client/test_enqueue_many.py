"""Many at once are the rows that one at a time would be; all of them or none, on whatever connection."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from pydantic import BaseModel

from scheduler import (
    AsyncClient,
    Client,
    ConflictError,
    NotFoundError,
    ParamsError,
    QueueFullError,
    RefusedError,
    TransactionError,
    handler,
    transactional,
)
from scheduler.client import Item
from tests.client.conftest import Place
from tests.client.either import Either
from tests.client.test_connections import ASYNC, SYNC, Opened, written

AT = datetime(2030, 1, 2, 3, 4, tzinfo=UTC)
STRANGE = {"text": 'a\tb\nc\rd\\N \\. " \\u0000 %s :x 가 \u2028', "n": [1, None, True, 1.5]}


class Letter(BaseModel):
    to: str


@handler("test.many.letter")
async def send_letter(params: Letter) -> None: ...


async def test_they_are_the_rows_that_enqueue_makes(place: Place, either: Either) -> None:
    options: dict[str, Any] = {
        "queue": "a\tb\\N",
        "priority": -3,
        "available_at": AT,
        "delay": timedelta(seconds=1.5),
        "timeout": 2.5,
        "max_retry": 7,
        "concurrency_key": "c\n",
        "concurrency_limit": 3,
        "notify_done": True,
    }
    for given in ({}, options):
        (many,) = await either.enqueue_many("h", [STRANGE], **given)
        one = await either.enqueue("h", STRANGE, **given)
        differing = place.run(
            "SELECT a.key FROM job_executions x, job_executions y, jsonb_each(to_jsonb(x)) a "
            "JOIN jsonb_each(to_jsonb(y)) b USING (key) WHERE x.id = %s AND y.id = %s AND a.value <> b.value",
            one,
            many,
        )
        moving = {"id", "scheduled_at", "created_at"} | ({"available_at"} if not given else set())
        assert {key for (key,) in differing} <= moving
    assert place.run("SELECT DISTINCT handler_params FROM job_executions") == [(STRANGE,)]


async def test_items_have_options_of_their_own(place: Place, either: Either) -> None:
    params = [{"n": 0}, Item({"n": 1}, priority=5, queue="b"), Item({"n": 2}, unique_key="k"), {"n": 3}]
    ids = await either.enqueue_many("h", params, queue="a")
    found = place.run("SELECT handler_params, queue, priority, unique_key, id FROM job_executions ORDER BY id")
    assert found == [
        ({"n": 0}, "a", 0, None, ids[0]),
        ({"n": 1}, "b", 5, None, ids[1]),
        ({"n": 2}, "a", 0, "k", ids[2]),
        ({"n": 3}, "a", 0, None, ids[3]),
    ]


async def test_a_generator_of_several_batches(place: Place, either: Either) -> None:
    ids = await either.enqueue_many("h", ({"n": n} for n in range(20_001)))
    assert place.run("SELECT count(*), count(DISTINCT id), sum((handler_params ->> 'n')::int) FROM job_executions") == [
        (20_001, 20_001, 20_000 * 20_001 // 2)
    ]
    assert place.run("SELECT id, handler_params ->> 'n' FROM job_executions ORDER BY id OFFSET 20000") == [
        (ids[-1], "20000")
    ]
    assert await either.enqueue_many("h", []) == []


async def test_unique_keys_find_their_holders_in_any_order(place: Place, either: Either) -> None:
    holder = await either.enqueue("h", unique_key="k1500")
    ids = await either.enqueue_many("h", (Item({"n": n}, unique_key=f"k{n % 2000}") for n in reversed(range(2500))))
    assert len(set(ids)) == 2000
    assert ids[2499 - 1500] == holder
    assert ids[:500] == ids[2000:]
    keys = dict(place.run("SELECT id, unique_key FROM job_executions"))
    assert [keys[id_] for id_ in ids] == [f"k{n % 2000}" for n in reversed(range(2500))]
    assert (await either.enqueue_many("h", [{}, Item({}, unique_key="k1500")]))[1] == holder
    count = len(place.enqueued())
    with pytest.raises(ConflictError, match=rf'^execution {holder} \(PENDING\) holds the unique_key "k1500"\. Enqueue'):
        await either.enqueue_many("h", [{}, Item({}, unique_key="k1500", on_conflict="error")])
    assert len(place.enqueued()) == count


@pytest.mark.parametrize("opened", SYNC)
def test_in_the_callers_transaction(place: Place, opened: Any) -> None:
    with opened(place.url) as given:
        written(given)
        Client().enqueue_many("h", [{}, {}], connection=given)
        assert place.enqueued() == []
        given.rollback()
        assert (place.enqueued(), place.effects()[0]) == ([], [])
        ids = Client().enqueue_many("h", [{}, Item({}, unique_key="k")], connection=given)
        written(given)
        assert place.enqueued() == []
        given.commit()
    assert (place.enqueued(), place.effects()[0]) == (ids, [1])


@pytest.mark.parametrize("opened", ASYNC)
async def test_so_it_is_in_asyncio(place: Place, opened: Opened) -> None:
    async with opened(place.url) as given:
        await written(given)
        await AsyncClient().enqueue_many("h", [{}, {}], connection=given)
        assert place.enqueued() == []
        await given.rollback()
        assert (place.enqueued(), place.effects()[0]) == ([], [])
        ids = await AsyncClient().enqueue_many("h", [{}, Item({}, unique_key="k")], connection=given)
        await written(given)
        assert place.enqueued() == []
        await given.commit()
    assert (place.enqueued(), place.effects()[0]) == (ids, [1])


async def test_inside_of_transactional(place: Place) -> None:
    with pytest.raises(KeyError):
        async with transactional("default", "business"):
            await AsyncClient().enqueue_many("h", [{}, {}])
            raise KeyError
    assert place.enqueued() == []
    async with transactional("default", "business"):
        ids = await AsyncClient().enqueue_many("h", [{}, {}])
        assert place.enqueued() == []
    assert place.enqueued() == ids
    with transactional("default"):
        ids += Client().enqueue_many("h", [{}])
        assert len(place.enqueued()) == 2
    assert place.enqueued() == ids
    async with transactional("business"):
        with pytest.raises(TransactionError, match="'default' isn't part of the open transaction"):
            await AsyncClient().enqueue_many("h", [{}])


@pytest.mark.parametrize(
    ("item", "error", "sentence"),
    [
        (Item({}, priority=10), RefusedError, r"^Item 11000: priority must be from -9 to 9"),
        (Item({}, timeout=-1), RefusedError, r"^Item 11000: timeout_seconds must be "),
        (Item({}, priority=70_000), RefusedError, r'^Item 11000: A value is refused: value "70000" is out of range'),
        (Item({}, queue="q" * 201), RefusedError, r"^Item 11000: queue must "),
        (Item({}, concurrency_key="cron:1"), RefusedError, r'^concurrency_key "cron:1" is one of a cron job\. '),
        (Item({}, delay=-1), RefusedError, r"^delay_seconds -1 is out of range\. Write seconds, 0 to 3155760000 "),
        (Item({}, delay=float("nan")), RefusedError, r"^delay_seconds nan is out of range\."),
        (
            Item({}, available_at=datetime(9999, 12, 31, tzinfo=UTC), delay=1e9),
            RefusedError,
            "^available_at 9999-12-31 00:00:00.00:00 is out of range",
        ),
        (Item({}, available_at=datetime(2030, 1, 1)), RefusedError, "^Item 11000: available_at .* names no time zone"),  # noqa: DTZ001 - what is tested
        (Item({}, unique_key="k" * 1025), RefusedError, r"^unique_key is too long\. Write at most 1024 bytes"),
        (Item({}, unique_key="k", priority=10), RefusedError, r"^priority 10 is out of range\. Write -9 to 9"),
        (Item(object()), ParamsError, r"^Item 11000: The params can't be turned into JSON"),
        (Item({}, prioritie=1), TypeError, r"^Item 11000: enqueue\(\) has no option 'prioritie'\. Did you mean 'pri"),  # type: ignore[call-arg]  # what is tested
        ({"a": "\0"}, ParamsError, r"^Item 11000: The params hold a NUL character"),
    ],
)
async def test_one_that_is_refused_refuses_all(
    place: Place, either: Either, item: Any, error: type[Exception], sentence: str
) -> None:
    def params() -> Iterator[Any]:
        yield from ({} for _ in range(11_000))
        yield item

    with pytest.raises(error, match=sentence):
        await either.enqueue_many("h", params())
    assert place.enqueued() == []


async def test_a_handler_checks_each_of_them(place: Place, either: Either) -> None:
    await either.enqueue_many(send_letter, [Letter(to="a"), Item(Letter(to="b"), delay=5)])
    with pytest.raises(ParamsError, match=r"^Item 1: The params don't fit handler 'test\.many\.letter': to: Field"):
        await either.enqueue_many(send_letter, [{"to": "a"}, {}])
    with pytest.raises(NotFoundError, match="is no handler"):
        await either.enqueue_many(print, [{}])
    assert len(place.enqueued()) == 2


def test_a_role_that_may_not_choose_ids(place: Place) -> None:
    role = f"test_{uuid4().hex}"
    with psycopg.connect(place.url) as given:
        for statement in (
            "CREATE ROLE {}",
            "GRANT INSERT (handler_name, handler_params, queue, priority, available_at, timeout_seconds, max_retry,"
            " retry_backoff, retry_delay_seconds, unique_key, unique_until, concurrency_key, concurrency_limit,"
            " notify_done), SELECT (id, queue, status, attempt, unique_key, unique_until, concurrency_key)"
            " ON job_executions TO {}",
            "GRANT SELECT (wake_until) ON job_workers TO {}",
            "GRANT SELECT (name, max_pending) ON job_queues TO {}",
            "SET ROLE {}",
        ):
            given.execute(statement.format(role).encode())
        ids = Client().enqueue_many("h", ({"n": n} for n in range(1001)), connection=given)
        rows = given.execute("RESET ROLE; SELECT id, handler_params ->> 'n' FROM job_executions ORDER BY id")
        assert rows.nextset()
        assert rows.fetchall() == [(id_, str(n)) for n, id_ in enumerate(ids)]
        given.rollback()  # the role is gone with it


async def test_a_long_list_with_keys_here_and_there(place: Place, either: Either) -> None:
    params = [Item({"n": n}, unique_key=f"k{n}") if n % 1000 in (0, 1) else {"n": n} for n in range(5000)]
    ids = await either.enqueue_many("h", params)
    stored = dict(place.run("SELECT id, (handler_params ->> 'n')::int FROM job_executions"))
    assert [stored[id_] for id_ in ids] == list(range(5000))
    assert len(stored) == 5000


async def test_a_list_is_refused_as_a_whole_too(place: Place, either: Either) -> None:
    with pytest.raises(ParamsError, match=r"^Item 3000: The params can't be turned into JSON"):
        await either.enqueue_many("h", [*({} for _ in range(3000)), object()])
    with pytest.raises(RefusedError, match=r"^Item 3000: priority must be from -9 to 9"):
        await either.enqueue_many("h", [*({} for _ in range(3000)), Item({}, priority=10)])
    assert place.enqueued() == []


async def test_clients_at_once_share_the_sequence(place: Place) -> None:
    async with AsyncClient() as client:
        found = await asyncio.gather(*(client.enqueue_many("h", [{"n": n}] * 3000) for n in range(4)))
    assert place.enqueued() == sorted(id_ for ids in found for id_ in ids)
    stored = dict(place.run("SELECT id, (handler_params ->> 'n')::int FROM job_executions"))
    assert [{stored[id_] for id_ in ids} for ids in found] == [{0}, {1}, {2}, {3}]


def test_ids_that_somebody_took_in_between(place: Place) -> None:
    """Another client's nextval() falls into ours: a sequence with gaps stands for it."""
    place.run("ALTER SEQUENCE job_executions_id_seq INCREMENT BY 3")
    try:
        ids = Client().enqueue_many("h", [{}, {}, {}])
    finally:
        place.run("ALTER SEQUENCE job_executions_id_seq INCREMENT BY 1")
    assert place.enqueued() == ids
    assert ids == [ids[0], ids[0] + 3, ids[0] + 6]


async def test_a_full_queue_takes_none_of_them(place: Place, either: Either) -> None:
    place.run("""SELECT limit_queue('narrow', '{"max_pending": 3}')""")
    with pytest.raises(QueueFullError, match=r'queue "narrow" is full: 3 wait'):
        await either.enqueue_many("h", [{}] * 4, queue="narrow")
    assert place.run("SELECT id FROM job_executions") == []
    assert len(await either.enqueue_many("h", [{}] * 3, queue="narrow")) == 3
    assert len(await either.enqueue_many("h", [{}] * 4)) == 4
