"""Calls: the synchronous answer, and what comes in its place."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from scheduler.web import desk
from tests.client.either import echo, worker
from tests.web.serving import PATIENCE, Api, problem

CALLS = 200


def test_a_result(api: Api) -> None:
    with worker(api.database_url, echo):
        called = api.post("/call", {"handler": "echo", "params": {"n": 1}, "wait_seconds": PATIENCE})
    assert called.status_code == 200, called.text
    assert (called.json()["status"], called.json()["result"]) == ("SUCCESS", {"n": 1})
    assert called.headers["location"] == called.json()["location"]


def test_time_is_over_and_the_same_call_waits_for_it(api: Api) -> None:
    body, key = {"handler": "echo", "params": 7, "wait_seconds": 0.05}, {"Idempotency-Key": "c1"}
    late = api.post("/call", body, **key)
    assert (late.status_code, late.json()["status"], late.json()["result"]) == (202, "PENDING", None)
    assert api.http.get(late.headers["location"]).json()["status"] == "PENDING"
    with worker(api.database_url, echo):
        done = api.post("/call", {**body, "wait_seconds": PATIENCE}, **key)
    assert (done.status_code, done.json()["id"], done.json()["result"]) == (200, late.json()["id"], 7)


def test_a_failure_is_a_problem(api: Api) -> None:
    with worker(api.database_url, echo):
        failed = api.post("/call", {"handler": "fail", "max_retry": 1, "wait_seconds": PATIENCE})
    assert "ValueError: boom" in problem(failed, 424, "execution-failed")
    assert failed.json()["execution"]["status"] == "FAILED"


def test_many_at_once_are_neither_lost_nor_mixed_up(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk, "_PATIENCE_SECONDS", PATIENCE)  # a busy machine is no reason to send them away

    def call(n: int) -> tuple[int, object]:
        response = api.post("/call", {"handler": "echo", "params": {"n": n}, "wait_seconds": 60})
        assert response.status_code == 200, response.text
        return n, response.json()["result"]

    with worker(api.database_url, echo), ThreadPoolExecutor(CALLS) as threads:
        answers = list(threads.map(call, range(CALLS)))
    assert answers == [(n, {"n": n}) for n in range(CALLS)]
    assert api.rows("SELECT count(*), count(*) FILTER (WHERE status = 'SUCCESS') FROM job_executions") == [
        (CALLS, CALLS)
    ]
