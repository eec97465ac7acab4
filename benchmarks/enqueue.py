"""How fast one client enqueues many, beside a raw COPY of the same rows into the same table, alternating in one run.

    python -m benchmarks.enqueue [--rows 1000000] [--rounds 3] [--url postgresql://…]

The raw COPY sends lines that are ready, in large pieces, in one transaction: no client could be quicker. Without
`--url` a durable server of its own is started (fsync on). Reports the medians, and the ratio, which is what counts on a
machine shared with others; and a thousand times a single `enqueue()`, by either client, beside the bare INSERT of the
same row by psycopg, whose transaction is its own as well: by the medians of single calls, taken in turns.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Callable
from statistics import median
from time import perf_counter

import psycopg

from benchmarks.servers import server
from scheduler import AsyncClient, Client
from scheduler.store.migration import migrate

COLUMNS = (
    "id, handler_params, handler_name, queue, priority, available_at, timeout_seconds, max_retry, concurrency_key,"
    " concurrency_limit, notify_done"
)
_PIECE = 10_000
_ONE_BY_ONE = 1_000
_AT_A_TIME = 50
_INSERT = "INSERT INTO job_executions (handler_name, handler_params) VALUES (%s, %s) RETURNING id"
_PARAMS = {"to": "user@example.com", "subject": "Welcome", "n": 1}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--url")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with server(options.url, "scheduler_bench_enqueue") as url:
        migrate(url)
        figures = measure(url, options.rows, options.rounds) | asyncio.run(measure_single(url))
    if options.json:
        print(json.dumps(figures))
        return
    print(f"{options.rows:,} rows from one client, median of {options.rounds} alternating rounds\n")
    for kind in ("raw COPY", "enqueue_many"):
        print(f"{kind:14}{figures[kind]:>12,.0f} rows/s")
    print(f"\nenqueue_many / raw COPY: {figures['ratio']:.2f}\n")
    for kind in ("bare INSERT", "Client", "AsyncClient"):
        print(
            f"{kind:14}{figures[kind]:>12,.0f} µs a call, {figures[kind] / figures['bare INSERT']:.2f} times the INSERT"
        )


def measure(url: str, rows: int, rounds: int) -> dict[str, float]:
    """Rows a second of each kind, and the ratio."""
    lines = [
        "".join(_line(n) for n in range(start, min(start + _PIECE, rows + 1))).encode()
        for start in range(1, rows + 1, _PIECE)
    ]
    params = [{"to": f"user{n}@example.com", "subject": "Welcome", "n": n} for n in range(1, rows + 1)]
    with psycopg.connect(url, autocommit=True) as connection, Client(url) as client:

        def raw() -> None:
            copying = f"COPY job_executions ({COLUMNS}) FROM STDIN".encode()
            with connection.transaction(), connection.cursor().copy(copying) as copy:
                for piece in lines:
                    copy.write(piece)

        kinds: dict[str, tuple[Callable[[], object], int]] = {
            "raw COPY": (raw, rows),
            "enqueue_many": (lambda: client.enqueue_many("email", params), rows),
        }
        rates: dict[str, list[float]] = {kind: [] for kind in kinds}
        for turn in range(rounds):
            for kind, (act, count) in kinds.items():
                print(f"round {turn + 1} of {rounds}: {kind} …", file=sys.stderr, flush=True)
                connection.execute("TRUNCATE job_executions RESTART IDENTITY")
                connection.execute("CHECKPOINT")
                began = perf_counter()
                act()
                rates[kind].append(count / (perf_counter() - began))
    figures = {kind: median(each) for kind, each in rates.items()}
    return figures | {"ratio": figures["enqueue_many"] / figures["raw COPY"]}


async def measure_single(url: str) -> dict[str, float]:
    """Microseconds that one call takes, the median of each kind; a few at a time, in turns."""
    text = json.dumps(_PARAMS)
    with psycopg.connect(url, autocommit=True) as connection, Client(url) as client:
        async with AsyncClient(url) as async_client:

            async def bare() -> None:
                connection.execute(_INSERT, ("email", text)).fetchone()

            async def sync() -> None:
                client.enqueue("email", _PARAMS)

            async def by_asyncio() -> None:
                await async_client.enqueue("email", _PARAMS)

            kinds = {"bare INSERT": bare, "Client": sync, "AsyncClient": by_asyncio}
            seconds: dict[str, list[float]] = {kind: [] for kind in kinds}
            for _ in range(1 + _ONE_BY_ONE // _AT_A_TIME):  # the first time warms up
                for kind, act in kinds.items():
                    for _ in range(_AT_A_TIME):
                        began = perf_counter()
                        await act()
                        seconds[kind].append(perf_counter() - began)
    return {kind: median(each[_AT_A_TIME:]) * 1e6 for kind, each in seconds.items()}


def _line(n: int) -> str:
    params = f'{{"to": "user{n}@example.com", "subject": "Welcome", "n": {n}}}'
    rest = "email\tdefault\t0\t2026-01-01 00:00:00+00\t\\N\t\\N\t\\N\t\\N\tf"
    return f"{n}\t{params}\t{rest}\n"


if __name__ == "__main__":
    main()
