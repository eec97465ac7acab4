"""`/health` and `/live` of real processes: red when any loop stands still, green when it goes on."""

import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from typing import Any

import pytest

from scheduler.testing.fault_proxy import FaultProxy
from scheduler.testing.postgres import ThrowawayPostgres
from tests.faults.harness import PATIENCE_SECONDS, Scene, SchedulerProcess
from tests.web.serving import serving

LOOPS = (
    "pulse", "lease", "rescuer", "resolver", "listener", "claim", "settle", "watch", "planner", "reports", "heartbeat",
    "pruner", "lifter", "measurer",
)  # fmt: skip
HASTY: dict[str, Any] = {
    "WORKER__HEALTH_PORT": 0,
    "WORKER__HEARTBEAT_INTERVAL_SECONDS": 0.5,
    "WORKER__LEASE_SECONDS": 20,  # so that whatever stands still has long been seen when something is done about it
    "WORKER__POLL_INTERVAL_SECONDS": 0.5,
    "constants": {
        "services.loop.GRACE_SECONDS": 1.0,
        "services.worker.IDLE_SECONDS": 0.5,
        "services.rescuer.ROUND_SECONDS": 0.5,
        "services.pruner.SLICE_SECONDS": 0.5,
        "services.lifter.ROUND_SECONDS": 0.5,
        "services.lifter.SLICE_SECONDS": 0.5,
        "services.resolver.ROUND_SECONDS": 0.5,
        "services.resolver.LONGEST_ROUND_SECONDS": 0.6,
        "database.recovery.SECONDS": 0.5,
        "store.notifications.ANSWER_SECONDS": 0.5,
        "services.listener.PING_SECONDS": 0.5,
        "services.slots.HUNG_SECONDS": 0.5,
        "services.measurer.INTERVAL_SECONDS": 0.5,
    },
}
ACTIVE = "SELECT count(*) FROM job_workers WHERE status = 'ACTIVE'"
Body = dict[str, Any]


class Probe:
    """Asks for the pages at a port."""

    def __init__(self, port: int) -> None:
        self._port = port

    def ask(self, page: str) -> tuple[int, Body]:
        connection = HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE_SECONDS)
        try:
            connection.request("GET", page)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    def until(self, status: int, condition: Callable[[Body], bool] = lambda _: True, *, page: str = "/health") -> Body:
        """Ask until it answers with this status and such a body."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                found, body = self.ask(page)
            except (OSError, HTTPException) as error:
                found, body = 0, {"error": repr(error)}
            if found == status and condition(body):
                return body
            assert time.monotonic() < deadline, f"{page} is {found} {body}, not {status}"
            time.sleep(0.02)


def probe_of(process: SchedulerProcess) -> Probe:
    (served, *_) = process.said("health.served")
    return Probe(served["port"])


@contextmanager
def web(scene: Scene) -> Iterator[Probe]:
    """The pages of `scheduler web`, which knows what the rows say."""
    with serving(scene.url) as api:
        yield Probe(int(api.url.rpartition(":")[2]))


@pytest.fixture(scope="module")
def worker(
    postgres_server: ThrowawayPostgres, migrated_template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Scene, Probe, Probe]]:
    """A supervised worker whose loops can be frozen, one after the other; its pages, and those of the web."""
    folder = tmp_path_factory.mktemp("health") / "project"
    with postgres_server.fresh_database(migrated_template) as url, Scene(folder, url) as scene, web(scene) as line:
        yield scene, probe_of(scene.supervised(freezable=LOOPS, **HASTY)), line


@pytest.fixture
def proxied(scene: Scene) -> Iterator[FaultProxy]:
    with FaultProxy(scene.url) as proxy:
        yield proxy


@pytest.mark.parametrize("loop", LOOPS)
def test_a_loop_that_stands_still_turns_it_red_until_it_goes_on(worker: tuple[Scene, Probe, Probe], loop: str) -> None:
    scene, probe, line = worker
    (process,) = probe.until(200, lambda body: set(LOOPS) <= set(body["processes"][0]["loops"]))["processes"]
    with scene.frozen(loop):
        # Without its reports, nothing that a worker does is young.
        body = probe.until(
            503, lambda body: loop in body["stalled"] and (len(body["stalled"]) == 1 or loop == "reports")
        )
        (ill,) = body["processes"]
        assert ill["pid"] == process["pid"]
        assert ill["loops"][loop]["age"] >= ill["loops"][loop]["limit"]
        assert not ill["loops"][loop]["young"]
        assert probe.ask("/live")[0] == 200  # nothing that a restart of all would help
        if loop != "heartbeat":  # by which the rows are told
            line.until(503, lambda body: loop in body["stalled"])
    probe.until(200)
    line.until(200)


def test_a_heartbeat_that_stands_still_is_a_worker_less(scene: Scene) -> None:
    scene.supervised(freezable=["heartbeat"], **HASTY | {"WORKER__LEASE_SECONDS": 2})
    with web(scene) as line:
        line.until(200)
        with scene.frozen("heartbeat"):
            assert line.until(503)["workers"] == 0
        line.until(200)


def test_the_names_of_the_loops_are_all_there_are(worker: tuple[Scene, Probe, Probe]) -> None:
    _, probe, _ = worker
    assert set(probe.until(200)["processes"][0]["loops"]) == {*LOOPS, "slots"}


def test_the_ages_are_in_the_row_of_the_worker(worker: tuple[Scene, Probe, Probe]) -> None:
    scene, _, _ = worker
    stalled = "SELECT stalled ? 'planner' AND (stalled ->> 'planner')::float > 2 FROM job_worker_status"
    with scene.frozen("planner"):
        scene.until_true(stalled)
        (loops,) = scene.rows("SELECT loops FROM job_workers WHERE status = 'ACTIVE'")[0]
        assert set(loops) == {*LOOPS, "slots"}
        assert loops["planner"]["limit"] == 2.0
    scene.until_true("SELECT stalled = '{}' FROM job_worker_status")


def test_a_database_that_is_away_is_red_and_no_reason_to_restart(scene: Scene, proxied: FaultProxy) -> None:
    probe = probe_of(scene.start(url=proxied.url, **HASTY | {"WORKER__LEASE_SECONDS": 2}))
    probe.until(200)
    proxied.freeze()
    probe.until(503, lambda body: {"heartbeat", "planner"} <= set(body["stalled"]))
    assert probe.ask("/live")[0] == 200
    proxied.thaw()
    probe.until(200)


def test_handlers_that_hang_in_every_slot_turn_it_red(scene: Scene) -> None:
    probe = probe_of(scene.worker(WORKER__POOL_SIZE=2, **HASTY))
    ids = scene.enqueue("hanging", count=2, timeout_seconds=0.3, max_retry=0)
    probe.until(503, lambda body: body["stalled"] == ["slots"])
    probe.until(503, lambda body: body["stalled"] == ["slots"], page="/live")  # nobody else replaces it
    scene.until_all("TIMEOUT", ids)


def test_one_slot_that_is_left_is_enough(scene: Scene) -> None:
    probe = probe_of(scene.worker(WORKER__POOL_SIZE=3, **HASTY))
    scene.until_all("TIMEOUT", scene.enqueue("hanging", count=2, timeout_seconds=0.3, max_retry=0))
    scene.until_all("SUCCESS", scene.enqueue("work", {"seconds": 0.7}, count=2))
    assert probe.until(200)["processes"][0]["loops"]["slots"]["age"] == 0


def test_the_supervisor_replaces_a_worker_whose_slots_all_hang(scene: Scene) -> None:
    process = scene.supervised(WORKER__POOL_SIZE=2, **HASTY)
    probe = probe_of(process)
    (old,) = probe.until(200)["processes"]
    hanging = scene.enqueue("hanging", count=2, timeout_seconds=0.3, max_retry=0)
    ids = scene.enqueue("work", count=20)
    process.said("supervisor.hung")
    scene.until_all("TIMEOUT", hanging)
    scene.until_all("SUCCESS", ids)
    (new,) = probe.until(200, lambda body: len(body["processes"]) == 1)["processes"]
    assert new["pid"] != old["pid"]
    assert process.workers(2) == [old["pid"], new["pid"]]
    scene.until(1, ACTIVE)
    scene.assert_sound()


def test_each_process_is_on_the_one_page(scene: Scene) -> None:
    process = scene.supervised(3, **HASTY)
    body = probe_of(process).until(200, lambda body: [each["state"] for each in body["processes"]] == ["working"] * 3)
    assert {each["pid"] for each in body["processes"]} == set(process.workers(3))
    assert len(process.events("health.served")) == 1


@pytest.mark.parametrize("processes", [0, 2])
def test_a_port_that_is_taken_ends_it_with_a_sentence(scene: Scene, processes: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = scene.start(WORKER__HEALTH_PORT=port, WORKER__PROCESSES=processes)
        assert process.exit_status() == 2
    assert f"worker.health_port: 127.0.0.1 can't be listened at on port {port}: Address already in use." in process.log
    assert process.workers() == []
