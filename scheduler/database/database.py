"""One database that handlers use: its options, its pools, and how a pool without a free connection is told."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any, Final, Protocol, Self

import psycopg
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry, QueuePool
from sqlalchemy.util import greenlet_spawn

from scheduler.database import liveness
from scheduler.database.libpq import connection_params
from scheduler.errors import ConfigurationError, ConnectionPoolExhaustedError, TransactionError, did_you_mean
from scheduler.messages import log

DEFAULT: Final = "default"
"""The database meant where none is named."""

APPLICATION_NAME: Final = "scheduler handler"

# All parameters go to libpq as they are: SQLAlchemy would read a url by rules of its own.
_URL: Final = "postgresql+psycopg://"


class Atomicity(StrEnum):
    """What `databases.<name>.atomicity` promises for a transaction over several databases."""

    TWO_PHASE = "two_phase"
    BEST_EFFORT = "best_effort"


class DatabaseSettings(Protocol):
    """What is read from an entry of `databases:`, whatever class carries it."""

    @property
    def conninfo(self) -> str: ...
    @property
    def pool_size(self) -> int: ...
    @property
    def pool_timeout_seconds(self) -> float: ...
    @property
    def connect_timeout_seconds(self) -> float: ...
    @property
    def atomicity(self) -> str: ...
    @property
    def schema_(self) -> str: ...


@dataclass(frozen=True, slots=True)
class DatabaseOptions:
    """How one database is reached.

    `pool_size` is how many connections at most are open per process, once for threads and once for each event loop.
    `pool_timeout_seconds` is how long to wait for a free one. `prepare_threshold` is psycopg's: after how many
    executions a statement is prepared on the server; None (the default) never, as PgBouncer may need. `schema` is that
    of the scheduler's tables, and matters in the job database only.
    """

    url: str = field(repr=False)
    pool_size: int = 10
    pool_timeout_seconds: float = 30.0
    connect_timeout_seconds: float = 10.0
    atomicity: Atomicity = Atomicity.TWO_PHASE
    prepare_threshold: int | None = None
    schema: str = "public"

    @classmethod
    def of(cls, name: str, given: "str | Mapping[str, Any] | DatabaseSettings") -> Self:
        """Options from a url, a mapping with these field names, or settings. Raises ConfigurationError."""
        if isinstance(given, str):
            return cls(url=given)
        if isinstance(given, Mapping):
            return cls._from_mapping(name, given)
        return cls(
            url=given.conninfo,
            pool_size=given.pool_size,
            pool_timeout_seconds=given.pool_timeout_seconds,
            connect_timeout_seconds=given.connect_timeout_seconds,
            atomicity=Atomicity(given.atomicity),
            schema=given.schema_,
        )

    @classmethod
    def _from_mapping(cls, name: str, given: Mapping[str, Any]) -> Self:
        known = [each.name for each in fields(cls)]
        for key in given:
            if key not in known:
                raise ConfigurationError(
                    f"Database {name!r} has no option {key!r}.{did_you_mean(key, known)} Known: {', '.join(known)}."
                )
        if "url" not in given:
            raise ConfigurationError(f"Database {name!r} needs a `url`.")
        atomicity = given.get("atomicity", Atomicity.TWO_PHASE)
        if atomicity not in list(Atomicity):
            raise ConfigurationError(f"Database {name!r}: atomicity is {' or '.join(Atomicity)}, not {atomicity!r}.")
        return cls(**{**given, "atomicity": Atomicity(atomicity)})


class Database:
    """A name and its pools, made when first used: one for threads, and one for each event loop that uses it.

    A connection of psycopg waits on the event loop that opened it, so pools are never shared between loops.
    """

    def __init__(self, name: str, options: DatabaseOptions, application_name: str = APPLICATION_NAME) -> None:
        self.name, self.options = name, options
        self._application_name = application_name
        self.tag = ""
        """Of the child process that this is in: its sessions carry it, so that they can be ended with it."""
        self.can_prepare = False
        """Known to be able to; False: not asked yet."""
        self.installation: str | None = None
        """Whose tables a job database holds; None: not asked yet."""
        self._lock = threading.Lock()
        self._sync_engine: Engine | None = None
        self._async_engines: dict[asyncio.AbstractEventLoop, AsyncEngine] = {}

    def __repr__(self) -> str:
        return f"Database({self.name!r})"

    @property
    def sync_engine(self) -> Engine:
        """SQLAlchemy's engine for threads, in autocommit: `transactional` begins and ends what is more than that."""
        with self._lock:
            if self._sync_engine is None:
                self._sync_engine = self._watched(create_engine(_URL, **self._engine_options()))
            return self._sync_engine

    @property
    def async_engine(self) -> AsyncEngine:
        """The same for the running event loop. Raises RuntimeError where none runs."""
        loop = asyncio.get_running_loop()
        with self._lock:
            if loop not in self._async_engines:
                engine = create_async_engine(_URL, **self._engine_options())
                self._watched(engine.sync_engine)
                self._async_engines[loop] = engine
            return self._async_engines[loop]

    def checkout(self, engine: Engine) -> Connection:
        """A connection of `engine`, tested, or a new one.

        Raises ConnectionPoolExhaustedError when none became free in time, TransactionError when the server can't be
        reached.
        """
        try:
            return engine.connect()
        except PoolTimeout:
            raise self._exhausted() from None
        except DBAPIError as error:
            reason = str(error.orig).partition("\n")[0]
            raise TransactionError(f"Database {self.name!r} can't be reached: {reason}") from error.orig

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """A connection in autocommit, apart from any `transactional`. Raises as `checkout()` does."""
        with self.checkout(self.sync_engine) as connection:
            yield connection

    @asynccontextmanager
    async def async_connection(self) -> AsyncIterator[AsyncConnection]:
        """The same for the running event loop."""
        await self.dispose_abandoned()
        engine = self.async_engine
        connection = AsyncConnection(engine, await greenlet_spawn(self.checkout, engine.sync_engine))
        try:
            yield connection
        finally:
            await asyncio.shield(connection.close())

    def connections_in_use(self) -> int:
        """Of all pools of this process. From any thread."""
        with self._lock:
            engines = [self._sync_engine, *(engine.sync_engine for engine in self._async_engines.values())]
        pools = [engine.pool for engine in engines if engine is not None]
        return sum(pool.checkedout() for pool in pools if isinstance(pool, QueuePool))

    def connections_at_most(self) -> int:
        """What those pools may open."""
        with self._lock:
            return self.options.pool_size * ((self._sync_engine is not None) + len(self._async_engines))

    async def dispose(self) -> None:
        """Close every connection that isn't in use, of all loops and threads. The next use opens new ones."""
        self.dispose_of_threads()
        with self._lock:
            engines, self._async_engines = self._async_engines, {}
        for loop, engine in engines.items():
            await _dispose(engine, loop)

    def dispose_of_threads(self) -> None:
        """`dispose()` for the pool of threads alone, which needs no event loop."""
        with self._lock:
            engine, self._sync_engine = self._sync_engine, None
        if engine is not None:
            engine.dispose()

    def forget_pools(self) -> None:
        """Start without pools and close nothing: after a fork, the open connections are the parent's."""
        self._lock = threading.Lock()
        self._sync_engine, self._async_engines = None, {}

    async def dispose_abandoned(self) -> None:
        """Close the connections of event loops that were closed without `dispose()`."""
        with self._lock:
            closed = [loop for loop in self._async_engines if loop.is_closed()]
            engines = [self._async_engines.pop(loop) for loop in closed]
        for engine in engines:
            await engine.dispose()

    def _watched(self, engine: Engine) -> Engine:
        """In a child: have the server end a statement whose client is gone, as it is when the child was killed."""
        liveness.watch(engine)
        if self.tag:
            event.listen(engine, "connect", _check_the_client)
        return engine

    def _engine_options(self) -> dict[str, Any]:
        options = self.options
        params = connection_params(
            options.url,
            application_name=tagged(self.tag, self._application_name),
            connect_timeout_seconds=options.connect_timeout_seconds,
        )
        return {
            "connect_args": {**params, "prepare_threshold": options.prepare_threshold},
            "isolation_level": "AUTOCOMMIT",  # a Participant sends BEGIN and what ends it by itself
            "pool_size": options.pool_size,
            "max_overflow": 0,
            "pool_timeout": options.pool_timeout_seconds,
            "hide_parameters": True,
        }

    def _exhausted(self) -> ConnectionPoolExhaustedError:
        size, seconds = self.options.pool_size, self.options.pool_timeout_seconds
        log("database.pool_exhausted", database=self.name, seconds=seconds, pool_size=size)
        return ConnectionPoolExhaustedError(
            f"Database {self.name!r}: no connection became free within {seconds:g} s, all {size} are in use. "
            f"Raise `databases.{self.name}.pool_size`, or hold fewer transactions open at once."
        )


def tagged(tag: str, application_name: str = APPLICATION_NAME) -> str:
    """The application_name of the sessions that a process with this tag opens for its handlers."""
    return f"{application_name} {tag}".rstrip()


def _check_the_client(connection: DBAPIConnection, record: ConnectionPoolEntry) -> None:
    cursor = connection.cursor()
    try:
        cursor.execute("SET client_connection_check_interval = '2s'")
    except psycopg.Error:  # a server on a system that can't
        connection.rollback()
    else:
        connection.commit()
    finally:
        cursor.close()


async def _dispose(engine: AsyncEngine, loop: asyncio.AbstractEventLoop) -> None:
    """Close the pool in its own loop while that runs elsewhere, for an asyncio queue belongs to one thread."""
    if loop.is_running() and loop is not asyncio.get_running_loop():
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(engine.dispose(), loop))
    else:
        await engine.dispose()
