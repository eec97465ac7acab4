"""A job database that can be made ill, and somebody who looks at it."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from psycopg import sql as psql

from scheduler.operations.doctor import Code, DatabaseFacts, Finding, Level, Place, examine
from scheduler.testing.postgres import ThrowawayPostgres

Sql = Callable[..., list[tuple[Any, ...]]]


class Doctor:
    """`scheduler doctor` on one database, without the command."""

    def __init__(self, facts: DatabaseFacts) -> None:
        self.facts = facts

    def given(self, **facts: Any) -> "Doctor":
        return Doctor(replace(self.facts, **facts))

    def findings(self) -> list[Finding]:
        return [finding for _, finding in examine(self.facts)]

    def bad(self, code: Code) -> list[Finding]:
        """What isn't fine about one thing."""
        return [each for each in self.findings() if each.code is code and each.level is not Level.FINE]

    def only(self, code: Code) -> Finding:
        (finding,) = self.bad(code)
        return finding


@pytest.fixture
def place(migrated_url: str) -> Place:
    return Place("default", migrated_url, pool_size=10, two_phase=True)


@pytest.fixture
def doctor(place: Place) -> Doctor:
    return Doctor(DatabaseFacts(job=place, handlers=["email", "report"]))


@pytest.fixture
def connection(migrated_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(migrated_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def sql(connection: psycopg.Connection) -> Sql:
    """What somebody types in psql."""

    def run(statement: str, *values: object) -> list[tuple[Any, ...]]:
        cursor = connection.execute(statement.encode(), values or None)
        return cursor.fetchall() if cursor.description else []

    return run


@pytest.fixture
def role(connection: psycopg.Connection) -> Iterator[str]:
    """A role that may log in, and nothing else."""
    name = f"somebody_{connection.info.backend_pid}"
    connection.execute(psql.SQL("CREATE ROLE {} LOGIN").format(psql.Identifier(name)))
    yield name
    connection.execute(psql.SQL("DROP OWNED BY {}").format(psql.Identifier(name)))
    connection.execute(psql.SQL("DROP ROLE {}").format(psql.Identifier(name)))


@pytest.fixture(scope="session")
def strict_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ThrowawayPostgres]:
    """A server that asks `app` for a password, keeps `stranger` out, and vacuums."""
    folder = tmp_path_factory.mktemp("strict")
    hba = folder / "pg_hba.conf"
    hba.write_text("local all app scram-sha-256\nlocal all stranger reject\nlocal all all trust\n")
    with ThrowawayPostgres(folder / "server", settings={"hba_file": str(hba), "autovacuum": "on"}) as server:
        with psycopg.connect(server.url(), autocommit=True) as connection:
            connection.execute("CREATE ROLE app LOGIN PASSWORD 'right'; CREATE ROLE stranger LOGIN")
        yield server
