"""Cron jobs over HTTP, and what their expressions mean."""

from tests.web.serving import Api, problem

NIGHTLY = {"name": "nightly", "cron_expression": "0 3 * * *", "handler_name": "report", "handler_params": {"a": 1}}


def test_made_changed_and_removed(api: Api) -> None:
    made = api.post("/cron-jobs", {**NIGHTLY, "timezone": "Europe/Berlin"})
    assert made.status_code == 201, made.text
    assert made.headers["location"] == "/api/v1/cron-jobs/nightly"
    shown = api.get("/cron-jobs/nightly").json()
    assert shown["words"] == "at 03:00 every day, Europe/Berlin" or "03:00" in shown["words"]
    assert shown["cron_job"]["handler_params"] == {"a": 1}
    assert len(shown["ticks"]) == 3
    changed = api.patch("/cron-jobs/nightly", {"cron_expression": "0 4 * * *", "handler_params": {"a": 2}})
    assert changed.status_code == 200, changed.text
    assert changed.json()["cron_job"]["cron_expression"] == "0 4 * * *"
    assert changed.json()["cron_job"]["timezone"] == "Europe/Berlin"
    stale = {"version": shown["cron_job"]["version"], "description": "mine"}
    assert "edited" in problem(api.patch("/cron-jobs/nightly", stale), 409, "conflict")
    assert api.delete("/cron-jobs/nightly").status_code == 204
    problem(api.get("/cron-jobs/nightly"), 404, "not-found")


def test_refusals_say_what_to_write(api: Api) -> None:
    assert "61" in problem(api.post("/cron-jobs", {**NIGHTLY, "cron_expression": "61 * * * *"}), 422, "invalid")
    assert "Did you mean" in problem(api.post("/cron-jobs", {**NIGHTLY, "timezone": "Europe/Berln"}), 422, "invalid")
    assert api.post("/cron-jobs", NIGHTLY).status_code == 201
    assert "already there" in problem(api.post("/cron-jobs", NIGHTLY), 409, "conflict")
    assert "Did you mean 'nightly'?" in problem(api.get("/cron-jobs/nightlyy"), 404, "not-found")
    assert "can't be null" in problem(api.patch("/cron-jobs/nightly", {"timezone": None}), 422, "invalid")
    problem(api.patch("/cron-jobs/nightly", {"cron_expresion": "0 4 * * *"}), 422, "invalid")


def test_a_redacted_answer_is_not_written_back(api: Api) -> None:
    api.post("/cron-jobs", {**NIGHTLY, "handler_params": {"password": "s3cret", "n": 1}})
    params = api.get("/cron-jobs/nightly").json()["cron_job"]["handler_params"]
    assert params == {"password": "[redacted]", "n": 1}
    assert "secret" in problem(api.patch("/cron-jobs/nightly", {"handler_params": params}), 422, "invalid")
    assert api.rows("SELECT handler_params FROM cron_jobs") == [({"password": "s3cret", "n": 1},)]


def test_paused_resumed_and_run(api: Api) -> None:
    api.post("/cron-jobs", NIGHTLY)
    paused = api.post("/cron-jobs/nightly/pause").json()["cron_job"]
    assert (paused["enabled"], paused["next_run_at"]) == (False, None)
    started = api.post("/cron-jobs/nightly/run")
    assert started.status_code == 201
    assert api.get(f"/executions/{started.json()['id']}").json()["cron_job"] == "nightly"
    assert api.post("/cron-jobs/nightly/resume").json()["cron_job"]["enabled"] is True


def test_pages_by_name_and_names_with_signs_of_their_own(api: Api) -> None:
    names = ["a/b", "c d", "ü?#%", "z"]
    for name in names:
        assert api.post("/cron-jobs", {**NIGHTLY, "name": name}).status_code == 201
    first = api.get("/cron-jobs", limit=3).json()
    second = api.get("/cron-jobs", limit=3, cursor=first["next"]).json()
    assert [each["name"] for page in (first, second) for each in page["items"]] == sorted(names)
    assert second["next"] is None
    for path in ("/cron-jobs/a%2Fb", "/cron-jobs/c%20d/explain", "/cron-jobs/%C3%BC%3F%23%25/preview"):
        assert api.get(path).status_code == 200, path
    assert [each["name"] for each in api.get("/cron-jobs", text="c d").json()["items"]] == ["c d"]


def test_backfill_and_skip(api: Api) -> None:
    api.post("/cron-jobs", NIGHTLY)
    may = {"start": "2026-05-01T00:00:00Z", "end": "2026-05-11T00:00:00Z"}
    ahead = api.post("/cron-jobs/nightly/backfill", {**may, "dry_run": True}).json()
    assert (ahead["ticks"], ahead["enqueued"], ahead["dry_run"]) == (10, 10, True)
    assert api.rows("SELECT count(*) FROM job_executions") == [(0,)]
    assert api.post("/cron-jobs/nightly/backfill", may).json()["enqueued"] == 10
    assert api.post("/cron-jobs/nightly/backfill", may).json()["enqueued"] == 0
    api.post("/cron-jobs", {**NIGHTLY, "name": "often", "cron_expression": "* * * * * *"})
    problem(api.post("/cron-jobs/often/backfill", may), 422, "invalid")
    assert api.post("/cron-jobs/nightly/skip", {"until": "2199-01-01T00:00:00Z"}).json()["more"] is True
    assert api.post("/cron-jobs/nightly/skip", {}).json()["count"] == 0


def test_expressions_before_there_is_a_cron_job(api: Api) -> None:
    told = api.get("/explain", expression="30 2 * * *", timezone="Europe/Berlin", count=2).json()
    assert len(told["ticks"]) == 2
    assert told["clock_changes"]
    ticks = api.get(
        "/preview", expression="@every 2h", after="2026-01-01T00:00:00Z", until="2026-01-01T05:00:00Z"
    ).json()
    assert [tick["utc"][11:16] for tick in ticks["ticks"]] == ["02:00", "04:00"] or len(ticks["ticks"]) in {2, 3}
    problem(api.get("/explain", expression="nonsense"), 422, "invalid")
    assert len(api.get("/upcoming").json()) == 0
