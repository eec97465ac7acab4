"""How long each list of the HTTP API takes over a long history.

    python -m benchmarks.lists [--executions 1000000] [--waiting 10000] [--cron-jobs 10000] [--rounds 40] [--url …]

Fills a database with finished executions (2 % failed, of 50 handlers and 20 queues, a fifth of them ticks), some that
wait, and cron jobs, asks each list over HTTP, page after page of 50, and reports the median and the 95th percentile in
milliseconds.
"""

import argparse
import json
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from statistics import quantiles
from time import perf_counter
from urllib.parse import quote

import psycopg

from benchmarks.servers import server, web
from scheduler.store.migration import migrate

_CRON_JOBS = """
    INSERT INTO cron_jobs (name, cron_expression, handler_name, queue)
    SELECT 'job ' || lpad(n::text, 6, '0'), (n %% 60) || ' * * * *', 'handler ' || n %% 50, 'queue ' || n %% 20
    FROM generate_series(1, %s) AS n"""
_EXECUTIONS = """
    INSERT INTO job_executions (handler_name, queue, source, cron_job_id, status, scheduled_at, available_at,
                                created_at, started_at, finished_at, attempt, error, handler_params)
    SELECT 'handler ' || n %% 50, 'queue ' || n %% 20, CASE WHEN n %% 5 = 0 THEN 'tick' ELSE 'enqueue' END,
           CASE WHEN n %% 5 = 0 THEN 1 + (n / 5) %% %s END, CASE WHEN n %% 50 = 7 THEN 'FAILED' ELSE 'SUCCESS' END,
           t.at, t.at, t.at, t.at, t.at, 1,
           CASE WHEN n %% 50 = 7 THEN 'ConnectionError: no ' || n END, jsonb_build_object('n', n)
    FROM generate_series(1, %s) AS n CROSS JOIN LATERAL (SELECT now() - (%s - n) * interval '2 s' AS at) AS t"""
_WAITING = """
    INSERT INTO job_executions (handler_name, queue, priority) SELECT 'handler ' || n %% 50, 'queue ' || n %% 20, n %% 3
    FROM generate_series(1, %s) AS n"""
_PATIENCE_SECONDS = 120.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--executions", type=int, default=1_000_000)
    parser.add_argument("--waiting", type=int, default=10_000)
    parser.add_argument("--cron-jobs", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--url")
    options = parser.parse_args()
    with server(options.url, "scheduler_bench_lists") as url:
        migrate(url)
        _fill(url, options.executions, options.waiting, options.cron_jobs)
        with web(url) as place, closing(HTTPConnection(*place, timeout=_PATIENCE_SECONDS)) as connection:
            print(f"{options.executions:,} executions, {options.waiting:,} more that wait, ", end="")
            print(f"{options.cron_jobs:,} cron jobs, {options.rounds} rounds\n")
            print(f"{'GET /api/v1':70}{'p50 ms':>10}{'p95 ms':>10}")
            for path in _paths(options.cron_jobs):
                cuts = quantiles(_asked(connection, path, options.rounds), n=20)
                print(f"{path:70}{cuts[9] * 1000:>10.1f}{cuts[18] * 1000:>10.1f}", flush=True)


def _fill(url: str, executions: int, waiting: int, cron_jobs: int) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(_CRON_JOBS.encode(), [cron_jobs])
        connection.execute(_EXECUTIONS.encode(), [cron_jobs, executions, executions])
        connection.execute(_WAITING.encode(), [waiting])
        connection.execute("VACUUM ANALYZE")


def _paths(cron_jobs: int) -> Iterator[str]:
    some = quote(f"job {cron_jobs // 2:06}")
    yield from (
        "/executions",
        "/executions?status=FAILED",
        "/executions?handler=handler%203",
        "/executions?queue=queue%205",
    )
    yield from (f"/executions?cron_job={some}", "/executions?status=FAILED&error=no%207", "/executions?status=RUNNING")
    yield from ("/executions?status=PENDING", "/executions?handler=nobody", "/executions?status=FAILED&handler=nobody")
    yield from (
        "/cron-jobs",
        "/cron-jobs?handler=handler%203",
        "/cron-jobs?text=5000",
        "/queues",
        "/workers",
        "/upcoming",
        "/audit",
    )


def _asked(connection: HTTPConnection, path: str, rounds: int) -> list[float]:
    """Page after page, and from the first again after the last."""
    seconds, cursor = list[float](), None
    for _ in range(rounds):
        page = "" if cursor is None else f"{'&' if '?' in path else '?'}cursor={cursor}"
        began = perf_counter()
        connection.request("GET", f"/api/v1{path}{page}")
        answer = connection.getresponse()
        said = json.loads(answer.read())
        seconds.append(perf_counter() - began)
        if answer.status != 200:
            raise SystemExit(f"{path}: {answer.status}: {said}")
        cursor = said["next"] if isinstance(said, dict) else None
    return seconds


if __name__ == "__main__":
    main()
