"""Where jobs are kept while they are measured: a fresh database each time, or a fresh Redis."""

import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote, urlencode

import psycopg
import redis
from psycopg import sql

from benchmarks.drain import parent
from benchmarks.peers.catalogue import Peer
from tests.queues.servers.redis import RedisServer

DATABASE = "scheduler_bench"
APPENDED_EACH_SECOND = ("--appendonly", "yes", "--appendfsync", "everysec")


class Store(Protocol):
    url: str
    pid: int
    """The server: its CPU time is that of this process and all below it."""

    def settle(self) -> None:
        """Do now what filling the queue has left to be done later."""

    def has(self, unfinished: str) -> bool:
        """Whether what a peer asks of its store is so."""

    def wal_bytes(self) -> float:
        """Until now; 0 where there is no WAL."""


def fresh(peer: Peer, admin: str) -> AbstractContextManager[Store]:
    return _redis() if peer.store == "redis" else _database(admin)


def redis_version() -> str:
    with _redis() as store:
        told = store.client.info("server")
    return f"Valkey {told['valkey_version']}" if "valkey_version" in told else f"Redis {told['redis_version']}"


class _Postgres:
    def __init__(self, url: str, connection: psycopg.Connection[tuple[Any, ...]]) -> None:
        self.url = url
        self.pid = parent(connection.info.backend_pid)
        self._connection = connection

    def settle(self) -> None:
        for statement in ("ANALYZE", "CHECKPOINT"):
            self._connection.execute(statement)

    def has(self, unfinished: str) -> bool:
        row = self._connection.execute(unfinished.encode()).fetchone()
        return bool(row and row[0])

    def wal_bytes(self) -> float:
        row = self._connection.execute("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn").fetchone()
        return float(row[0]) if row else 0.0


class _Redis:
    def __init__(self, url: str, client: redis.Redis) -> None:
        self.url = url
        self.client = client
        self.pid = int(client.info("server")["process_id"])

    def settle(self) -> None: ...

    def has(self, unfinished: str) -> bool:
        return bool(self.client.execute_command(*unfinished.split()))  # type: ignore[no-untyped-call]  # redis gives it no types

    def wal_bytes(self) -> float:
        return 0.0


@contextmanager
def _database(admin: str) -> Iterator[_Postgres]:
    with psycopg.connect(admin, autocommit=True) as connection:
        name = sql.Identifier(DATABASE)
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))
        connection.execute(sql.SQL("CREATE DATABASE {}").format(name))
        info = connection.info
        # The form that every driver understands: no more than it needs.
        login = quote(info.user, safe="") + (f":{quote(info.password, safe='')}" if info.password else "")
        place = urlencode({"host": info.host, "port": info.port})
        url = f"postgresql://{login}@/{DATABASE}?{place}"
    with psycopg.connect(url, autocommit=True) as connection:
        yield _Postgres(url, connection)


@contextmanager
def _redis() -> Iterator[_Redis]:
    with (
        tempfile.TemporaryDirectory() as folder,
        RedisServer(Path(folder), more=APPENDED_EACH_SECOND) as server,
        server.client() as client,
    ):
        yield _Redis(server.url, client)
