"""How long `POST /api/v1/call` takes on an idle worker, and whether many at once get each its own answer.

    python -m benchmarks.http [--calls 300] [--pause 0.05] [--at-once 200] [--url postgresql://…]

`scheduler web` and `scheduler run` in processes of their own, as they come, with one handler that does nothing; calls
over one connection, one after the other, with a pause in which the worker comes to rest. Without `--url` a durable
server of its own is started (fsync on). Reports the median and the 99th percentile in milliseconds, and the seconds for
`--at-once`.
"""

import argparse
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPConnection
from statistics import quantiles
from time import perf_counter, sleep
from typing import Any

from benchmarks.servers import server, web, worker
from scheduler.store.migration import migrate

_WARM_UP = 20
_PATIENCE_SECONDS = 60.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=300)
    parser.add_argument("--pause", type=float, default=0.05)
    parser.add_argument("--at-once", type=int, default=200)
    parser.add_argument("--url")
    options = parser.parse_args()
    with server(options.url, "scheduler_bench_http") as url:
        migrate(url)
        with worker(url), web(url) as place:
            seconds = list(_called(place, options.calls, options.pause))
            lasted, ids = _at_once(place, options.at_once)
    cuts = quantiles(seconds, n=100)
    print(f"{options.calls} calls of a no-op over HTTP, one after the other, on an idle worker")
    print(f"p50 {cuts[49] * 1000:.1f} ms, p99 {cuts[98] * 1000:.1f} ms")
    print(f"{options.at_once} at once: {lasted:.2f} s, {len(set(ids))} answers, each of an execution of its own")


def _called(place: tuple[str, int], calls: int, pause: float) -> Iterator[float]:
    with closing(HTTPConnection(*place, timeout=_PATIENCE_SECONDS)) as connection:
        for n in range(_WARM_UP + calls):
            sleep(pause)
            began = perf_counter()
            call(connection, n)
            if n >= _WARM_UP:
                yield perf_counter() - began


def _at_once(place: tuple[str, int], calls: int) -> tuple[float, list[int]]:
    def one(n: int) -> int:
        with closing(HTTPConnection(*place, timeout=_PATIENCE_SECONDS)) as connection:
            return int(call(connection, n)["id"])

    began = perf_counter()
    with ThreadPoolExecutor(calls) as threads:
        ids = list(threads.map(one, range(calls)))
    return perf_counter() - began, ids


def call(connection: HTTPConnection, n: int) -> Any:
    body = json.dumps({"handler": "noop", "params": {"n": n}, "wait_seconds": _PATIENCE_SECONDS})
    connection.request("POST", "/api/v1/call", body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    said = json.loads(answer.read())
    if answer.status != 200:
        raise SystemExit(f"{answer.status}: {said}")
    return said


if __name__ == "__main__":
    main()
