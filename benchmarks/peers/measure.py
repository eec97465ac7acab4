"""One round of one peer: a fresh store, a backlog, a worker, and what it took."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles
from typing import IO

from benchmarks.peers.catalogue import Peer
from benchmarks.peers.environment import command, variables
from benchmarks.peers.stores import Store, fresh

LONGEST_SECONDS = 300.0
POLL_SECONDS = 0.01
REST_SECONDS = 0.05
"""Before each single job, so that the worker has done with the last one and waits."""


@dataclass(frozen=True, slots=True)
class Drain:
    """What working off a backlog took, for each job."""

    jobs_per_second: float
    enqueued_per_second: float
    store_us: float
    worker_us: float
    wal_bytes: float


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds from the end of the enqueue to the handler's first line, on an idle worker."""

    p50: float
    p99: float


class GaveUpError(Exception):
    """A peer did not start, or did not end in time."""


def drain(peer: Peer, admin: str, jobs: int) -> Drain:
    """Raises GaveUpError."""
    with fresh(peer, admin) as store:
        filled = _fill(peer, store.url, jobs)
        store.settle()
        with _client(peer, "work", store.url, jobs) as worker:
            begun = _told(worker, "begun")
            before = _meter(store, worker.pid)
            _told(worker, "done")
            while store.has(peer.unfinished):
                if time.time() - begun > LONGEST_SECONDS:
                    raise GaveUpError(f"{peer.name}: not all recorded after {LONGEST_SECONDS:g} s")
                time.sleep(POLL_SECONDS)
            ended = time.time()
            after = _meter(store, worker.pid)
    return Drain(
        jobs_per_second=jobs / (ended - begun),
        enqueued_per_second=jobs / filled,
        store_us=(after[0] - before[0]) / jobs * 1e6,
        worker_us=(after[1] - before[1]) / jobs * 1e6,
        wal_bytes=(after[2] - before[2]) / jobs,
    )


def latency(peer: Peer, admin: str, jobs: int) -> Latency:
    """Raises GaveUpError."""
    with fresh(peer, admin) as store:
        _fill(peer, store.url, 0)
        with _client(peer, "each", store.url, 0) as worker, _client(peer, "one", store.url, jobs) as client:
            waits = []
            for number in range(jobs):
                assert client.stdin is not None
                time.sleep(REST_SECONDS)
                client.stdin.write("\n")
                client.stdin.flush()
                put = _words(client, "put")
                ran = _words(worker, "ran")
                # The first ones warm both sides up.
                if number >= jobs // 5:
                    waits.append((float(ran[2]) - float(put[3])) * 1000)
    cuts = quantiles(waits, n=100)
    return Latency(cuts[49], cuts[98])


def _fill(peer: Peer, url: str, jobs: int) -> float:
    """Seconds that the jobs took, without the tables."""
    answer = subprocess.run(
        [*command(peer), "fill", url, str(jobs)], env=variables(peer), stdout=subprocess.PIPE, text=True, check=False
    )
    if answer.returncode:
        raise GaveUpError(f"{peer.name} could not fill its queue (exit code {answer.returncode})")
    line = next(line for line in reversed(answer.stdout.splitlines()) if line.startswith("{"))
    return max(float(json.loads(line)["seconds"]), 1e-6)


@contextmanager
def _client(peer: Peer, what: str, url: str, jobs: int) -> Iterator[subprocess.Popen[str]]:
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(
            [*command(peer), what, url, str(jobs)],
            env=variables(peer),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,
        )
        try:
            yield process
        except GaveUpError:
            errors.seek(0)
            print(errors.read()[-2000:], file=sys.stderr)
            raise
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _told(process: subprocess.Popen[str], word: str) -> float:
    return float(_words(process, word)[1])


def _words(process: subprocess.Popen[str], word: str) -> list[str]:
    """The next line that begins with `word`; a peer may print other things."""
    output: IO[str] | None = process.stdout
    assert output is not None
    for line in output:
        words = line.split()
        if words[:1] == [word]:
            return words
    raise GaveUpError(f"The client ended without saying {word!r}.")


def _meter(store: Store, worker: int) -> tuple[float, float, float]:
    """CPU seconds of the store and of the worker, and bytes of WAL, until now."""
    return family_cpu(store.pid), family_cpu(worker), store.wal_bytes()


def family_cpu(root: int) -> float:
    """CPU seconds of a process, all that live below it, and those that have ended. Linux only."""
    tick = os.sysconf("SC_CLK_TCK")
    parents: dict[int, int] = {}
    spent: dict[int, float] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            except OSError:  # it has just ended
                continue
            parents[int(entry.name)] = int(fields[1])
            spent[int(entry.name)] = sum(map(int, fields[11:15])) / tick
    return sum(seconds for pid, seconds in spent.items() if _is_below(pid, root, parents))


def _is_below(pid: int, root: int, parents: dict[int, int]) -> bool:
    while pid in parents:
        if pid == root:
            return True
        pid = parents[pid]
    return False
