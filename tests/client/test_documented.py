"""The examples of docs/transactions.md, run as they are printed there."""

import re
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import NullPool, create_engine
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from tests.client.conftest import Place

PAGE = Path(__file__).resolve().parents[2] / "docs/transactions.md"
ENQUEUED = "SELECT handler_name, handler_params FROM job_executions ORDER BY id"


def example(function: str) -> Any:
    """What an example of the section about enqueuing defines."""
    _, _, section = PAGE.read_text(encoding="utf-8").partition("\n## Enqueue together with your own writes\n")
    blocks = re.findall(r"^```python\n(.*?)^```$", section.partition("\n## ")[0], re.DOTALL | re.MULTILINE)
    (block,) = [block for block in blocks if f"def {function}(" in block]
    namespace: dict[str, Any] = {}
    exec(block, namespace)
    return namespace[function]


@pytest.fixture
def orders(place: Place) -> Place:
    """Order 1 waits, in both databases."""
    for name in place.urls:
        place.run(
            "DROP TABLE IF EXISTS orders; CREATE TABLE orders (id int PRIMARY KEY, paid bool, shipped bool);"
            "INSERT INTO orders VALUES (1, false, false)",
            database=name,
        )
    return place


def test_a_web_request_with_sqlalchemy(place: Place) -> None:
    place.run("CREATE TABLE account (address text PRIMARY KEY)")
    engine = create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(place.url), poolclass=NullPool)
    sign_up = example("sign_up")
    with Session(engine) as session:
        sign_up(session, "ada@example.com")
    with Session(engine) as session, pytest.raises(IntegrityError):
        sign_up(session, "ada@example.com")
    assert place.run("SELECT address FROM account") == [("ada@example.com",)]
    params = {"to": "ada@example.com", "subject": "Welcome", "body": "It works."}
    assert place.run(ENQUEUED) == [("email", params)]


async def test_a_web_request_with_psycopg(orders: Place) -> None:
    pay = example("pay")
    async with await psycopg.AsyncConnection.connect(orders.url) as connection:
        id_ = await pay(connection, 1)
        assert await pay(connection, 1) == id_
        with pytest.raises(KeyError):
            async with connection.transaction():
                await pay(connection, 2)
                raise KeyError
    assert orders.run(ENQUEUED) == [("invoice", {"order": 1})]
    assert orders.run("SELECT paid FROM orders") == [(True,)]


async def test_several_databases(orders: Place) -> None:
    ship = example("ship")
    await ship(1)
    assert orders.run("SELECT shipped FROM orders", database="business") == [(True,)]
    assert orders.run(ENQUEUED) == [("parcel", {"order": 1})]
    assert orders.run("SELECT decision, participants FROM job_transactions") == [("COMMIT", ["business"])]
