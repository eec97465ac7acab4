"""The end of a worker whose loop is blocked: one is charged, what is done is recorded, the rest goes back."""

import os
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest

from scheduler.clock import monotonic
from scheduler.handlers import BatchContext, ExecutionContext
from scheduler.model import Status
from scheduler.services import blocked as blocked_module
from scheduler.services.blocked import EXIT_STATUS, BlockedEnd
from scheduler.services.heartbeat import Memory
from scheduler.store.executions import Pair, Settlement, Success
from scheduler.store.session import SyncSession
from scheduler.store.workers import Counters, OwnWorker
from tests.store.tables import Events, Tables, claim


class Keeper:
    """Holds what the test says."""

    beat = 0.0

    def __init__(self) -> None:
        self.held: set[Pair] = set()
        self.successes: list[Success] = []
        self.others: list[Settlement] = []

    def memory(self) -> Memory:
        done = {(s.id, s.token) for s in self.successes} | {(s.id, s.token) for s in self.others}
        return Memory(frozenset(self.held), spent=frozenset(done))

    def unwritten(self) -> tuple[list[Success], list[Settlement]]:
        return self.successes, self.others

    def counters(self) -> Counters:
        return Counters(succeeded=3)

    def overdue(self) -> list[str]:
        return []

    def lease_begins(self, worker: UUID) -> None:
        raise AssertionError("the loop is blocked")

    def lease_lost(self, reason: str) -> None:
        raise AssertionError("the loop is blocked")

    def claims_lost(self, pairs: Any) -> None:
        raise AssertionError("the loop is blocked")


class Scene:
    """A worker that holds rows, and its end."""

    def __init__(self, tables: Tables, monkeypatch: pytest.MonkeyPatch) -> None:
        self.tables, self.keeper, self.exits = tables, Keeper(), list[int]()
        self.worker = tables.worker()
        self._monkeypatch = monkeypatch
        self._own = OwnWorker(SyncSession(tables.url, "public", "scheduler test"))
        monkeypatch.setattr(os, "_exit", self.exits.append)

    def holds(self, **columns: Any) -> Pair:
        pair = self.tables.running(self.worker, **columns)
        self.tables.execute("UPDATE job_executions SET claim_token = %s WHERE id = %s", pair[1], pair[0])
        self.keeper.held.add(pair)
        return pair

    def end(self, *guilty: Pair | None) -> None:
        """The loop is found blocked, by this one; by the batch of these, if they are several."""
        contexts = [ExecutionContext(claim(id=pair[0], token=pair[1]), monotonic()) for pair in guilty if pair]
        found = BatchContext(contexts) if len(contexts) > 1 else next(iter(contexts), None)
        self._monkeypatch.setattr(blocked_module, "context_in", lambda _: found)
        BlockedEnd(self._own, self.keeper)(self.worker, 31.2)

    def row(self, pair: Pair) -> tuple[str, int, bool]:
        found = self.tables.execution(pair[0])
        return found["status"], found["retry_count"], found["suspect"]

    def worker_status(self) -> Any:
        return self.tables.value("SELECT status FROM job_workers WHERE id = %s", self.worker)

    def break_off(self) -> None:
        """The database is away."""
        self._own.session.conninfo = "postgresql://127.0.0.1:1/nowhere"

    def close(self) -> None:
        self._own.session.close()


@pytest.fixture
def scene(tables: Tables, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    scene = Scene(tables, monkeypatch)
    yield scene
    scene.close()


def test_one_is_charged_and_its_neighbours_are_not(scene: Scene, events: Events) -> None:
    guilty, neighbour = scene.holds(), scene.holds()
    scene.end(guilty)
    assert scene.row(guilty) == ("PENDING", 1, False)
    assert scene.row(neighbour) == ("PENDING", 0, False)
    error = scene.tables.execution(guilty[0])["error"]
    assert error.startswith("It blocked the event loop of its worker for 31 s, at ")
    assert 'run_in="process"' in error
    assert (scene.worker_status(), scene.exits) == ("LOST", [EXIT_STATUS])
    assert [values["id"] for values in events.of("worker.blocked_for_good")] == [guilty[0]]


def test_each_of_a_batch_is_charged(scene: Scene) -> None:
    batch, neighbour = [scene.holds(), scene.holds()], scene.holds()
    scene.end(*batch)
    assert [scene.row(pair) for pair in batch] == [("PENDING", 1, False)] * 2
    assert scene.row(neighbour) == ("PENDING", 0, False)


@pytest.mark.parametrize("blame", [True, False])
def test_what_is_done_is_recorded(scene: Scene, blame: bool) -> None:
    guilty, success, failure = scene.holds(), scene.holds(), scene.holds()
    scene.keeper.successes = [Success(*success, 0.1, '"done"')]
    scene.keeper.others = [Settlement(*failure, Status.FAILED, 1, 0.0, False, 0.1, "it broke", None)]
    scene.end(guilty if blame else None)
    assert scene.row(success) == ("SUCCESS", 0, False)
    assert scene.tables.execution(success[0])["result"] == "done"
    assert scene.row(failure) == ("FAILED", 1, False)


def test_with_nobody_to_blame_the_rest_is_the_rescuers(scene: Scene, events: Events) -> None:
    one = scene.holds()
    scene.end(None)
    assert scene.row(one)[:2] == ("RUNNING", 0)
    assert scene.worker_status() == "LOST"
    assert [values["id"] for values in events.of("worker.blocked_for_good")] == ["?"]


def test_one_whose_outcome_was_told_is_charged_no_more(scene: Scene) -> None:
    """It is what a handler left behind that blocks."""
    guilty, neighbour = scene.holds(), scene.holds()
    scene.tables.execute(
        "UPDATE job_executions SET status = 'SUCCESS', finished_at = job_now() WHERE id = %s", guilty[0]
    )
    scene.end(guilty)
    assert scene.row(guilty) == ("SUCCESS", 0, False)
    assert scene.row(neighbour) == ("PENDING", 0, False)


def test_it_ends_though_nothing_can_be_told(scene: Scene) -> None:
    guilty = scene.holds()
    scene.break_off()
    with pytest.raises(Exception, match="connection"):  # which the real end leaves nobody to hear of
        scene.end(guilty)
    assert scene.exits == [EXIT_STATUS]
    assert scene.row(guilty)[0] == "RUNNING"
