"""The database turns everybody away at the very moment when handlers end, for less than a lease and for more."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from tests.faults.harness import LEASE_SECONDS, Scene

HANDLERS = 5


@contextmanager
def turned_away(scene: Scene) -> Iterator[None]:
    """Every session of the database is ended, and nobody gets a new one."""
    name = scene.value("SELECT quote_ident(current_database())")
    with psycopg.connect(scene.url, dbname="postgres", autocommit=True) as beside:

        def allow(connections: bool) -> None:
            beside.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS {connections}".encode())

        allow(False)
        try:
            ended = beside.execute(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
                "WHERE quote_ident(datname) = %s AND application_name LIKE 'scheduler %%'",
                [name],
            ).fetchone()
            assert ended is not None
            assert ended[0] >= 5
            yield
        finally:
            allow(True)


@pytest.mark.parametrize("longer_than_a_lease", [False, True])
def test_the_outcome_is_written_on_return_or_by_a_new_attempt(scene: Scene, longer_than_a_lease: bool) -> None:
    lease = {} if longer_than_a_lease else {"WORKER__LEASE_SECONDS": 60}
    worker = scene.worker(**lease)
    ids = scene.enqueue("gated", count=HANDLERS)
    scene.until_all("RUNNING", ids)
    with turned_away(scene):
        scene.open_gate(1)
        worker.said("loop.failed", count=3)
        if longer_than_a_lease:
            worker.said("worker.lease_lost", seconds=LEASE_SECONDS + 10)
    scene.open_gate(2)
    scene.until_all("SUCCESS", ids)
    assert worker.is_up
    attempts = scene.rows("SELECT DISTINCT attempt FROM job_executions")
    # What had been sent before the lease was given up may still be written: the fence decides about it.
    assert attempts == [(1,)] if not longer_than_a_lease else {a for (a,) in attempts} <= {1, 2}
    assert scene.value("SELECT count(*) FROM t_audit.ev WHERE new_status = 'SUCCESS'") == HANDLERS
    scene.assert_sound()
