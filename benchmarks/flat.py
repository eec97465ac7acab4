"""What a claim and its settle cost beside many rows that they have nothing to do with.

    python -m benchmarks.flat [--jobs 20000] [--beside 1000000] [--rounds 3] [--url postgresql://…]

One connection claims and settles by itself, 400 at a time, as a worker does and without handlers: beside nothing,
beside rows that wait at a lower priority, rows that are delayed at a higher one, and ten times as many final ones.
Reports the medians: CPU microseconds of the server's process per job, and the speed against that beside nothing.
Without `--url` a durable server of its own is started (fsync on). Linux only.
"""

import argparse
import asyncio
import json
import sys
from pathlib import Path
from statistics import median
from uuid import UUID, uuid4

import psycopg

from benchmarks.servers import server
from scheduler.lifecycle.claim import Claimer
from scheduler.store.executions import Executions, Success
from scheduler.store.migration import migrate
from scheduler.store.session import Session

BATCH = 400
TIMES = {"final": 10}
"""A history is longer than what is to be done."""
BESIDE = {
    "nothing": "SELECT %s::integer",
    "waiting": "INSERT INTO job_executions (handler_name, priority) SELECT 'noop', -5 FROM generate_series(1, %s)",
    "delayed": """
        INSERT INTO job_executions (handler_name, priority, available_at)
        SELECT 'noop', 5, job_now() + interval '1 hour' FROM generate_series(1, %s)""",
    "final": """
        INSERT INTO job_executions (handler_name, status, finished_at)
        SELECT 'noop', 'CANCELLED', job_now() FROM generate_series(1, %s)""",
}
FILL = "INSERT INTO job_executions (handler_name) SELECT 'noop' FROM generate_series(1, %s)"
WORKER = """
    INSERT INTO job_workers (id, name, queues, lease_until)
    VALUES (%s, 'bench', '{default}', job_now() + interval '1 day')"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=20_000)
    parser.add_argument("--beside", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--url")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    figures = {}
    for kind in BESIDE:
        with server(options.url, "scheduler_bench_flat") as url:
            migrate(url)
            figures[kind] = asyncio.run(_measure(url, kind, options))
    if options.json:
        print(json.dumps(figures))
        return
    final = TIMES["final"] * options.beside
    print(f"{options.jobs:,} executions claimed and settled, {BATCH} at a time, beside {options.beside:,} others")
    print(f"(final ones: {final:,})\n")
    print(f"{'beside':10}{'Postgres µs/job':>17}{'of the speed beside nothing':>30}")
    for kind, cost in figures.items():
        print(f"{kind:10}{cost:>17.1f}{figures['nothing'] / cost:>30.2f}")


async def _measure(url: str, kind: str, options: argparse.Namespace) -> float:
    session, worker = Session(url, "public", "scheduler bench"), uuid4()
    costs = []
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(WORKER, (worker,))
        connection.execute(BESIDE[kind].encode(), (options.beside * TIMES.get(kind, 1),))
        for turn in range(options.rounds):
            print(f"beside {kind}: round {turn + 1} of {options.rounds} …", file=sys.stderr, flush=True)
            connection.execute(FILL, (options.jobs,))
            connection.execute("VACUUM ANALYZE job_executions")
            connection.execute("CHECKPOINT")
            pid = (await session.connection()).info.backend_pid
            before = _cpu(pid)
            await _drain(Executions(session), worker, options.jobs)
            costs.append((_cpu(pid) - before) / options.jobs * 1e6)
    await session.close()
    return median(costs)


async def _drain(executions: Executions, worker: UUID, jobs: int) -> None:
    claimer = Claimer(executions, worker, ["default"], "{}")
    while jobs > 0:
        claims = await claimer.claim(min(BATCH, jobs))
        claimer.taken(claims)
        await executions.settle_successes([Success(claim.id, claim.token, 0.001, None) for claim in claims])
        jobs -= len(claims)


def _cpu(pid: int) -> float:
    """Seconds that a process has computed, finer than its ticks tell."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


if __name__ == "__main__":
    main()
