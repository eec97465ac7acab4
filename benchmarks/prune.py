"""What pruning costs a worker that drains a backlog: its rate with and without, alternating over one history.

    python -m benchmarks.prune [--rows 1000000] [--keep 100000] [--jobs 100000] [--rounds 5] [--pool-size 100]

A durable server of its own (fsync on) holds `--rows` final executions, all but `--keep` too old for their queue. A
worker drains `--jobs` no-op executions again and again: with its pruner asleep ("alone"), at work in the same process
("pruned"), and asleep once more ("control"). What the control is to alone is what chance does on this machine; a ratio
of pruned to alone that lies within it says nothing. Reports medians, the ratios of each round and their medians, CPU of
Postgres and worker per job, and how fast rows went. A round in which nothing was pruned ends it: ask for more jobs.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import psycopg

from benchmarks.drain import HANDLER, own_cpu, parent, tree_cpu
from scheduler.embedded import EmbeddedPostgres
from scheduler.store.migration import migrate

INTERVALS = {"alone": "86400", "pruned": "0.001", "control": "86400"}
INTERVAL = "SCHEDULER_RETENTION__INTERVAL_SECONDS"
HISTORY = """
INSERT INTO job_executions
    (handler_name, queue, status, attempt, created_at, scheduled_at, available_at, started_at, finished_at, result)
SELECT 'noop', 'history', 'SUCCESS', 1, t, t, t, t, t, '{"done": true}'
FROM generate_series(%s::bigint, 1, -1) AS n, LATERAL (SELECT job_now() - n * interval '100 ms' AS t) AS ended"""
KEEP = "INSERT INTO job_queues (name, keep_days) VALUES ('history', %s * 0.1 / 86400)"
FILL = "INSERT INTO job_executions (handler_name) SELECT 'noop' FROM generate_series(1, %s)"
DONE = """
SELECT count(*), extract(epoch FROM max(finished_at) - min(started_at))::double precision
FROM job_executions WHERE id > %s AND status = 'SUCCESS'"""
LEFT = "SELECT count(*) FROM job_executions WHERE queue = 'history'"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--keep", type=int, default=100_000)
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--pool-size", type=int, default=100)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        before = own_cpu()
        asyncio.run(_drain())
        print(own_cpu() - before)
    else:
        with tempfile.TemporaryDirectory() as folder, EmbeddedPostgres(Path(folder) / "postgres") as server:
            figures = _measure(server.url(), options)
        print(json.dumps(figures) if options.json else _words(figures, options))


def _measure(url: str, options: argparse.Namespace) -> dict[str, float]:
    migrate(url)
    rates: dict[str, list[float]] = {kind: [] for kind in INTERVALS}
    cpu: dict[str, list[float]] = {kind: [] for kind in INTERVALS}
    deleted, seconds = 0, 0.0
    with psycopg.connect(url, autocommit=True) as connection, _folder(url, options.pool_size) as (folder, env):
        _say(f"{options.rows:,} final rows …")
        connection.execute(HISTORY, [options.rows])
        connection.execute(KEEP, [options.keep])
        connection.execute("VACUUM ANALYZE job_executions")
        for turn in range(options.rounds):
            for kind in [*INTERVALS][turn % 3 :] + [*INTERVALS][: turn % 3]:
                before = _number(connection, LEFT)
                done, took, used = _drained(connection, folder, {**env, INTERVAL: INTERVALS[kind]}, options.jobs)
                rates[kind].append(done / took)
                cpu[kind].append(used / done * 1e6)
                gone = before - _number(connection, LEFT)
                if kind == "pruned":
                    deleted, seconds = deleted + gone, seconds + took
                _say(f"round {turn + 1}, {kind}: {rates[kind][-1]:,.0f} jobs/s, {gone:,} rows pruned meanwhile")
                if kind == "pruned" and not gone:
                    raise SystemExit("Nothing was pruned while it drained: ask for more --jobs, or for more --rows.")
    ratios = {
        kind: [one / alone for alone, one in zip(rates["alone"], rates[kind], strict=True)]
        for kind in ("pruned", "control")
    }
    return {
        **{kind: median(of) for kind, of in rates.items()},
        **{f"{kind}_us": median(of) for kind, of in cpu.items()},
        **{f"{kind}_ratio": median(of) for kind, of in ratios.items()},
        **{f"{kind}_lowest": min(of) for kind, of in ratios.items()},
        **{f"{kind}_highest": max(of) for kind, of in ratios.items()},
        "rows_per_second": deleted / seconds,
    }


def _drained(
    connection: psycopg.Connection, folder: Path, env: Mapping[str, str], jobs: int
) -> tuple[int, float, float]:
    """How many were done, in how many seconds, and in how many of CPU."""
    last = _number(connection, "SELECT max(id) FROM job_executions")
    connection.execute(FILL, [jobs])
    connection.execute("CHECKPOINT")
    postmaster = parent(connection.info.backend_pid)
    before = tree_cpu(postmaster)
    command = [sys.executable, "-m", "benchmarks.prune", "--child"]
    answer = subprocess.run(command, cwd=folder, env=env, check=True, stdout=subprocess.PIPE, text=True)
    after = tree_cpu(postmaster)
    done, seconds = connection.execute(DONE, [last]).fetchone() or (0, 0.0)
    if done != jobs:
        raise SystemExit(f"{done} of {jobs} jobs succeeded; the figures would be worth nothing")
    return done, seconds, after - before + float(answer.stdout.splitlines()[-1])


def _number(connection: psycopg.Connection, query: str) -> int:
    row = connection.execute(query.encode()).fetchone()
    return int(row[0]) if row is not None and row[0] is not None else 0


@contextmanager
def _folder(url: str, pool_size: int) -> Iterator[tuple[Path, Mapping[str, str]]]:
    """A project whose handler does nothing."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "handlers").mkdir()
        (folder / "handlers" / "noop.py").write_text(HANDLER)
        env = {key: value for key, value in os.environ.items() if not key.startswith("SCHEDULER_")} | {
            "SCHEDULER_DATABASE_URL": url,
            "SCHEDULER_LOG__LEVEL": "warning",
            "SCHEDULER_WORKER__POOL_SIZE": str(pool_size),
            "PYTHONPATH": str(Path(__file__).parents[1]),
        }
        yield folder, env


async def _drain() -> None:
    from scheduler.app import Project
    from scheduler.app.application import Application

    await Application(Project.open(Path.cwd())).run(until_idle=True)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _words(figures: Mapping[str, float], options: argparse.Namespace) -> str:
    lines = [
        f"{options.rows:,} final rows, of which {options.keep:,} are kept; {options.jobs:,} no-op executions drain; "
        f"{options.rounds} rounds, in turns",
        "",
        *(f"{kind:8}{figures[kind]:>10,.0f} jobs/s{figures[f'{kind}_us']:>8.1f} µs CPU/job" for kind in INTERVALS),
        f"deleted {figures['rows_per_second']:>10,.0f} rows/s",
        "",
    ]
    for kind in ("pruned", "control"):
        ratio, lowest, highest = (figures[f"{kind}_{which}"] for which in ("ratio", "lowest", "highest"))
        lines.append(f"{kind} / alone: {ratio:.2f} of its rate, from {lowest:.2f} to {highest:.2f}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
