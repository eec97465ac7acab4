"""Claims from queues with limits: never more than they allow, whoever claims, and nothing for those without."""

import asyncio
from collections.abc import Mapping
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from scheduler.lifecycle.claim import Claimer
from scheduler.model import Claim
from scheduler.store.executions import NO_BOUND, Executions, Success
from tests.store.fixtures import MakeSession
from tests.store.tables import Tables

LIMIT = "INSERT INTO job_queues (name, max_running) VALUES ('default', %s)"
RATE = "INSERT INTO job_queues (name, rate_limit, rate_period_seconds) VALUES ('default', %s, %s)"
RUNNING = "SELECT count(*) FROM job_executions WHERE status = 'RUNNING'"
STARTED = "SELECT extract(epoch FROM started_at)::double precision FROM job_executions WHERE attempt > 0 ORDER BY 1"
FILL = "INSERT INTO job_executions (handler_name, concurrency_key) SELECT 'work', %s FROM generate_series(1, %s)"


async def take(executions: Executions, worker: UUID, n: int = 100, *, policies: str = "{}") -> list[Claim]:
    return await executions.claim_limited(worker, uuid4(), "default", n, bounds=NO_BOUND, policies=policies)


async def settle(executions: Executions, claims: list[Claim]) -> None:
    if claims:
        await executions.settle_successes([Success(claim.id, claim.token, 0.0, None) for claim in claims])


@pytest.mark.parametrize("limit", [1, 7])
async def test_no_more_run_than_the_queue_allows_whoever_claims(
    tables: Tables, make_session: MakeSession, limit: int
) -> None:
    tables.execute(LIMIT, limit)
    tables.execute(FILL, None, 60)
    workers = [(Executions(make_session()), tables.worker()) for _ in range(6)]
    settled = 0
    for _ in range(60 * 6):
        found = await asyncio.gather(*(take(executions, worker, 4) for executions, worker in workers))
        assert tables.value(RUNNING) <= limit
        for claims, (executions, _) in zip(found, workers, strict=True):
            await settle(executions, claims)
            settled += len(claims)
        if settled == 60:
            break
    assert settled == 60


async def test_what_is_not_settled_keeps_its_place(tables: Tables, executions: Executions) -> None:
    tables.execute(LIMIT, 3)
    tables.execute(FILL, None, 10)
    worker = tables.worker()
    claims = await take(executions, worker)
    assert len(claims) == 3
    assert await take(executions, worker) == []
    assert await executions.held_up(["default"]) == float("inf")
    await settle(executions, claims[:2])
    assert await executions.held_up(["default"]) is None
    assert len(await take(executions, worker)) == 2


async def test_a_lost_worker_gives_its_places_back(tables: Tables, executions: Executions) -> None:
    tables.execute(LIMIT, 2)
    tables.execute(FILL, None, 4)
    assert len(await take(executions, tables.worker(lease=0.2))) == 2
    second = tables.worker()
    assert await take(executions, second) == []
    tables.execute("UPDATE job_workers SET status = 'LOST' WHERE id <> %s", second)
    await executions.rescue(10)
    assert len(await take(executions, second)) == 2


async def test_the_others_of_a_limited_queue_run_elsewhere(tables: Tables, executions: Executions) -> None:
    """Only the rows of this queue count."""
    tables.execute(LIMIT, 1)
    tables.running(queue="other")
    tables.enqueue()
    assert len(await take(executions, tables.worker())) == 1


async def test_a_claim_that_knows_no_limits_takes_nothing_where_there_are_some(
    tables: Tables, executions: Executions
) -> None:
    tables.enqueue()
    tables.enqueue(concurrency_key="k")
    worker = tables.worker()
    for limit in ("max_running = 5", "key_limit = 5", "rate_limit = 5, rate_period_seconds = 1"):
        tables.execute("DELETE FROM job_queues")
        tables.execute("INSERT INTO job_queues (name) VALUES ('default')")
        tables.connection.execute(f"UPDATE job_queues SET {limit}".encode())
        assert (await executions.limited_queues(["default", "other"])).claim == {"default"}
        assert await executions.claim(worker, uuid4(), "default", 5, bounds=NO_BOUND, policies="{}") == []
        assert await executions.claim_keyed(worker, uuid4(), "default", 5, bounds=NO_BOUND, policies="{}") == []
    tables.execute("UPDATE job_queues SET rate_limit = NULL, rate_period_seconds = NULL, max_pending = 9")
    assert (await executions.limited_queues(["default", "other"])).claim == frozenset()
    assert len(await executions.claim(worker, uuid4(), "default", 5, bounds=NO_BOUND, policies="{}")) == 1


async def test_a_claimer_hears_of_limits(tables: Tables, executions: Executions) -> None:
    tables.execute(FILL, None, 9)
    claimer = Claimer(executions, tables.worker(), ["default"], "{}")
    claimer.taken(await claimer.claim(2))
    tables.execute(LIMIT, 4)
    assert await claimer.claim(9) == []
    await claimer.read_limits()
    claimer.taken(found := await claimer.claim(9, at_once=1))
    assert len(found) == 1
    claimer.taken(found := await claimer.claim(9, at_once=9))
    assert len(found) == 1
    assert await claimer.claim(9, at_once=0) == []
    assert await claimer.held_up() == float("inf")
    tables.execute("UPDATE job_queues SET max_running = NULL")
    assert len(await claimer.claim(2)) == 2  # by a claim that believes in limits yet


async def test_order_policies_and_pause_are_those_of_any_claim(tables: Tables, executions: Executions) -> None:
    tables.execute(LIMIT, 9)
    worker, later = tables.worker(), tables.enqueue(priority=-1)
    sooner = tables.enqueue("email", priority=5)
    tables.enqueue(priority=9, available_at="2999-01-01")
    policies = '{"email": {"timeout_seconds": 7, "max_retry": 1, "retry_backoff": "fixed", "retry_delay_seconds": 3}}'
    tables.execute("UPDATE job_queues SET paused = true")
    assert await take(executions, worker, policies=policies) == []
    tables.execute("UPDATE job_queues SET resume_at = job_now()")
    claims = await take(executions, worker, policies=policies)
    assert [claim.id for claim in claims] == [sooner, later]
    found = [(c.timeout_seconds, c.max_retry, c.retry_backoff, c.retry_delay_seconds) for c in claims]
    assert found == [(7, 1, "fixed", 3), (300, 3, "exponential", 2)]


@pytest.mark.parametrize("lost", [{"status": "LOST"}, {"lease": -1.0}])
async def test_nobody_claims_without_a_lease(tables: Tables, executions: Executions, lost: Mapping[str, Any]) -> None:
    tables.execute(LIMIT, 9)
    tables.enqueue()
    assert await take(executions, tables.worker(**lost)) == []


async def test_the_key_limit_is_for_rows_that_name_none(tables: Tables, executions: Executions) -> None:
    tables.execute("INSERT INTO job_queues (name, key_limit) VALUES ('default', 2)")
    worker = tables.worker()
    tables.execute(FILL, "open", 5)
    tables.enqueue(concurrency_key="one", concurrency_limit=1)
    tables.enqueue(concurrency_key="one", concurrency_limit=1)
    assert sorted(claim.concurrency_key or "" for claim in await take(executions, worker)) == ["one", "open", "open"]
    assert await take(executions, worker) == []


async def test_keys_and_max_running_hold_together(tables: Tables, executions: Executions) -> None:
    tables.execute(LIMIT, 3)
    worker = tables.worker()
    for key in ("a", "a", "b", "c", "d"):
        tables.enqueue(concurrency_key=key)
    keys = [claim.concurrency_key for _ in range(3) for claim in await take(executions, worker)]
    assert keys == ["a", "b", "c"]


async def test_a_rate_holds_in_every_period_and_counts_each_claim(tables: Tables, executions: Executions) -> None:
    tables.execute(RATE, 10, 60)
    tables.set_clock("2026-03-07 12:00+00")
    tables.execute(FILL, None, 100)
    tables.execute("UPDATE job_executions SET available_at = '2026-03-01'")
    worker = tables.worker()
    first = await take(executions, worker, 4)
    assert len(first) == 4
    await executions.release(first)  # what comes back has used up its turn
    tables.move_clock(30)
    assert len(await take(executions, worker)) == 6
    assert await take(executions, worker) == []
    held = await executions.held_up(["default"])
    assert held is not None
    assert 20 < held < 31
    tables.move_clock(held + 0.01)
    assert len(await take(executions, worker)) == 4
    tables.move_clock(-20)  # nothing is lost with the time
    assert await take(executions, worker) == []
    tables.move_clock(-86400)  # and nothing waits for it to come back
    assert len(await take(executions, tables.worker())) == 10


async def test_a_rate_that_was_lowered_or_raised_holds_from_now_on(tables: Tables, executions: Executions) -> None:
    tables.execute(RATE, 10, 3600)
    tables.execute(FILL, None, 100)
    worker = tables.worker()
    assert len(await take(executions, worker)) == 10
    tables.execute("UPDATE job_queues SET rate_limit = 5")
    assert await take(executions, worker) == []
    tables.execute("UPDATE job_queues SET rate_limit = 12")
    assert len(await take(executions, worker)) == 2


async def test_many_claimers_never_exceed_a_rate_in_any_window(tables: Tables, make_session: MakeSession) -> None:
    limit, period = 20, 0.3
    tables.execute(RATE, limit, period)
    tables.execute(FILL, None, 120)
    workers = [(Executions(make_session()), tables.worker()) for _ in range(4)]
    while sum([len(await take(*worker, 7)) for worker in workers]) or tables.value(
        "SELECT count(*) > 0 FROM job_executions WHERE attempt = 0"
    ):
        await asyncio.gather(*(take(*worker, 3) for worker in workers))
    starts = tables.column(STARTED)
    assert len(starts) == 120
    assert all(later - sooner >= period for sooner, later in zip(starts, starts[limit:], strict=False))


async def test_who_edits_a_queue_keeps_nobody_waiting(tables: Tables, line_url: str, executions: Executions) -> None:
    tables.execute(RATE, 10, 1)
    tables.enqueue()
    worker = tables.worker()
    with psycopg.connect(line_url) as editor:
        editor.execute("UPDATE job_queues SET rate_limit = 100")
        assert await take(executions, worker) == []
    assert len(await take(executions, worker)) == 1


async def test_a_client_with_an_open_transaction_keeps_nobody_waiting(
    tables: Tables, line_url: str, executions: Executions
) -> None:
    tables.execute(LIMIT, 2)
    tables.execute(FILL, None, 3)
    worker = tables.worker()
    with psycopg.connect(line_url) as client:
        assert len(client.execute("SELECT id FROM claim_jobs(%s)", [worker]).fetchall()) == 1
        assert await take(executions, worker) == []
    assert len(await take(executions, worker)) == 1


def test_a_client_is_refused_a_snapshot_that_would_not_see_what_runs(tables: Tables, line_url: str) -> None:
    tables.execute(LIMIT, 2)
    tables.enqueue()
    worker = tables.worker()
    with psycopg.connect(line_url) as client:
        client.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match="repeatable read"):
            client.execute("SELECT id FROM claim_jobs(%s)", [worker])
