"""What a transaction costs a job: its writes apart from SUCCESS, together with it, and over two databases.

    python -m benchmarks.transactions [--jobs 2000] [--rounds 3] [--at-once 10]

Starts a durable server of its own (fsync on). Each job writes one row in each of its databases; all run as tasks in one
process. Reports the medians per job: statements that were waited for (a round trip each, one of them the pool's ping),
CPU of that process, and jobs a second. Outcomes that are written apart from the writes go in batches.
"""

import argparse
import asyncio
import resource
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any, NamedTuple
from uuid import uuid4

import psycopg

from scheduler import current_execution, get_connection, transactional
from scheduler.database import DatabaseRegistry
from scheduler.embedded import EmbeddedPostgres
from scheduler.handlers import HandlerRegistry, declare
from scheduler.isolation.task import TaskIsolation
from scheduler.lifecycle.run import Attempt
from scheduler.lifecycle.settle import Settled, Settler
from scheduler.model import Claim, Outcome
from scheduler.store.executions import LEVELS, Executions
from scheduler.store.migration import migrate
from scheduler.store.session import Session

NAMES = ("default", "business")
TABLE = "CREATE TABLE effect (id bigint PRIMARY KEY)"
FILL = "INSERT INTO job_executions (handler_name, queue) SELECT %s, 'work' FROM generate_series(1, %s)"
WORKER = """
INSERT INTO job_workers (id, name, hostname, pid, queues, pool_size, lease_until, version)
VALUES (%s, 'bench', 'bench', 1, '{work}', 1, job_now() + interval '1 hour', '') RETURNING id"""
BATCH = 500


class Figures(NamedTuple):
    round_trips: float
    cpu_microseconds: float
    jobs_a_second: float


async def _insert(*names: str) -> None:
    for name in names:
        await get_connection(name).execute("INSERT INTO effect VALUES (:id)", {"id": current_execution().id})


async def nothing() -> None:
    """A job that writes nothing."""


async def apart() -> None:
    async with transactional("default"):
        await _insert("default")


async def together() -> None:
    await _insert("default")


async def together_in_two() -> None:
    await _insert(*NAMES)


HANDLERS = HandlerRegistry(
    [
        declare("no_writes", nothing, "here", {}),
        declare("one_database.success_apart", apart, "here", {}),
        declare("one_database.success_together", together, "here", {"transactional": ["default"]}),
        declare("two_databases.success_together", together_in_two, "here", {"transactional": NAMES}),
    ]
)


class Bench:
    """Claims, runs and settles as a worker does, and nothing else."""

    def __init__(self, session: Session, at_once: int) -> None:
        self.executions, self.isolation = Executions(session), TaskIsolation()
        self.settler = Settler(self.executions, self._settled)
        self.free = asyncio.Semaphore(at_once)
        self.left = 0
        self.done = asyncio.Event()

    def reported(self, attempt: Attempt, outcome: Outcome) -> None:
        self.settler.put(attempt.claim, outcome)

    def ended(self, attempt: Attempt) -> None:
        self.free.release()

    def _settled(self, batch: Sequence[Settled]) -> None:
        assert all(one.status == "SUCCESS" for one in batch), batch[0]
        self.left -= len(batch)
        if not self.left:
            self.done.set()

    async def run(self, claims: Sequence[Claim]) -> None:
        self.left = len(claims)
        self.done.clear()
        settling = asyncio.create_task(self._settle())
        for claim in claims:
            await self.free.acquire()
            Attempt(claim, self).begin(HANDLERS, {"task": self.isolation})
        await self.done.wait()
        settling.cancel()

    async def _settle(self) -> None:
        while True:
            await self.settler.wanted()
            await self.settler.flush()


class RoundTrips:
    """How many statements this process has waited for."""

    def __init__(self) -> None:
        self.count = 0
        wait = psycopg.AsyncConnection.wait

        async def counted(connection: Any, steps: Any, *arguments: Any) -> Any:
            self.count += steps.__name__ == "_execute_gen"  # the others of ours send nothing
            return await wait(connection, steps, *arguments)

        psycopg.AsyncConnection.wait = counted  # type: ignore[method-assign,assignment]


async def measure(url: str, options: argparse.Namespace) -> dict[str, Figures]:
    trips = RoundTrips()
    session = Session(url, "public", "scheduler bench")
    bench = Bench(session, options.at_once)
    rounds: dict[str, list[Figures]] = {name: [] for name in HANDLERS.names}
    for _ in range(options.rounds):
        for name, figures in rounds.items():
            claims = await _claimed(url, bench.executions, name, options.jobs)
            before, cpu, began = trips.count, _cpu(), perf_counter()
            await bench.run(claims)
            seconds = perf_counter() - began
            each = len(claims)
            figures.append(Figures((trips.count - before) / each, (_cpu() - cpu) / each * 1e6, each / seconds))
    await session.close()
    await DatabaseRegistry.dispose()
    return {name: Figures(*map(median, zip(*figures, strict=True))) for name, figures in rounds.items()}


async def _claimed(url: str, executions: Executions, name: str, jobs: int) -> list[Claim]:
    worker = uuid4()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(FILL, (name, jobs))
        connection.execute(WORKER, (worker,))
    found: list[Claim] = []
    while claims := await executions.claim(worker, uuid4(), "work", BATCH, bounds=[0.0] * len(LEVELS), policies="{}"):
        found += claims
    return found


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--at-once", type=int, default=10)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        server = EmbeddedPostgres(Path(folder)).start()
        try:
            urls = {name: server.ensure_database(name) for name in NAMES}
            migrate(urls["default"])
            for url in urls.values():
                with psycopg.connect(url, autocommit=True) as connection:
                    connection.execute(TABLE)
            DatabaseRegistry.configure({name: {"url": url, "pool_size": options.at_once} for name, url in urls.items()})
            figures = asyncio.run(measure(urls["default"], options))
        finally:
            server.stop()
    print(f"{'per job':34}{'round trips':>13}{'CPU µs':>9}{'jobs/s':>9}")
    for spec in HANDLERS:
        trips, cpu, rate = figures[spec.name]
        print(f"{spec.name:34}{trips:13.1f}{cpu:9.0f}{rate:9.0f}")


if __name__ == "__main__":
    main()
