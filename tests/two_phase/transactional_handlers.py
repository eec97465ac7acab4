"""Transactional handlers, one for each way to run them."""

import asyncio
import time
from contextlib import suppress
from typing import Any

from pydantic import BaseModel
from sqlalchemy import text

from scheduler import (
    AsyncClient,
    BaseHandler,
    Client,
    DatabaseRegistry,
    QueryExecutionError,
    get_connection,
    handler,
    savepoint,
    transactional,
)

TWO = ["default", "business"]
INSERT = "INSERT INTO effect VALUES (:id)"
SIGNAL = "SELECT 1 FROM effect WHERE name = :name"


class Params(BaseModel):
    number: int
    fail: bool = False
    swallow: bool = False
    savepoint: bool = False
    wait_for: str = ""
    enqueue: bool = False


@handler("writes_task", transactional=TWO)
async def writes_task(params: Params) -> dict[str, int]:
    for name in TWO:
        await get_connection(name).execute(INSERT, {"id": params.number})
    if params.enqueue:
        await AsyncClient().enqueue("next", {"number": params.number})
    if params.wait_for:
        await _signal(params.wait_for)
    if params.swallow:
        with suppress(QueryExecutionError):
            if params.savepoint:
                async with savepoint():
                    await get_connection("business").execute("SELECT 1 / 0")
            else:
                await get_connection("business").execute("SELECT 1 / 0")
    if params.fail:
        raise ValueError("after all")
    return {"number": params.number}


def writes(params: Params) -> dict[str, int]:
    for name in TWO:
        get_connection(name).execute(INSERT, {"id": params.number})
    if params.enqueue:
        Client().enqueue("next", {"number": params.number})
    if params.wait_for:
        _signal_sync(params.wait_for)
    if params.swallow:
        with suppress(QueryExecutionError):
            if params.savepoint:
                with savepoint():
                    get_connection("business").execute("SELECT 1 / 0")
            else:
                get_connection("business").execute("SELECT 1 / 0")
    if params.fail:
        raise ValueError("after all")
    return {"number": params.number}


@handler("writes_thread", transactional=TWO)
def writes_thread(params: Params) -> dict[str, int]:
    return writes(params)


@handler("writes_process", transactional=TWO, run_in="process")
def writes_process(params: Params) -> dict[str, int]:
    return writes(params)


@handler("writes_one", transactional=["default"])
async def writes_one(params: Params) -> None:
    await get_connection().execute(INSERT, {"id": params.number})


@handler("writes_other", transactional=["business"])
async def writes_other(params: Params) -> None:
    await get_connection("business").execute(INSERT, {"id": params.number})


@handler("sync")
class SyncHandler(BaseHandler):
    """As in the description of the product."""

    async def execute(self, params: dict[str, Any]) -> dict[str, bool]:
        db1, db2 = DatabaseRegistry.get("default"), DatabaseRegistry.get("business")

        @transactional(db1, db2)
        async def sync_data() -> None:
            await get_connection("default").execute("UPDATE effect SET name = 'synced' WHERE id = 1")
            await get_connection("business").execute("INSERT INTO effect (id) VALUES (1)")

        await sync_data()
        return {"synced": True}


async def _signal(name: str) -> None:
    """Wait until the test has put it into `books`."""
    async with DatabaseRegistry.get("books").async_engine.connect() as connection:
        while not (await connection.execute(text(SIGNAL), {"name": name})).first():  # noqa: ASYNC110 - it is a row
            await asyncio.sleep(0.01)


def _signal_sync(name: str) -> None:
    with DatabaseRegistry.get("books").sync_engine.connect() as connection:
        while not connection.execute(text(SIGNAL), {"name": name}).first():
            time.sleep(0.01)
