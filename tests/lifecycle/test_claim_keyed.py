"""Keyed claims: never more of a key at once than its limit, whoever claims."""

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from types import MappingProxyType
from typing import Any
from uuid import UUID, uuid4

import pytest

from scheduler.lifecycle.claim import Claimer
from scheduler.model import Status
from scheduler.store.executions import LEVELS, NO_BOUND, Executions, Success
from scheduler.store.session import Session
from tests.store.fixtures import MakeSession
from tests.store.tables import Tables

COUNTED_AGAIN = "WHERE c.turn <= c.at_once - (SELECT"
NOT_COUNTED = "WHERE c.turn <= c.at_once - 0 * (SELECT"
LOCKED = "WHERE pg_try_advisory_xact_lock(hashtextextended(c.concurrency_key, c.tableoid::bigint))"
SOUND: Mapping[str, tuple[str, str]] = MappingProxyType({})
ONE_STATEMENT: Mapping[str, tuple[str, str]] = MappingProxyType(
    {"claim_keyed": (COUNTED_AGAIN, NOT_COUNTED), "lock_keyed": (LOCKED, "WHERE true")}
)
NO_LEAP: Mapping[str, tuple[str, str]] = MappingProxyType(
    {"lock_keyed_behind": ("OFFSET %(n)s + 499", "OFFSET %(n)s + 100000")}
)
NO_LOCK: Mapping[str, tuple[str, str]] = MappingProxyType({"lock_keyed": (LOCKED, "WHERE true")})


def broken(session: Session, edits: Mapping[str, tuple[str, str]]) -> Session:
    """The session, with parts of its statements replaced."""
    changed = dict(session.sql)
    for name, (part, instead) in edits.items():
        assert part.encode() in changed[name]
        changed[name] = changed[name].replace(part.encode(), instead.encode())
    session.sql = changed
    return session


async def claim_beside_each_other(sessions: list[Session], workers: list[UUID]) -> None:
    """Every first half, then every second half: as bad as timing can be."""
    look = {"queue": "default", "n": 1, "levels": LEVELS, "bounds": NO_BOUND}
    async with AsyncExitStack() as stack:
        begun = []
        for session, worker in zip(sessions, workers, strict=True):
            transaction = await stack.enter_async_context(session.transaction())
            begun.append((transaction, worker, await transaction.run("lock_keyed", look)))
        for transaction, worker, locked in begun:
            ids, keys, limits = ([row[place] for row in locked] for place in range(3))
            await transaction.run("claim_keyed", {
                "worker": worker, "token": uuid4(), "queue": "default", "policies": "{}", "ids": ids, "keys": keys,
                "limits": limits,
            })  # fmt: skip


@pytest.mark.parametrize(("edits", "running"), [(SOUND, 1), (ONE_STATEMENT, 3), (NO_LOCK, 3)],
                         ids=["sound", "counted in the locking statement", "counted without the lock"])  # fmt: skip
async def test_claims_at_the_same_moment_do_not_overshoot(
    tables: Tables, make_session: MakeSession, edits: Mapping[str, tuple[str, str]], running: int
) -> None:
    for _ in range(5):
        tables.enqueue(concurrency_key="k")
    sessions = [broken(make_session(), edits) for _ in range(3)]
    await claim_beside_each_other(sessions, [tables.worker() for _ in sessions])
    assert tables.value("SELECT count(*) FROM job_executions WHERE status = 'RUNNING'") == running


@pytest.mark.parametrize("limit", [1, 3])
async def test_a_limit_holds_under_many_claimers(tables: Tables, make_session: MakeSession, limit: int) -> None:
    tables.execute(
        """INSERT INTO job_executions (handler_name, concurrency_key, concurrency_limit)
           SELECT 'work', 'key ' || mod(n, 2), %s FROM generate_series(1, 24) AS n""",
        limit,
    )
    workers = [(Executions(make_session()), tables.worker()) for _ in range(6)]
    settled = 0
    for _ in range(24 * 4):
        found = await asyncio.gather(*(keyed(executions, worker) for executions, worker in workers))
        counts = tables.column("SELECT count(*) FROM job_executions WHERE status = 'RUNNING' GROUP BY concurrency_key")
        assert max(counts, default=0) <= limit
        batch = [Success(claim.id, claim.token, 0.0, None) for claims in found for claim in claims]
        settled += (await workers[0][0].settle_successes(batch)).count(Status.SUCCESS) if batch else 0
        if settled == 24:
            break
    assert settled == 24


async def keyed(executions: Executions, worker: UUID, n: int = 5) -> list[Any]:
    return await executions.claim_keyed(worker, uuid4(), "default", n, bounds=NO_BOUND, policies="{}")


async def test_claim_jobs_and_the_worker_exclude_each_other(tables: Tables, session: Session) -> None:
    for _ in range(3):
        tables.enqueue(concurrency_key="k")
    worker, other = tables.worker(), tables.worker()
    async with session.transaction() as transaction:
        look = {"queue": "default", "n": 1, "levels": LEVELS, "bounds": NO_BOUND}
        assert len(await transaction.run("lock_keyed", look)) == 1
        assert tables.rows("SELECT * FROM claim_jobs(%s, n => 2)", worker) == []
    assert len(tables.rows("SELECT * FROM claim_jobs(%s, n => 2)", worker)) == 1
    assert await keyed(Executions(session), other) == []


async def test_a_full_key_hides_no_other(tables: Tables, executions: Executions) -> None:
    worker = tables.worker()
    for _ in range(4):
        tables.enqueue(concurrency_key="busy")
    free = tables.enqueue(concurrency_key="free")
    assert len(await keyed(executions, worker)) == 2  # one of each
    assert tables.execution(free)["status"] == "RUNNING"
    later = tables.enqueue(concurrency_key="another")
    assert [claim.id for claim in await keyed(executions, worker)] == [later]


@pytest.mark.parametrize("edits", [SOUND, NO_LEAP], ids=["sound", "without the leap"])
async def test_nor_does_one_with_a_long_line(
    tables: Tables, make_session: MakeSession, edits: Mapping[str, tuple[str, str]]
) -> None:
    executions, worker = Executions(broken(make_session(), edits)), tables.worker()
    tables.execute("""INSERT INTO job_executions (handler_name, concurrency_key, priority)
                      SELECT 'work', 'busy', 1 FROM generate_series(1, 1000)""")
    free = [tables.enqueue(concurrency_key=f"free {n % 2}") for n in range(4)]
    assert [claim.id for claim in await keyed(executions, worker)] == [1]
    found = {claim.id for claim in await keyed(executions, worker)}
    assert found == (set() if edits is NO_LEAP else set(free[:2]))


async def test_each_row_keeps_to_its_own_limit(tables: Tables, executions: Executions) -> None:
    tables.running(concurrency_key="k", concurrency_limit=3)
    modest = tables.enqueue(concurrency_key="k", concurrency_limit=1, priority=1)
    generous = tables.enqueue(concurrency_key="k", concurrency_limit=3)
    assert [claim.id for claim in await keyed(executions, tables.worker())] == [generous]
    assert tables.execution(modest)["status"] == "PENDING"


async def test_priority_holds_between_rows_with_a_key_and_rows_without(tables: Tables, executions: Executions) -> None:
    wanted = [
        tables.enqueue(priority=9),
        tables.enqueue(priority=7, concurrency_key="a"),
        tables.enqueue(priority=5),
        tables.enqueue(priority=5),
        tables.enqueue(priority=-9, concurrency_key="b"),
    ]
    claimer = Claimer(executions, tables.worker(), ("default",), "{}")
    found = []
    for _ in wanted:
        claimer.look_at_keys()
        claims = await claimer.claim(1)
        claimer.taken(claims)
        found += [claim.id for claim in claims]
    assert found == wanted


async def test_nothing_keyed_is_taken_without_a_lease_or_from_a_paused_queue(
    tables: Tables, executions: Executions
) -> None:
    tables.enqueue(concurrency_key="k")
    assert await keyed(executions, tables.worker(status="DRAINING")) == []
    assert await keyed(executions, tables.worker(lease=-1.0, age=30.0)) == []
    tables.execute("SELECT pause_queue('default')")
    assert await keyed(executions, tables.worker()) == []
    tables.execute("SELECT resume_queue('default')")
    assert len(await keyed(executions, tables.worker())) == 1
