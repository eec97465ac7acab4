"""Server-sent events: one execution, and a queue."""

import json
from collections.abc import Iterator
from typing import Any

import httpx

from tests.web.serving import Api, problem, serving


def events(lines: Iterator[str]) -> Iterator[tuple[str, Any]]:
    """(kind, data) of each; a comment is ("", its text)."""
    kind = ""
    for line in lines:
        if line.startswith(":"):
            yield "", line[1:].strip()
        elif line.startswith("event: "):
            kind = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield kind, json.loads(line.removeprefix("data: "))


def test_one_execution_is_followed_to_its_end(api: Api) -> None:
    (id_,) = api.post("/executions", {"handler": "a"}).json()["ids"]
    with api.http.stream("GET", f"/api/v1/executions/{id_}/events") as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        told = events(response.iter_lines())
        assert next(told) == ("", "connected")
        kind, data = next(told)
        assert (kind, data["status"]) == ("change", "PENDING")
        api.rows(
            "UPDATE job_executions SET status = 'RUNNING', claim_token = gen_random_uuid(), "
            "claimed_by = gen_random_uuid(), started_at = job_now(), attempt = 1, "
            "progress = 0.5, progress_message = 'half'"
        )
        kind, data = next(told)
        assert (kind, data["progress"], data["progress_message"]) == ("change", 0.5, "half")
        api.rows("UPDATE job_executions SET status = 'SUCCESS', finished_at = job_now(), result = '{\"n\": 1}'")
        kind, data = next(told)
        assert (kind, data["status"], data["result"]) == ("end", "SUCCESS", {"n": 1})
        assert list(told) == []
    problem(api.get("/executions/99/events"), 404, "not-found")


def test_the_ends_of_a_queue(api: Api) -> None:
    for queue in ("mail", "other"):
        api.post("/executions", {"handler": "a", "queue": queue, "notify_done": True})
    with api.http.stream("GET", "/api/v1/queues/mail/events") as response:
        told = events(response.iter_lines())
        assert [next(told), next(told)] == [("", "connected"), ("", "listening")]
        api.post("/executions/cancel", {"filter": {}})
        kind, data = next(told)
        assert (kind, data["queue"], data["status"]) == ("end", "mail", "CANCELLED")


def test_no_more_streams_than_allowed(api: Api) -> None:
    (id_,) = api.post("/executions", {"handler": "a"}).json()["ids"]
    path = f"/api/v1/executions/{id_}/events"
    with serving(api.database_url, max_streams=1) as small:
        with small.http.stream("GET", path) as response:
            lines = response.iter_lines()  # held: without it the response would be closed
            assert next(lines) == ": connected"
            assert "1 streams are open" in problem(small.http.get(path), 503, "busy")
        _until_open(small, path)


def _until_open(api: Api, path: str) -> None:
    """The place of a stream whose reader has gone becomes free."""
    while True:
        with api.http.stream("GET", path) as response:
            if response.status_code == httpx.codes.OK:
                return
