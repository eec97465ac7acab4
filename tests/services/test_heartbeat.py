"""The heartbeat keeps a lease, notices its loss, and begins anew as somebody else."""

import asyncio
import re
import threading
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from uuid import UUID, uuid4

import psycopg
import pytest

from scheduler.clock import monotonic
from scheduler.failpoints import FailpointError
from scheduler.model import LoopAge, WorkerStatus
from scheduler.services import heartbeat as heartbeat_module
from scheduler.services.heartbeat import BLOCKED_SECONDS, Heartbeat, Memory
from scheduler.services.loop import Loop
from scheduler.store.executions import Pair, Settlement, Success
from scheduler.store.session import SyncSession
from scheduler.store.workers import Counters, OwnWorker, Registration
from tests.store.tables import Events, Tables

PATIENCE_SECONDS = 40.0
INTERVAL = 0.02

Arm = Callable[[str, Callable[[], None]], None]


class Keeper:
    """Holds what the test says, and writes down what it is told."""

    def __init__(self) -> None:
        self.held = Memory()
        self.late: Sequence[str] = ()
        self.blocked_since: float | None = None
        self.beats = 0
        self.begun: list[UUID] = []
        self.lost: list[str] = []
        self.gone: list[Pair] = []
        self._loop = asyncio.get_running_loop()
        self._news = asyncio.Event()

    @property
    def beat(self) -> float:
        return monotonic() if self.blocked_since is None else self.blocked_since

    def memory(self) -> Memory:
        return self.held

    def claims(self, *tokens: UUID) -> None:
        """As while it claims under these tokens: no heartbeat takes their rows for strangers."""
        self.held = Memory(tokens=frozenset(tokens))

    def counters(self) -> Counters:
        self.beats += 1
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._news.set)
        return Counters(running=1, succeeded=self.beats)

    def overdue(self) -> Sequence[str]:
        return self.late

    def unwritten(self) -> tuple[list[Success], list[Settlement]]:
        return [], []

    def lease_begins(self, worker: UUID) -> None:
        self.begun.append(worker)
        self._news.set()

    def lease_lost(self, reason: str) -> None:
        self.lost.append(reason)
        self._news.set()

    def claims_lost(self, pairs: Sequence[Pair]) -> None:
        self.gone += pairs
        self._news.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not condition():
                self._news.clear()
                await self._news.wait()

    async def beat_again(self, times: int = 2) -> None:
        """Wait for whole heartbeats that begin after now."""
        enough = self.beats + times + 1
        await self.until(lambda: self.beats >= enough)


class Own(OwnWorker):
    """Its statements fail while it is down, and wait while it hangs."""

    def __init__(self, session: SyncSession) -> None:
        super().__init__(session)
        self.down = False
        self.tried = threading.Event()
        self.flowing = threading.Event()
        self.flowing.set()

    def register(self, registration: Registration) -> None:
        self._pass()
        super().register(registration)

    def heartbeat(
        self, worker: UUID, lease: float, status: WorkerStatus, counters: Counters, loops: Mapping[str, LoopAge]
    ) -> bool:
        self._pass()
        return super().heartbeat(worker, lease, status, counters, loops)

    def _pass(self) -> None:
        assert self.flowing.wait(PATIENCE_SECONDS)
        if self.down:
            self.tried.set()
            raise psycopg.OperationalError("the server is down")


class Scene:
    def __init__(self, own: Own, keeper: Keeper, heartbeat: Heartbeat) -> None:
        self.own, self.keeper, self.heartbeat = own, keeper, heartbeat

    @property
    def worker(self) -> UUID:
        """The incarnation of now."""
        return self.keeper.begun[-1]


@asynccontextmanager
async def beating(
    tables: Tables,
    *,
    lease: float = 30.0,
    down: bool = False,
    end_blocked: Callable[[UUID, float], object] | None = None,
) -> AsyncIterator[Scene]:
    """A heartbeat at work, whose first incarnation has begun unless the server is down."""
    own, keeper = Own(SyncSession(tables.url, "public", "scheduler test")), Keeper()
    own.down = down
    registration = Registration(UUID(int=0), "host:1", "host", 1, ("default",), 5, lease, "0.1")
    heartbeat = Heartbeat(own, registration, keeper, interval=INTERVAL, end_blocked=end_blocked)
    heartbeat.start()
    watch = asyncio.create_task(Loop("lease", heartbeat.watch_round, sleeps=heartbeat.watch_seconds).forever())
    try:
        if not down:
            await keeper.until(lambda: bool(keeper.begun))
        yield Scene(own, keeper, heartbeat)
    finally:
        own.flowing.set()
        watch.cancel()
        await asyncio.gather(watch, return_exceptions=True)
        await asyncio.to_thread(heartbeat.stop, timeout=PATIENCE_SECONDS)
        own.session.close()


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat_module, "RETRY_SECONDS", 0.02)


def status(tables: Tables, worker: UUID) -> str:
    found = tables.value("SELECT status FROM job_workers WHERE id = %s", worker)
    assert isinstance(found, str)
    return found


async def test_it_registers_renews_and_leaves(tables: Tables) -> None:
    async with beating(tables) as scene:
        before = tables.value("SELECT lease_until FROM job_workers WHERE id = %s", scene.worker)
        await scene.keeper.beat_again()
        after, running, succeeded = tables.rows("SELECT lease_until, running_count, succeeded_count FROM job_workers")[
            0
        ]
        assert after > before
        assert (running, succeeded > 0) == (1, True)
        assert scene.heartbeat.last_success is not None
        scene.heartbeat.drain()
        await scene.keeper.beat_again()
        assert status(tables, scene.worker) == "DRAINING"
    assert status(tables, scene.worker) == "STOPPED"
    assert (len(scene.keeper.begun), scene.keeper.lost) == (1, [])


async def test_strangers_are_handed_back_and_nothing_else(tables: Tables, events: Events) -> None:
    async with beating(tables) as scene:
        tokens = uuid4(), uuid4()
        scene.keeper.claims(*tokens)
        known, under_way = [(tables.running(scene.worker, claim_token=token)[0], token) for token in tokens]
        scene.keeper.held = Memory(frozenset({known}), frozenset({known}), frozenset({under_way[1]}))
        other = tables.running(tables.worker())
        stranger = tables.running(scene.worker)
        await scene.keeper.beat_again()
        states = [tables.execution(pair[0])["status"] for pair in (known, under_way, other, stranger)]
    assert states == ["RUNNING", "RUNNING", "RUNNING", "PENDING"]
    assert tables.execution(stranger[0])["retry_count"] == 0
    handed_back = {ids for values in events.of("worker.strangers") for ids in values["ids"].split(", ")}
    assert str(stranger[0]) in handed_back
    assert scene.keeper.gone == []


async def test_rows_that_are_gone_are_told(tables: Tables) -> None:
    async with beating(tables) as scene:
        token = uuid4()
        scene.keeper.claims(token)
        kept = tables.running(scene.worker, claim_token=token)[0], token
        decided, gone = (98, uuid4()), (99, uuid4())
        scene.keeper.held = Memory(frozenset({kept, decided, gone}), frozenset({kept, gone}))
        await scene.keeper.until(lambda: bool(scene.keeper.gone))
    assert set(scene.keeper.gone) == {gone}


async def test_who_was_marked_lost_goes_on_as_somebody_else(tables: Tables) -> None:
    async with beating(tables) as scene:
        first = scene.worker
        tables.execute("UPDATE job_workers SET status = 'LOST'")
        await scene.keeper.until(lambda: len(scene.keeper.begun) == 2)
        assert scene.worker != first
        assert scene.keeper.lost == ["it was marked LOST"]
        assert [status(tables, worker) for worker in (first, scene.worker)] == ["LOST", "ACTIVE"]
    assert [status(tables, worker) for worker in (first, scene.worker)] == ["LOST", "STOPPED"]


async def test_of_two_with_the_same_name_each_has_its_own_lease(tables: Tables) -> None:
    async with beating(tables) as one, beating(tables) as other:
        assert tables.value("SELECT count(DISTINCT (name, hostname, pid)) FROM job_workers") == 1
        first = one.worker
        tables.execute("UPDATE job_workers SET status = 'LOST' WHERE id = %s", first)
        await one.keeper.until(lambda: len(one.keeper.begun) == 2)
        await other.keeper.beat_again()
        assert (other.keeper.begun, other.keeper.lost) == ([other.worker], [])
        assert status(tables, other.worker) == "ACTIVE"


async def test_a_short_outage_costs_no_lease(tables: Tables, events: Events) -> None:
    async with beating(tables) as scene:
        scene.own.down = True
        await scene.keeper.beat_again(3)
        scene.own.down = False
        await scene.keeper.beat_again()
    assert (len(scene.keeper.begun), scene.keeper.lost) == (1, [])
    assert events.of("loop.failed")


async def test_a_failpoint_in_the_heartbeat_ends_no_thread(tables: Tables, armed: Arm, events: Events) -> None:
    def fail() -> None:
        armed("before_heartbeat", lambda: None)
        raise FailpointError("before_heartbeat")

    async with beating(tables) as scene:
        armed("before_heartbeat", fail)
        await scene.keeper.beat_again()
    assert [values["error"] for values in events.of("loop.failed")] == ["before_heartbeat"]
    assert scene.keeper.lost == []


async def test_the_lease_is_given_up_before_it_ends_when_the_server_is_down(tables: Tables) -> None:
    async with beating(tables, lease=0.6) as scene:
        first = scene.worker
        scene.own.down = True
        await scene.keeper.until(lambda: bool(scene.keeper.lost))
        left = tables.value("SELECT extract(epoch FROM lease_until - job_now()) FROM job_workers WHERE id = %s", first)
        assert -0.05 < left < 0.3
        assert scene.keeper.lost[0].startswith("no heartbeat got through for")
        scene.own.down = False
        await scene.keeper.until(lambda: len(scene.keeper.begun) == 2)
        assert status(tables, first) == "LOST"


async def test_the_lease_is_given_up_before_it_ends_when_the_heartbeat_hangs(tables: Tables) -> None:
    async with beating(tables, lease=0.6) as scene:
        first = scene.worker
        token = uuid4()
        scene.keeper.claims(token)
        id_, _ = tables.running(first, claim_token=token)
        scene.keeper.held = Memory(frozenset({(id_, token)}))
        scene.own.flowing.clear()
        await scene.keeper.until(lambda: bool(scene.keeper.lost))
        scene.keeper.held = Memory()  # the worker has dropped it all
        left = tables.value("SELECT extract(epoch FROM lease_until - job_now()) FROM job_workers WHERE id = %s", first)
        assert left > -0.05
        scene.own.flowing.set()
        await scene.keeper.until(lambda: len(scene.keeper.begun) == 2)
    assert len(scene.keeper.lost) == 1
    assert status(tables, first) == "LOST"
    assert tables.execution(id_)["status"] == "RUNNING"  # the rescuer's: it was begun, which counts as a try


async def test_it_registers_as_soon_as_it_can(tables: Tables) -> None:
    async with beating(tables, down=True) as scene:
        assert await asyncio.to_thread(scene.own.tried.wait, PATIENCE_SECONDS)
        assert tables.value("SELECT count(*) FROM job_workers") == 0
        scene.own.down = False
        await scene.keeper.until(lambda: bool(scene.keeper.begun))
        assert tables.value("SELECT count(*) FROM job_workers") == 1


async def test_a_blocked_loop_is_reported_once_and_keeps_its_lease(tables: Tables, events: Events) -> None:
    async with beating(tables, lease=3600.0) as scene:
        scene.keeper.late = ["resize"]
        scene.keeper.blocked_since = monotonic() - BLOCKED_SECONDS - 1
        await scene.keeper.beat_again(3)
    (report,) = events.of("worker.loop_blocked")
    assert re.fullmatch(r".+\.py:\d+ in \w+", report["place"])
    assert scene.keeper.lost == []


async def test_a_loop_blocked_past_a_timeout_for_a_lease_gives_it_up(tables: Tables) -> None:
    async with beating(tables) as scene:
        scene.keeper.late = ["resize"]
        scene.keeper.blocked_since = monotonic() - 31.0
        await scene.keeper.until(lambda: bool(scene.keeper.lost))
        scene.keeper.blocked_since = None
        await scene.keeper.until(lambda: len(scene.keeper.begun) == 2)
    assert scene.keeper.lost == ["a handler blocks the event loop past its timeout"]


async def test_under_a_supervisor_a_loop_blocked_for_a_lease_ends_the_process(tables: Tables) -> None:
    ended: list[tuple[UUID, float]] = []
    async with beating(tables, end_blocked=lambda worker, seconds: ended.append((worker, seconds))) as scene:
        scene.keeper.blocked_since = monotonic() - 29.0
        await scene.keeper.beat_again(2)
        assert ended == []
        scene.keeper.blocked_since = monotonic() - 31.0
        await scene.keeper.beat_again(2)
        worker, seconds = ended[0]
        assert worker == scene.worker
        assert 31.0 <= seconds < 32.0
        scene.keeper.blocked_since = None
    assert scene.keeper.lost == []


async def test_a_loop_that_is_gone_ends_nothing_in_the_thread(tables: Tables) -> None:
    def run_and_close() -> Heartbeat:
        async def run() -> Heartbeat:
            own, keeper = Own(SyncSession(tables.url, "public", "scheduler test")), Keeper()
            registration = Registration(UUID(int=0), "host:1", "host", 1, (), 0, 30.0, "0.1")
            heartbeat = Heartbeat(own, registration, keeper, interval=INTERVAL)
            heartbeat.start()
            await keeper.until(lambda: bool(keeper.begun))
            return heartbeat

        return asyncio.run(run())

    heartbeat = await asyncio.to_thread(run_and_close)
    heartbeat.stop(timeout=PATIENCE_SECONDS)
    assert tables.column("SELECT status FROM job_workers") == ["STOPPED"]


async def test_at_the_end_what_is_unfinished_goes_back_and_what_is_done_does_not(tables: Tables) -> None:
    async with beating(tables) as scene:
        worker, tokens = scene.worker, (uuid4(), uuid4())
        scene.keeper.claims(*tokens)
        unfinished, done = [(tables.running(worker, claim_token=token)[0], token) for token in tokens]
        scene.keeper.held = Memory(frozenset({unfinished, done}), spent=frozenset({done}))
    assert tables.execution(unfinished[0])["status"] == "PENDING"
    assert tables.execution(unfinished[0])["retry_count"] == 0
    assert tables.execution(done[0])["status"] == "RUNNING"  # the rescuer's, who counts it as a try
    assert status(tables, worker) == "STOPPED"


async def test_a_heartbeat_that_breaks_begins_anew(tables: Tables, monkeypatch: pytest.MonkeyPatch) -> None:
    async with beating(tables) as scene:
        first = scene.worker
        with monkeypatch.context() as broken:
            broken.setattr(Heartbeat, "_blocked", lambda *_: 1 / 0)
            await scene.keeper.until(lambda: bool(scene.keeper.lost))
        await scene.keeper.until(lambda: scene.worker != first)
    assert scene.keeper.lost[0] == "its heartbeat failed: division by zero"
    assert status(tables, first) == "LOST"
