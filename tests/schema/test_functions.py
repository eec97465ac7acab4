"""What anybody may call from psql, in a session with a search_path of its own."""

from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import psycopg
import pytest

from tests.schema.asking import row, value, wait_until_blocked
from tests.schema.conftest import Connect

UNIQUE = "SELECT public.enqueue_job('email', unique_key => 'k', unique_until => %s)"


def enqueue(db: psycopg.Connection) -> int:
    return int(value(db, "SELECT public.enqueue_job('email')"))


def claim(db: psycopg.Connection) -> tuple[int, UUID]:
    """Some execution, claimed by a new worker: (id, token)."""
    worker = value(db, "SELECT public.register_worker('w')")
    (claimed,) = db.execute("SELECT id, claim_token FROM public.claim_jobs(%s)", [worker]).fetchall()
    return claimed[0], claimed[1]


def finish(db: psycopg.Connection, status: str = "FAILED") -> int:
    """A final execution that has failed before and knows what it was."""
    found = enqueue(db)
    db.execute(
        """UPDATE public.job_executions
           SET status = %s, finished_at = now(), started_at = now(), claimed_by = gen_random_uuid(), attempt = 3,
               claim_token = gen_random_uuid(), retry_count = 3, error = 'boom', result = '1', suspect = true,
               errors = '[{"attempt": 1}]', cancel_requested_at = now(), cancel_reason = 'no', progress = 0.5
           WHERE id = %s""",
        [status, found],
    )
    return found


def test_enqueue_with_every_option(db: psycopg.Connection) -> None:
    found = value(
        db,
        """SELECT public.enqueue_job('email', '{"to": "a"}', 'mails', priority => 5, delay_seconds => 60,
               available_at => '2030-01-01 00:00+00', timeout_seconds => 7, max_retry => 9, retry_backoff => 'fixed',
               retry_delay_seconds => 11, unique_key => 'u', unique_until => 'forever', concurrency_key => 'c',
               concurrency_limit => 2)""",
    )
    made = row(db, found)
    assert made["available_at"].startswith("2030-01-01T00:01:00")
    assert (made["handler_name"], made["handler_params"], made["queue"], made["priority"]) == (
        "email", {"to": "a"}, "mails", 5,
    )  # fmt: skip
    assert (made["status"], made["source"], made["attempt"]) == ("PENDING", "enqueue", 0)
    assert (made["timeout_seconds"], made["max_retry"], made["retry_backoff"], made["retry_delay_seconds"]) == (
        7, 9, "fixed", 11,
    )  # fmt: skip
    assert (made["unique_until"], made["concurrency_key"], made["concurrency_limit"]) == ("forever", "c", 2)


def test_the_clock_goes_on_within_a_transaction(db: psycopg.Connection) -> None:
    with db.transaction():
        assert value(db, "SELECT public.job_now()") < value(db, "SELECT public.job_now()")


def test_enqueue_in_the_callers_own_transaction(db: psycopg.Connection) -> None:
    with db.transaction(force_rollback=True):
        enqueue(db)
    assert value(db, "SELECT count(*) FROM public.job_executions") == 0


def test_a_unique_key_is_taken_until_the_end(db: psycopg.Connection) -> None:
    first = value(db, UNIQUE, "finished")
    assert value(db, UNIQUE, "finished") == first
    claim(db)
    assert value(db, UNIQUE, "finished") == first
    db.execute("UPDATE public.job_executions SET status = 'SUCCESS', finished_at = now()")
    assert value(db, UNIQUE, "finished") != first


def test_a_unique_key_is_taken_until_the_first_claim(db: psycopg.Connection) -> None:
    first = value(db, UNIQUE, "started")
    assert value(db, UNIQUE, "started") == first
    _, token = claim(db)
    second = value(db, UNIQUE, "started")
    assert second != first
    assert value(db, "SELECT public.fail_job(%s, %s, 'boom')", first, token) == "PENDING"
    assert value(db, UNIQUE, "started") == second


def test_a_unique_key_is_taken_for_ever(db: psycopg.Connection) -> None:
    first = value(db, UNIQUE, "forever")
    db.execute("UPDATE public.job_executions SET status = 'CANCELLED', finished_at = now()")
    assert value(db, UNIQUE, "forever") == first


@pytest.mark.parametrize("committed", [True, False])
def test_two_at_once_with_one_unique_key(db: psycopg.Connection, connect: Connect, committed: bool) -> None:
    other = connect()
    with ThreadPoolExecutor(1) as thread:
        with db.transaction(force_rollback=not committed):
            first = value(db, UNIQUE, "finished")
            second = thread.submit(value, other, UNIQUE, "finished")
            wait_until_blocked(db, other)
        assert (second.result(timeout=30) == first) is committed
    assert value(db, "SELECT count(*) FROM public.job_executions") == 1


def test_an_id_that_is_taken_is_an_error_and_not_a_lost_job(db: psycopg.Connection) -> None:
    db.execute("INSERT INTO public.job_executions (id, handler_name) VALUES (1, 'by hand')")
    with pytest.raises(psycopg.errors.UniqueViolation, match="job_executions_pkey"):
        enqueue(db)


def test_cancel_of_a_waiting_one_is_final(db: psycopg.Connection) -> None:
    found = enqueue(db)
    assert value(db, "SELECT public.cancel_job(%s, 'not needed')", found) == "CANCELLED"
    cancelled = row(db, found)
    assert (cancelled["error"], cancelled["cancel_reason"]) == ("not needed", "not needed")
    assert cancelled["finished_at"]
    assert value(db, "SELECT public.cancel_job(%s)", found) == "CANCELLED"


def test_cancel_of_a_running_one_asks(db: psycopg.Connection, connect: Connect) -> None:
    listener = connect()
    listener.execute("LISTEN scheduler_public")
    found = enqueue(db)
    _, token = claim(db)
    assert value(db, "SELECT public.cancel_job(%s, 'stop')", found) == "RUNNING"
    assert len(list(listener.notifies(timeout=30, stop_after=1))) == 1
    asked = row(db, found)
    assert (asked["finished_at"], asked["error"], asked["cancel_reason"]) == (None, None, "stop")
    assert value(db, "SELECT public.cancel_job(%s)", found) == "RUNNING"
    again = row(db, found)
    assert (again["cancel_requested_at"], again["cancel_reason"]) == (asked["cancel_requested_at"], "stop")
    assert value(db, "SELECT public.fail_job(%s, %s, 'stopped')", found, token) == "CANCELLED"


def test_with_a_cancel_requested_success_still_wins(db: psycopg.Connection) -> None:
    found = enqueue(db)
    _, token = claim(db)
    db.execute("SELECT public.cancel_job(%s)", [found])
    assert value(db, "SELECT public.complete_job(%s, %s)", found, token) is True
    assert row(db, found)["status"] == "SUCCESS"


@pytest.mark.parametrize("status", ["SUCCESS", "FAILED", "TIMEOUT", "CANCELLED"])
def test_retry_sends_a_final_one_back(db: psycopg.Connection, status: str) -> None:
    found = finish(db, status)
    assert value(db, "SELECT public.retry_job(%s)", found) == "PENDING"
    back = row(db, found)
    assert (back["retry_count"], back["attempt"], back["errors"]) == (0, 3, [{"attempt": 1}])
    cleared = ("result", "error", "cancel_requested_at", "cancel_reason", "claim_token", "claimed_by", "started_at")
    assert [back[name] for name in (*cleared, "finished_at", "progress")] == [None] * 9
    assert value(db, "SELECT available_at <= clock_timestamp() FROM public.job_executions")
    assert claim(db)[0] == found


def test_retry_leaves_others_alone(db: psycopg.Connection) -> None:
    waiting = enqueue(db)
    assert value(db, "SELECT public.retry_job(%s)", waiting) == "PENDING"
    skipped = value(
        db,
        """INSERT INTO public.job_executions (handler_name, status, finished_at)
           VALUES ('a', 'SKIPPED', now()) RETURNING id""",
    )
    assert value(db, "SELECT public.retry_job(%s)", skipped) == "SKIPPED"


def test_one_goes_back_with_other_params_or_with_its_own(db: psycopg.Connection) -> None:
    found = finish(db)
    read = "SELECT handler_params FROM public.job_executions"
    assert value(db, """SELECT public.retry_job(%s, '{"to": "ada"}')""", found) == "PENDING"
    assert value(db, """SELECT public.retry_job(%s, '{"to": "bob"}')""", found) == "PENDING"
    assert value(db, read) == {"to": "ada"}
    db.execute("UPDATE public.job_executions SET status = 'FAILED', finished_at = now()")
    assert value(db, "SELECT public.retry_job(%s, handler_params => NULL)", found) == "PENDING"
    assert value(db, read) == {"to": "ada"}


def test_all_dead_letters_go_back_in_one_statement(db: psycopg.Connection) -> None:
    for _ in range(3):
        finish(db)
    assert len(db.execute("SELECT public.retry_job(id) FROM public.job_dead_letters").fetchall()) == 3
    assert value(db, "SELECT count(*) FROM public.job_dead_letters") == 0


@pytest.mark.parametrize("function", [b"cancel_job", b"retry_job"])
def test_an_unknown_id_is_an_error_that_says_where_to_look(db: psycopg.Connection, function: bytes) -> None:
    with pytest.raises(psycopg.errors.NoDataFound, match="no execution has the id 70") as refusal:
        db.execute(b"SELECT public." + function + b"(70)")
    assert "FROM job_executions ORDER BY id DESC" in str(refusal.value.diag.message_hint)
    with pytest.raises(psycopg.errors.NoDataFound, match="no execution has the id NULL"):
        db.execute(b"SELECT public." + function + b"(NULL)")


def keyed(db: psycopg.Connection, unique_until: str, attempt: int = 1) -> int:
    """A dead letter that held the key `k` once."""
    return int(
        value(
            db,
            """INSERT INTO public.job_executions (handler_name, unique_key, unique_until, status, finished_at, attempt)
               VALUES ('email', 'k', %s, 'FAILED', now(), %s) RETURNING id""",
            unique_until,
            attempt,
        )
    )


def test_a_set_is_retried_as_far_as_its_unique_keys_let_it(db: psycopg.Connection) -> None:
    warnings: list[tuple[str | None, str | None]] = []
    db.add_notice_handler(lambda said: warnings.append((said.message_primary, said.sqlstate)))
    first, second, third = (keyed(db, "finished") for _ in range(3))
    answers = db.execute("SELECT id, public.retry_job(id) FROM public.job_executions ORDER BY id").fetchall()
    assert answers == [(first, "PENDING"), (second, "FAILED"), (third, "FAILED")]
    told = [
        f'execution {stays} stays FAILED: execution {first} (PENDING) holds its unique_key "k"'
        for stays in (second, third)
    ]
    assert warnings == [(text, "23505") for text in told]
    assert row(db, second)["finished_at"]


@pytest.mark.parametrize(
    ("unique_until", "attempt", "holder", "answer"),
    [
        ("finished", 1, "forever", "FAILED"),
        ("started", 0, "finished", "FAILED"),
        ("started", 1, "finished", "PENDING"),  # once claimed, it holds its key no more
    ],
)
def test_whether_a_holder_is_in_the_way(
    db: psycopg.Connection, unique_until: str, attempt: int, holder: str, answer: str
) -> None:
    stays = keyed(db, unique_until, attempt)
    db.execute(
        "INSERT INTO public.job_executions (handler_name, unique_key, unique_until) VALUES ('a', 'k', %s)", [holder]
    )
    assert value(db, "SELECT public.retry_job(%s)", stays) == answer


def test_a_row_that_kept_its_key_for_ever_goes_back_to_it(db: psycopg.Connection) -> None:
    assert value(db, "SELECT public.retry_job(%s)", keyed(db, "forever")) == "PENDING"


def test_run_cron_job(db: psycopg.Connection) -> None:
    cron_job = value(
        db,
        """INSERT INTO public.cron_jobs
               (name, cron_expression, handler_name, handler_params, queue, priority, max_retry)
           VALUES ('nightly', '0 3 * * *', 'report', '{"a": 1}', 'slow', -3, 7) RETURNING id""",
    )
    made = row(db, value(db, "SELECT public.run_cron_job('nightly')"))
    assert (made["source"], made["cron_job_id"], made["handler_name"], made["handler_params"]) == (
        "manual", cron_job, "report", {"a": 1},
    )  # fmt: skip
    assert (made["queue"], made["priority"], made["max_retry"]) == ("slow", -3, 7)
    assert (made["concurrency_key"], made["concurrency_limit"]) == (f"cron:{cron_job}", 1)
    db.execute("UPDATE public.cron_jobs SET overlap_policy = 'allow'")
    assert row(db, value(db, "SELECT public.run_cron_job('nightly')"))["concurrency_key"] is None


def test_pause_and_resume_of_a_cron_job_make_up_for_nothing(db: psycopg.Connection) -> None:
    db.execute("INSERT INTO public.cron_jobs (name, cron_expression, handler_name) VALUES ('a', '* * * * *', 'b')")
    db.execute("SELECT public.pause_cron_job('a')")
    assert value(db, "SELECT NOT enabled FROM public.cron_jobs")
    db.execute("UPDATE public.cron_jobs SET planned_until = '2001-01-01'")
    db.execute("SELECT public.resume_cron_job('a')")
    assert value(db, "SELECT enabled AND next_run_at IS NULL AND planned_until >= created_at FROM public.cron_jobs")


def test_errors_keep_the_first_and_the_last_nineteen(db: psycopg.Connection) -> None:
    kept: list[int] = []
    for number in range(1, 31):
        kept = value(db, "SELECT public.job_errors_with(%s::text::jsonb, to_jsonb(%s::int))", str(kept), number)
    assert kept == [1, *range(12, 31)]


@pytest.mark.parametrize(
    ("backoff", "waits"), [("fixed", [2, 2, 2, 2]), ("linear", [2, 4, 6, 8]), ("exponential", [2, 4, 8, 16])]
)
def test_the_backoff(db: psycopg.Connection, backoff: str, waits: list[float]) -> None:
    rows = db.execute("SELECT public.job_retry_delay(%s, 2, n) FROM generate_series(1, 4) n", [backoff]).fetchall()
    assert [wait for (wait,) in rows] == waits
    assert value(db, "SELECT public.job_retry_delay(%s, 86400, 1000000)", backoff) == 86400
