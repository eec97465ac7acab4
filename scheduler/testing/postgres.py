"""A throw-away PostgreSQL for tests, and fresh databases on it in some milliseconds, copied from a template."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import LiteralString, Self
from uuid import uuid4

import psycopg
from psycopg import sql
from psycopg.rows import TupleRow

from scheduler.embedded import EmbeddedPostgres

_EMPTY_TEMPLATE = "template0"


class ThrowawayPostgres:
    """An ephemeral server, shared by the processes that name the same folder and gone with the last of them.

    with ThrowawayPostgres(tmp_path) as server:
        server.template("migrated", migrate)               # once; `migrate` is called with an url
        with server.fresh_database("migrated") as url: ...
    """

    def __init__(self, folder: Path, *, settings: Mapping[str, str] | None = None) -> None:
        self._server = EmbeddedPostgres(folder, ephemeral=True, settings=settings)

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._server.stop()

    @property
    def major(self) -> int:
        return self._server.major

    def url(self, dbname: str = "postgres") -> str:
        return self._server.url(dbname)

    def template(self, name: str, fill: Callable[[str], None]) -> str:
        """Make the template once, whoever of the processes comes first. Returns its name.

        `fill` gets the url of an empty database and must have closed its connections when it returns.
        """
        draft = f"{name}_draft"
        with self._admin() as admin:
            admin.execute("SELECT pg_advisory_lock(hashtext('scheduler.testing.template'))")
            if not admin.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone():
                _run(admin, "DROP DATABASE IF EXISTS {} WITH (FORCE)", draft)
                _run(admin, "CREATE DATABASE {} TEMPLATE {}", draft, _EMPTY_TEMPLATE)
                fill(self.url(draft))
                _run(admin, "ALTER DATABASE {} WITH IS_TEMPLATE true ALLOW_CONNECTIONS false", draft)
                _run(admin, "ALTER DATABASE {} RENAME TO {}", draft, name)
        return name

    @contextmanager
    def fresh_database(self, template: str = _EMPTY_TEMPLATE) -> Iterator[str]:
        """The url of a new copy of the template; dropped afterwards, whatever is still connected or prepared in it."""
        name = f"test_{uuid4().hex}"
        with self._admin() as admin:
            _run(admin, "CREATE DATABASE {} TEMPLATE {}", name, template)
        try:
            yield self.url(name)
        finally:
            self._drop(name)

    def _drop(self, name: str) -> None:
        """Prepared transactions keep a database from being dropped, and can be ended only from inside it."""
        with self._admin() as admin:
            left = admin.execute("SELECT gid FROM pg_prepared_xacts WHERE database = %s", [name]).fetchall()
            if left:
                with psycopg.connect(self.url(name), autocommit=True) as inside:
                    for (gid,) in left:
                        inside.execute(sql.SQL("ROLLBACK PREPARED {}").format(gid))
            _run(admin, "DROP DATABASE IF EXISTS {} WITH (FORCE)", name)

    def _admin(self) -> psycopg.Connection[TupleRow]:
        return psycopg.connect(self.url(), autocommit=True)


def _run(connection: psycopg.Connection[TupleRow], statement: LiteralString, *names: str) -> None:
    connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))
