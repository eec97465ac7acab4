"""Where a two-phase commit has to work as well: as the least of roles, in another schema, over a crash of a server."""

import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import psycopg

from scheduler.database import DatabaseRegistry, recovery
from scheduler.embedded.protocol import Endpoint
from scheduler.operations.roles import apply, names
from scheduler.services.loop import first_line
from scheduler.store.migration import migrate
from scheduler.store.session import SyncSession
from scheduler.testing.postgres import ThrowawayPostgres
from tests.two_phase.conftest import INSERT, TABLE, Place, Run
from tests.two_phase.test_recovery import prepare

TWO = {"default": INSERT, "business": INSERT}


async def settle() -> recovery.Report:
    return await recovery.recover(DatabaseRegistry.get("default"), [DatabaseRegistry.get("business")])


@contextmanager
def worker_role(place: Place) -> Iterator[Mapping[str, str]]:
    """The urls of a login that may do what `scheduler db roles` lets a worker do, and insert effects."""
    prefix, login = f"t{uuid4().hex[:12]}", f"l{uuid4().hex[:12]}"
    session = SyncSession(place.urls["default"], "public", "test")
    apply(session, prefix)
    session.close()
    worker = names(prefix)["worker"]
    place.run(f"CREATE ROLE {login} LOGIN IN ROLE {worker}")
    try:
        for name in TWO:
            place.run(f"GRANT SELECT, INSERT ON effect TO {login}", database=name)
        yield {name: url.replace("//postgres@", f"//{login}@") for name, url in place.urls.items()}
    finally:
        for name in TWO:
            place.run(f"DROP OWNED BY {login}", database=name)
        place.run(f"DROP ROLE {login}")
        for role in names(prefix).values():
            place.run(f"DROP OWNED BY {role}; DROP ROLE {role}")


async def test_a_workers_rights_are_enough(place: Place, run: Run) -> None:
    with worker_role(place) as urls:
        DatabaseRegistry.configure(urls)
        await run(TWO, over=tuple(TWO))
        assert place.effects()[:2] == [[1], [1]]
        assert (await settle()).failed == {}
        assert place.run("SELECT settled_at IS NOT NULL FROM job_transactions") == [(True,)]
        await DatabaseRegistry.dispose()


async def test_another_roles_prepared_transactions_are_told_as_such(place: Place) -> None:
    """Who prepared it, or a superuser, has to end it."""
    gid = f"sched:{place.installation()}:{uuid4()}:1"
    prepare(place, gid, 1)
    with worker_role(place) as urls:
        DatabaseRegistry.configure(urls)
        report = await settle()
    assert first_line(report.failed["business"]) == "permission denied to finish prepared transaction"
    DatabaseRegistry.configure(place.urls)
    assert [each.decision for each in (await settle()).carried_out] == ["ABORT"]


async def test_the_tables_may_live_in_another_schema(place: Place, run: Run, database_url: str) -> None:
    migrate(database_url, "jobs")
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(TABLE.encode())
        DatabaseRegistry.configure({**place.urls, "default": {"url": database_url, "schema": "jobs"}})

        await run(TWO, over=tuple(TWO))
        await settle()

        found = connection.execute("SELECT decision, settled_at IS NOT NULL FROM jobs.job_transactions").fetchall()
    assert found == [("COMMIT", True)]
    assert place.effects() == [[], [1], []]
    await DatabaseRegistry.dispose()


async def test_a_server_that_crashes_with_prepared_transactions_hears_of_them_later(
    place: Place, tmp_path: Path
) -> None:
    durable = {"synchronous_commit": "on", "full_page_writes": "on"}
    folder = tmp_path / "postgres"
    with ThrowawayPostgres(folder, settings=durable) as server:
        there = Place({"default": place.urls["default"], "business": server.url()})
        there.run(TABLE, database="business")
        DatabaseRegistry.configure(there.urls)
        decided, undecided = (f"sched:{place.installation()}:{uuid4()}" for _ in range(2))
        prepare(there, f"{decided}:1", 1)
        prepare(there, f"{undecided}:1", 2)
        place.run(
            "INSERT INTO job_transactions (gid, decision, participants) VALUES (%s, 'COMMIT', '{business}')", decided
        )
        (started,) = there.run("SELECT pg_postmaster_start_time()", database="business")[0]

        endpoint = Endpoint.read(folder)
        assert endpoint is not None
        os.kill(endpoint.postmaster, signal.SIGQUIT)
        reports = [await settle()]
        while reports[-1].failed:
            reports.append(await settle())

        assert there.run("SELECT pg_postmaster_start_time()", database="business")[0][0] > started
        carried_out = {each.gid: each.decision for report in reports for each in report.carried_out}
        assert carried_out == {decided: "COMMIT", undecided: "ABORT"}
        assert there.effects()[1] == [1]
        assert there.prepared() == []


def test_statements_on_many_decisions_walk_an_index(place: Place) -> None:
    from scheduler.database import decisions

    place.run(
        "INSERT INTO job_transactions (gid, decision, decided_at, settled_at) "
        "SELECT %s || lpad(to_hex(n), 12, '0'), 'COMMIT', job_now(), CASE WHEN n > 10 THEN job_now() END "
        "FROM generate_series(1, 20000) AS n",
        decisions.prefix(place.installation()),
    )
    place.run("VACUUM ANALYZE job_transactions")
    some = [f"{decisions.prefix(place.installation())}{n:012x}" for n in range(5)]
    values = {"gids": some, "n": 100, "until": some[3]}
    with psycopg.connect(place.urls["default"]) as connection:
        connection.execute("SET LOCAL enable_seqscan = on")
        for statement, index in (
            (decisions.DECISIONS, "job_transactions_pkey"),
            (decisions.UNSETTLED, "job_transactions_unsettled"),
            (decisions.SETTLED, "job_transactions_pkey"),
            (decisions.PRUNE, "job_transactions_pkey"),
        ):
            explain = "EXPLAIN " + decisions.rendered(statement, "public")
            plan = "\n".join(row[0] for row in connection.execute(explain.encode(), values))
            assert index in plan, plan
            assert "Seq Scan" not in plan, plan
