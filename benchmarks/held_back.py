"""How long work waits while somebody's open transaction keeps vacuum from cleaning up behind the worker.

    python -m benchmarks.held_back [--minutes 5] [--rate 500] [--url postgresql://…]

`--rate` no-op executions a second are enqueued, ten times a second, in front of one idle worker: for a minute as it
comes, and for `--minutes` beside a session that sits in a transaction with a snapshot. Each minute tells the median and
the 99th percentile of the time from a row's INSERT to its handler's first line, in milliseconds, and how many dead rows
lie in the table. Without `--url` a durable server of its own is started (fsync on).
"""

import argparse
from time import monotonic, sleep
from typing import Any

import psycopg

from benchmarks.servers import server, worker
from scheduler.store.migration import migrate

FILL = "INSERT INTO job_executions (handler_name) SELECT 'noop' FROM generate_series(1, %s)"
WAITS = """
SELECT count(*),
       percentile_cont(ARRAY[0.5, 0.99]) WITHIN GROUP (ORDER BY 1000 * extract(epoch FROM started_at - created_at))
FROM job_executions WHERE id > %s AND status = 'SUCCESS'"""
DEAD = "SELECT n_dead_tup FROM pg_stat_user_tables WHERE relname = 'job_executions'"
TURNS = 10
"""Inserts a second."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=int, default=5)
    parser.add_argument("--rate", type=int, default=500)
    parser.add_argument("--url")
    options = parser.parse_args()
    with server(options.url, "scheduler_bench_held_back") as url:
        migrate(url)
        with worker(url), psycopg.connect(url, autocommit=True) as connection, psycopg.connect(url) as somebody:
            _enqueue(connection, options.rate, seconds=5)  # until the worker is there
            print(f"{'minute':18}{'rows':>8}{'p50 ms':>9}{'p99 ms':>9}{'dead rows':>12}", flush=True)
            for minute in range(options.minutes + 1):
                if minute == 1:
                    somebody.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
                    somebody.execute("SELECT count(*) FROM job_queues")
                first = _value(connection, "SELECT coalesce(max(id), 0) FROM job_executions")
                _enqueue(connection, options.rate, seconds=60)
                ((count, (median, longest)),) = connection.execute(WAITS, [first]).fetchall()
                name = f"{minute}, held back" if minute else "as it comes"
                dead = _value(connection, DEAD)
                print(f"{name:18}{count:>8,}{median:>9.1f}{longest:>9.1f}{dead:>12,}", flush=True)


def _enqueue(connection: psycopg.Connection, rate: int, *, seconds: int) -> None:
    began = monotonic()
    for turn in range(seconds * TURNS):
        sleep(max(0.0, began + turn / TURNS - monotonic()))
        connection.execute(FILL, [rate // TURNS])
    sleep(1)  # the last ones run


def _value(connection: psycopg.Connection, query: str) -> Any:
    return connection.execute(query.encode()).fetchall()[0][0]


if __name__ == "__main__":
    main()
