"""How long `Client.call()` takes on an idle worker: enqueued, claimed, run, settled, and its result returned.

    python -m benchmarks.call [--calls 300] [--pause 0.1] [--url postgresql://…]

Calls one after the other, with a pause in which the worker comes to rest (0: it is still busy with the last), from
this process, of a worker in another one: `scheduler run` as it comes, with one handler
that does nothing. Without `--url` a durable server of its own is started (fsync on). Reports the median and the 99th
percentile in milliseconds, for both clients.
"""

import argparse
import asyncio
import json
from statistics import quantiles
from time import perf_counter, sleep

from benchmarks.servers import server, worker
from scheduler import AsyncClient, Client
from scheduler.store.migration import migrate

_WARM_UP = 20
_PATIENCE_SECONDS = 60.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=300)
    parser.add_argument("--pause", type=float, default=0.1)
    parser.add_argument("--url")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with server(options.url, "scheduler_bench_call") as url:
        migrate(url)
        with worker(url):
            figures = {"Client": _percentiles(_called(url, options.calls, options.pause))}
            figures["AsyncClient"] = _percentiles(asyncio.run(_called_async(url, options.calls, options.pause)))
    if options.json:
        print(json.dumps(figures))
        return
    print(f"{options.calls} calls of a no-op, one after the other, on an idle worker\n")
    print(f"{'ms':14}{'p50':>8}{'p99':>8}")
    for client, (p50, p99) in figures.items():
        print(f"{client:14}{p50:>8.1f}{p99:>8.1f}")


def _called(url: str, calls: int, pause: float) -> list[float]:
    seconds = []
    with Client(url) as client:
        for _ in range(_WARM_UP + calls):
            sleep(pause)
            began = perf_counter()
            client.call("noop", timeout=_PATIENCE_SECONDS)
            seconds.append(perf_counter() - began)
    return seconds[_WARM_UP:]


async def _called_async(url: str, calls: int, pause: float) -> list[float]:
    seconds = []
    async with AsyncClient(url) as client:
        for _ in range(_WARM_UP + calls):
            await asyncio.sleep(pause)
            began = perf_counter()
            await client.call("noop", timeout=_PATIENCE_SECONDS)
            seconds.append(perf_counter() - began)
    return seconds[_WARM_UP:]


def _percentiles(seconds: list[float]) -> tuple[float, float]:
    cuts = quantiles(seconds, n=100)
    return cuts[49] * 1000, cuts[98] * 1000


if __name__ == "__main__":
    main()
