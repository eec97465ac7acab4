"""Where a benchmark runs: on a durable server of its own, or on one that is given."""

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg import sql

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


def _fresh(url: str, name: str) -> str:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        password = connection.info.password or None
        return psycopg.conninfo.make_conninfo(connection.info.dsn, dbname=name, password=password)
