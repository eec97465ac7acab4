"""What pruning costs a worker that drains a backlog: its rate with and without, in turns, within one run.

    python -m benchmarks.prune [--rows 1000000] [--keep 100000] [--slices 80] [--slice-seconds 2] [--pool-size 100]

A durable server of its own (fsync on) holds `--rows` final executions, all but `--keep` too old for their queue. One
worker drains no-op executions without a break, with its pruner in the same process: at work in every second slice,
held up in the others. The rate of a slice is what ended in it by the database's clock, and is held against the mean of
the slices before and after it, so that whatever changes slowly, the machine or the table, changes both. Reported are
the median of these ratios for slices with the pruner, the same for slices without it among themselves ("control": what
chance does here), and how fast rows went. A run in which nothing was pruned fails.
"""

import argparse
import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import psycopg

from benchmarks.drain import HANDLER
from scheduler.embedded import EmbeddedPostgres
from scheduler.store.migration import migrate

INTERVAL = "SCHEDULER_RETENTION__INTERVAL_SECONDS"
HISTORY = """
INSERT INTO job_executions
    (handler_name, queue, status, attempt, created_at, scheduled_at, available_at, started_at, finished_at, result)
SELECT 'noop', 'history', 'SUCCESS', 1, t, t, t, t, t, '{"done": true}'
FROM generate_series(%s::bigint, 1, -1) AS n, LATERAL (SELECT job_now() - n * interval '100 ms' AS t) AS ended"""
KEEP = "INSERT INTO job_queues (name, keep_days) VALUES ('history', %s * 0.1 / 86400)"
FILL = "INSERT INTO job_executions (handler_name) SELECT 'noop' FROM generate_series(1, %s)"
WAITING = """
SELECT count(*) FROM (
    SELECT FROM job_executions
    WHERE queue = 'default' AND priority = 0 AND status = 'PENDING' AND concurrency_key IS NULL
    LIMIT %s
) AS waiting"""
OLDEST = "SELECT count(*) FROM job_executions WHERE queue = 'history' AND status = 'SUCCESS'"
ENDED = """
SELECT floor(extract(epoch FROM finished_at) / %s)::bigint AS slice, count(*)
FROM job_executions WHERE queue = 'default' AND status = 'SUCCESS' GROUP BY slice ORDER BY slice"""
BATCH = 20_000
"""Jobs that are enqueued together, whenever fewer than that wait."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--keep", type=int, default=100_000)
    parser.add_argument("--slices", type=int, default=80)
    parser.add_argument("--slice-seconds", type=float, default=2.0)
    parser.add_argument("--pool-size", type=int, default=100)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        asyncio.run(_drain(options.slice_seconds))
        return
    with tempfile.TemporaryDirectory() as folder, EmbeddedPostgres(Path(folder) / "postgres") as server:
        figures = _measure(server.url(), options)
    print(json.dumps(figures) if options.json else _words(figures, options))


def pruned(slice_: int) -> bool:
    """Whether the pruner is at work in this slice; both sides tell it by the clock alone."""
    return slice_ % 2 == 0


def _measure(url: str, options: argparse.Namespace) -> dict[str, float]:
    migrate(url)
    with psycopg.connect(url, autocommit=True) as connection, _folder(url, options.pool_size) as (folder, env):
        _say(f"{options.rows:,} final rows …")
        connection.execute(HISTORY, [options.rows])
        connection.execute(KEEP, [options.keep])
        connection.execute(FILL, [2 * BATCH])
        connection.execute("VACUUM ANALYZE job_executions")
        connection.execute("CHECKPOINT")
        before = _number(connection, OLDEST)
        slices = _drained(connection, folder, env, options)
        gone = before - _number(connection, OLDEST)
    if not gone:
        raise SystemExit("Nothing was pruned while it drained: ask for more --slices, or for more --rows.")
    ratios = {kind: list(_ratios(slices, with_pruner=kind == "pruned")) for kind in ("pruned", "control")}
    busy = sum(map(pruned, slices)) * options.slice_seconds
    return {
        **{f"{kind}_ratio": median(of) for kind, of in ratios.items()},
        **{f"{kind}_lowest": min(of) for kind, of in ratios.items()},
        **{f"{kind}_highest": max(of) for kind, of in ratios.items()},
        "alone": median(count for each, count in slices.items() if not pruned(each)) / options.slice_seconds,
        "pruned": median(count for each, count in slices.items() if pruned(each)) / options.slice_seconds,
        "rows_per_second": gone / busy,
    }


def _drained(
    connection: psycopg.Connection, folder: Path, env: Mapping[str, str], options: argparse.Namespace
) -> dict[int, int]:
    """What ended in each whole slice."""
    command = [sys.executable, "-m", "benchmarks.prune", "--child", "--slice-seconds", str(options.slice_seconds)]
    with subprocess.Popen(command, cwd=folder, env=env) as worker:
        until = time.time() + (options.slices + 2) * options.slice_seconds
        while time.time() < until:
            if worker.poll() is not None:
                raise SystemExit("The worker has ended; the figures would be worth nothing.")
            if _number(connection, WAITING, BATCH) < BATCH:
                connection.execute(FILL, [BATCH])
            time.sleep(0.5)
        worker.send_signal(signal.SIGTERM)
    counted = dict[int, int](connection.execute(ENDED, [options.slice_seconds]).fetchall())
    whole = sorted(counted)[1:-1]  # the first began and the last ended in the middle
    return {each: counted[each] for each in whole}


def _ratios(slices: Mapping[int, int], *, with_pruner: bool) -> Iterator[float]:
    """Of each slice of a kind to the mean of those of the other kind around it; of the control, to those of its own."""
    ordered: Sequence[int] = sorted(slices)
    reach = 1 if with_pruner else 2
    for each in ordered:
        around = [slices[other] for other in (each - reach, each + reach) if other in slices]
        if pruned(each) == with_pruner and len(around) == 2:
            yield slices[each] / (sum(around) / 2)


def _number(connection: psycopg.Connection, query: str, *values: int) -> int:
    row = connection.execute(query.encode(), values).fetchone()
    return int(row[0]) if row is not None else 0


@contextmanager
def _folder(url: str, pool_size: int) -> Iterator[tuple[Path, Mapping[str, str]]]:
    """A project whose handler does nothing."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "handlers").mkdir()
        (folder / "handlers" / "noop.py").write_text(HANDLER)
        env = {key: value for key, value in os.environ.items() if not key.startswith("SCHEDULER_")} | {
            "SCHEDULER_DATABASE_URL": url,
            "SCHEDULER_LOG__LEVEL": "error",
            "SCHEDULER_WORKER__POOL_SIZE": str(pool_size),
            "PYTHONPATH": str(Path(__file__).parents[1]),
            INTERVAL: "0.001",
        }
        yield folder, env


async def _drain(slice_seconds: float) -> None:
    from scheduler.app import Project
    from scheduler.app.application import Application
    from scheduler.services.pruner import Pruner
    from scheduler.store.retention import Step
    from scheduler.store.session import Row

    take = Pruner._take

    async def in_turn(pruner: Pruner, step: Step) -> list[Row]:
        """A step, but not before a slice that is for it."""
        now = time.time()
        if not pruned(int(now // slice_seconds)):
            await asyncio.sleep(slice_seconds - now % slice_seconds)
        return await take(pruner, step)

    Pruner._take = in_turn  # type: ignore[method-assign]
    await Application(Project.open(Path.cwd())).run()


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _words(figures: Mapping[str, float], options: argparse.Namespace) -> str:
    lines = [
        f"{options.rows:,} final rows, of which {options.keep:,} are kept; no-op executions drain, "
        f"{options.slices} slices of {options.slice_seconds:g} s in turns",
        "",
        f"alone   {figures['alone']:>10,.0f} jobs/s",
        f"pruned  {figures['pruned']:>10,.0f} jobs/s",
        f"deleted {figures['rows_per_second']:>10,.0f} rows/s while at it",
        "",
    ]
    for kind in ("pruned", "control"):
        ratio, lowest, highest = (figures[f"{kind}_{which}"] for which in ("ratio", "lowest", "highest"))
        lines.append(f"{kind} / around it: {ratio:.2f} of the rate, from {lowest:.2f} to {highest:.2f}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
