"""The databases that handlers use, by name."""

import asyncio
import os
from collections.abc import Mapping
from typing import Any, ClassVar, Protocol

from scheduler.database.database import DEFAULT, Database, DatabaseOptions, DatabaseSettings, tagged
from scheduler.database.sessions import end_sessions
from scheduler.errors import NotFoundError, did_you_mean


class WorkerSettings(Protocol):
    """What is read from `worker:`."""

    @property
    def database(self) -> str: ...


class Settings(Protocol):
    """What is read from the product's settings."""

    @property
    def databases(self) -> Mapping[str, DatabaseSettings]: ...
    @property
    def worker(self) -> WorkerSettings: ...


class DatabaseRegistry:
    """One registry per process. `scheduler run` fills it from the settings; a script calls `configure()`."""

    _databases: ClassVar[dict[str, Database]] = {}
    _replaced: ClassVar[list[Database]] = []
    _job: ClassVar[str] = DEFAULT

    @classmethod
    def configure(cls, settings: Settings | Mapping[str, str | Mapping[str, Any]], *, job: str = DEFAULT) -> None:
        """Name the databases anew, from settings or from `{name: url | {"url": …, "pool_size": …}}`. Opens nothing.

        `job` names the one with the scheduler's tables, which decides about transactions over several; settings name it
        themselves.

        A database whose options stay the same keeps its connections; `dispose()` closes those of the others.
        Raises ConfigurationError on an unknown option.
        """
        given = settings if isinstance(settings, Mapping) else settings.databases
        cls._job = job if isinstance(settings, Mapping) else settings.worker.database
        options = {name: DatabaseOptions.of(name, each) for name, each in given.items()}
        before = cls._databases
        cls._databases = {name: _kept(before.get(name), name, each) for name, each in options.items()}
        cls._replaced += [each for name, each in before.items() if cls._databases.get(name) is not each]

    @classmethod
    def get(cls, name: str = DEFAULT) -> Database:
        """The database of that name. Raises NotFoundError, which lists the known ones."""
        if (database := cls._databases.get(name)) is not None:
            return database
        if not cls._databases:
            raise NotFoundError(
                f"No database {name!r}, because none is configured: name it under `databases:` in the settings, "
                f'or call DatabaseRegistry.configure({{"{name}": url}}) first.'
            )
        known = cls.names()
        raise NotFoundError(
            f"No database is configured as {name!r}.{did_you_mean(name, known)} Known: {', '.join(known)}."
        )

    @classmethod
    def job(cls) -> Database | None:
        """The job database; None when none is configured under its name."""
        return cls._databases.get(cls._job)

    @classmethod
    def names(cls) -> list[str]:
        """All names, in the order they were configured."""
        return list(cls._databases)

    @classmethod
    def tag(cls, tag: str) -> None:
        """Mark all sessions that this process opens from now on as those of the child `tag`."""
        for database in cls._databases.values():
            database.tag = tag

    @classmethod
    async def end_sessions(cls, tag: str) -> int:
        """Have every server end the sessions of the child `tag`, which is gone; how many there were.

        A server that can't be asked has its own check of clients that are gone (`client_connection_check_interval`).
        """
        urls = {database.options.url for database in cls._databases.values()}
        return sum(await asyncio.gather(*(end_sessions(url, tagged(tag)) for url in urls)))

    @classmethod
    async def dispose(cls) -> None:
        """Close all connections that aren't in use. The databases stay configured and open new ones when used."""
        replaced, cls._replaced = cls._replaced, []
        for database in [*cls._databases.values(), *replaced]:
            await database.dispose()

    @classmethod
    def dispose_sync(cls) -> None:
        """`dispose()` where no event loop runs."""
        asyncio.run(cls.dispose())

    @classmethod
    def _forget_pools(cls) -> None:
        for database in [*cls._databases.values(), *cls._replaced]:
            database.forget_pools()


def _kept(database: Database | None, name: str, options: DatabaseOptions) -> Database:
    return database if database is not None and database.options == options else Database(name, options)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=DatabaseRegistry._forget_pools)
