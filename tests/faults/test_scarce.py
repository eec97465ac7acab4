"""Connections run short: handlers hold all of theirs, or the server has none to give."""

import signal
from collections.abc import Iterator

import pytest

from scheduler.testing.fault_proxy import FaultProxy
from tests.faults.harness import LEASE_SECONDS, Scene

HANDLERS = 5
LEASES = f"SELECT min(heartbeat_at) > %s::timestamptz + interval '{3 * LEASE_SECONDS} s' FROM job_workers"
FEW = """
CREATE ROLE {role} LOGIN CONNECTION LIMIT 2;
GRANT USAGE ON SCHEMA public, t_audit TO {role};
GRANT ALL ON ALL TABLES IN SCHEMA public, t_audit TO {role};
GRANT ALL ON ALL SEQUENCES IN SCHEMA public, t_audit TO {role};
"""


def test_a_heartbeat_needs_none_of_the_handlers_connections(scene: Scene) -> None:
    scene.add("connection_jobs.py")
    worker = scene.worker(WORKER__POOL_SIZE=HANDLERS, DATABASES__DEFAULT__POOL_SIZE=HANDLERS)
    ids = scene.enqueue("holds_a_connection", count=HANDLERS)
    scene.until_all("RUNNING", ids)
    held = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state = 'idle in transaction'"
    scene.until(HANDLERS, held)
    scene.until_true(LEASES, scene.value("SELECT clock_timestamp()"), seconds=5 * LEASE_SECONDS)
    assert scene.value(held) == HANDLERS
    scene.open_gate(1)
    scene.until_all("SUCCESS", ids)
    assert worker.events("worker.lease_lost") == []
    assert len(scene.incarnations(worker)) == 1
    scene.assert_sound()


@pytest.fixture
def role(scene: Scene) -> Iterator[str]:
    """One that may have two connections, for all that a worker does."""
    name = f"{scene.value('SELECT current_database()')}_few"
    scene.rows(FEW.format(role=name))
    yield name
    scene.rows(f"DROP OWNED BY {name}")
    scene.rows(f"DROP ROLE {name}")


def test_with_too_few_connections_it_waits_and_recovers(scene: Scene, role: str) -> None:
    with FaultProxy(scene.url) as proxy:
        address = proxy.url.partition("@")[2]
        worker = scene.start(url=f"postgresql://{role}@{address}")
        worker.said("loop.failed", count=2)
        refused = {event["loop"] for event in worker.events("loop.failed") if "too many" in event["error"]}
        assert len(refused) >= 2
        ids = scene.enqueue("work", count=20)
        scene.rows(f"ALTER ROLE {role} CONNECTION LIMIT -1")
        scene.until_all("SUCCESS", ids)
        worker.recovered(*refused)
        assert worker.is_up
        scene.assert_sound()
        worker.send(signal.SIGTERM)
        assert worker.exit_status() == 0
