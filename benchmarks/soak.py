"""Whether anything grows or slows down while a worker is kept busy for long: its memory, the table, the latency.

    python -m benchmarks.soak [--minutes 10] [--share 0.8] [--jobs 50000] [--pool-size 200] [--keep-seconds 60]
                              [--url postgresql://…]

First `--jobs` no-op executions are drained by one worker, which tells its rate. Then a process of its own enqueues
`--share` of that rate in small steps for `--minutes`, in front of one worker that also prunes what ended longer than
`--keep-seconds` ago. Every five seconds tell:

- the worker's resident memory; the size of job_executions with its indexes; its live and dead rows, as the statistics
  estimate them; how many executions are PENDING
- from available_at to started_at, of a sample spread evenly over what was enqueued in the five seconds before; what has
  not started yet counts as if it started now, so that a backlog can't hide
- CPU microseconds per execution, of the worker and of Postgres, with enqueueing, pruning and vacuum in it

The end compares the second half with the second quarter; the first quarter is for the table to reach its size. Without
`--url` a durable server of its own is started (fsync on). Linux only, on the machine of the server.
"""

import argparse
import asyncio
import json
import math
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from time import monotonic, sleep

import psycopg

from benchmarks.drain import HANDLER, as_url, one_round, parent, tree_cpu
from benchmarks.servers import server
from benchmarks.soak_figures import Sample, head, in_words, line, minutes, result
from scheduler.store.migration import migrate

FILL = "INSERT INTO job_executions (handler_name) SELECT 'noop' FROM generate_series(1, %s)"
LEFT = "SELECT count(*) FROM job_executions WHERE status IN ('PENDING', 'RUNNING')"
BY_INDEX = "SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off"
"""Whatever the statistics say of a table that changes as fast as this one."""
STATE = """
SELECT coalesce((SELECT max(id) FROM job_executions), 0) AS last,
       (SELECT count(*) FROM job_executions
        WHERE queue = 'default' AND priority = 0 AND status = 'PENDING' AND concurrency_key IS NULL) AS backlog,
       pg_total_relation_size('job_executions'), n_live_tup, n_dead_tup
FROM pg_stat_user_tables WHERE relname = 'job_executions'"""
WAITS = """
SELECT 1000 * extract(epoch FROM coalesce(e.started_at, job_now()) - e.available_at)::double precision
FROM generate_series(%s::bigint, %s, %s) AS sampled (id) JOIN job_executions e USING (id)"""
EVERY = 5.0
"""Seconds between two samples."""
WAITS_OF_A_SAMPLE = 4_000
STEP = 0.01
"""Seconds between two inserts."""
MOST_STEPS = 4
"""What one insert may take along of the steps that were missed, its own included."""
PATIENCE = 60.0
"""Seconds for a process to be there, or to end."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--share", type=float, default=0.8)
    parser.add_argument("--jobs", type=int, default=50_000)
    parser.add_argument("--pool-size", type=int, default=200)
    parser.add_argument("--keep-seconds", type=float, default=60.0)
    parser.add_argument("--url")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--child", choices=("worker", "producer"), help=argparse.SUPPRESS)
    parser.add_argument("--rate", type=float, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        _child(options)
        return
    if options.minutes < 0.5:
        parser.error("--minutes has to be 0.5 or more: a quarter of it takes more than one sample.")
    if options.keep_seconds < 3 * EVERY:
        parser.error(f"--keep-seconds has to be {3 * EVERY:g} or more: what is sampled must not be gone.")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # and end what was started
    with server(options.url, "scheduler_bench_soak") as url:
        drained = one_round("scheduler", url, jobs=options.jobs, pool_size=options.pool_size)["jobs_per_second"]
        rate = options.share * drained
        _say(f"{drained:,.0f} jobs/s drained; {rate:,.0f} jobs/s for {options.minutes:g} minutes …")
        migrate(url)
        samples = _measure(url, rate, options)
    figures = result(samples, drained, rate)
    print(json.dumps(figures) if options.json else in_words(figures))


def _measure(url: str, rate: float, options: argparse.Namespace) -> list[Sample]:
    samples: list[Sample] = []
    with psycopg.connect(url, autocommit=True) as connection, _process("worker", url, rate, options) as worker:
        connection.execute(BY_INDEX)
        connection.execute(FILL, [1])
        _until_idle(connection, worker)
        connection.execute("CHECKPOINT")
        with _process("producer", url, rate, options) as producer:
            if producer.stdout is None or not producer.stdout.readline():
                raise SystemExit("The producer did not start; see above.")
            _say(head())
            told = 0.0
            for sample in _samples(connection, worker, producer, 60 * options.minutes):
                samples.append(sample)
                if sample.at // 60 > told:
                    _say(line(asdict(minutes(samples)[-1])))
                    told = sample.at // 60
    return samples


def _samples(
    connection: psycopg.Connection,
    worker: subprocess.Popen[str],
    producer: subprocess.Popen[str],
    seconds: float,
) -> Iterator[Sample]:
    postmaster = parent(connection.info.backend_pid)
    began = monotonic()
    at = 0.0
    last, backlog, *_ = _state(connection)
    first = last
    postgres, own = tree_cpu(postmaster), tree_cpu(worker.pid)
    for turn in range(1, round(seconds / EVERY) + 1):
        sleep(max(0.0, began + turn * EVERY - monotonic()))
        if worker.poll() is not None or producer.poll():
            raise SystemExit("The worker or the producer has ended; the figures would be worth nothing.")
        before, at = at, monotonic() - began
        newest, waiting, size, live, dead = _state(connection)
        postgres_now, own_now = tree_cpu(postmaster), tree_cpu(worker.pid)
        yield Sample(
            at=at,
            seconds=at - before,
            enqueued=newest - last,
            finished=newest - last - (waiting - backlog),
            backlog=waiting,
            worker_bytes=_resident(worker.pid),
            table_bytes=size,
            live_rows=live,
            dead_rows=dead,
            postgres_seconds=postgres_now - postgres,
            worker_seconds=own_now - own,
            waits=_waits(connection, first, last),
        )
        first, last, backlog, postgres, own = last, newest, waiting, postgres_now, own_now


def _state(connection: psycopg.Connection) -> tuple[int, int, int, int, int]:
    """Last id, how many wait, bytes of the table, live rows, dead rows."""
    (row,) = connection.execute(STATE).fetchall()
    last, backlog, size, live, dead = map(int, row)
    return last, backlog, size, live, dead


def _waits(connection: psycopg.Connection, first: int, last: int) -> list[float]:
    """Of the ids above `first`, up to `last`."""
    step = max(1, (last - first) // WAITS_OF_A_SAMPLE)
    return [wait for (wait,) in connection.execute(WAITS, [first + 1, last, step])]


def _resident(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmRSS:"))


def _until_idle(connection: psycopg.Connection, worker: subprocess.Popen[str]) -> None:
    until = monotonic() + PATIENCE
    while connection.execute(LEFT).fetchall() != [(0,)]:
        if worker.poll() is not None or monotonic() > until:
            raise SystemExit("The worker did not start; see above.")
        sleep(0.1)


# The two processes


@contextmanager
def _process(name: str, url: str, rate: float, options: argparse.Namespace) -> Iterator[subprocess.Popen[str]]:
    """This module as a child, in a project whose handler does nothing. Ctrl-C doesn't reach it but by us."""
    with tempfile.TemporaryDirectory() as folder:
        handlers = Path(folder, "handlers")
        handlers.mkdir()
        (handlers / "noop.py").write_text(HANDLER)
        env = {key: value for key, value in os.environ.items() if not key.startswith("SCHEDULER_")} | {
            "SCHEDULER_DATABASE_URL": url if url.startswith("postgres") else as_url(url),
            "SCHEDULER_LOG__LEVEL": "warning",
            "SCHEDULER_WORKER__POOL_SIZE": str(options.pool_size),
            "SCHEDULER_RETENTION__SUCCESS__KEEP_DAYS": f"{options.keep_seconds / 86_400:.9f}",
            "SCHEDULER_RETENTION__INTERVAL_SECONDS": "1",
            "PYTHONPATH": str(Path(__file__).parents[1]),
        }
        order = ["--child", name, "--rate", str(rate), "--minutes", str(options.minutes)]
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.soak", *order],
            cwd=folder,
            env=env,
            stdout=subprocess.PIPE,
            text=True,
            process_group=0,
        )
        with process:
            try:
                yield process
            finally:
                _end(process)


def _end(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(PATIENCE)
    except BaseException:  # too long, or a second Ctrl-C
        process.kill()
        raise


def _child(options: argparse.Namespace) -> None:
    if options.child == "producer":
        _produce(os.environ["SCHEDULER_DATABASE_URL"], options.rate, 60 * options.minutes)
        return
    from scheduler.app import Project
    from scheduler.app.application import Application

    asyncio.run(Application(Project.open(Path.cwd())).run())


def _produce(url: str, rate: float, seconds: float) -> None:
    """`rate` a second; what a stall has left undone is made up for little by little."""
    most = max(1, math.ceil(MOST_STEPS * rate * STEP))
    with psycopg.connect(url, autocommit=True) as connection:
        print("ready", flush=True)
        began = turn = monotonic()
        sent = 0
        while (now := monotonic()) < began + seconds:
            due = min(int(rate * (now - began)) - sent, most)
            if due:
                connection.execute(FILL, [due])
                sent += due
            turn = max(turn + STEP, monotonic())
            sleep(max(0.0, turn - monotonic()))


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
