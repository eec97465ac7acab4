"""A handler's writes and its SUCCESS are one commit, however it runs; everything else leaves nothing of it."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any
from uuid import uuid4

import pytest

from scheduler import failpoints
from scheduler.database import DatabaseRegistry
from scheduler.database.database import DatabaseOptions
from scheduler.database.recovery import recover
from scheduler.handlers import HandlerRegistry
from scheduler.handlers.registry import declared_in
from scheduler.isolation import Isolation
from scheduler.isolation.fork_server import Setup
from scheduler.isolation.process import ProcessIsolation
from scheduler.isolation.task import TaskIsolation
from scheduler.isolation.thread import ThreadIsolation
from scheduler.lifecycle.run import Attempt
from scheduler.lifecycle.settle import Settled, Settler
from scheduler.model import Outcome, Status
from scheduler.store.executions import Executions
from scheduler.store.session import Session
from tests.isolation.processes import PROJECT
from tests.store.tables import Events, Tables
from tests.two_phase import transactional_handlers
from tests.two_phase.conftest import Place

HANDLERS = HandlerRegistry(declared_in([transactional_handlers.__name__]))
PATIENCE_SECONDS = 40.0
WAYS = ["task", "thread", "process"]


class Worker:
    """Claims by hand, runs and settles, as slots and settler do."""

    def __init__(self, place: Place, tables: Tables, isolations: Mapping[str, Isolation], session: Session) -> None:
        self.place, self.tables, self.isolations = place, tables, isolations
        self.settled: list[Settled] = []
        self.executions = Executions(session)
        self.settler = Settler(self.executions, self._on_settled)
        self._news = asyncio.Event()

    def reported(self, attempt: Attempt, outcome: Outcome) -> None:
        self.settler.put(attempt.claim, outcome)

    def ended(self, attempt: Attempt) -> None:
        self._news.set()

    def _on_settled(self, batch: Sequence[Settled]) -> None:
        self.settled += batch

    async def begin(self, name: str, *, suspect: bool = False, **params: Any) -> Attempt:
        id_ = self.tables.enqueue(name, handler_params=params, timeout_seconds=60, max_retry=1, suspect=suspect)
        worker = self.tables.worker()
        (claim,) = await self.executions.claim(worker, uuid4(), "default", 1, bounds=[0.0] * 19, policies="{}")
        assert claim.id == id_
        attempt = Attempt(claim, self)
        attempt.begin(HANDLERS, dict(self.isolations))
        attempt.arm()
        return attempt

    async def end(self) -> Settled:
        """Wait for the attempt's end, and record it."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            await self._news.wait()
            self._news.clear()
            if len(self.settler):
                await self.settler.flush()
        return self.settled[-1]

    async def run(self, name: str, **params: Any) -> Settled:
        await self.begin(name, **params)
        return await self.end()

    def row(self) -> dict[str, Any]:
        return self.tables.execution(self.settled[-1].claim.id)


@pytest.fixture
async def worker(place: Place) -> AsyncIterator[Worker]:
    options = {name: asdict(DatabaseOptions.of(name, url)) for name, url in place.urls.items()}
    setup = Setup(str(PROJECT), [transactional_handlers.__name__], options, "default", ("info", "text", "en"))
    isolations: dict[str, Isolation] = {
        "task": TaskIsolation(),
        "thread": ThreadIsolation(2),
        "process": ProcessIsolation(setup, DatabaseRegistry.end_sessions, keep=1),
    }
    session = Session(place.urls["default"], "public", "scheduler test")
    with Tables(place.urls["default"]) as tables:
        tables.empty()
        yield Worker(place, tables, isolations, session)
    for isolation in isolations.values():
        await isolation.close(0.0)
    await session.close()


@pytest.mark.parametrize("way", WAYS)
async def test_the_writes_and_success_are_one_commit(worker: Worker, way: str) -> None:
    settled = await worker.run(f"writes_{way}", number=7)

    assert settled.status is Status.SUCCESS
    assert settled.outcome.settled
    assert worker.place.effects() == [[7], [7], []]
    row = worker.row()
    assert (row["status"], row["result"], row["retry_count"]) == ("SUCCESS", {"number": 7}, 0)
    assert row["finished_at"] >= row["started_at"]
    decisions = worker.place.run("SELECT decision, execution_id, claim_token FROM job_transactions")
    assert decisions == [("COMMIT", settled.claim.id, settled.claim.token)]
    assert worker.place.prepared() == []


async def test_a_coroutine_may_run_in_a_process_as_a_suspect_does(worker: Worker) -> None:
    settled = await worker.run("writes_task", number=7, suspect=True)

    assert settled.claim.suspect
    assert settled.status is Status.SUCCESS
    assert worker.place.effects() == [[7], [7], []]


async def test_without_the_option_success_is_apart(worker: Worker) -> None:
    worker.place.run("INSERT INTO effect VALUES (1)")

    settled = await worker.run("sync")

    assert (settled.status, settled.outcome.settled) == (Status.SUCCESS, False)
    assert worker.row()["result"] == {"synced": True}
    assert worker.place.run("SELECT name FROM effect") == [("synced",)]
    assert worker.place.effects() == [[1], [1], []]


@pytest.mark.parametrize("way", WAYS)
async def test_one_that_fails_leaves_nothing(worker: Worker, way: str) -> None:
    settled = await worker.run(f"writes_{way}", number=7, fail=True)

    assert settled.status is Status.FAILED
    assert worker.row()["error"] == "ValueError: after all"
    assert (worker.place.effects(), worker.place.decisions()) == ([[], [], []], [])


@pytest.mark.parametrize("way", WAYS)
async def test_one_that_swallows_a_sql_error_is_no_success(worker: Worker, way: str) -> None:
    settled = await worker.run(f"writes_{way}", number=7, swallow=True)

    assert settled.status is Status.FAILED
    assert "broken by a statement whose error was swallowed: SELECT 1 / 0." in worker.row()["error"]
    assert worker.place.effects() == [[], [], []]


@pytest.mark.parametrize("way", WAYS)
async def test_with_a_savepoint_around_the_error_it_is(worker: Worker, way: str) -> None:
    settled = await worker.run(f"writes_{way}", number=7, swallow=True, savepoint=True)

    assert settled.status is Status.SUCCESS
    assert worker.place.effects() == [[7], [7], []]


@pytest.mark.parametrize("way", WAYS)
async def test_a_lost_lease_rolls_everything_back(worker: Worker, way: str) -> None:
    attempt = await worker.begin(f"writes_{way}", number=7, wait_for="go")
    worker.place.run(
        "UPDATE job_executions SET status = 'PENDING', claim_token = NULL, claimed_by = NULL WHERE id = %s",
        attempt.claim.id,
    )
    worker.place.run("INSERT INTO effect VALUES (1, 'go')", database="books")

    settled = await worker.end()

    assert settled.status is None  # refused by the fence, as any write of it
    assert "lost its lease" in str(settled.outcome.error)
    assert worker.place.effects()[:2] == [[], []]
    assert worker.place.run("SELECT status FROM job_executions") == [("PENDING",)]


@pytest.mark.parametrize("way", WAYS)
async def test_what_it_enqueues_is_there_if_it_succeeds(worker: Worker, way: str) -> None:
    waiting = "SELECT handler_params FROM job_executions WHERE handler_name = 'next'"

    assert (await worker.run(f"writes_{way}", number=6, enqueue=True, fail=True)).status is Status.FAILED
    assert worker.place.run(waiting) == []

    assert (await worker.run(f"writes_{way}", number=7, enqueue=True)).status is Status.SUCCESS
    assert worker.place.run(waiting) == [({"number": 7},)]
    assert worker.place.effects() == [[7], [7], []]


async def test_a_handler_over_the_job_database_alone_decides_nothing(worker: Worker) -> None:
    settled = await worker.run("writes_one", number=7)

    assert settled.status is Status.SUCCESS
    assert (worker.place.effects(), worker.place.decisions()) == ([[7], [], []], [])


async def test_one_that_names_only_another_database_succeeds_in_both(worker: Worker) -> None:
    settled = await worker.run("writes_other", number=7)

    assert settled.status is Status.SUCCESS
    assert (worker.place.effects(), worker.place.decisions()) == ([[], [7], []], [("COMMIT", ["business"])])


async def test_a_result_that_the_database_refuses_does_not_lose_the_outcome(worker: Worker) -> None:
    worker.place.run(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "IF NEW.result ? 'number' THEN RAISE 'not this' USING ERRCODE = 'check_violation'; END IF; RETURN NEW; END $$; "
        "CREATE TRIGGER refuse BEFORE UPDATE ON job_executions FOR EACH ROW EXECUTE FUNCTION refuse()"
    )
    try:
        settled = await worker.run("writes_task", number=7)
    finally:
        worker.place.run("DROP TRIGGER refuse ON job_executions; DROP FUNCTION refuse()")

    assert settled.status is Status.SUCCESS
    assert worker.row()["result"] == "The result could not be stored: the database refused it."
    assert worker.place.effects() == [[7], [7], []]


@pytest.mark.parametrize("at", ["after_prepare:business", "after_decision"])
async def test_who_is_told_to_stop_during_the_commit_has_succeeded(worker: Worker, at: str) -> None:
    """The attempt ends as one that was stopped; the row says what happened, and that is what is recorded."""
    attempt = await worker.begin("writes_task", number=7)
    failpoints.arm(at, lambda: attempt.ask_to_stop("too late"))

    settled = await worker.end()

    assert failpoints.hits[at]
    assert settled.status is Status.SUCCESS
    assert worker.row()["status"] == "SUCCESS"
    assert worker.place.effects() == [[7], [7], []]


@pytest.mark.parametrize("at", ["before_decision", "after_decision"])
async def test_an_error_around_the_decision_is_told_as_it_was(worker: Worker, events: Events, at: str) -> None:
    """What the attempt hears is one thing; what the row says is the truth, and that is what is recorded."""

    def fail() -> None:
        raise failpoints.FailpointError(at)

    failpoints.arm(at, fail)

    settled = await worker.run("writes_task", number=7)
    failpoints.armed.clear()
    job, *others = map(DatabaseRegistry.get, worker.place.urls)
    await recover(job, others)

    was_decided = at == "after_decision"
    assert settled.status is (Status.SUCCESS if was_decided else Status.FAILED)
    assert worker.place.effects()[:2] == ([[7], [7]] if was_decided else [[], []])
