"""What can't be part of a two-phase commit, and how that is told."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import TextClause, text

from scheduler import failpoints
from scheduler.database import DatabaseRegistry, decisions, get_connection, transactional, two_phase
from scheduler.database import participant as participant_module
from scheduler.errors import QueryExecutionError, TransactionError
from scheduler.testing.postgres import ThrowawayPostgres
from tests.two_phase.conftest import INSERT, NAMES, TABLE, Place, Run

TWO = ("default", "business")


@pytest.fixture(scope="module")
def small_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ThrowawayPostgres]:
    """One with room for no prepared transaction."""
    folder: Path = tmp_path_factory.mktemp("small")
    with ThrowawayPostgres(folder, settings={"max_prepared_transactions": "0"}) as server:
        yield server


async def test_a_server_that_cannot_prepare_is_refused_before_the_first_statement(
    place: Place, run: Run, small_server: ThrowawayPostgres
) -> None:
    with small_server.fresh_database() as url:
        DatabaseRegistry.configure({**place.urls, "business": url})
        with pytest.raises(TransactionError, match=r"'business' can't prepare .* max_prepared_transactions = 64"):
            await run({"default": INSERT}, over=TWO)
        await run({"business": TABLE}, over=("business",))
        await DatabaseRegistry.dispose()

    assert place.effects()[0] == []


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("NOTIFY shop", "which NOTIFY can't be part of"),
        ("  listen shop", "which LISTEN can't be part of"),
        (text("NOTIFY shop"), "which NOTIFY can't be part of"),
        ("SELECT enqueue_job('h')", r"which enqueue_job\(\), because it notifies, can't be part of"),
        ("SELECT pg_notify('shop', '')", r"which pg_notify\(\) can't be part of"),
        ("SELECT pg_try_advisory_lock(1)", "which an advisory lock of the session can't be part of"),
        ("CREATE TEMP TABLE t (id int)", "which a temporary table can't be part of"),
        (
            "DO $$ BEGIN PERFORM pg_catalog.set_config('a.b', 'c', true); NOTIFY shop; END $$",
            "it used NOTIFY, as insert",
        ),
        ("SELECT 1 AS id INTO TEMP t", "it used a temporary table: use a WITH query"),
        ("DECLARE c CURSOR WITH HOLD FOR SELECT 1", "it has a cursor WITH HOLD open"),
        ("SELECT pg_export_snapshot()", "it exported a snapshot"),
    ],
)
async def test_what_cannot_be_prepared_is_named_and_all_is_rolled_back(
    place: Place, run: Run, statement: str | TextClause, named: str
) -> None:
    with pytest.raises(TransactionError, match=f"'business' .*{named}"):
        await run({"default": INSERT, "books": INSERT, "business": statement})

    assert (place.effects(), place.prepared()) == ([[], [], []], [])


async def test_the_job_database_may_notify_for_it_does_not_prepare(place: Place, run: Run) -> None:
    await run({"default": "NOTIFY shop", "business": INSERT})

    assert place.effects() == [[], [1], []]


async def test_alone_it_may_do_all_that(place: Place, run: Run) -> None:
    await run({"business": "CREATE TEMP TABLE t (id int) ON COMMIT DROP"}, over=("business",))


async def test_without_room_for_another_prepared_transaction_nothing_is_left(
    place: Place, tmp_path: Path, migrated_template: str
) -> None:
    """Of ten at once on a server with two places, some are refused, and do it when they come again."""
    two = ThrowawayPostgres(tmp_path / "two", settings={"max_prepared_transactions": "2"})
    with two as server, server.fresh_database() as url:
        DatabaseRegistry.configure(
            {"default": {"url": place.urls["default"], "pool_size": 20}, "business": {"url": url, "pool_size": 20}}
        )
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(TABLE.encode())
        refused: list[str] = []
        barrier = asyncio.Barrier(10)

        async def work(number: int) -> None:
            while True:
                try:
                    async with transactional(*TWO):
                        for name in TWO:
                            insert = "INSERT INTO effect VALUES (:id)"
                            await get_connection(name).execute(insert, {"id": number})
                        if not refused:
                            await barrier.wait()
                except TransactionError as error:
                    refused.append(str(error))
                else:
                    return

        async with asyncio.timeout(20):
            await asyncio.gather(*map(work, range(10)))
        with psycopg.connect(url, autocommit=True) as connection:
            assert connection.execute("SELECT count(*) FROM effect").fetchone() == (10,)
            assert connection.execute("SELECT count(*) FROM pg_prepared_xacts").fetchone() == (0,)
        await DatabaseRegistry.dispose()
    assert refused
    assert all("no room for another prepared transaction" in said for said in refused)
    assert place.effects()[0] == list(range(10))


async def test_opposite_lock_orders_are_broken_by_a_timeout(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """No server sees a deadlock that goes through two of them."""
    monkeypatch.setattr(participant_module, "LOCK_SECONDS", 0.2)
    for name in TWO:
        place.run(INSERT, database=name)
    both = asyncio.Barrier(2)
    touch = "UPDATE effect SET name = name WHERE id = 1"

    async def work(first: str, second: str) -> None:
        async with transactional(*TWO):
            await get_connection(first).execute(touch)
            await both.wait()
            await get_connection(second).execute(touch)

    async with asyncio.timeout(10):
        ended = await asyncio.gather(work(*TWO), work(*TWO[::-1]), return_exceptions=True)

    failed: list[Any] = [each for each in ended if each is not None]
    assert failed
    assert all(isinstance(each, QueryExecutionError) and "lock timeout" in str(each) for each in failed)


async def test_a_coordinator_that_sleeps_is_ended_by_the_server(
    place: Place, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Were it to wake up after the ABORT about it has been deleted, it would find nothing in its way."""
    limit = f"{decisions.UNANSWERED_SECONDS}s"
    assert limit in decisions.GUARD
    monkeypatch.setattr(decisions, "GUARD", decisions.GUARD.replace(limit, "50ms"))
    deciding = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in tr%'"

    def sleep() -> None:
        deadline = time.monotonic() + 10
        while place.run(deciding) != [(0,)]:
            assert time.monotonic() < deadline

    failpoints.arm("after_prepare:business", sleep)

    with pytest.raises(TransactionError, match="'default' can't decide: terminating connection due to idle-in-tr"):
        await run(dict.fromkeys(NAMES, INSERT))

    assert (place.effects(), place.prepared()) == ([[], [], []], [])


async def test_a_coordinator_that_takes_too_long_rolls_back(
    place: Place, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr(two_phase, "monotonic", lambda: now[0])

    def late() -> None:
        now[0] += two_phase.DECIDE_SECONDS

    failpoints.arm("after_prepare:books", late)

    with pytest.raises(TransactionError, match="did not prepare within 30 s"):
        await run(dict.fromkeys(NAMES, INSERT))

    assert (place.effects(), place.prepared()) == ([[], [], []], [])
