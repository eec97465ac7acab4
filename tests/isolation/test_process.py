"""Handlers in processes of their own: how they start, talk, are used again, and what a broken one costs."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import ClassVar

import pytest
import pytest_asyncio

from scheduler.clock import monotonic
from scheduler.errors import SchedulerError
from scheduler.handlers import describe_error
from scheduler.isolation import Isolation, forking
from scheduler.isolation.process import ProcessIsolation
from scheduler.testing import contract_handlers
from scheduler.testing.isolation_contract import (
    PATIENCE_SECONDS,
    IsolationContract,
    Signals,
    Told,
    context,
    ended,
    told,
)
from tests.isolation.processes import (
    HANDLERS,
    Pool,
    begun,
    children_of,
    ends_none,
    is_there,
    number_in,
    open_descriptors,
    pool,
    setup,
    until,
)

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("soon")]


@pytest.mark.asyncio(loop_scope="class")
class TestProcessAsync(IsolationContract):
    """An `async def` with run_in="process"; one fork server for all its tests."""

    shared: ClassVar[ProcessIsolation]

    @pytest_asyncio.fixture(scope="class", loop_scope="class", autouse=True)
    @classmethod
    async def _one_fork_server(cls) -> AsyncIterator[None]:
        cls.shared = cls.make()
        yield
        await cls.shared.close(PATIENCE_SECONDS)

    @classmethod
    def make(cls) -> ProcessIsolation:
        return ProcessIsolation(setup(contract_handlers.__name__), ends_none, keep=4)

    @asynccontextmanager
    async def isolation(self) -> AsyncIterator[Isolation]:
        yield self.shared

    async def test_one_that_will_not_stop_is_told_from_one_that_ended(self, tmp_path: Path) -> None:
        """It does stop here, though nobody releases it."""
        with Signals(tmp_path) as signals:
            running = self.start(self.shared, "hold", signals.params_text)
            await signals.begun()
            running.stop("timeout")
            assert await told(self.start(self.shared, "echo")) == Told({"got": {}})
            assert (await ended(running)).error is not None

    async def test_close_does_not_wait_for_ever(self, tmp_path: Path) -> None:
        with Signals(tmp_path) as signals:
            isolation = self.make()
            running = self.start(isolation, "hold", signals.params_text)
            await signals.begun()
            await asyncio.wait_for(isolation.close(0.01), PATIENCE_SECONDS)
            assert running.future.done()
            assert "was killed by SIGKILL" in (await told(running)).fault


class TestProcess(TestProcessAsync):
    """A `def`."""

    form = "def"


async def test_a_child_is_used_again_while_its_attempts_end_well(isolation: Pool) -> None:
    pids = {(await told(isolation.begin("own_pid"))).result for _ in range(5)}
    assert len(pids) == 1
    together = [isolation.begin("own_pid") for _ in range(3)]
    assert len({(await told(each)).result for each in together} | pids) == 3
    again = [isolation.begin("own_pid") for _ in range(3)]
    assert len({(await told(each)).result for each in again} | pids) == 3


async def test_no_more_idle_children_than_are_kept() -> None:
    async with pool(keep=1) as isolation:
        runs = [isolation.begin("own_pid") for _ in range(3)]
        pids = [(await told(run)).result for run in runs]
        await until(lambda: [is_there(pid) for pid in pids].count(True) == 1)


async def test_each_has_a_group_and_the_handlers_were_imported_once(isolation: Pool) -> None:
    places = (await told(isolation.begin("places"))).result
    server = await isolation.server_pid()
    assert places["group"] == places["pid"]
    assert places["parent"] == places["imported_in"] == server


async def test_children_inherit_neither_descriptors_nor_ignored_signals(isolation: Pool) -> None:
    first, second = [(await told(run)).result for run in [isolation.begin("open_files") for _ in range(2)]]
    assert first == second
    from_a_shell = {"SIGQUIT"} if signal.getsignal(signal.SIGQUIT) is signal.SIG_IGN else set()  # as it begins `… &`
    pythons_own = {"SIGPIPE", "SIGXFSZ"}
    assert set((await told(isolation.begin("signals"))).result) == pythons_own | from_a_shell


async def test_what_a_handler_prints_is_not_lost(capfd: pytest.CaptureFixture[str]) -> None:
    async with pool() as isolation:
        assert await told(isolation.begin("talk")) == Told()
        assert await told(isolation.begin("talk")) == Told()
    assert capfd.readouterr().out == "said in a process\n" * 2


async def test_nothing_is_left_of_it_here() -> None:
    before, tasks = open_descriptors(), asyncio.all_tasks()
    async with pool(keep=1) as isolation:
        server = await isolation.server_pid()
        for name in ("own_pid", "exits", "own_pid"):
            await told(isolation.begin(name))
        runs = [isolation.begin("own_pid") for _ in range(3)]
        pids = [(await told(run)).result for run in runs]
    assert not is_there(server)
    assert server not in children_of(os.getpid())
    await until(lambda: not any(map(is_there, pids)))
    assert asyncio.all_tasks() == tasks
    await until(lambda: open_descriptors() == before)


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("exits", "ToldFault: The handler's process exited with status 7 in the middle of an attempt."),
        ("crashes", "ToldFault: The handler's process was killed by SIGSEGV in the middle of an attempt."),
    ],
)
async def test_a_handler_that_ends_its_process_ends_nothing_else(isolation: Pool, name: str, fault: str) -> None:
    server = await isolation.server_pid()
    error = (await ended(isolation.begin(name))).error
    assert error is not None
    assert describe_error(error) == (fault.removeprefix("ToldFault: "), "")
    assert (await told(isolation.begin("own_pid"))).result in children_of(server)


async def test_one_that_is_killed_from_outside(isolation: Pool, tmp_path: Path) -> None:
    with Signals(tmp_path) as signals:
        running, pid = await begun(isolation, "waits", signals)
        os.kill(pid, signal.SIGKILL)
        outcome = await told(running)
    assert outcome.fault.startswith("The handler's process was killed by SIGKILL (out of memory?)")


async def test_signals_to_all_processes_of_a_service_are_for_the_worker(isolation: Pool, tmp_path: Path) -> None:
    with Signals(tmp_path) as signals:
        running, pid = await begun(isolation, "listens_for_release", signals)
        for each in (pid, await isolation.server_pid()):
            for number in (signal.SIGTERM, signal.SIGINT):
                os.kill(each, number)
        signals.release()
        assert await told(running) == Told("released")
    assert (await told(isolation.begin("own_pid"))).result == pid


async def test_an_idle_child_that_dies_is_not_used(isolation: Pool) -> None:
    pid = (await told(isolation.begin("own_pid"))).result
    os.kill(pid, signal.SIGKILL)
    await until(lambda: not os.path.exists(f"/proc/{pid}"))
    await until(lambda: isolation._idle[0].ended.done())
    assert (await told(isolation.begin("own_pid"))).result != pid


async def test_when_the_fork_server_dies_its_children_do_and_the_next_attempt_has_another(tmp_path: Path) -> None:
    async with pool() as isolation:
        with Signals(tmp_path) as signals:
            running, pid = await begun(isolation, "waits", signals)
            server = await isolation.server_pid()
            os.kill(server, signal.SIGKILL)
            assert (await told(running)).fault.startswith("The handler's process was killed by SIGKILL")
            await until(lambda: not is_there(pid))
        places = (await told(isolation.begin("places"))).result
        assert places["parent"] == await isolation.server_pid() != server
        assert server not in children_of(os.getpid())


REFUSES = """
import errno, os
from pathlib import Path
from scheduler import handler

fork = os.fork

def fork_or_not():
    if Path(__file__).with_name("full").exists():
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
    return fork()

os.fork = fork_or_not

@handler("own_pid", run_in="process")
def own_pid():
    return os.getpid()
"""


MANY = """
import time
from pathlib import Path
from scheduler import handler

@handler("waits", run_in="process", timeout=60)
def waits():
    while not (Path(__file__).parents[1] / "gate").exists():
        time.sleep(0.01)
"""


async def test_a_fork_that_is_refused_fails_its_attempt_alone(tmp_path: Path) -> None:
    folder = tmp_path / "refuses"
    folder.mkdir()
    (folder / "module.py").write_text(REFUSES)
    async with pool(setup("refuses", project=tmp_path)) as isolation:
        first = await told(isolation.begin("own_pid"))
        (folder / "full").touch()
        served, refused = isolation.begin("own_pid"), isolation.begin("own_pid")
        assert await told(served) == first
        assert "No process could be started for the handler: Resource temporarily" in (await told(refused)).fault
        (folder / "full").unlink()
        again = [await told(each) for each in [isolation.begin("own_pid") for _ in range(2)]]
        assert again[0].result != again[1].result


@pytest.mark.parametrize("at_once", [forking.FORKS_AT_ONCE, 10_000], ids=["bounded", "broken"])
async def test_more_children_at_once_than_the_socket_has_room_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(forking, "FORKS_AT_ONCE", at_once)
    (tmp_path / "many").mkdir()
    (tmp_path / "many" / "module.py").write_text(MANY)
    async with pool(setup("many", project=tmp_path)) as isolation:
        running = [isolation.begin("waits") for _ in range(300)]
        (tmp_path / "gate").touch()
        faults = {answer.fault for answer in [await told(each) for each in running]}
    assert (faults == {""}) is (at_once < 10_000)


async def test_a_fork_server_that_does_not_come_up_says_why(tmp_path: Path) -> None:
    async with pool(setup("nowhere", project=tmp_path)) as isolation:
        with pytest.raises(SchedulerError, match="did not start: The setting `handlers` lists 'nowhere'"):
            await isolation.warm_up()
        (tmp_path / "nowhere").mkdir()
        await isolation.warm_up()
        assert is_there(await isolation.server_pid())


async def test_a_fork_server_that_takes_too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "slow").mkdir()
    (tmp_path / "slow" / "module.py").write_text("import time\ntime.sleep(60)\n")
    monkeypatch.setattr(forking, "READY_SECONDS", 0.2)
    before = open_descriptors()
    async with pool(setup("slow", project=tmp_path)) as isolation:
        outcomes = [told(isolation.begin("own_pid")) for _ in range(2)]
        for outcome in await asyncio.gather(*outcomes):
            assert "was not ready within 0.2 s" in outcome.fault
    await until(lambda: open_descriptors() == before)


async def test_stopped_while_the_fork_server_starts_it_ends_at_once_and_the_next_is_served(tmp_path: Path) -> None:
    async with pool() as isolation:
        running = isolation.begin("own_pid")
        await asyncio.sleep(0)
        assert running.preparing
        running.stop("timeout")
        assert await told(running) == Told(cancelled=True)
        assert (await told(isolation.begin("own_pid"))).result > 0


async def test_closed_while_the_fork_server_starts() -> None:
    before, tasks = open_descriptors(), asyncio.all_tasks()
    async with pool() as isolation:
        running = isolation.begin("own_pid")
        await asyncio.sleep(0)
    assert running.future.cancelled()
    assert asyncio.all_tasks() == tasks
    await until(lambda: open_descriptors() == before)


async def test_the_time_of_an_attempt_begins_with_its_process(isolation: Pool) -> None:
    execution = context(name="own_pid", timeout=20.0)
    execution.deadline = monotonic()
    running = isolation.start(HANDLERS.get("own_pid"), execution)
    before = running.preparing
    await told(running)
    assert (before, running.preparing) == (True, False)
    assert 15.0 < execution.remaining() <= 20.0


async def test_a_handler_takes_no_more_memory_than_it_may(isolation: Pool) -> None:
    assert (await told(isolation.begin("greedy", '{"megabytes": 50}'))).result == 50 * 1024 * 1024
    pid = (await told(isolation.begin("own_pid"))).result
    outcome = await told(isolation.begin("greedy", '{"megabytes": 200}'))
    assert outcome.fault == "MemoryError: it took more than its max_memory_mb of 100"
    assert (await told(isolation.begin("own_pid"))).result != pid  # nobody knows what state it is in


async def test_memory_that_attempts_keep_counts_against_the_next(isolation: Pool) -> None:
    assert (await told(isolation.begin("greedy_for_ever", '{"megabytes": 60}'))).result == 1
    assert "max_memory_mb of 100" in (await told(isolation.begin("greedy_for_ever", '{"megabytes": 60}'))).fault
    assert (await told(isolation.begin("greedy_for_ever", '{"megabytes": 60}'))).result == 1


async def test_what_a_dead_handler_left_does_not_keep_its_attempt(isolation: Pool, tmp_path: Path) -> None:
    """A process of another group holds the channel open."""
    with Signals(tmp_path) as signals:
        params = signals.params_text.replace("}", ', "dies": true}')
        try:
            outcome = await told(isolation.begin("escapes", params))
            assert outcome.fault.startswith("The handler's process exited with status 7")
            assert is_there(number_in(tmp_path / "grandchild"))
        finally:
            os.kill(number_in(tmp_path / "grandchild"), signal.SIGKILL)
