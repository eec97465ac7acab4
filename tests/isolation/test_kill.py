"""The ladder: what a handler in a process may do about its end, and that none of it keeps it alive."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psycopg
import pytest
import pytest_asyncio

from scheduler.clock import monotonic
from scheduler.database import DatabaseRegistry
from scheduler.handlers import describe_error
from scheduler.isolation.process import ProcessIsolation, ProcessRunning
from scheduler.testing.isolation_contract import PATIENCE_SECONDS, Signals, Told, ended, told
from scheduler.testing.postgres import ThrowawayPostgres
from tests.isolation.processes import Pool, begun, ends_none, is_there, number_in, pool, setup, until

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("soon")]

SLEEPERS = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND application_name ~ '^scheduler handler [0-9a-f]{12}$' AND state <> 'idle'
"""


@pytest.fixture
def signals(tmp_path: Path) -> Iterator[Signals]:
    with Signals(tmp_path) as signals:
        yield signals


async def record(running: ProcessRunning, *, seconds: float = PATIENCE_SECONDS) -> tuple[list[str], str]:
    """The steps that it took to end the attempt, without their times, and the rest of what goes to `errors`."""
    error = (await asyncio.wait_for(ended(running), seconds)).error
    assert error is not None
    lines = describe_error(error)[1].splitlines()
    steps = [line for line in lines if line[:1].isdigit()]
    return [step.partition(": ")[2] for step in steps], "\n".join(lines[len(steps) :])


async def test_the_whole_ladder_fits_into_five_seconds() -> None:
    assert ProcessIsolation.grace_seconds < 5.0


async def test_one_that_hears_is_only_asked_and_its_process_goes_on(isolation: Pool, signals: Signals) -> None:
    pid = (await told(isolation.begin("own_pid"))).result
    running = isolation.begin("listen_then_pid", signals.params_text)
    await signals.begun()
    running.stop("timeout")
    assert await told(running) == Told(pid)
    assert (await told(isolation.begin("own_pid"))).result == pid


async def test_sigterm_ends_a_loop_and_says_where(isolation: Pool, signals: Signals) -> None:
    running, pid = await begun(isolation, "spin", signals)
    running.stop("timeout")
    steps, rest = await record(running)
    assert steps == ["asked to stop", "SIGTERM"]
    assert "in spin\n    while True:" in rest or "in spin\n    pass" in rest
    assert rest.endswith("Terminated: it was told to end, by SIGTERM")
    await until(lambda: not is_there(pid))  # never used again


async def test_after_sigterm_there_is_time_to_tidy_up(isolation: Pool, signals: Signals) -> None:
    running, _ = await begun(isolation, "tidy", signals)
    running.stop("timeout")
    assert (await record(running))[0] == ["asked to stop", "SIGTERM"]
    assert (signals.folder / "tidied").exists()


async def test_a_result_that_comes_after_sigterm_counts(isolation: Pool, signals: Signals) -> None:
    running, pid = await begun(isolation, "late", signals)
    running.stop("timeout")
    assert await told(running) == Told("done all the same")
    await until(lambda: not is_there(pid))


async def test_a_coroutine_that_will_not_be_cancelled_ends_at_sigterm(isolation: Pool, signals: Signals) -> None:
    running, pid = await begun(isolation, "deaf_coroutine", signals)
    running.stop("timeout")
    assert (await record(running))[0] == ["asked to stop", "SIGTERM"]
    assert (signals.folder / "heard").exists()
    await until(lambda: not is_there(pid))


@pytest.mark.parametrize("name", ["deaf", "c_loop"])
async def test_what_hears_nothing_is_killed(isolation: Pool, signals: Signals, name: str) -> None:
    running, pid = await begun(isolation, name, signals)
    running.stop("timeout")
    assert await record(running) == (["asked to stop", "SIGTERM", "SIGKILL"], "")
    assert (signals.folder / "heard").exists() == (name == "deaf")
    assert not is_there(pid)
    assert (await told(isolation.begin("own_pid"))).result != pid


async def test_what_it_started_is_killed_with_it(isolation: Pool, signals: Signals) -> None:
    running, pid = await begun(isolation, "forks", signals)
    grandchild = number_in(signals.folder / "grandchild")
    assert is_there(grandchild)
    running.end()
    assert "was killed by SIGKILL" in (await told(running)).fault
    await until(lambda: not (is_there(pid) or is_there(grandchild)))


async def test_what_it_started_goes_when_it_ends_in_any_other_way(isolation: Pool, signals: Signals) -> None:
    running, pid = await begun(isolation, "forks", signals)
    os.kill(pid, signal.SIGKILL)
    await told(running)
    await until(lambda: not is_there(number_in(signals.folder / "grandchild")))


async def test_a_process_that_got_away_keeps_nobody(isolation: Pool, signals: Signals) -> None:
    """It holds the channel of the one that is killed."""
    params = signals.params_text.replace("}", ', "dies": false}')
    try:
        assert await told(isolation.begin("escapes", params)) == Told("left one behind")
        running, pid = await begun(isolation, "deaf", signals)
        running.stop("timeout")
        assert (await record(running))[0][-1] == "SIGKILL"
        assert not is_there(pid)
    finally:
        os.kill(number_in(signals.folder / "grandchild"), signal.SIGKILL)


async def test_ended_by_force_at_once(isolation: Pool, signals: Signals) -> None:
    running, pid = await begun(isolation, "deaf", signals)
    running.stop("the worker was told twice to stop")
    running.end()
    began = monotonic()
    await told(running)
    assert monotonic() - began < ProcessIsolation.grace_seconds
    assert not is_there(pid)


async def test_a_stopped_process_is_killed(isolation: Pool, signals: Signals) -> None:
    running, pid = await begun(isolation, "waits", signals)
    os.kill(pid, signal.SIGSTOP)
    running.stop("timeout")
    assert (await record(running))[0][-1] == "SIGKILL"


async def test_when_the_worker_is_killed_nothing_of_it_is_left(tmp_path: Path) -> None:
    with subprocess.Popen(  # noqa: ASYNC220 - it takes milliseconds
        [sys.executable, "-m", "tests.isolation.doomed", str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as worker:
        assert worker.stdout is not None
        pids = [int(pid) for pid in (await asyncio.to_thread(worker.stdout.readline)).split()]
        assert len(pids) == 5
        assert all(map(is_there, pids))
        worker.kill()
        await until(lambda: not any(map(is_there, pids)))


class Databases(Pool):
    """With the database of the test."""

    url: str

    def sleepers(self) -> int:
        """Sessions of handlers at work, or within a transaction."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            found = connection.execute(SLEEPERS).fetchone()
        assert found is not None
        return int(found[0])

    async def asleep(self, name: str, signals: Signals) -> tuple[ProcessRunning, int]:
        """An attempt that sleeps in the database."""
        running, pid = await begun(self, name, signals)
        await until(lambda: self.sleepers() == 1)
        return running, pid


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def databases(postgres_server: ThrowawayPostgres) -> AsyncIterator[Databases]:
    with postgres_server.fresh_database() as url:
        configured = {"default": {"url": url}}
        DatabaseRegistry.configure(configured)
        found = Databases(setup(databases=configured), DatabaseRegistry.end_sessions, keep=4)
        found.url = url
        yield found
        await found.close(0.0)
        DatabaseRegistry.configure({})


async def test_its_sessions_end_with_it(databases: Databases, signals: Signals) -> None:
    """The handler swallows what the first steps do to its statement."""
    running, _ = await databases.asleep("sleeps_in_the_database", signals)
    running.stop("timeout")
    steps, _ = await record(running)
    assert steps == ["asked to stop", "SIGTERM", "SIGKILL", "1 database session ended"]
    assert databases.sleepers() == 0


async def test_a_coroutine_that_is_asked_lets_go_of_its_statement(databases: Databases, signals: Signals) -> None:
    running, pid = await databases.asleep("sleeps_in_the_database_async", signals)
    running.stop("timeout")
    assert await told(running) == Told(cancelled=True)
    await until(lambda: databases.sleepers() == 0)
    assert (await told(databases.begin("own_pid"))).result == pid


@pytest.mark.parametrize("name", ["sleeps_in_the_database", "sleeps_in_the_database_async"])
async def test_killed_from_outside_its_sessions_end_too(databases: Databases, signals: Signals, name: str) -> None:
    running, pid = await databases.asleep(name, signals)
    os.kill(pid, signal.SIGKILL)
    await told(running)
    assert databases.sleepers() == 0


async def test_sessions_of_other_processes_are_left_alone(databases: Databases, tmp_path: Path) -> None:
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    with Signals(tmp_path / "first") as first, Signals(tmp_path / "second") as second:
        one, _ = await databases.asleep("sleeps_in_the_database", first)
        other, _ = await begun(databases, "sleeps_in_the_database", second)
        await until(lambda: databases.sleepers() == 2)
        one.end()
        await told(one)
        assert databases.sleepers() == 1
        assert not other.future.done()
        other.end()
        await told(other)


async def test_where_nobody_can_end_them_the_server_notices_by_itself(databases: Databases, signals: Signals) -> None:
    configured = {"default": {"url": databases.url}}
    async with pool(setup(databases=configured), ends_none) as isolation:
        running, pid = await begun(isolation, "sleeps_in_the_database", signals)
        await until(lambda: databases.sleepers() == 1)
        os.kill(pid, signal.SIGKILL)
        await told(running)
        await until(lambda: databases.sleepers() == 0)
