"""The server and the way to it: reached, written to, of the right version, not behind a surprise."""

import platform
from collections.abc import Iterator

from scheduler import __version__
from scheduler.database.pooling import Pooling, pooling_sync
from scheduler.database.reaching import Obstacle, Reached, reach
from scheduler.errors import ConfigurationError, QueryExecutionError, SchemaError
from scheduler.operations.doctor.bench import APPLICATION_NAME, Bench
from scheduler.operations.doctor.finding import Code, Finding
from scheduler.operations.readiness import gone_said, lacking, missing
from scheduler.operations.words import count_of, listed
from scheduler.store.asking import ask
from scheduler.store.guarded import GuardedSession

_SLOW_SECONDS = 0.05
_NEARLY_FULL, _FULL = 0.8, 0.95
_NOTIFICATIONS = 0.1
_OWN_CONNECTIONS = 7
"""claim, settle, upkeep, planner, rescuer, heartbeat and listener hold one each."""


def reachable(bench: Bench) -> Iterator[Finding]:
    """Each database that is used lets us in and can be written; what versions meet at the job database."""
    for place in list(bench.places):
        is_job = place is bench.facts.job
        found = reach(place.conninfo, APPLICATION_NAME)
        if not isinstance(found, Reached):
            bench.places.remove(place)
            yield _obstacle(found, "" if is_job else f"databases.{place.name}: ")
            continue
        name = "The embedded PostgreSQL" if bench.facts.embedded and is_job else f"databases.{place.name}"
        yield _obstacle(found.read_only, f"{name}: ") if found.read_only else _reached(name, found)
        if is_job:
            ours = f"scheduler {__version__}, Python {platform.python_version()}, {found.driver}"
            yield Finding.fine(Code.SERVER_VERSION, f"PostgreSQL {found.version}; here {ours}.")


def revision(bench: Bench) -> Iterator[Finding]:
    """The tables are those of this version of the package."""
    try:
        state = bench.session.schema_state()
    except SchemaError as error:
        yield Finding.error(Code.SCHEMA_RIGHTS, str(error), None)
        return
    try:
        state.require_current()
    except SchemaError as error:
        yield Finding.error(Code.SCHEMA_REVISION, str(error), None)
        return
    if gone := missing(bench.session):
        yield Finding.error(Code.SCHEMA_REVISION, gone_said(bench.facts.schema, gone), None)
    else:
        bench.has_tables = True
        yield Finding.fine(
            Code.SCHEMA_REVISION, f'The tables in schema "{state.schema}" are at revision {state.found}.'
        )


def rights(bench: Bench) -> Iterator[Finding]:
    """The role may do what `scheduler run` does."""
    role = bench.server["role"]
    if rights := lacking(bench.session):
        yield Finding.warning(
            Code.SCHEMA_RIGHTS,
            f'Role "{role}" may not do all that `scheduler run` does: it lacks {listed(rights)}.',
            "Run workers as a role that may (`scheduler db roles` prints the SQL); to look on, this one may be enough.",
        )
    else:
        yield Finding.fine(Code.SCHEMA_RIGHTS, f'Role "{role}" may do all that `scheduler run` does.')


def pooler(bench: Bench) -> Iterator[Finding]:
    """What stands in between, and whether it lets sessions be sessions."""
    job, direct = bench.facts.job, bench.facts.direct_conninfo
    found = pooling_sync(bench.session.connection(), job.conninfo, APPLICATION_NAME)
    if found is Pooling.NONE:
        yield Finding.fine(Code.POOLER, "No pooler stands between here and the server.")
    elif found is Pooling.SESSION:
        yield Finding.fine(Code.POOLER, "A pooler stands in between, and each client keeps its session.")
    elif direct is None:
        yield Finding.warning(
            Code.POOLER,
            "A pooler in transaction mode stands in between: LISTEN does not work through it, so that idle workers "
            "find new work by polling, and heartbeats wait for its connections.",
            f"Write the server's own address as databases.{job.name}.direct_url.",
        )
    else:
        yield Finding.fine(Code.POOLER, "A pooler in transaction mode stands in between; direct_url leads past it.")


def direct_url(bench: Bench) -> Iterator[Finding]:
    """It leads past the pooler, to the same database."""
    name, direct = f"databases.{bench.facts.job.name}.direct_url", bench.facts.direct_conninfo
    if direct is None:
        return
    found = reach(direct, APPLICATION_NAME)
    if not isinstance(found, Reached):
        yield Finding.error(Code.DIRECT_URL, f"{name}: {found.says}", found.fix)
        return
    with bench.elsewhere(direct) as session:
        if identity(session) != identity(bench.session):
            yield Finding.error(
                Code.DIRECT_URL,
                f"{name} leads to another database than its url: workers would beat where nobody looks.",
                "Make both lead to the same database of the same server.",
            )
        elif pooling_sync(session.connection(), direct, APPLICATION_NAME) is not Pooling.NONE:
            yield Finding.warning(
                Code.DIRECT_URL,
                f"{name} leads through a pooler as well.",
                "Write the server's own address there.",
            )
        else:
            yield Finding.fine(Code.DIRECT_URL, f"{name} leads to the server itself.")


def connections(bench: Bench) -> Iterator[Finding]:
    """There is room for those that are open and for those that may be."""
    found = bench.one("doctor_connections")
    room, used = found["room"], found["used"]
    processes = max(1, len(bench.alive))
    wanted = processes * (_OWN_CONNECTIONS + 2 * bench.facts.job.pool_size)
    says = f"{used} of {room} connections of the server are in use"
    if used >= room * _NEARLY_FULL:
        level = Finding.error if used >= room * _FULL else Finding.warning
        yield level(
            Code.CONNECTIONS,
            f"{says}.",
            "Raise max_connections (it takes a restart), put a pooler in front, or lower databases.<name>.pool_size.",
            ["SELECT usename, application_name, count(*) FROM pg_stat_activity GROUP BY 1, 2 ORDER BY 3 DESC;"],
        )
    elif wanted > room:
        yield Finding.warning(
            Code.CONNECTIONS,
            f"{says}, and {count_of(processes, 'process', 'processes')} of this project could open {wanted}: "
            f"{_OWN_CONNECTIONS} each, and twice databases.{bench.facts.job.name}.pool_size for handlers.",
            "Lower pool_size, run fewer processes, or raise max_connections.",
        )
    else:
        yield Finding.fine(Code.CONNECTIONS, f"{says}.")
    if found["notifications"] >= _NOTIFICATIONS:
        yield Finding.warning(
            Code.NOTIFICATIONS,
            f"The server's queue of notifications is {found['notifications']:.0%} full: "
            "a session that listens sits in a transaction. At 100 % every enqueue fails.",
            "End the transaction of the session that it names.",
            ["SELECT pid, usename, application_name, xact_start FROM pg_stat_activity ORDER BY xact_start LIMIT 5;"],
        )


def identity(session: GuardedSession) -> tuple[str, str] | None:
    """Of the server, and of the database there. None where the role may not ask for it."""
    try:
        (row,) = ask(session, "doctor_identity")
    except (ConfigurationError, QueryExecutionError):
        return None
    return row["server"], row["database"]


def _obstacle(found: Obstacle, place: str) -> Finding:
    return Finding.error(Code(found.code), f"{place}{found.says}", found.fix)


def _reached(name: str, found: Reached) -> Finding:
    tls = "with TLS" if found.encrypted else "without TLS"
    slow = found.round_trip_seconds > _SLOW_SECONDS
    far = f", {found.round_trip_seconds * 1000:.0f} ms away" if slow else ""
    return Finding.fine(Code.DATABASE_REACHABLE, f'{name} lets role "{found.role}" in, {tls}{far}.')
