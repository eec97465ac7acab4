"""Who takes part, at which version, in which configuration, and how to see that all of its work is recorded."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

CLIENTS = Path(__file__).parent / "clients"


@dataclass(frozen=True, slots=True)
class Peer:
    name: str
    client: str
    """The file under clients/ that speaks for it: `fill`, `work` and `one`."""
    unfinished: str
    """Asked of its store, in SQL or as a command of Redis: true while any of its jobs is not recorded as done."""
    configured: str
    """How it was set up, for the reader of the page."""
    keeps: str
    """What is left of a finished job."""
    packages: tuple[str, ...] = ()
    """From PyPI, or from npm where `client` is JavaScript; none: it runs in the environment of this checkout."""
    share: float = 1.0
    """Of the jobs that a round has; slow ones get fewer, so that a round ends."""
    page: str = ""
    store: Literal["postgres", "redis"] = "postgres"
    """On Redis: for context only, beside the comparison."""

    @property
    def script(self) -> Path:
        return CLIENTS / self.client


def exists(rows: str) -> str:
    return f"SELECT exists(SELECT FROM {rows})"


REFERENCE, OURS = "reference loop", "scheduler"

PEERS = (
    Peer(
        REFERENCE,
        "reference_loop.py",
        exists("reference_jobs WHERE status <> 'success'"),
        "psycopg, batches of 500, at most 200 tasks: the limit, not a product",
        "the row",
    ),
    Peer(
        OURS,
        "ours.py",
        exists("job_executions WHERE finished_at IS NULL"),
        "`worker.pool_size: 200`, `worker.claim_batch_max: 1000`, everything else as it comes",
        "the row, with its outcome and times",
    ),
    Peer(
        "PgQueuer",
        "pgqueuer_peer.py",
        exists("pgqueuer"),
        "asyncpg pool, uvloop, `batch_size=100`",
        "a line of a log, the payload is gone",
        ("pgqueuer[asyncpg]==1.6.0", "uvloop==0.23.0"),
        page="https://github.com/janbjorge/pgqueuer",
    ),
    Peer(
        "graphile-worker",
        "graphile.mjs",
        exists("graphile_worker._private_jobs"),
        "concurrency 24, local queue of 500, completions batched",
        "nothing, finished rows are deleted",
        ("graphile-worker@0.18.0", "pg@8.16.3", "node@22"),
        page="https://github.com/graphile/worker",
    ),
    Peer(
        "pg-boss",
        "pgboss.mjs",
        exists("pgboss.job WHERE name = 'noop' AND state < 'completed'"),
        "`batchSize: 1000`, polled again at once while there is work",
        "the row",
        ("pg-boss@12.35.0", "pg@8.16.3", "node@22"),
        page="https://github.com/timgit/pg-boss",
    ),
    Peer(
        "Chancy",
        "chancy_peer.py",
        exists("chancy_jobs WHERE state IN ('pending', 'running', 'retrying')"),
        "async executor, concurrency 1000, eager polling",
        "the row",
        ("chancy==0.26.0",),
        share=0.4,
        page="https://github.com/TkTech/chancy",
    ),
    Peer(
        "procrastinate",
        "procrastinate_peer.py",
        exists("procrastinate_jobs WHERE status IN ('todo', 'doing')"),
        "psycopg, concurrency 20",
        "the row and its events",
        ("procrastinate==3.10.0",),
        share=0.06,
        page="https://github.com/procrastinate-org/procrastinate",
    ),
    Peer(
        "DBOS",
        "dbos_peer.py",
        exists("dbos.workflow_status WHERE status IN ('ENQUEUED', 'PENDING', 'DELAYED')"),
        "a queue polled every 50 ms, worker concurrency 500",
        "the row, its input and output",
        ("dbos==3.4.0",),
        share=0.06,
        page="https://github.com/dbos-inc/dbos-transact-py",
    ),
    Peer(
        "APScheduler 4",
        "apscheduler_peer.py",
        exists("jobs"),
        "4.0.0a6, SQLAlchemy store with psycopg, 100 jobs at once",
        "a result for a while",
        ("apscheduler==4.0.0a6", "sqlalchemy[asyncio]>=2.0,<2.1", "psycopg[binary]", "sniffio"),
        share=0.03,
        page="https://github.com/agronholm/apscheduler",
    ),
    Peer(
        "BullMQ",
        "bullmq.mjs",
        "EXISTS bull:noop:wait bull:noop:active",
        "ioredis, `concurrency: 100`, `removeOnComplete: {count: 0}`",
        "nothing",
        ("bullmq@6.7.0", "ioredis@6.0.0", "node@22"),
        page="https://github.com/taskforcesh/bullmq",
        store="redis",
    ),
    Peer(
        "arq",
        "arq_peer.py",
        "EXISTS arq:queue",
        "uvloop, `max_jobs=100`, `poll_delay=0.01`, `keep_result=0`; no bulk enqueue, so 100 single ones at a time",
        "nothing",
        ("arq==0.28.0", "uvloop==0.23.0"),
        share=0.1,
        page="https://github.com/python-arq/arq",
        store="redis",
    ),
    Peer(
        "Celery",
        "celery_peer.py",
        "EXISTS celery unacked",
        "prefork with 2 processes, hiredis, `worker_prefetch_multiplier=128`, `task_ignore_result`; no bulk enqueue, "
        "so one after the other",
        "nothing; jobs are acknowledged before they run, so a worker that dies loses those it runs",
        ("celery[redis]==5.7.0", "hiredis==3.5.0"),
        share=0.1,
        page="https://github.com/celery/celery",
        store="redis",
    ),
)
