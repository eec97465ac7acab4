"""Carrying out what coordinators left: the decision about each transaction that is prepared; ABORT if there is none.

Any number of processes may do this at once, beside coordinators at work: who inserts a decision first has decided, and
to carry one out twice changes nothing.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final, LiteralString

import psycopg
from psycopg import sql
from psycopg.rows import TupleRow

from scheduler import failpoints
from scheduler.database import decisions
from scheduler.database.database import Database
from scheduler.database.libpq import connect
from scheduler.errors import TransactionError

Connection = psycopg.AsyncConnection[TupleRow]

SURE_SECONDS: Final = 45.0
"""A coordinator that has not decided for so long is late: it can't take longer, or is frozen."""
SECONDS: Final = 10.0
"""How long one database may take to answer."""

_APPLICATION_NAME: Final = "scheduler resolver"
_BATCH: Final = 10_000
_LOCK_LIMIT: Final = "SELECT set_config('lock_timeout', '2s', true)"
_BEING_ENDED: Final = (psycopg.errors.UndefinedObject, psycopg.errors.ObjectNotInPrerequisiteState)
"""Somebody else has carried it out, or is doing so."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A transaction's part that waits for its end in one database."""

    gid: str
    age: float
    """Seconds, by that server's clock."""

    @property
    def whole(self) -> str:
        return decisions.whole(self.gid)


@dataclass(frozen=True, slots=True)
class CarriedOut:
    database: str
    gid: str
    decision: str


@dataclass(slots=True)
class Report:
    carried_out: list[CarriedOut] = field(default_factory=list)
    failed: dict[str, Exception] = field(default_factory=dict)
    """Databases that could not be asked, or would not obey, and why."""


class JobDatabase:
    """The decisions, as a resolver works with them."""

    def __init__(self, connection: Connection, schema: str) -> None:
        self._connection, self._schema = connection, schema

    async def installation(self) -> str:
        """Raises TransactionError when it has no name, or no tables."""
        try:
            rows = await self._rows(decisions.INSTALLATION)
        except psycopg.errors.UndefinedTable as error:
            raise TransactionError("The job database has no tables: run `scheduler migrate`.") from error
        if not rows:
            raise TransactionError("job_installation is empty: INSERT INTO job_installation DEFAULT VALUES.")
        return str(rows[0][0])

    async def unsettled(self) -> dict[str, Sequence[str]]:
        """The names of participants by transaction."""
        return dict(await self._rows(decisions.UNSETTLED, n=_BATCH))

    async def abort(self, gid: str, participants: Sequence[str], *, sure: bool) -> None:
        """Decide ABORT, unless it is decided, or its coordinator is at work and we are not `sure` that it is late."""
        try:
            async with self._connection.transaction():
                await self._connection.execute(_LOCK_LIMIT)
                await self._rows(decisions.ABORT, gid=gid, participants=list(participants), sure=sure)
        except psycopg.errors.LockNotAvailable:
            return  # a COMMIT is under way

    async def decided(self, gids: Sequence[str]) -> dict[str, str]:
        return dict(await self._rows(decisions.DECISIONS, gids=list(gids)))

    async def mark_settled(self, gids: Sequence[str]) -> None:
        await self._rows(decisions.SETTLED, gids=list(gids))

    async def prune(self, installation: str) -> None:
        """Delete old decisions that everybody has carried out."""
        until = decisions.gid_at(installation, time.time() - decisions.KEPT_DAYS * 86_400)
        await self._rows(decisions.PRUNE, until=until, n=_BATCH)

    async def _rows(self, statement: str, **values: Any) -> list[TupleRow]:
        text = decisions.rendered(statement, self._schema).encode()
        cursor = await self._connection.execute(text, values or None)
        return await cursor.fetchall() if cursor.description is not None else []


async def recover(job: Database, others: Sequence[Database]) -> Report:
    """Settle what can be settled now, once. Raises psycopg.Error when the job database can't be asked."""
    report = Report()
    async with _connected(job) as connection:
        ledger = JobDatabase(connection, job.options.schema)
        installation = await ledger.installation()
        unsettled = await ledger.unsettled()  # read first: what is decided is prepared everywhere already, or was
        found = await _prepared_in(others, installation, report)
        decided = await _decide(ledger, found)
        for database in others:
            if mine := [each for each in found.get(database.name, ()) if each.whole in decided]:
                await _carry_out(database, mine, decided, report)
        open_ = {each.whole for parts in found.values() for each in parts}
        over = [gid for gid, names in unsettled.items() if gid not in open_ and set(names) <= found.keys()]
        if over:
            await ledger.mark_settled(over)
        await ledger.prune(installation)
    return report


async def prepared_in(database: Database, installation: str) -> list[Prepared]:
    """What waits there for its end. Raises psycopg.Error, TimeoutError."""
    async with asyncio.timeout(SECONDS), _connected(database) as connection:
        values = {"prefix": decisions.prefix(installation)}
        return [Prepared(*row) async for row in await connection.execute(decisions.PREPARED, values)]


async def _prepared_in(others: Sequence[Database], installation: str, report: Report) -> dict[str, list[Prepared]]:
    """By name, of those that answered."""
    answers = await asyncio.gather(
        *(prepared_in(database, installation) for database in others), return_exceptions=True
    )
    found: dict[str, list[Prepared]] = {}
    for database, answer in zip(others, answers, strict=True):
        if isinstance(answer, Exception):
            report.failed[database.name] = answer
        elif isinstance(answer, BaseException):
            raise answer
        else:
            found[database.name] = answer
    return found


async def _decide(ledger: JobDatabase, found: Mapping[str, Sequence[Prepared]]) -> dict[str, str]:
    """The decisions about what was found, made where there was none."""
    ages: dict[str, float] = {}
    names: dict[str, list[str]] = {}
    for name, parts in found.items():
        for each in parts:
            ages[each.whole] = max(each.age, ages.get(each.whole, 0.0))
            names.setdefault(each.whole, []).append(name)
    decided = await ledger.decided(list(ages)) if ages else {}
    undecided = [gid for gid in ages if gid not in decided]
    for gid in undecided:
        if failpoints.armed:
            failpoints.hit("before_abort")
        await ledger.abort(gid, names[gid], sure=ages[gid] > SURE_SECONDS)
    return decided | (await ledger.decided(undecided) if undecided else {})


async def _carry_out(database: Database, parts: Sequence[Prepared], decided: Mapping[str, str], report: Report) -> None:
    try:
        async with asyncio.timeout(SECONDS), _connected(database) as connection:
            for each in parts:
                if await _end(connection, each.gid, decided[each.whole]):
                    report.carried_out.append(CarriedOut(database.name, each.whole, decided[each.whole]))
    except (psycopg.Error, TimeoutError) as error:
        report.failed[database.name] = error


async def _end(connection: Connection, gid: str, decision: str) -> bool:
    """Whether it was us who carried it out."""
    verb: LiteralString = "COMMIT" if decision == "COMMIT" else "ROLLBACK"
    try:
        await connection.execute(sql.SQL(verb + " PREPARED {}").format(gid))
    except _BEING_ENDED:
        return False
    return True


@asynccontextmanager
async def _connected(database: Database) -> AsyncIterator[Connection]:
    options = database.options
    connection = await connect(
        options.url, application_name=_APPLICATION_NAME, connect_timeout_seconds=options.connect_timeout_seconds
    )
    try:
        yield connection
    finally:
        await connection.close()
