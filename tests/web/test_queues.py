"""Queues, workers, metrics and pages of probers over HTTP."""

from collections.abc import Callable

from scheduler.model import Role
from tests.client.either import echo, worker
from tests.web.serving import PATIENCE, Api, problem, serving


def test_pause_resume_and_limit(api: Api) -> None:
    api.post("/executions", {"handler": "a", "queue": "mail"})
    paused = api.post("/queues/mail/pause", {"reason": "provider is down"}).json()["queue"]
    assert (paused["paused"], paused["paused_reason"], paused["waiting"]) == (True, "provider is down", 1)
    assert api.post("/queues/mail/resume").json()["queue"]["paused"] is False
    limits = api.patch("/queues/mail/limits", {"max_running": 7, "rate_limit": 10, "rate_period_seconds": 1}).json()
    assert (limits["max_running"], limits["rate_limit"]) == (7, 10)
    lifted = api.patch("/queues/mail/limits", {"max_running": None}).json()
    assert (lifted["max_running"], lifted["rate_limit"]) == (None, 10)
    problem(api.patch("/queues/mail/limits", {"rate_limit": None}), 422, "invalid")
    assert [each["name"] for each in api.get("/queues").json()["items"]] == ["mail"]
    assert "Did you mean 'mail'?" in problem(api.get("/queues/mial"), 404, "not-found")


def test_workers_and_health(api: Api) -> None:
    assert api.http.get("/live").json()["ok"] is True
    assert api.http.get("/ready").json()["ok"] is True
    nobody = api.http.get("/health")
    assert (nobody.status_code, nobody.json()["workers"]) == (503, 0)
    assert api.get("/status").json()["problems"] == ["No worker is active: start `scheduler run`."]
    with worker(api.database_url, echo):
        called = api.post("/call", {"handler": "echo", "params": 1, "wait_seconds": PATIENCE})
        assert called.status_code == 200, called.text
        assert api.http.get("/health").json()["healthy"] is True
        assert [each["name"] for each in api.get("/workers").json()] == ["test"]


def test_a_frozen_loop_a_late_tick_and_a_doubt_turn_it_red(api: Api) -> None:
    api.rows(
        "INSERT INTO job_workers (id, name, lease_until, loops) "
        "VALUES (gen_random_uuid(), 'w', job_now() + interval '1 h', %s)",
        '{"claim": {"age": 99, "limit": 30}, "settle": {"age": 1, "limit": 30}}',
    )
    health = api.http.get("/health")
    assert (health.status_code, health.json()["stalled"]) == (503, ["claim"])
    api.rows("UPDATE job_workers SET loops = NULL")
    assert api.http.get("/health").status_code == 200
    api.rows("INSERT INTO cron_jobs (name, cron_expression, handler_name) VALUES ('c', '@daily', 'h')")
    api.rows(
        "UPDATE cron_jobs SET planned_until = job_now() - interval '1 d', next_run_at = job_now() - interval '5 min'"
    )
    assert api.http.get("/health").status_code == 503
    assert "nobody plans it" in api.get("/status").json()["problems"][0]
    api.rows("DELETE FROM cron_jobs")
    api.rows(
        "INSERT INTO job_transactions (gid, decision, decided_at) "
        "VALUES ('sched:x:y', 'COMMIT', job_now() - interval '1 h')"
    )
    try:
        health = api.http.get("/health")
        assert (health.status_code, health.json()["in_doubt"]) == (503, 1)
    finally:
        api.rows("DELETE FROM job_transactions")


def test_metrics_of_the_database(api: Api, make_token: Callable[[Role], str]) -> None:
    api.rows("INSERT INTO job_executions (handler_name, queue) SELECT 'h', 'mail' FROM generate_series(1, 3)")
    with serving(api.database_url) as fresh:  # which has measured nothing yet
        page = fresh.http.get("/metrics")
        assert page.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
        assert 'scheduler_queue_waiting{queue="mail"} 3\n' in page.text
        assert "scheduler_measured_age_seconds 0" in page.text
        problem(fresh.http.get("/metrics", headers={"host": "evil.example"}), 400, "unknown-host")
    with serving(api.database_url, require_token=True) as closed:
        problem(closed.http.get("/metrics"), 401, "token-required")
        assert closed.as_holder(make_token(Role.VIEWER)).http.get("/metrics").status_code == 200
