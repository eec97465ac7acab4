"""What each client of a peer in Python has in common. Standard library only: it runs in the peer's own environment.

CLIENT fill URL JOBS     make the tables and put the jobs in; prints the seconds that the jobs took
CLIENT work URL JOBS     a worker; prints `begun T` at the first job and `done T` at the last, then goes on
CLIENT each URL 0        a worker that prints `ran I T` for each job
CLIENT one URL JOBS      put single jobs in, a line of stdin for each; prints `put I T0 T1`
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any


def HIT(number: int) -> None:  # noqa: N802 - replaced by who works
    """What a handler that finds its way only to this module calls."""


class Counter:
    """Counts the calls of the no-op handler."""

    def __init__(self, jobs: int) -> None:
        self.jobs, self.count, self.first = jobs, 0, 0.0

    def hit(self, number: int = 0) -> None:
        if not self.jobs:
            print("ran", number, time.time(), flush=True)
            return
        self.count += 1
        if self.count == 1:
            print("begun", time.time(), flush=True)
        if self.count == self.jobs:
            print("done", time.time(), flush=True)


class Client:
    """One peer: tables, jobs, a worker."""

    def __init__(self, url: str) -> None:
        self.url = url

    async def install(self) -> None: ...
    async def open(self) -> None: ...
    async def close(self) -> None: ...
    async def put_many(self, jobs: int) -> None: ...
    async def put(self, number: int) -> None: ...
    async def work(self, hit: Callable[[int], None]) -> None: ...

    async def each(self, hit: Callable[[int], None]) -> None:
        """A worker that is asked how soon it begins."""
        await self.work(hit)


async def _fill(client: Client, jobs: int) -> None:
    await client.install()
    await client.open()
    began = time.perf_counter()
    if jobs:
        await client.put_many(jobs)
    print(json.dumps({"seconds": time.perf_counter() - began}), flush=True)
    await client.close()


async def _one(client: Client, jobs: int) -> None:
    await client.open()
    for number in range(jobs):
        if not await asyncio.to_thread(sys.stdin.readline):
            break
        before = time.time()
        await client.put(number)
        print("put", number, before, time.time(), flush=True)
    await client.close()


def main(
    make: Callable[[str], Client],
    run: Callable[[Awaitable[Any]], object] = asyncio.run,
    count: Callable[[int], Counter] = Counter,
) -> None:
    command, url, jobs = sys.argv[1], sys.argv[2], int(sys.argv[3])
    client = make(url)
    if command == "fill":
        run(_fill(client, jobs))
    elif command == "one":
        run(_one(client, jobs))
    else:
        run((client.each if command == "each" else client.work)(count(jobs).hit))
    sys.stdout.flush()
    # Some peers leave threads that nobody ends.
    os._exit(0)
