"""Who is let in, with what, and what they see (S60, S63 and S65 of the catalogue of faults)."""

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest

from scheduler.model import Role
from scheduler.operations import tokens
from scheduler.store.session import SyncSession
from tests.web.serving import Api, problem, serving

CANARY = "canary-3f9c"
FORM = {"content-type": "application/x-www-form-urlencoded"}


def count(api: Api) -> int:
    ((found,),) = api.rows("SELECT count(*) FROM job_executions")
    return int(found)


@pytest.mark.parametrize(
    ("headers", "content", "status", "kind"),
    [
        (FORM, b"handler=a", 415, "not-json"),
        ({"content-type": "text/plain"}, b'{"handler": "a"}', 415, "not-json"),
        ({}, b'{"handler": "a"}', 415, "not-json"),
        (
            {"content-type": "application/json", "origin": "https://evil.example"},
            b'{"handler": "a"}',
            403,
            "foreign-origin",
        ),
        ({"content-type": "application/json", "origin": "null"}, b'{"handler": "a"}', 403, "foreign-origin"),
        (
            {"content-type": "application/json", "sec-fetch-site": "cross-site"},
            b'{"handler": "a"}',
            403,
            "foreign-origin",
        ),
    ],
)
def test_another_site_changes_nothing(
    api: Api, headers: dict[str, str], content: bytes, status: int, kind: str
) -> None:
    problem(api.http.post("/api/v1/executions", content=content, headers=headers), status, kind)
    assert count(api) == 0


def test_a_page_of_the_server_itself_may_send(api: Api) -> None:
    assert api.post("/executions", {"handler": "a"}, Origin=api.url).status_code == 201


def test_reading_changes_nothing(api: Api) -> None:
    api.post("/executions", {"handler": "a"})
    api.post("/cron-jobs", {"name": "n", "cron_expression": "@daily", "handler_name": "h"})
    for path in ("/executions/1/cancel", "/executions/retry", "/call", "/cron-jobs/n/pause", "/cron-jobs/n/run"):
        assert api.get(path).status_code in {404, 405, 422}, path
    assert api.rows("SELECT status FROM job_executions") == [("PENDING",)]
    assert api.rows("SELECT enabled FROM cron_jobs") == [(True,)]


def test_a_foreign_name_is_refused_and_framing_too(api: Api) -> None:
    rebound = api.http.get("/api/v1/queues", headers={"host": "evil.example:8080"})
    assert "evil.example" in problem(rebound, 400, "unknown-host")
    for host in ("localhost:1", "127.0.0.1", "[::1]:80", "LOCALHOST."):
        assert api.http.get("/api/v1/queues", headers={"host": host}).status_code == 200, host
    assert api.http.get("/live", headers={"host": "10.0.0.7:8080"}).status_code == 200
    headers = api.get("/queues").headers
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert (headers["x-frame-options"], headers["x-content-type-options"]) == ("DENY", "nosniff")
    assert "server" not in headers or "uvicorn" in headers["server"]


def test_too_much_is_refused_before_it_is_read(api: Api) -> None:
    with serving(api.database_url, max_body_bytes=2_048) as small:
        assert "2,048 bytes" in problem(small.post("/executions", {"handler": "x" * 3_000}), 413, "too-large")

        def parts() -> Iterator[bytes]:
            yield from (b'"' + b"x" * 1_000 for _ in range(10))

        endless = small.http.post("/api/v1/executions", content=parts(), headers={"content-type": "application/json"})
        problem(endless, 413, "too-large")
        assert small.post("/executions", {"handler": "a"}).status_code == 201
        with socket.create_connection(("127.0.0.1", int(small.url.rpartition(":")[2]))) as raw:
            raw.sendall(
                b"POST /api/v1/executions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                b"Content-Length: 99999999999999999999999\r\n\r\n"
            )
            assert b" 4" in raw.recv(100)


def test_what_can_not_be_read_is_a_problem(api: Api) -> None:
    for content in (
        b"{",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"handler": "\xed\xa0\x80"}',
        b'{"handler": "a", "params": ' + b"9" * 10_000 + b"}",
    ):
        response = api.http.post("/api/v1/executions", content=content, headers={"content-type": "application/json"})
        assert response.status_code in {400, 422}, (content[:30], response.text)
        assert response.headers["content-type"] == "application/problem+json"
    for handler in ("a\x00b", "\ud800"):
        body = json.dumps({"handler": handler}).encode()
        response = api.http.post("/api/v1/executions", content=body, headers={"content-type": "application/json"})
        problem(response, 422, "invalid")
    assert count(api) == 0


def test_without_a_token_nobody_gets_in_from_elsewhere(api: Api, make_token: Callable[[Role], str]) -> None:
    token = make_token(Role.OPERATOR)
    with serving(api.database_url, allowed_hosts=["jobs.example"]) as reached:
        refused = reached.get("/queues")
        assert "scheduler web token add" in problem(refused, 401, "token-required")
        assert refused.headers["www-authenticate"] == "Bearer"
        problem(reached.as_holder("sched_wrong").get("/queues"), 401, "token-required")
        problem(reached.http.get("/api/v1/openapi.json"), 401, "token-required")
        holder = reached.as_holder(token)
        assert holder.http.get("/api/v1/queues", headers={"host": "jobs.example"}).status_code == 200
        assert reached.http.get("/live").status_code == 200
        assert reached.http.get("/health").status_code == 503


def test_a_wrong_token_is_refused_where_none_is_needed(api: Api) -> None:
    problem(api.as_holder("sched_wrong").get("/queues"), 401, "token-required")
    basic = api.http.get("/api/v1/queues", headers={"authorization": "Basic YTpi"})
    problem(basic, 401, "token-required")


def test_tokens_expire_and_are_stored_as_hashes(api: Api, make_token: Callable[[Role], str]) -> None:
    token = make_token(Role.VIEWER)
    assert api.as_holder(token).get("/queues").status_code == 200
    ((stored,),) = api.rows("SELECT job_tokens::text FROM job_tokens")
    assert token not in stored
    assert token.removeprefix("sched_") not in stored
    with closing(SyncSession(api.database_url, "public", "test")) as session:
        past = api.rows("SELECT job_now() - interval '1 s'")[0][0]
        expired = tokens.add(session, "old", Role.ADMIN, expires_at=past)
        assert tokens.holder(session, expired) is None
        tokens.remove(session, "viewer")
        assert tokens.holder(session, token) is None
    problem(api.as_holder(expired).get("/queues"), 401, "token-required")


def test_each_role_does_what_it_may(api: Api, viewer: Api, operator: Api) -> None:
    nightly = {"name": "n", "cron_expression": "@daily", "handler_name": "h"}
    assert api.post("/cron-jobs", nightly).status_code == 201
    (id_,) = operator.post("/executions", {"handler": "a"}).json()["ids"]
    for_operators: list[tuple[str, str, Any]] = [
        ("POST", "/executions", {"handler": "a"}), ("POST", f"/executions/{id_}/cancel", None),
        ("POST", f"/executions/{id_}/retry", None), ("POST", "/executions/retry", {"filter": {}}),
        ("POST", "/queues/default/pause", None), ("POST", "/queues/default/resume", None),
        ("POST", "/cron-jobs/n/pause", None), ("POST", "/cron-jobs/n/resume", None), ("POST", "/cron-jobs/n/run", None),
    ]  # fmt: skip
    for_admins: list[tuple[str, str, Any]] = [
        ("POST", "/cron-jobs", {**nightly, "name": "m"}), ("PATCH", "/cron-jobs/n", {"description": "d"}),
        ("PATCH", "/queues/default/limits", {"max_running": 1}), ("GET", "/audit", None),
        ("DELETE", "/cron-jobs/n", None),
    ]  # fmt: skip
    for_all = [
        "/executions",
        f"/executions/{id_}",
        "/cron-jobs",
        "/cron-jobs/n",
        "/queues",
        "/queues/default",
        "/workers",
    ]

    def ask(api: Api, method: str, path: str, body: object) -> int:
        return api.http.request(method, f"/api/v1{path}", json=body).status_code

    for path in for_all:
        assert {ask(each, "GET", path, None) for each in (viewer, operator, api)} == {200}, path
    for method, path, body in for_operators:
        assert ask(viewer, method, path, body) == 403, path
        assert ask(operator, method, path, body) in {200, 201}, path
    for method, path, body in for_admins:
        assert [ask(each, method, path, body) for each in (viewer, operator)] == [403, 403], path
        assert ask(api, method, path, body) in {200, 201, 204}, path


def test_a_viewer_sees_no_secret_anywhere(api: Api, viewer: Api, operator: Api) -> None:
    """S65: the canary is in params, results, errors, tracebacks, and in a url's password in an error."""
    api.rows(
        "INSERT INTO job_executions (handler_name, handler_params, status, finished_at, attempt, result, error, "
        "errors, progress_message) "
        "SELECT 'h', %s, s, job_now(), 1, %s, %s, %s, %s FROM unnest(ARRAY['SUCCESS', 'FAILED']) AS s",
        json.dumps({"to": CANARY}), json.dumps({"password": CANARY}), f"ValueError: {CANARY}",
        json.dumps([{"attempt": 1, "outcome": "failure", "error": CANARY, "traceback": CANARY}]), CANARY,
    )  # fmt: skip
    api.rows(
        "INSERT INTO cron_jobs (name, cron_expression, handler_name, handler_params) VALUES ('c', '@daily', 'h', %s)",
        json.dumps({"note": CANARY}),
    )
    api.rows(
        "INSERT INTO job_executions (handler_name, source, cron_job_id, status, finished_at, error) "
        "SELECT 'h', 'tick', id, 'FAILED', job_now(), %s FROM cron_jobs",
        CANARY,
    )
    paths = [
        "/executions",
        *(f"/executions/{n}" for n in (1, 2, 3)),
        "/cron-jobs",
        "/cron-jobs/c",
        "/queues",
        "/queues/default",
    ]
    paths += ["/cron-jobs/c/explain", "/cron-jobs/c/preview", "/workers", "/upcoming", "/executions/1/events"]
    for path in paths:
        response = viewer.get(path)
        assert response.status_code == 200, path
        assert CANARY not in response.text, path
    assert viewer.get("/executions/1").json()["contents_hidden"] is True
    problem(viewer.get("/executions", error=CANARY), 403, "forbidden")
    assert CANARY in operator.get("/executions/1").text


def test_secrets_by_their_keys_are_shown_to_nobody(api: Api) -> None:
    params = {"db": {"Api-Key": "k1", "dsn": "postgresql://u:pw1@host/db"}, "list": [{"accessToken": "t1"}], "n": 1}
    (id_,) = api.post("/executions", {"handler": "a", "params": params}).json()["ids"]
    api.rows(
        "UPDATE job_executions SET status = 'FAILED', finished_at = job_now(), "
        "error = 'no postgres://u:pw2@h/d: password=pw3 x'"
    )
    shown = api.get(f"/executions/{id_}")
    assert shown.json()["handler_params"] == {
        "db": {"Api-Key": "[redacted]", "dsn": "postgresql://u:[redacted]@host/db"},
        "list": [{"accessToken": "[redacted]"}],
        "n": 1,
    }
    for secret in ("k1", "pw1", "t1", "pw2", "pw3"):
        assert secret not in shown.text.replace("postgresql", "")


def test_who_did_what_is_written_down(api: Api, operator: Api) -> None:
    nightly = {"name": "n", "cron_expression": "@daily", "handler_name": "h", "handler_params": {"x": CANARY}}
    api.post("/cron-jobs", nightly)
    operator.post("/cron-jobs/n/pause")
    api.patch("/cron-jobs/n", {"cron_expression": "@hourly", "handler_params": {"x": CANARY, "y": 1}})
    (id_,) = operator.post("/executions", {"handler": "a"}).json()["ids"]
    operator.post(f"/executions/{id_}/cancel", {"reason": "why not"})
    api.rows("SELECT retry_job(%s)", id_)
    operator.post("/queues/mail/pause", {"reason": "down"})
    api.patch("/queues/mail/limits", {"max_running": 3})
    api.delete("/cron-jobs/n")
    entries = api.get("/audit").json()["items"][::-1]
    role = api.rows("SELECT current_user")[0][0]
    assert [(each["who"], each["action"], each["target"]) for each in entries] == [
        (role, "token.add", "operator"), ("http", "cron_job.add", "n"), ("operator", "cron_job.pause", "n"),
        ("http", "cron_job.edit", "n"), ("operator", "execution.cancel", str(id_)), (role, "execution.retry", str(id_)),
        ("operator", "queue.pause", "mail"), ("http", "queue.edit", "mail"), ("http", "cron_job.remove", "n"),
    ]  # fmt: skip
    edit = entries[3]
    assert edit["changes"] == {"cron_expression": ["@daily", "@hourly"], "handler_params": "changed"}
    assert (edit["role"], edit["application"]) == (role, "scheduler web")
    assert CANARY not in json.dumps(entries)
