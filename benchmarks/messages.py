"""How fast messages of a broker become rows and are done, and whether each does once, whoever is killed.

    python -m benchmarks.messages [--driver redis] [--messages 100000] [--processes 3] [--kill] [--body-bytes 100]

A durable PostgreSQL and a broker of its own: Redis (append-only, each write flushed), or RabbitMQ by `--driver amqp`,
where Debian's is installed. All messages are published first; then `--processes` times `scheduler run --only consumer`
make rows of them, which one worker runs, with a no-op handler. With `--kill`, the oldest of the consumers is killed by
SIGKILL every two seconds and started again, and the broker is killed and started once on the way. Reports messages a
second from the first row to the last, and from the first to the last that is done; with `--kill` they tell nothing but
that it went on. Exits 1 unless there is exactly one row for each message.
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
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import psycopg

from benchmarks.drain import HANDLER
from scheduler.embedded import EmbeddedPostgres
from scheduler.queues.opening import QueuePlace, open_queue
from scheduler.queues.protocol import QueueOptions
from scheduler.store.migration import migrate
from tests.queues.servers.redis import RedisServer

if TYPE_CHECKING:
    from tests.queues.servers.rabbitmq import RabbitServer

SETTINGS = """\
drivers: {{broker: {{kind: {kind}, url: "{url}"}}}}
queues: {{messages: {{driver: broker, options: {{visibility_seconds: 5, max_deliveries: 1000}}}}}}
consumers: {{c: {{queue: messages, handler: noop, concurrency: {concurrency}, prefetch: 10000}}}}
worker: {{pool_size: 100, processes: 0}}
log: {{level: warning}}
"""
PATIENCE_SECONDS = 900.0
AT_ONCE = 50
MESSAGES = "SELECT count(*) FROM job_messages"
WRITTEN = """
SELECT count(*), count(DISTINCT message_id), extract(epoch FROM max(received_at) - min(received_at))::double precision
FROM job_messages"""
DONE = """
SELECT count(*), count(*) FILTER (WHERE status = 'SUCCESS'), count(DISTINCT handler_params ->> 'n'),
       extract(epoch FROM max(finished_at) - min(created_at))::double precision
FROM job_executions"""
LEFT = "SELECT count(*) FROM job_executions WHERE status IN ('PENDING', 'RUNNING')"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--driver", choices=("redis", "amqp"), default="redis")
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--processes", type=int, default=3)
    parser.add_argument("--concurrency", type=int, default=100)
    parser.add_argument("--body-bytes", type=int, default=100)
    parser.add_argument("--kill", action="store_true")
    parser.add_argument("--every", type=float, default=2.0, help="seconds between two kills; more for a busy machine")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # and end what was started
    with tempfile.TemporaryDirectory() as folder, EmbeddedPostgres(Path(folder) / "postgres") as server:
        migrate(server.url())
        with _broker(options.driver, Path(folder)) as (broker, place):
            figures = _measured(Path(folder), server.url(), broker, place, options)
    print(json.dumps(figures) if options.json else _words(figures))
    raise SystemExit(0 if figures["rows"] == figures["distinct"] == options.messages else 1)


@contextmanager
def _broker(kind: str, folder: Path) -> Iterator[tuple["RedisServer | RabbitServer", QueuePlace]]:
    """One that can be killed and started, and the queue on it."""
    options = QueueOptions(visibility_seconds=5, max_deliveries=1000)
    if kind == "redis":
        with RedisServer(folder / "redis", persistent=True) as redis:
            yield redis, QueuePlace("messages", "broker", "redis", redis.url, options=options)
        return
    from tests.queues.servers.rabbitmq import PASSWORD, USER, RabbitServer

    with RabbitServer(folder / "rabbitmq") as rabbit:
        url = f"amqp://{USER}:{quote(PASSWORD, safe='')}@127.0.0.1:{rabbit.port}/"
        yield rabbit, QueuePlace("messages", "broker", "amqp", url, options=options)


def _measured(
    folder: Path, url: str, broker: "RedisServer | RabbitServer", place: QueuePlace, options: argparse.Namespace
) -> dict[str, float]:
    began = time.monotonic()
    asyncio.run(_publish(place, options.messages, options.body_bytes))
    published = options.messages / (time.monotonic() - began)
    _say(f"{options.messages:,} messages published, {published:,.0f}/s")
    (folder / "handlers").mkdir()
    (folder / "handlers" / "noop.py").write_text(HANDLER)
    (folder / "scheduler.yaml").write_text(
        SETTINGS.format(kind=place.kind, url=place.url, concurrency=options.concurrency)
    )
    kills = 0
    with _processes(folder, url, options.processes) as processes, psycopg.connect(url, autocommit=True) as connection:
        deadline, kill_at = time.monotonic() + PATIENCE_SECONDS, time.monotonic() + 2 * options.every
        restart_at = options.messages // 2
        while (written := _number(connection, MESSAGES)) < options.messages or _number(connection, LEFT):
            if time.monotonic() > deadline:
                _say(f"not done after {PATIENCE_SECONDS:g} s")
                break
            time.sleep(0.1)
            if options.kill and written < options.messages and time.monotonic() >= kill_at:
                at = kills % len(processes)  # the oldest, so that each has had time to begin
                processes[at].kill()
                processes[at].wait()
                processes[at] = _started(folder, url, "consumer")
                kills, kill_at = kills + 1, time.monotonic() + options.every
                _say(f"kill {kills}: {written:,} messages written")
                if written >= restart_at:
                    broker.kill()
                    broker.start()
                    restart_at = sys.maxsize
                    _say("the broker was killed and started")
        _, known, writing = _row(connection, WRITTEN)
        rows, done, distinct, doing = _row(connection, DONE)
    left = asyncio.run(_left(place))
    return {
        "messages": options.messages, "rows": rows, "distinct": distinct, "known": known, "done": done,
        "left_at_broker": left, "kills": kills, "published_per_second": published,
        "written_per_second": known / writing, "done_per_second": done / doing,
    }  # fmt: skip


async def _publish(place: QueuePlace, count: int, size: int) -> None:
    queue = open_queue(place)
    padding = "x" * size
    for start in range(0, count, AT_ONCE):
        some = range(start, min(start + AT_ONCE, count))
        bodies = [json.dumps({"n": n, "padding": padding}).encode() for n in some]
        await asyncio.gather(*(queue.publish(body, id=f"m{n}") for n, body in zip(some, bodies, strict=True)))
    await queue.close()


async def _left(place: QueuePlace) -> int:
    """Whatever the broker still has: what came again and is known already counts too."""
    queue = open_queue(place)
    stats = await queue.stats()
    await queue.close()
    return stats.waiting + stats.delayed + stats.in_flight + stats.dead


@contextmanager
def _processes(folder: Path, url: str, count: int) -> Iterator[list[subprocess.Popen[bytes]]]:
    """The consumers, beside a worker that is left alone."""
    worker, processes = _started(folder, url, "worker"), [_started(folder, url, "consumer") for _ in range(count)]
    try:
        yield processes
    finally:
        for process in (worker, *processes):
            process.send_signal(signal.SIGTERM)
        for process in (worker, *processes):
            process.wait()


def _started(folder: Path, url: str, part: str) -> "subprocess.Popen[bytes]":
    env = {key: value for key, value in os.environ.items() if not key.startswith("SCHEDULER_")} | {
        "SCHEDULER_DATABASE_URL": url,
        "SCHEDULER_WORKER__HEARTBEAT_INTERVAL_SECONDS": "1",
        "SCHEDULER_WORKER__LEASE_SECONDS": "5",
        "PYTHONPATH": str(Path(__file__).parents[1]),
    }
    quiet = subprocess.DEVNULL  # killed as they are, they have nothing to say that would help
    command = [sys.executable, "-m", "scheduler", "run", "--only", part]
    return subprocess.Popen(command, cwd=folder, env=env, stdout=quiet, stderr=quiet)


def _row(connection: psycopg.Connection, query: str) -> tuple[float, ...]:
    found = connection.execute(query.encode()).fetchone()
    assert found is not None
    return tuple(found)


def _number(connection: psycopg.Connection, query: str) -> int:
    return int(_row(connection, query)[0])


def _words(figures: dict[str, float]) -> str:
    f = figures
    return (
        f"{f['messages']:,.0f} messages: {f['rows']:,.0f} rows, {f['distinct']:,.0f} distinct, {f['done']:,.0f} done, "
        f"{f['left_at_broker']:,.0f} left at the broker, {f['kills']:.0f} processes killed\n"
        f"written {f['written_per_second']:,.0f}/s, done {f['done_per_second']:,.0f}/s "
        f"(published {f['published_per_second']:,.0f}/s)"
    )


def _say(text: str) -> None:
    print(text, file=sys.stderr)


if __name__ == "__main__":
    main()
