"""A backfill beside live ticks, with real plans and real claims: never two at once, and the tick goes first."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from scheduler.lifecycle.plan import plan
from scheduler.operations.backfill import Wanted, enqueue, prepare
from scheduler.store.executions import NO_BOUND, Executions, Success
from scheduler.store.session import Session, SyncSession
from tests.store.tables import Tables

NOON = datetime(2026, 3, 1, 12, 0, 0, 500_000, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def person(line_url: str) -> Iterator[SyncSession]:
    session = SyncSession(line_url, "public", "test")
    yield session
    session.close()


def backfill(person: SyncSession, minutes: int, **wanted: Any) -> None:
    """The ticks before eleven."""
    end = NOON.replace(hour=11, microsecond=0)
    ahead = prepare(person, Wanted(cron_job="often", start=end - minutes * MINUTE, end=end, **wanted))
    assert sum(1 for _ in enqueue(person, ahead)) == 1


class Claims:
    """What one worker claims, and has."""

    def __init__(self, executions: Executions, worker: UUID, tables: Tables) -> None:
        self.executions, self.worker, self.tables = executions, worker, tables

    async def take(self) -> list[str]:
        """The sources of what is claimed now."""
        claims = await self.executions.claim_keyed(self.worker, uuid4(), "default", 10, bounds=NO_BOUND, policies="{}")
        return [self.tables.execution(claim.id)["source"] for claim in claims]

    async def finish(self) -> None:
        """All that it has."""
        rows = self.tables.rows("SELECT id, claim_token FROM job_executions WHERE status = 'RUNNING'")
        await self.executions.settle_successes([Success(id_, token, 0.0, None) for id_, token in rows])


@pytest.fixture
def claims(tables: Tables, executions: Executions) -> Claims:
    tables.set_clock(NOON)
    return Claims(executions, tables.worker(lease=86_400.0), tables)


@pytest.mark.parametrize("policy", ["skip", "queue", "replace"])
async def test_a_tick_waits_for_one_and_goes_before_the_others(
    tables: Tables, session: Session, person: SyncSession, claims: Claims, policy: str
) -> None:
    tables.cron_job("* * * * *", name="often", overlap_policy=policy)
    await plan(session)
    backfill(person, 5)
    assert await claims.take() == ["backfill"]
    tables.move_clock(60)
    await plan(session)
    assert await claims.take() == []
    await claims.finish()
    assert await claims.take() == ["tick"]
    backfill(person, 9)
    assert await claims.take() == []
    for _ in range(8):
        await claims.finish()
        assert await claims.take() == ["backfill"]
    await claims.finish()
    assert await claims.take() == []
    found = tables.rows("SELECT source, status, count(*) FROM job_executions GROUP BY 1, 2 ORDER BY 1")
    assert found == [("backfill", "SUCCESS", 9), ("tick", "SUCCESS", 1)]


async def test_where_they_may_overlap_it_has_a_limit_of_its_own(
    tables: Tables, session: Session, person: SyncSession, claims: Claims
) -> None:
    tables.cron_job("* * * * *", name="often", overlap_policy="allow")
    await plan(session)
    backfill(person, 9, max_parallel=4)
    assert await claims.take() == ["backfill"] * 4
    assert await claims.take() == []
    tables.move_clock(60)
    await plan(session)
    assert tables.value("SELECT count(*) FROM job_executions WHERE source = 'tick' AND concurrency_key IS NULL") == 1
