"""What a resolver does about prepared transactions: only its own, by the decision, and never against a coordinator."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from uuid import uuid4

import psycopg
import pytest

from scheduler import failpoints
from scheduler.database import DatabaseRegistry, recovery
from scheduler.database.database import Database, DatabaseOptions
from scheduler.errors import TransactionError
from scheduler.services.resolver import Resolver
from tests.store.tables import Events
from tests.two_phase.conftest import INSERT, NAMES, Place, Run

EVERYWHERE = dict.fromkeys(NAMES, INSERT)


def others() -> list[Database]:
    return [DatabaseRegistry.get("business"), DatabaseRegistry.get("books")]


async def settle() -> recovery.Report:
    return await recovery.recover(DatabaseRegistry.get("default"), others())


def prepare(place: Place, gid: str, number: int, database: str = "business") -> None:
    """As a coordinator that is gone has left it."""
    with psycopg.connect(place.urls[database], autocommit=True) as connection:
        connection.execute("BEGIN")
        connection.execute("INSERT INTO effect VALUES (%s)", [number])
        connection.execute(f"PREPARE TRANSACTION '{gid}'".encode())


@contextmanager
def rolled_back(place: Place, gid: str, database: str) -> Iterator[None]:
    try:
        yield
    finally:
        with suppress(psycopg.errors.UndefinedObject):
            place.run(f"ROLLBACK PREPARED '{gid}'", database=database)


def resolve_meanwhile(carried_out: list[str]) -> None:
    """In a thread, while a coordinator waits at a failpoint."""

    def work() -> None:
        carried_out.extend(each.decision for each in asyncio.run(settle()).carried_out)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


async def test_what_nobody_decided_is_rolled_back_and_stays_decided(place: Place) -> None:
    gid = f"sched:{place.installation()}:{uuid4()}"
    prepare(place, f"{gid}:1", 1)
    prepare(place, f"{gid}:2", 1, "books")

    report = await settle()

    assert {each.database: each.decision for each in report.carried_out} == {"business": "ABORT", "books": "ABORT"}
    assert place.effects() == [[], [], []]
    assert place.run("SELECT gid, decision FROM job_transactions") == [(gid, "ABORT")]


async def test_the_prepared_of_others_are_left_alone(place: Place) -> None:
    """Those of another installation, of somebody else, and of a database that isn't the one asked about."""
    foreign = [f"sched:{uuid4()}:{uuid4()}:1", "shop-4711"]
    with rolled_back(place, foreign[0], "business"), rolled_back(place, foreign[1], "business"):
        for number, gid in enumerate(foreign, 1):
            prepare(place, gid, number)
        assert (await settle()).carried_out == []
        assert place.prepared() == sorted(foreign)

    ours = f"sched:{place.installation()}:{uuid4()}:1"
    prepare(place, ours, 3, "books")
    report = await recovery.recover(DatabaseRegistry.get("default"), [DatabaseRegistry.get("business")])
    assert (report.carried_out, report.failed) == ([], {})
    assert place.prepared() == [ours]
    assert len((await settle()).carried_out) == 1


async def test_a_coordinator_at_work_is_left_in_peace(place: Place, run: Run) -> None:
    carried_out: list[str] = []
    failpoints.arm("after_prepare:business", lambda: resolve_meanwhile(carried_out))
    failpoints.arm("before_decision", lambda: resolve_meanwhile(carried_out))

    await run(EVERYWHERE)

    assert failpoints.hits["before_decision"]
    assert (carried_out, place.effects()) == ([], [[1], [1], [1]])


async def test_a_coordinator_that_is_late_finds_it_decided(
    place: Place, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    carried_out: list[str] = []
    monkeypatch.setattr(recovery, "SURE_SECONDS", -1.0)
    failpoints.arm("after_prepare:business", lambda: resolve_meanwhile(carried_out))

    with pytest.raises(TransactionError, match="the resolver decided ABORT"):
        await run(EVERYWHERE)

    assert carried_out == ["ABORT", "ABORT"]
    assert place.effects() == [[], [], []]


async def test_a_resolver_that_only_looks_is_noticed(place: Place, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the row, a coordinator that is late commits what was rolled back."""
    carried_out: list[str] = []
    monkeypatch.setattr(recovery, "SURE_SECONDS", -1.0)

    async def look(ledger: recovery.JobDatabase, found: dict[str, list[recovery.Prepared]]) -> dict[str, str]:
        gids = [each.whole for parts in found.values() for each in parts]
        return dict.fromkeys(gids, "ABORT") | await ledger.decided(gids)

    monkeypatch.setattr(recovery, "_decide", look)
    failpoints.arm("after_prepare:business", lambda: resolve_meanwhile(carried_out))

    await run(EVERYWHERE)

    assert place.effects() == [[1], [], []]


async def test_a_commit_under_way_is_waited_for_and_not_overruled(
    place: Place, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    carried_out: list[str] = []
    monkeypatch.setattr(recovery, "SURE_SECONDS", -1.0)
    monkeypatch.setattr(recovery, "_LOCK_LIMIT", "SELECT set_config('lock_timeout', '100ms', true)")
    failpoints.arm("before_decision", lambda: resolve_meanwhile(carried_out))

    await run(EVERYWHERE)

    assert (carried_out, place.effects()) == ([], [[1], [1], [1]])


async def test_several_resolvers_at_once_are_none_too_many(place: Place) -> None:
    for number in range(10):
        prepare(place, f"sched:{place.installation()}:{uuid4()}:1", number)

    reports = await asyncio.gather(*(settle() for _ in range(4)))

    assert sum(len(report.carried_out) for report in reports) == 10
    assert all(report.failed == {} for report in reports)
    assert place.effects() == [[], [], []]


async def test_one_that_is_away_keeps_nobody_from_the_others(place: Place, events: Events) -> None:
    away = Database("away", DatabaseOptions("postgresql:///db?host=/nowhere"))
    prepare(place, f"sched:{place.installation()}:{uuid4()}:1", 1)
    resolver = Resolver(DatabaseRegistry.get("default"), [*others(), away])

    await resolver.resolve()

    assert [event for event, _ in events] == ["loop.failed", "resolver.carried_out"]
    assert events[0][1]["loop"] == "resolver of away"
    assert place.prepared() == []


async def test_a_decision_is_settled_when_all_of_its_participants_have_answered(place: Place, run: Run) -> None:
    await run(EVERYWHERE)
    job, business, books = map(DatabaseRegistry.get, NAMES)
    settled = "SELECT settled_at IS NOT NULL FROM job_transactions"

    await recovery.recover(job, [business])
    assert place.run(settled) == [(False,)]
    await recovery.recover(job, [business, books])
    assert place.run(settled) == [(True,)]


async def test_only_old_and_settled_decisions_are_deleted(place: Place) -> None:
    name = f"sched:{place.installation()}:0190aaaa-0000-7000-8000-00000000000"
    for number, (age, is_settled) in enumerate([(6, True), (8, True), (8, False)]):
        place.run(
            "INSERT INTO job_transactions (gid, decision, participants, decided_at, settled_at) "
            "VALUES (%s, 'COMMIT', '{gone}', job_now() - %s * interval '1 day', CASE WHEN %s THEN job_now() END)",
            f"{name}{number}", age, is_settled,
        )  # fmt: skip

    await settle()

    assert place.run("SELECT gid FROM job_transactions ORDER BY gid") == [(f"{name}0",), (f"{name}2",)]
