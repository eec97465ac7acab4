"""What is enqueued is the row that was asked for; what can't be one is refused in a sentence, and is not there."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from pydantic import BaseModel, Field

from scheduler import (
    AsyncClient,
    BaseHandler,
    Client,
    CommitUnknownError,
    ConfigurationError,
    DatabaseRegistry,
    NotFoundError,
    ParamsError,
    RefusedError,
    RightsError,
    SchemaError,
    TransactionError,
    handler,
)
from scheduler.store.migration import migrate
from tests.client.conftest import Enqueue, Place
from tests.store.tables import Tables

AT = datetime(2030, 1, 2, 3, 4, tzinfo=UTC)


class Letter(BaseModel):
    to: str = Field(alias="To")
    on: date = date(2030, 1, 2)


@handler("test.letter")
async def send_letter(params: Letter) -> None: ...


@handler("test.plain")
class Plain(BaseHandler):
    async def execute(self, params: dict[str, Any]) -> None: ...


@handler("test.one")
@handler("test.other")
def twice() -> None: ...


_NOTE_ISOLATION = """
    CREATE FUNCTION note_isolation() RETURNS trigger LANGUAGE plpgsql AS
    $$BEGIN INSERT INTO isolation VALUES (current_setting('transaction_isolation')); RETURN NULL; END$$;
    CREATE TRIGGER note_isolation AFTER INSERT ON job_executions EXECUTE FUNCTION note_isolation()"""
_END_ITSELF = """
    CREATE FUNCTION end_itself() RETURNS trigger LANGUAGE plpgsql AS
    $$BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END$$;
    CREATE TRIGGER end_itself AFTER INSERT ON job_executions EXECUTE FUNCTION end_itself()"""


@dataclass
class Point:
    x: int
    y: Decimal


async def test_it_is_the_row_that_enqueue_job_makes(place: Place, enqueue: Enqueue) -> None:
    one = await enqueue("h")
    ((other,),) = place.run("SELECT enqueue_job('h')")
    differing = place.run(
        "SELECT a.key FROM job_executions x, job_executions y, jsonb_each(to_jsonb(x)) a JOIN jsonb_each(to_jsonb(y)) b"
        " USING (key) WHERE x.id = %s AND y.id = %s AND a.value IS DISTINCT FROM b.value",
        one,
        other,
    )
    assert {key for (key,) in differing} <= {"id", "scheduled_at", "available_at", "created_at"}


async def test_each_option_arrives(place: Place, enqueue: Enqueue) -> None:
    id_ = await enqueue(
        "h",
        {"a": [1, None, "가"]},
        queue="mail",
        priority=-9,
        delay=timedelta(minutes=1),
        available_at=AT,
        timeout=2.5,
        max_retry=7,
        unique_key="k",
        unique_until="forever",
        concurrency_key="c",
        concurrency_limit=3,
    )
    with Tables(place.url) as tables:
        row = tables.execution(id_)
    asked = {
        "handler_name": "h",
        "handler_params": {"a": [1, None, "가"]},
        "queue": "mail",
        "priority": -9,
        "available_at": AT + timedelta(minutes=1),
        "timeout_seconds": 2.5,
        "max_retry": 7,
        "unique_key": "k",
        "unique_until": "forever",
        "concurrency_key": "c",
        "concurrency_limit": 3,
        "source": "enqueue",
        "status": "PENDING",
    }
    assert {name: row[name] for name in asked} == asked


@pytest.mark.parametrize(
    ("params", "stored"),
    [
        (None, {}),
        (Letter(To="Ada"), {"To": "Ada", "on": "2030-01-02"}),
        (Point(1, Decimal("0.1")), {"x": 1, "y": "0.1"}),
        ({"at": AT, "n": 10**30}, {"at": "2030-01-02T03:04:00Z", "n": 10**30}),
        ([1, 2], [1, 2]),
        ({"text": "\\u0000 :name %(name)s %"}, {"text": "\\u0000 :name %(name)s %"}),
    ],
)
async def test_params_become_json(place: Place, enqueue: Enqueue, params: Any, stored: Any) -> None:
    await enqueue("h", params)
    assert place.run("SELECT handler_params FROM job_executions") == [(stored,)]


@pytest.mark.parametrize(
    ("params", "sentence"),
    [
        ({"a": object()}, r"can't be turned into JSON: Unable to serialize unknown type: <class 'object'>"),
        ({"a": float("nan")}, "can't be turned into JSON: Out of range float"),
        ({"a": "\0"}, "hold a NUL character"),
        ({"a": "\ud800"}, "can't be turned into JSON: .*surrogates not allowed"),
        ({"a": 10**5000}, "can't be turned into JSON: Exceeds the limit"),
    ],
)
async def test_params_that_are_no_json(place: Place, enqueue: Enqueue, params: Any, sentence: str) -> None:
    with pytest.raises(ParamsError, match=f"^The params {sentence}"):
        await enqueue("h", params)
    assert place.enqueued() == []


async def test_a_decorated_handler_names_itself_and_knows_its_params(place: Place, enqueue: Enqueue) -> None:
    await enqueue(send_letter, Letter(To="Ada"))
    await enqueue(Plain, {"any": 1})
    assert place.run("SELECT handler_name FROM job_executions ORDER BY id") == [("test.letter",), ("test.plain",)]

    with pytest.raises(ParamsError, match=r"The params don't fit handler 'test\.letter': To: Field required\."):
        await enqueue(send_letter, {"to": "Ada"})
    with pytest.raises(ParamsError, match=r"Handler 'test\.plain' takes a JSON object"):
        await enqueue(Plain, [1])
    assert len(place.enqueued()) == 2


async def test_what_is_no_handler(place: Place, enqueue: Enqueue) -> None:
    with pytest.raises(NotFoundError, match=r'is no handler: put @handler\("name"\) on it, or give the name of one\.'):
        await enqueue(print)
    with pytest.raises(NotFoundError, match=r"under several names: give one of test\.other, test\.one\."):
        await enqueue(twice)
    assert place.enqueued() == []


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"priority": 10}, r"^priority 10 is out of range\. Write -9 to 9; higher runs first\.$"),
        ({"delay": -1}, r"^delay_seconds -1 is out of range\."),
        ({"delay": float("nan")}, r"^delay_seconds NaN is out of range\."),
        ({"timeout": timedelta(0)}, r"^timeout_seconds 0 is out of range\."),
        ({"unique_until": "now"}, r'^unique_until "now" is not known\. Write started, finished or forever\.$'),
        ({"concurrency_limit": 2}, r"^concurrency_limit is for a concurrency_key, and there is none\."),
        ({"max_retry": 10**12}, r"^A value is refused: integer out of range\.$"),
        ({"unique_key": "\0"}, r"^A value is refused: .*NUL"),
        ({"unique_key": "\ud800"}, r"^A value holds characters that are not UTF-8"),
        ({"available_at": AT.replace(tzinfo=None)}, r"^available_at 2030-01-02 03:04:00 names no time zone:"),
    ],
)
async def test_values_that_no_row_may_hold(
    place: Place, enqueue: Enqueue, options: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(RefusedError, match=sentence):
        await enqueue("h", **options)
    assert place.enqueued() == []


async def test_an_option_that_is_not_there(place: Place, enqueue: Enqueue) -> None:
    with pytest.raises(TypeError, match=r"^enqueue\(\) has no option 'prio'\. Did you mean 'priority'\?$"):
        await enqueue("h", prio=1)


async def test_a_unique_key_that_is_held_gives_the_id_of_its_holder(place: Place, enqueue: Enqueue) -> None:
    first = await enqueue("h", unique_key="k")
    assert await enqueue("h", unique_key="k") == first
    assert await enqueue("h", unique_key="other") != first


async def test_by_a_url_of_its_own(migrated_url: str) -> None:
    with Tables(migrated_url) as tables:
        tables.execute("ALTER TABLE job_executions ADD COLUMN by text DEFAULT current_setting('application_name')")
        with Client(migrated_url) as client:
            first = client.enqueue("h")
        async with AsyncClient(migrated_url) as async_client:
            second = await async_client.enqueue("h")
        third = client.enqueue("h")  # opens what was closed
        client.close()
        assert tables.rows("SELECT id, by FROM job_executions ORDER BY id") == [
            (each, "scheduler client") for each in (first, second, third)
        ]


async def test_without_any_database_it_says_what_to_give(place: Place, enqueue: Enqueue) -> None:
    DatabaseRegistry.configure({})
    with pytest.raises(ConfigurationError, match="give the client the url of the job database, or name it by Database"):
        await enqueue("h")
    with pytest.raises(ConfigurationError, match="A database url can't be read"):
        Client("nonsense")


async def test_a_server_that_is_not_there(place: Place) -> None:
    away = f"{place.url}&port=1"
    DatabaseRegistry.configure({})
    with pytest.raises(TransactionError, match="can't be reached"), Client(away) as client:
        client.enqueue("h")


async def test_the_schema_is_the_registrys_or_as_given(migrated_url: str, registry: type[DatabaseRegistry]) -> None:
    migrate(migrated_url, "jobs")
    registry.configure({"default": {"url": migrated_url, "schema": "jobs"}})
    Client().enqueue("of the registry")
    await AsyncClient(schema="jobs").enqueue("as given")
    Client(schema="public").enqueue("elsewhere")
    with Tables(migrated_url) as tables:
        there = tables.column("SELECT handler_name FROM jobs.job_executions ORDER BY id")
        assert there == ["of the registry", "as given"]
        assert tables.column("SELECT handler_name FROM job_executions") == ["elsewhere"]
    with pytest.raises(SchemaError, match='without the tables of this version in schema "nope"'):
        Client(schema="nope").enqueue("h")


async def test_a_role_that_may_not(migrated_url: str, registry: type[DatabaseRegistry], enqueue: Enqueue) -> None:
    stranger = f"stranger_{uuid4().hex}"
    with psycopg.connect(migrated_url, autocommit=True) as psql:
        psql.execute(f"CREATE ROLE {stranger} LOGIN".encode())
        try:
            registry.configure({"default": f"{migrated_url}&user={stranger}"})
            with pytest.raises(RightsError, match="permission denied for table job_queues"):
                await enqueue("h")
        finally:
            psql.execute(f"DROP ROLE {stranger}".encode())


async def test_alone_it_is_one_statement_which_commits_by_itself(place: Place, enqueue: Enqueue) -> None:
    first = await enqueue("h")
    assert await enqueue("h") == first + 1
    last = "SELECT query FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    assert [query.partition("(")[0] for (query,) in place.run(last)] == ['SELECT "public".enqueue_job']


async def test_where_another_isolation_is_the_default_a_transaction_names_it(place: Place, enqueue: Enqueue) -> None:
    place.run("CREATE TABLE IF NOT EXISTS isolation (name text)")
    place.run(_NOTE_ISOLATION)
    DatabaseRegistry.configure({"default": _with_options(place.url, r"default_transaction_isolation=serializable")})
    try:
        assert [await enqueue("h")] == place.enqueued()
        assert place.run("SELECT name FROM isolation") == [("read committed",)]
    finally:
        place.run("DROP TABLE isolation; DROP FUNCTION note_isolation CASCADE")


async def test_a_connection_that_is_lost_meanwhile_leaves_it_unknown(place: Place, enqueue: Enqueue) -> None:
    place.run(_END_ITSELF)
    try:
        with pytest.raises(CommitUnknownError, match="Whether it was committed is not known"):
            await enqueue("h")
    finally:
        place.run("DROP FUNCTION end_itself CASCADE")
    assert [await enqueue("h")] == place.enqueued()


async def test_a_connection_that_was_ended_since_is_opened_anew(place: Place, enqueue: Enqueue) -> None:
    before = await enqueue("h")
    end = "SELECT pg_terminate_backend(pid, 30000) FROM pg_stat_activity"
    assert place.run(f"{end} WHERE datname = current_database() AND pid <> pg_backend_pid()") == [(True,)]
    assert [before, await enqueue("h")] == place.enqueued()


async def test_threads_and_tasks_may_share_one(place: Place) -> None:
    DatabaseRegistry.configure({})
    with Client(place.url) as client:
        by_threads = await asyncio.gather(*(asyncio.to_thread(client.enqueue, "h") for _ in range(8)))
    async with AsyncClient(place.url) as async_client:
        by_tasks = await asyncio.gather(*(async_client.enqueue("h") for _ in range(8)))
    assert sorted([*by_threads, *by_tasks]) == place.enqueued()
    assert len(place.enqueued()) == 16


def _with_options(url: str, setting: str) -> str:
    return psycopg.conninfo.make_conninfo(url, options=f"-c {setting}")
