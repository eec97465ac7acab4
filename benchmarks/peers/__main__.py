"""Side by side with other job queues, alternating on one durable server, each as fast as it can be set up.

    python -m benchmarks.peers [--jobs 50000] [--rounds 3] [--only scheduler,PgQueuer] [--url postgresql://…]
                               [--python python3.13] [--write docs/benchmarks.md]

Peers are installed at pinned versions into environments of their own under .bench/. Those on Redis get a server of
their own and are there for context only. Reports the medians; on a machine shared with others only ratios and CPU time
per job mean something.
"""

import argparse
import subprocess
import sys
from collections import defaultdict
from dataclasses import fields
from pathlib import Path
from statistics import median
from typing import TypeVar

from benchmarks.peers import page
from benchmarks.peers.catalogue import PEERS, Peer
from benchmarks.peers.environment import command, use
from benchmarks.peers.measure import Drain, GaveUpError, Latency, drain, latency
from benchmarks.peers.stores import redis_version
from benchmarks.servers import server
from scheduler.errors import did_you_mean

Figures = TypeVar("Figures", Drain, Latency)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--latencies", type=int, default=100, help="single jobs on an idle worker; 0 leaves them out")
    parser.add_argument("--only", type=_chosen, default=PEERS, help="names, with commas between them")
    parser.add_argument("--url")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the page and its chart")
    parser.add_argument("--python", default=sys.executable, help="the interpreter for all that is in Python")
    options = parser.parse_args()
    python = use(options.python)
    with server(options.url, "scheduler_bench_admin") as admin:
        present = [peer for peer in options.only if _installed(peer)]
        drains: dict[str, list[Drain]] = defaultdict(list)
        latencies: dict[str, list[Latency]] = defaultdict(list)
        for turn in range(options.rounds):
            for peer in present:
                print(f"round {turn + 1} of {options.rounds}: {peer.name} …", file=sys.stderr, flush=True)
                try:
                    drains[peer.name].append(drain(peer, admin, max(500, int(options.jobs * peer.share))))
                    if options.latencies:
                        latencies[peer.name].append(latency(peer, admin, options.latencies))
                except GaveUpError as error:
                    print(error, file=sys.stderr, flush=True)
        rows = [
            page.Row(peer, _median(drains[peer.name]), _median(latencies[peer.name]) if latencies[peer.name] else None)
            for peer in present
            if drains[peer.name]
        ]
        versions = f"PostgreSQL {page.version_of(admin)}, Python {python}"
    redis = redis_version() if page.on("redis", rows) else ""
    print(page.table(rows))
    if redis:
        print(f"\nFor context, on {redis}:\n\n{page.context(rows)}")
    if options.write:
        page.write(options.write, rows, versions, redis, options)


def _chosen(names: str) -> tuple[Peer, ...]:
    known = {peer.name.lower(): peer for peer in PEERS}
    for name in names.lower().split(","):
        if name not in known:
            raise argparse.ArgumentTypeError(f"no peer is called {name!r}.{did_you_mean(name, known)}")
    return tuple(known[name] for name in names.lower().split(","))


def _installed(peer: Peer) -> bool:
    try:
        command(peer)
    except (subprocess.CalledProcessError, FileNotFoundError) as error:
        print(f"{peer.name} can't be installed here and is left out: {error}", file=sys.stderr, flush=True)
        return False
    return True


def _median(rounds: list[Figures]) -> Figures:
    kind = type(rounds[0])
    return kind(*(median(getattr(each, field.name) for each in rounds) for field in fields(kind)))


if __name__ == "__main__":
    main()
