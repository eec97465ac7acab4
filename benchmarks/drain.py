"""How fast a backlog of no-op executions is worked off, beside the reference loop, alternating in one run.

    python -m benchmarks.drain [--jobs 50000] [--rounds 3] [--pool-size 100] [--claim-batch-max 500]
                               [--url postgresql://…]

Without `--url` a durable server of its own is started (fsync on). Reports the medians: jobs a second, CPU microseconds
per job of Postgres and of the worker, and the ratio, which is what counts on a machine shared with others.
"""

import argparse
import asyncio
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import psycopg

from benchmarks import reference

HANDLER = (
    'from scheduler import handler\n\n\n@handler("noop")\nasync def noop(params: dict) -> None:\n    return None\n'
)
KINDS = ("reference", "scheduler")
_DONE = """
    SELECT count(*) FILTER (WHERE upper(status) = 'SUCCESS'),
           extract(epoch FROM max(finished_at) - min(started_at))::double precision
    FROM {table}"""
_FILL = "INSERT INTO job_executions (handler_name) SELECT 'noop' FROM generate_series(1, %s)"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--pool-size", type=int, default=100)
    parser.add_argument("--claim-batch-max", type=int, default=500)
    parser.add_argument("--url")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--child", choices=KINDS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        _child(options.child, options.url)
        return
    with _server(options.url) as admin:
        figures = _measure(admin, options)
    print(json.dumps(figures) if options.json else _table(figures, options))


def _measure(admin: str, options: argparse.Namespace) -> dict[str, dict[str, float]]:
    rounds: dict[str, list[dict[str, float]]] = {kind: [] for kind in KINDS}
    wanted = {"jobs": options.jobs, "pool_size": options.pool_size, "claim_batch_max": options.claim_batch_max}
    for turn in range(options.rounds):
        for kind in KINDS:
            print(f"round {turn + 1} of {options.rounds}: {kind} …", file=sys.stderr, flush=True)
            rounds[kind].append(one_round(kind, admin, **wanted))
    figures = {kind: {key: median(r[key] for r in rounds[kind]) for key in rounds[kind][0]} for kind in KINDS}
    figures["ratio"] = {
        "jobs_per_second": figures["scheduler"]["jobs_per_second"] / figures["reference"]["jobs_per_second"],
        "cpu": (figures["scheduler"]["postgres_us"] + figures["scheduler"]["worker_us"])
        / (figures["reference"]["postgres_us"] + figures["reference"]["worker_us"]),
    }
    return figures


def one_round(kind: str, admin: str, *, jobs: int, pool_size: int, claim_batch_max: int = 500) -> dict[str, float]:
    """Jobs a second, and CPU microseconds per job, on the server that `admin` is the url of."""
    from scheduler.store.migration import migrate

    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS scheduler_bench WITH (FORCE)")
        connection.execute("CREATE DATABASE scheduler_bench")
        info = connection.info
        url = psycopg.conninfo.make_conninfo(info.dsn, dbname="scheduler_bench", password=info.password or None)
    if kind == "reference":
        fill, table = reference.FILL, "reference_jobs"
    else:
        migrate(url)
        fill, table = _FILL, "job_executions"
    with psycopg.connect(url, autocommit=True) as connection:
        if kind == "reference":
            connection.execute(reference.TABLE)
        connection.execute(fill, (jobs,))
        connection.execute("ANALYZE")
        connection.execute("CHECKPOINT")
        postmaster = parent(connection.info.backend_pid)
        before = tree_cpu(postmaster)
        worker = _run_child(kind, url, pool_size, claim_batch_max)
        after = tree_cpu(postmaster)
        answer = connection.execute(_DONE.format(table=table).encode()).fetchone()
    done, seconds = answer or (0, 0.0)
    if done != jobs:
        raise SystemExit(f"{kind}: {done} of {jobs} jobs succeeded; the figures would be worth nothing")
    return {
        "jobs_per_second": done / seconds,
        "postgres_us": (after - before) / done * 1e6,
        "worker_us": worker / done * 1e6,
    }


def _run_child(kind: str, url: str, pool_size: int, claim_batch_max: int) -> float:
    """CPU seconds that the worker process spent on the jobs, its start-up left out."""
    with tempfile.TemporaryDirectory() as folder:
        handlers = Path(folder, "handlers")
        handlers.mkdir()
        (handlers / "noop.py").write_text(HANDLER)
        env = {key: value for key, value in os.environ.items() if not key.startswith("SCHEDULER_")} | {
            "SCHEDULER_DATABASE_URL": url if url.startswith("postgres") else as_url(url),
            "SCHEDULER_LOG__LEVEL": "warning",
            "SCHEDULER_WORKER__POOL_SIZE": str(pool_size),
            "SCHEDULER_WORKER__CLAIM_BATCH_MAX": str(claim_batch_max),
            "PYTHONPATH": str(Path(__file__).parents[1]),
        }
        answer = subprocess.run(
            [sys.executable, "-m", "benchmarks.drain", "--child", kind, "--url", url],
            cwd=folder,
            env=env,
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
    return float(answer.stdout.splitlines()[-1])


def _child(kind: str, url: str) -> None:
    if kind == "reference":
        before = own_cpu()
        asyncio.run(reference.drain(url))
    else:
        from scheduler.app import Project
        from scheduler.app.application import Application

        project = Project.open(Path.cwd())

        async def drain() -> None:
            await Application(project).run(until_idle=True)

        before = own_cpu()
        asyncio.run(drain())
    print(own_cpu() - before)


@contextmanager
def _server(url: str | None) -> Iterator[str]:
    if url:
        yield url
        return
    from scheduler.embedded import EmbeddedPostgres

    with tempfile.TemporaryDirectory() as folder, EmbeddedPostgres(Path(folder) / "postgres") as server:
        print(f"PostgreSQL {server.version}, durable, in a folder of its own", file=sys.stderr)
        yield server.url()


def as_url(conninfo: str) -> str:
    """libpq's key=value form as the url that the settings take."""
    from urllib.parse import quote, urlencode

    parts = psycopg.conninfo.conninfo_to_dict(conninfo)
    rest = {
        key: str(value)
        for key, value in parts.items()
        if key not in ("user", "password", "dbname") and value is not None
    }
    login = quote(str(parts.get("user", "")), safe="") + (
        f":{quote(str(parts['password']), safe='')}" if parts.get("password") else ""
    )
    return f"postgresql://{login}@/{quote(str(parts.get('dbname', '')), safe='')}?{urlencode(rest)}"


def own_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])


def tree_cpu(root: int) -> float:
    """CPU seconds of a process, its children, and those of them that have ended. Linux only."""
    tick = os.sysconf("SC_CLK_TCK")
    total = 0.0
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            except OSError:  # it has just ended
                continue
            if int(entry.name) == root:
                total += sum(map(int, fields[11:15])) / tick
            elif int(fields[1]) == root:
                total += sum(map(int, fields[11:13])) / tick
    return total


def _table(figures: dict[str, dict[str, float]], options: argparse.Namespace) -> str:
    lines = [
        f"{options.jobs} no-op executions, median of {options.rounds} alternating rounds",
        "",
        f"{'':12}{'jobs/s':>10}{'Postgres µs/job':>18}{'worker µs/job':>16}",
    ]
    for kind in KINDS:
        of = figures[kind]
        lines.append(f"{kind:12}{of['jobs_per_second']:>10,.0f}{of['postgres_us']:>18.1f}{of['worker_us']:>16.1f}")
    speed, cpu = figures["ratio"]["jobs_per_second"], figures["ratio"]["cpu"]
    lines += ["", f"scheduler / reference: {speed:.2f} of its speed, {cpu:.2f} times its CPU"]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
