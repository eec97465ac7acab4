"""The same outcomes sent at once, in opposite orders, while a rescuer takes rows back: each row ends once."""

import asyncio
from collections.abc import Iterator

import psycopg
import pytest

from scheduler.lifecycle.settle import Settled, Settler
from scheduler.model import Claim
from scheduler.store.executions import Executions
from tests.store.fixtures import MakeSession
from tests.store.tables import Tables, claim, success

ROWS = 20
HISTORY = """
INSERT INTO job_executions (handler_name, status, finished_at)
SELECT 'old', 'SUCCESS', job_now() FROM generate_series(1, 5000);
ANALYZE job_executions
"""
SLOW = """
CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.01); RETURN NEW; END $$;
CREATE TRIGGER slow BEFORE UPDATE ON job_executions FOR EACH ROW EXECUTE FUNCTION slow();
"""
FAST = "DROP TRIGGER slow ON job_executions; DROP FUNCTION slow()"


@pytest.fixture
def slow(tables: Tables) -> Iterator[None]:
    """Each row takes a while, so that two who write the same ones are sure to meet; in a table worth an index."""
    tables.execute(HISTORY)
    tables.execute(SLOW)
    yield
    tables.execute(FAST)


async def settle(settler: Settler, claims: list[Claim]) -> int:
    """Until the database has answered for all of them. Returns how often it broke a deadlock at this one's cost."""
    broken = 0
    for each in claims:
        settler.put(each, success('"done"'))
    while len(settler):
        try:
            await settler.flush()
        except psycopg.errors.DeadlockDetected:
            broken += 1
    return broken


@pytest.mark.usefixtures("slow")
async def test_each_row_ends_once_and_a_deadlock_is_nobodys_outcome(tables: Tables, make_session: MakeSession) -> None:
    heard: list[Settled] = []
    one, other = (Settler(Executions(make_session()), heard.extend) for _ in range(2))
    rows = [tables.running(tables.worker(status="LOST")) for _ in range(ROWS)]
    claims = [claim(id=id_, token=token) for id_, token in rows]
    rescuing = Executions(make_session()).rescue(3)
    rescued, *deadlocks = await asyncio.gather(rescuing, settle(one, claims), settle(other, claims[::-1]))
    assert sum(deadlocks) >= 1
    returned = {id_ for id_, _ in rescued}
    for id_, _ in rows:
        told = [settled.status for settled in heard if settled.claim.id == id_]
        if id_ in returned:
            assert (tables.execution(id_)["status"], told) == ("PENDING", [None, None])
        else:
            assert (tables.execution(id_)["status"], told) == ("SUCCESS", ["SUCCESS", "SUCCESS"])
