"""claim: who gets which rows, and when nobody does."""

import asyncio
import json
import random
from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid4

import pytest

from scheduler.lifecycle import claim as claim_module
from scheduler.lifecycle.claim import Claimer
from scheduler.model import Claim
from scheduler.store.executions import NO_BOUND, Executions
from tests.store.fixtures import MakeSession
from tests.store.tables import Tables

CLAIMERS = 20


async def take(executions: Executions, worker: UUID, n: int = 10, *, policies: str = "{}") -> list[Claim]:
    return await executions.claim(worker, uuid4(), "default", n, bounds=NO_BOUND, policies=policies)


async def test_higher_priority_goes_first_then_the_longest_available_then_the_lower_id(
    tables: Tables, executions: Executions
) -> None:
    worker, chance = tables.worker(), random.Random(5)
    for _ in range(40):
        tables.enqueue(priority=chance.choice([-9, -1, 0, 3, 9]), available_at=f"2026-01-0{chance.choice([1, 2])}")
    wanted = tables.column("SELECT id FROM job_executions ORDER BY priority DESC, available_at, id")
    found = [(await take(executions, worker, 1))[0].id for _ in range(7)]
    found += [claim.id for claim in await take(executions, worker, 50)]
    assert found == wanted


async def test_a_claim_makes_the_row_the_workers_and_counts_the_attempt(tables: Tables, executions: Executions) -> None:
    worker, id_ = tables.worker(), tables.enqueue("email", handler_params={"to": "a@example.com"})
    (claim,) = await take(executions, worker)
    row = tables.execution(id_)
    assert (row["status"], row["claimed_by"], row["attempt"]) == ("RUNNING", worker, 1)
    assert row["claim_token"] == claim.token
    assert row["started_at"] is not None
    assert (claim.id, claim.handler_name, claim.attempt) == (id_, "email", 1)
    assert json.loads(claim.params_text) == {"to": "a@example.com"}
    assert claim.available_at == pytest.approx(row["available_at"].timestamp(), abs=1e-5)


async def test_twenty_claimers_and_one_row_make_one_claim(tables: Tables, make_session: MakeSession) -> None:
    workers = [(Executions(make_session()), tables.worker()) for _ in range(CLAIMERS)]
    for _ in range(25):
        id_ = tables.enqueue()
        found = await asyncio.gather(*(take(executions, worker) for executions, worker in workers))
        assert [claim.id for claims in found for claim in claims] == [id_]
        assert tables.execution(id_)["attempt"] == 1


async def test_claimers_share_a_backlog_without_waiting_for_each_other(
    tables: Tables, make_session: MakeSession
) -> None:
    tables.execute("INSERT INTO job_executions (handler_name) SELECT 'work' FROM generate_series(1, 300)")
    workers = [(Executions(make_session()), tables.worker()) for _ in range(6)]

    async def drain(executions: Executions, worker: UUID) -> list[int]:
        taken: list[int] = []
        while claims := await take(executions, worker, 7):
            taken += [claim.id for claim in claims]
        return taken

    found = await asyncio.gather(*(drain(executions, worker) for executions, worker in workers))
    ids = [id_ for taken in found for id_ in taken]
    assert sorted(ids) == tables.column("SELECT id FROM job_executions ORDER BY id")
    assert len(ids) == len(set(ids)) == 300


async def test_nothing_is_taken_without_a_valid_lease(tables: Tables, executions: Executions) -> None:
    tables.enqueue()
    refused = [
        uuid4(),  # not registered
        tables.worker(status="DRAINING"),
        tables.worker(status="STOPPED"),
        tables.worker(status="LOST"),
        tables.worker(lease=-0.001, age=30.0),  # over
        tables.worker(age=-3600.0, lease=7200.0),  # given by a clock that was set back since
    ]
    for worker in refused:
        assert await take(executions, worker) == []
    assert len(await take(executions, tables.worker())) == 1


async def test_nothing_is_taken_from_a_paused_queue_until_it_resumes(tables: Tables, executions: Executions) -> None:
    worker = tables.worker()
    tables.enqueue()
    tables.execute("SELECT pause_queue('default')")
    assert await take(executions, worker) == []
    tables.execute("SELECT pause_queue('default', resume_at => job_now() + interval '1 hour')")
    assert await take(executions, worker) == []
    tables.move_clock(3601)
    assert len(await take(executions, tables.worker())) == 1


async def test_a_delayed_row_waits_for_its_time(tables: Tables, executions: Executions) -> None:
    tables.execute("SELECT enqueue_job('work', delay_seconds => 60)")
    tables.move_clock(59)
    assert await take(executions, tables.worker()) == []
    tables.move_clock(1.5)
    assert len(await take(executions, tables.worker())) == 1


async def test_the_values_in_force_are_written_into_the_row(tables: Tables, executions: Executions) -> None:
    declared = {"timeout_seconds": 7.5, "max_retry": 9, "retry_backoff": "linear", "retry_delay_seconds": 0.25}
    own = {"timeout_seconds": 1.0, "max_retry": 0, "retry_backoff": "fixed", "retry_delay_seconds": 0.0}
    by_row, by_handler, by_default = tables.enqueue("a", **own), tables.enqueue("a"), tables.enqueue("b")
    claims = {c.id: c for c in await take(executions, tables.worker(), policies=json.dumps({"a": declared}))}
    default = {"timeout_seconds": 300.0, "max_retry": 3, "retry_backoff": "exponential", "retry_delay_seconds": 2.0}
    for id_, wanted in ((by_row, own), (by_handler, declared), (by_default, default)):
        row, claim = tables.execution(id_), claims[id_]._asdict()
        assert {name: row[name] for name in wanted} == wanted
        assert {name: claim[name] for name in wanted} == wanted


async def test_a_partly_declared_policy_is_completed_by_the_defaults(tables: Tables, executions: Executions) -> None:
    tables.enqueue("a")
    (claim,) = await take(executions, tables.worker(), policies='{"a": {"max_retry": 9}}')
    assert (claim.max_retry, claim.timeout_seconds, claim.retry_backoff) == (9, 300.0, "exponential")


async def test_params_come_as_the_text_that_the_database_holds(tables: Tables, executions: Executions) -> None:
    tables.execute("""INSERT INTO job_executions (handler_name, handler_params) VALUES
                      ('work', '{"n": 123456789012345678901234567890, "huge": 1e5000}'), ('work', '"no object"')""")
    huge, plain = await take(executions, tables.worker())
    assert '"n": 123456789012345678901234567890' in huge.params_text
    assert len(huge.params_text) > 5000
    assert plain.params_text == '"no object"'


async def test_a_counter_at_its_end_stops_no_other_row(tables: Tables, executions: Executions) -> None:
    tables.enqueue(attempt=2**31 - 1, priority=9)
    tables.enqueue()
    first, second = await take(executions, tables.worker())
    assert (first.attempt, second.attempt) == (2**31 - 1, 1)


async def test_queues_are_visited_in_rotation(tables: Tables, executions: Executions) -> None:
    for _ in range(3):
        for queue in ("a", "b", "c"):
            tables.enqueue(queue, queue=queue)
    claimer = Claimer(executions, tables.worker(), ("a", "b", "c", "empty"), "{}")
    found = []
    for _ in range(9):
        claims = await claimer.claim(1)
        claimer.taken(claims)
        found += [claim.handler_name for claim in claims]
    assert found == ["a", "b", "c"] * 3
    assert await claimer.claim(1) == []


async def test_what_lies_below_the_bound_is_found_by_the_full_look(
    tables: Tables, executions: Executions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claim_module, "FULL_LOOK_SECONDS", 3600.0)
    claimer = Claimer(executions, tables.worker(), ("default",), "{}")
    tables.enqueue()
    claimer.taken(await claimer.claim(10))
    late = tables.enqueue(available_at="2020-01-01")
    other_level = tables.enqueue(available_at="2020-01-01", priority=1)
    just_below = tables.enqueue(available_at=tables.value("SELECT job_now() - interval '2 s'"))
    found = await claimer.claim(10)
    assert [claim.id for claim in found] == [other_level, just_below]
    claimer.taken(found)
    claimer.look_everywhere()
    assert [claim.id for claim in await claimer.claim(10)] == [late]


@pytest.mark.parametrize(("longer", "looks"), [(0.0, 20), (0.04, 9), (0.5, 5)], ids=["as long", "longer", "far longer"])
async def test_a_full_look_that_takes_long_is_seldom(
    tables: Tables, executions: Executions, monkeypatch: pytest.MonkeyPatch, longer: float, looks: int
) -> None:
    """Longer than a claim within the bounds, that is: the server may be far away."""
    clock, full = [1000.0], []
    monkeypatch.setattr(claim_module, "monotonic", lambda: clock[0])
    claimer = Claimer(executions, tables.worker(), ("default",), "{}")
    claim = executions.claim

    async def far(*given: Any, bounds: Sequence[float], **more: Any) -> list[Claim]:
        clock[0] += 0.3
        if bounds is NO_BOUND:
            clock[0] += longer
            full.append(clock[0])
        return await claim(*given, bounds=bounds, **more)

    monkeypatch.setattr(executions, "claim", far)
    for _ in range(2):
        tables.enqueue()
        claimer.taken(await claimer.claim(1))
    while clock[0] < 1060:
        await claimer.claim(1)
    assert looks - 3 <= len(full) <= looks


async def test_the_bound_comes_down_with_a_clock_that_was_set_back(
    tables: Tables, executions: Executions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claim_module, "FULL_LOOK_SECONDS", 3600.0)
    tables.move_clock(7200)
    tables.enqueue()
    claimer = Claimer(executions, tables.worker(), ("default",), "{}")
    claimer.taken(await claimer.claim(10))
    tables.move_clock(-7200)
    tables.execute("UPDATE job_workers SET heartbeat_at = job_now()")
    first, second = tables.enqueue(), tables.enqueue()
    assert await claimer.claim(1) == []
    claimer.look_everywhere()
    for id_ in (first, second):  # the second is found without another full look
        claims = await claimer.claim(1)
        claimer.taken(claims)
        assert [claim.id for claim in claims] == [id_]
