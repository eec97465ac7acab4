"""`order` and `sync`: what comes in here arrives there."""

import json
from collections.abc import AsyncIterator

import pytest

from scheduler.database import DatabaseRegistry
from scheduler.errors import NotFoundError
from scheduler.testing.postgres import ThrowawayPostgres
from tests.examples.conftest import Call, run

ORDER = '{"customer": "Ada", "amount": 12.5}'


@pytest.fixture
async def business_url(default_url: str, postgres_server: ThrowawayPostgres) -> AsyncIterator[str]:
    with postgres_server.fresh_database() as url:
        DatabaseRegistry.configure({"default": default_url, "business": url})
        yield url
        await DatabaseRegistry.dispose()


async def test_an_order_arrives_once(call: Call, default_url: str, business_url: str) -> None:
    assert (await call("order", ORDER, id=7)).value == {"order": 7}
    assert (await call("order", ORDER, id=7, attempt=2)).value == {"order": 7}
    assert (await call("sync")).value == {"synced": 1}
    assert (await call("sync")).value == {"synced": 0}
    ((number, body),) = run(business_url, "SELECT id, body FROM inbox")
    assert (number, json.loads(body)) == (7, {"customer": "Ada", "amount": "12.5"})
    assert run(default_url, "SELECT id FROM outbox") == []
    decided = run(default_url, "SELECT decision, participants FROM job_transactions")
    assert decided == [("COMMIT", ["business"])] * 2


async def test_it_works_before_the_first_order(call: Call, business_url: str) -> None:
    assert (await call("sync")).value == {"synced": 0}


async def test_what_is_there_already_stays_as_it_is(call: Call, default_url: str, business_url: str) -> None:
    await call("sync")
    run(default_url, "INSERT INTO outbox VALUES (1, 'a'), (2, 'b')")
    run(business_url, "INSERT INTO inbox VALUES (2, 'before')")
    assert (await call("sync")).value == {"synced": 2}
    assert run(business_url, "SELECT id, body FROM inbox ORDER BY id") == [(1, "a"), (2, "before")]


async def test_nothing_moves_when_one_of_them_refuses(call: Call, default_url: str, business_url: str) -> None:
    await call("sync")
    run(default_url, "INSERT INTO outbox VALUES (1, 'a'), (2, NULL)")
    run(business_url, "ALTER TABLE inbox ALTER body SET NOT NULL")
    assert (await call("sync")).error is not None
    assert run(business_url, "SELECT id FROM inbox") == []
    assert run(default_url, "SELECT id FROM outbox ORDER BY id") == [(1,), (2,)]


async def test_without_business_it_says_what_is_missing(call: Call, default_url: str) -> None:
    error = (await call("sync")).error
    assert isinstance(error, NotFoundError)
    assert "'business'" in str(error)
