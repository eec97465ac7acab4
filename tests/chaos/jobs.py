"""The handlers of the chaos: copied into its project. Each notes in the business database that an attempt has begun."""

import asyncio
import os
import time
from collections.abc import Mapping

import psycopg

from scheduler import current_execution, get_connection, handler

BEGUN = "INSERT INTO begun (execution_id, attempt) VALUES (%s, %s)"
PAIRED = "INSERT INTO paired (execution_id) VALUES (:id)"
Params = Mapping[str, float]


def _begun() -> dict[str, int]:
    execution = current_execution()
    with psycopg.connect(os.environ["SCHEDULER_DATABASES__BUSINESS__URL"], autocommit=True) as connection:
        connection.execute(BEGUN, [execution.id, execution.attempt])
    return {"attempt": execution.attempt}


async def _work(params: Params) -> dict[str, int]:
    author = await asyncio.to_thread(_begun)
    await asyncio.sleep(params.get("seconds", 0))
    return author


def _labour(params: Params) -> dict[str, int]:
    author = _begun()
    time.sleep(params.get("seconds", 0))
    return author


@handler("in_task", max_retry=5, retry_delay=0.1)
async def in_task(params: dict[str, float]) -> dict[str, int]:
    return await _work(params)


@handler("in_thread", max_retry=5, retry_delay=0.1)
def in_thread(params: dict[str, float]) -> dict[str, int]:
    return _labour(params)


@handler("in_process", run_in="process", max_retry=5, retry_delay=0.1)
def in_process(params: dict[str, float]) -> dict[str, int]:
    return _labour(params)


@handler("failing", max_retry=4, retry_delay=0.1)
async def failing(params: dict[str, float]) -> dict[str, int]:
    """Fails each other time."""
    author = await _work(params)
    if author["attempt"] % 2:
        raise ConnectionError("as it happens now and then")
    return author


@handler("hopeless", max_retry=2, retry_delay=0.1)
async def hopeless() -> None:
    await _work({})
    raise ValueError("as always")


@handler("late_task", timeout=0.5, max_retry=2, retry_delay=0.1)
async def late_task() -> None:
    await _work({"seconds": 3600})


@handler("late_thread", timeout=0.5, max_retry=2, retry_delay=0.1)
def late_thread() -> None:
    """Can't be ended, but ends after a while."""
    _labour({"seconds": 2})


@handler("late_process", run_in="process", timeout=0.5, max_retry=2, retry_delay=0.1)
def late_process() -> None:
    _labour({"seconds": 3600})


@handler("blocking", max_retry=2, retry_delay=0.1)
async def blocking(params: dict[str, float]) -> dict[str, int]:
    """Keeps its event loop from turning."""
    author = await _work({})
    time.sleep(params["seconds"])  # noqa: ASYNC251 - it is here to do wrong
    return author


@handler("poison", max_retry=2, retry_delay=0.1)
async def poison() -> None:
    """Ends whatever process it runs in."""
    await _work({})
    os._exit(9)


@handler("poison_in_process", run_in="process", max_retry=2, retry_delay=0.1)
def poison_in_process() -> None:
    _labour({})
    os._exit(9)


@handler("unstorable", max_retry=2, retry_delay=0.1)
async def unstorable() -> object:
    return {**await _work({}), "thing": object(), "text": "nul \0 surrogate \ud800"}


@handler("paired", transactional=["default", "business"], max_retry=10, retry_delay=0.1)
async def paired() -> dict[str, int]:
    """What it writes in two databases stands or falls with its SUCCESS."""
    execution = current_execution()
    for name in ("default", "business"):
        await get_connection(name).execute(PAIRED, {"id": execution.id})
    return {"attempt": execution.attempt}
