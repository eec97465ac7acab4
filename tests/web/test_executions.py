"""Executions over HTTP: enqueue, find, show, cancel, retry."""

from concurrent.futures import ThreadPoolExecutor

from tests.web.serving import Api, problem


def test_one_is_enqueued_and_shown(api: Api) -> None:
    response = api.post("/executions", {"handler": "email", "params": {"to": "ada"}, "queue": "mail", "priority": 3})
    assert response.status_code == 201, response.text
    (id_,) = response.json()["ids"]
    assert response.headers["location"] == f"/api/v1/executions/{id_}"
    shown = api.http.get(response.headers["location"]).json()
    assert (shown["handler_name"], shown["handler_params"], shown["queue"]) == ("email", {"to": "ada"}, "mail")
    assert (shown["status"], shown["priority"]) == ("PENDING", 3)


def test_many_are_all_or_none(api: Api) -> None:
    ids = api.post("/executions", [{"handler": "a", "params": n} for n in range(3)]).json()["ids"]
    assert api.rows("SELECT id, handler_params FROM job_executions ORDER BY id") == [
        (id_, n) for n, id_ in enumerate(ids)
    ]
    too_large = {"handler": "a", "params": "x" * 2**20}
    problem(api.post("/executions", [{"handler": "a"}, too_large]), 422, "invalid")
    assert api.rows("SELECT count(*) FROM job_executions") == [(3,)]


def test_an_idempotency_key_enqueues_once(api: Api) -> None:
    body = {"handler": "email", "params": {"to": "ada"}}
    first = api.post("/executions", body, **{"Idempotency-Key": "k1"})
    again = api.post("/executions", body, **{"Idempotency-Key": "k1"})
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == {"ids": first.json()["ids"], "existing": True, "replayed": True}
    other = api.post("/executions", {**body, "queue": "other"}, **{"Idempotency-Key": "k1"})
    assert "was used before, for something else" in problem(other, 409, "conflict")
    assert api.rows("SELECT count(*) FROM job_executions") == [(1,)]


def test_many_at_once_with_one_key_enqueue_once(api: Api) -> None:
    def send(_: int) -> tuple[int, ...]:
        response = api.post("/executions", [{"handler": "a"}, {"handler": "b"}], **{"Idempotency-Key": "same"})
        assert response.status_code in {200, 201}, response.text
        return tuple(response.json()["ids"])

    with ThreadPoolExecutor(8) as threads:
        answers = set(threads.map(send, range(16)))
    assert len(answers) == 1
    assert api.rows("SELECT count(*) FROM job_executions") == [(2,)]


def test_a_key_is_its_tokens_own(api: Api, operator: Api) -> None:
    body, key = {"handler": "email"}, {"Idempotency-Key": "k1"}
    assert api.post("/executions", body, **key).status_code == 201
    assert operator.post("/executions", body, **key).status_code == 201


def test_a_failed_request_may_be_sent_again(api: Api) -> None:
    api.rows("INSERT INTO job_queues (name, max_pending) VALUES ('small', 1)")
    assert api.post("/executions", {"handler": "a", "queue": "small"}).status_code == 201
    full = api.post("/executions", {"handler": "b", "queue": "small"}, **{"Idempotency-Key": "k"})
    problem(full, 429, "queue-full")
    assert full.headers["retry-after"] == "5"
    api.rows("DELETE FROM job_executions")
    assert api.post("/executions", {"handler": "b", "queue": "small"}, **{"Idempotency-Key": "k"}).status_code == 201


def test_pages_follow_each_other(api: Api) -> None:
    ids = api.post("/executions", [{"handler": f"h{n % 2}"} for n in range(7)]).json()["ids"]
    found, cursor, pages = [], None, 0
    while pages == 0 or cursor is not None:
        page = api.get("/executions", limit=3, **({} if cursor is None else {"cursor": cursor})).json()
        found += [line["id"] for line in page["items"]]
        cursor, pages = page["next"], pages + 1
    assert found == sorted(ids, reverse=True)
    assert pages == 3
    only = api.get("/executions", handler="h1", status=["PENDING", "FAILED"]).json()
    assert {line["handler_name"] for line in only["items"]} == {"h1"}
    assert only["next"] is None


def test_a_page_is_never_larger_than_the_largest(api: Api) -> None:
    api.rows("INSERT INTO job_executions (handler_name) SELECT 'h' FROM generate_series(1, 510)")
    page = api.get("/executions", limit=100_000).json()
    assert len(page["items"]) == 500
    assert len(api.get("/executions", cursor=page["next"]).json()["items"]) == 10


def test_what_is_no_cursor_or_filter_is_refused(api: Api) -> None:
    for wrong in ("nonsense!", "MTIzNA==x", "LTE", "99999999999999999999999"):
        problem(api.get("/executions", cursor=wrong), 422, "invalid")
    assert "handlr" in problem(api.get("/executions", handlr="x"), 422, "invalid")
    problem(api.get("/executions", since="2026-01-01T00:00:00"), 422, "invalid")


def test_cancel_and_retry(api: Api) -> None:
    (id_,) = api.post("/executions", {"handler": "a"}).json()["ids"]
    assert "waits already" in problem(api.post(f"/executions/{id_}/retry"), 409, "conflict")
    cancelled = api.post(f"/executions/{id_}/cancel", {"reason": "not needed"}).json()
    assert (cancelled["status"], cancelled["cancel_reason"]) == ("CANCELLED", "not needed")
    problem(api.post(f"/executions/{id_}/cancel"), 409, "conflict")
    again = api.post(f"/executions/{id_}/retry", {"params": {"n": 2}}).json()
    assert (again["status"], again["handler_params"]) == ("PENDING", {"n": 2})
    assert "No execution has the id 999" in problem(api.post("/executions/999/cancel"), 404, "not-found")


def test_dead_letters_are_retried_together(api: Api) -> None:
    api.rows(
        "INSERT INTO job_executions (handler_name, status, finished_at, error, attempt) "
        "SELECT CASE WHEN n <= 3 THEN 'mail' ELSE 'other' END, 'FAILED', job_now(), 'smtp down', 1 "
        "FROM generate_series(1, 5) n"
    )
    acted = api.post("/executions/retry", {"filter": {"handler": "mail"}, "limit": 2}).json()
    assert (len(acted["done"]), acted["left"], acted["more"]) == (2, [], True)
    acted = api.post("/executions/retry", {"filter": {"handler": "mail"}, "limit": 2}).json()
    assert (len(acted["done"]), acted["more"]) == (1, False)
    acted = api.post("/executions/retry", {"ids": [5, 1, 77]}).json()
    assert acted["done"] == [5]
    assert [each["id"] for each in acted["left"]] == [1, 77]
    problem(api.post("/executions/retry", {}), 422, "invalid")
    assert len(api.post("/executions/cancel", {"filter": {}}).json()["done"]) == 4
