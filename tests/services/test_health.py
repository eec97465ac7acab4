"""Which processes are healthy, and the server that says so."""

import json
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from typing import Any

import pytest

from scheduler.errors import ConfigurationError
from scheduler.model import LoopAge
from scheduler.services import loop as loop_module
from scheduler.services.health import Examine, ProcessHealth, State, Vitals, page, reported
from scheduler.services.health_server import serving
from scheduler.services.loop import GRACE_SECONDS, Loop
from tests.store.tables import Events

YOUNG, OLD = LoopAge(14.96, 15.0), LoopAge(15.1, 15.0)
PATIENCE_SECONDS = 20.0
PAGE = "scheduler_slots 5\n"


def process(state: State = State.WORKING, **loops: LoopAge) -> ProcessHealth:
    return ProcessHealth(7, state, loops)


@pytest.mark.parametrize(
    ("processes", "healthy", "stalled"),
    [
        ([process(claim=YOUNG, settle=YOUNG)], True, []),
        ([process(claim=YOUNG, settle=OLD)], False, ["settle"]),
        ([process(claim=YOUNG), process(claim=OLD, pulse=OLD), process(claim=OLD)], False, ["claim", "pulse"]),
        ([], False, []),
        ([process(State.STARTING)], False, []),
        ([process(State.ENDING, claim=OLD)], False, []),
        ([process(State.STARTING), process(State.ENDING, claim=OLD), process(claim=YOUNG)], True, []),
    ],
)
def test_all_is_well_when_somebody_works_and_no_loop_of_theirs_is_old(
    processes: list[ProcessHealth], healthy: bool, stalled: list[str]
) -> None:
    is_healthy, said = page(processes)
    assert (is_healthy, said["healthy"], said["stalled"]) == (healthy, healthy, stalled)
    assert [each["state"] for each in said["processes"]] == [each.state for each in processes]


def test_the_page_names_each_loop_its_age_and_its_limit() -> None:
    _, said = page([process(claim=YOUNG, settle=OLD)])
    assert json.loads(json.dumps(said))["processes"] == [
        {
            "pid": 7,
            "state": "working",
            "loops": {
                "claim": {"age": 15.0, "limit": 15.0, "young": True},
                "settle": {"age": 15.1, "limit": 15.0, "young": False},
            },
        }
    ]


async def test_a_loop_ages_from_its_making_until_it_succeeds(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(loop_module, "monotonic", lambda: now)

    async def body() -> None:
        raise AssertionError("it is never run")

    loop = Loop("claim", body, sleeps=5.0)
    now += 5.0 + GRACE_SECONDS
    assert loop.age() == LoopAge(15.0, 15.0)
    assert loop.age().is_young
    now += 0.1
    assert not loop.age().is_young
    loop.last_success = now
    assert loop.age().age == 0.0


def test_before_it_has_begun_a_process_lives_and_is_not_healthy() -> None:
    class Part:
        def __init__(self, name: str, age: LoopAge) -> None:
            self.name, self._age = name, age

        def age(self) -> LoopAge:
            return self._age

    vitals, begun = Vitals(), False
    assert not page(vitals.health())[0]
    vitals.watch([Part("pulse", YOUNG), Part("slots", YOUNG), Part("claim", YOUNG)], has_begun=lambda: begun)
    assert vitals.ages() == {}
    assert [page(vitals.health())[0], page(vitals.life())[0]] == [False, True]
    begun = True
    assert page(vitals.health())[0]
    vitals.watch([Part("pulse", YOUNG), Part("slots", YOUNG), Part("claim", OLD)], has_begun=lambda: begun)
    assert [page(vitals.health())[0], page(vitals.life())[0]] == [False, True]
    vitals.watch([Part("pulse", OLD), Part("claim", YOUNG)], has_begun=lambda: begun)
    assert [page(vitals.health())[0], page(vitals.life())[0]] == [False, False]


def test_what_was_reported_grows_old() -> None:
    assert reported(7, {}, 3.0).state is State.STARTING
    assert reported(7, {"claim": LoopAge(1.0, 15.0)}, 3.0) == process(claim=LoopAge(4.0, 15.0))


class Prober:
    def __init__(self, port: int) -> None:
        self.port = port

    def ask(self, path: str, method: str = "GET") -> tuple[int, Any]:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_SECONDS)
        try:
            connection.request(method, path)
            answer = connection.getresponse()
            body = answer.read()
            return answer.status, json.loads(body) if body else None
        finally:
            connection.close()


@contextmanager
def prober(events: Events, *, health: Examine, live: Examine = lambda: [process()]) -> Iterator[Prober]:
    with serving("127.0.0.1", 0, health=health, live=live, metrics=lambda: PAGE):
        (served,) = events.of("health.served")
        yield Prober(served["port"])


def test_green_and_red(events: Events) -> None:
    found = [process(claim=YOUNG)]
    with prober(events, health=lambda: found) as ask:
        status, said = ask.ask("/health?verbose")
        assert (status, said["healthy"]) == (200, True)
        found[0] = process(claim=OLD)
        assert ask.ask("/health") == (503, page(found)[1])
        assert ask.ask("/health", "HEAD") == (503, None)
        assert ask.ask("/live")[0] == 200
        assert ask.ask("/") == (404, {"pages": ["/health", "/live", "/metrics"]})


def test_metrics_are_told_as_text(events: Events) -> None:
    with prober(events, health=list) as ask, closing(HTTPConnection("127.0.0.1", ask.port)) as connection:
        connection.request("GET", "/metrics")
        answer = connection.getresponse()
        assert (answer.status, answer.read().decode()) == (200, PAGE)
        assert answer.getheader("Content-Type") == "text/plain; version=0.0.4; charset=utf-8"


async def test_it_answers_while_the_event_loop_is_blocked(events: Events) -> None:
    with prober(events, health=lambda: [process(pulse=OLD)]) as ask:
        assert ask.ask("/health")[0] == 503  # this very call blocks the loop


def test_a_page_that_fails_leaves_the_next_one_alone(events: Events, capsys: pytest.CaptureFixture[str]) -> None:
    answers: list[list[ProcessHealth]] = [[process(claim=YOUNG)]]
    with prober(events, health=lambda: answers.pop()) as ask:
        assert ask.ask("/health")[0] == 200
        with pytest.raises(OSError):  # noqa: PT011 - closed without an answer, or reset
            ask.ask("/health")
        answers.append([process(claim=OLD)])
        assert ask.ask("/health")[0] == 503
    assert "IndexError" in capsys.readouterr().err


def test_a_port_that_is_taken_is_told_in_a_sentence(events: Events) -> None:
    with prober(events, health=list) as ask:
        with (
            pytest.raises(ConfigurationError, match=f"port {ask.port}: Address already in use. Write another"),
            serving("127.0.0.1", ask.port, health=list, live=list, metrics=str),
        ):
            raise AssertionError("served twice")
        assert ask.ask("/health")[0] == 503


def test_no_port_is_no_server() -> None:
    before = threading.active_count()
    with serving("127.0.0.1", None, health=list, live=list, metrics=str):
        assert threading.active_count() == before


def test_it_is_gone_afterwards(events: Events) -> None:
    with prober(events, health=list) as ask:
        assert ask.ask("/health")[0] == 503
    with pytest.raises(ConnectionError):
        ask.ask("/health")
