"""Where a benchmark runs: on a durable server of its own, or on one that is given; and a worker there."""

import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg import sql

from benchmarks.drain import HANDLER, as_url
from scheduler.embedded import EmbeddedPostgres


@contextmanager
def server(url: str | None, name: str) -> Iterator[str]:
    """The url of a new, empty database of that name; one that is there already is dropped."""
    if url is not None:
        yield _fresh(url, name)
        return
    with tempfile.TemporaryDirectory() as folder, EmbeddedPostgres(Path(folder) / "postgres") as own:
        print(f"PostgreSQL {own.version}, durable, in a folder of its own", file=sys.stderr)
        yield own.ensure_database(name)


@contextmanager
def worker(url: str) -> Iterator[None]:
    """`scheduler run` in a process of its own, as it comes, with the handler `noop`."""
    with tempfile.TemporaryDirectory() as folder:
        handlers = Path(folder, "handlers")
        handlers.mkdir()
        (handlers / "noop.py").write_text(HANDLER)
        env = {key: value for key, value in os.environ.items() if not key.startswith("SCHEDULER_")} | {
            "SCHEDULER_DATABASE_URL": url if url.startswith("postgres") else as_url(url),
            "SCHEDULER_LOG__LEVEL": "warning",
            "PYTHONPATH": str(Path(__file__).parents[1]),
        }
        process = subprocess.Popen([sys.executable, "-m", "scheduler", "run"], cwd=folder, env=env)
        try:
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()


@contextmanager
def web(url: str) -> Iterator[tuple[str, int]]:
    """`scheduler web` in a process of its own, as it comes, at a free port; its host and port."""
    env = {key: value for key, value in os.environ.items() if not key.startswith("SCHEDULER_")} | {
        "SCHEDULER_DATABASE_URL": url if url.startswith("postgres") else as_url(url),
        "SCHEDULER_WEB__PORT": "0",
        "PYTHONPATH": str(Path(__file__).parents[1]),
    }
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "scheduler", "web"]
        process = subprocess.Popen(command, cwd=folder, env=env, stderr=subprocess.PIPE, text=True)
        assert process.stderr is not None
        try:
            served = next(
                (found for line in process.stderr if (found := re.search(r"http://([\d.]+):(\d+)", line))), None
            )
            if served is None:
                sys.exit("`scheduler web` did not start.")
            yield served[1], int(served[2])
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()
            process.stderr.close()


def _fresh(url: str, name: str) -> str:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        password = connection.info.password or None
        return psycopg.conninfo.make_conninfo(connection.info.dsn, dbname=name, password=password)
