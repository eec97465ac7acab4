"""How fast a message queue on its own is: put, get, and a worker whose handler does nothing.

    python -m benchmarks.queues [--messages 20000] [--redis redis://…]

One after the other in one process: put all, work them off, then put and get each. Without `--redis` a server of its own
is started, without persistence. Reports messages a second.
"""

import argparse
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from uuid import uuid4

from scheduler.queues import InMemoryQueue, RedisQueue, Worker
from scheduler.queues.standalone import StandaloneQueue
from tests.queues.servers.redis import RedisServer

_PAYLOAD = {"to": "user@example.com", "subject": "Welcome", "n": 1}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=20_000)
    parser.add_argument("--redis")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with _redis(options.redis) as url:
        queues: dict[str, StandaloneQueue] = {
            "memory": InMemoryQueue(),
            "redis": RedisQueue(url, f"bench-{uuid4().hex}"),
        }
        figures = {kind: measure(queue, options.messages) for kind, queue in queues.items()}
    if options.json:
        print(json.dumps(figures))
        return
    print(f"{options.messages:,} messages, one thread that puts, one that handles\n")
    print(f"{'messages/s':12}{'put':>10}{'worker':>10}{'put + get':>12}")
    for kind, (put, worked, both) in figures.items():
        print(f"{kind:12}{put:>10,.0f}{worked:>10,.0f}{both:>12,.0f}")


def measure(queue: StandaloneQueue, messages: int) -> tuple[float, float, float]:
    """Messages a second: put, worked off, put and got."""
    with queue:
        began = perf_counter()
        for _ in range(messages):
            queue.put(_PAYLOAD)
        put = perf_counter()
        with Worker(queue, handler=lambda item: None):
            queue.join()
            worked = perf_counter()
        few = max(1, messages // 10)
        again = perf_counter()
        for _ in range(few):
            queue.put(_PAYLOAD)
            queue.get()
        return messages / (put - began), messages / (worked - put), few / (perf_counter() - again)


@contextmanager
def _redis(url: str | None) -> Iterator[str]:
    if url is not None:
        yield url
        return
    with TemporaryDirectory() as folder, RedisServer(Path(folder)) as server:
        yield server.url


if __name__ == "__main__":
    main()
