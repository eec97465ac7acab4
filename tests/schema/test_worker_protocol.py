"""Workers in any language: register, heartbeat, claim, complete, fail; each write fenced by the claim's token."""

import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID, uuid4

import psycopg
import pytest

from tests.schema.asking import row, value, wait_until_blocked
from tests.schema.conftest import Connect

KEYED = "SELECT public.enqueue_job('email', concurrency_key => 'k', concurrency_limit => %s)"
LOCK = re.compile(r"WHERE pg_try_advisory_xact_lock\(.*\)(?=;)")


@pytest.fixture
def worker(db: psycopg.Connection) -> UUID:
    found = value(db, "SELECT public.register_worker('w', '{default,mails}', 4)")
    assert isinstance(found, UUID)
    return found


def claim(db: psycopg.Connection, worker: UUID, n: int = 1, queue: str = "default") -> Sequence[tuple[int, UUID]]:
    return db.execute("SELECT id, claim_token FROM public.claim_jobs(%s, %s, %s)", [worker, queue, n]).fetchall()


def test_a_worker_registers_and_lives(db: psycopg.Connection, worker: UUID) -> None:
    assert value(db, "SELECT state || queues::text FROM public.job_worker_status") == "active{default,mails}"
    before = value(db, "SELECT lease_until FROM public.job_workers")
    assert value(db, "SELECT public.heartbeat_worker(%s, 60)", worker) is True
    assert value(db, "SELECT lease_until > %s FROM public.job_workers", before)


@pytest.mark.parametrize("status", ["LOST", "STOPPED"])
def test_a_worker_that_is_given_up_never_comes_back(db: psycopg.Connection, worker: UUID, status: str) -> None:
    db.execute("UPDATE public.job_workers SET status = %s", [status])
    assert value(db, "SELECT public.heartbeat_worker(%s)", worker) is None
    with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match="has no valid lease"):
        claim(db, worker)


@pytest.mark.parametrize(
    "change",
    [
        b"lease_until = public.job_now()",
        b"heartbeat_at = public.job_now() + interval '1 hour', lease_until = public.job_now() + interval '2 hours'",
        b"status = 'DRAINING'",
        b"id = gen_random_uuid()",
    ],
)
def test_no_claim_without_a_valid_lease(db: psycopg.Connection, worker: UUID, change: bytes) -> None:
    db.execute("SELECT public.enqueue_job('email')")
    db.execute(b"UPDATE public.job_workers SET " + change)
    with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match="has no valid lease"):
        claim(db, worker)
    assert value(db, "SELECT status FROM public.job_executions") == "PENDING"


def test_a_claim_takes_by_priority_then_age_and_writes_what_is_in_force(db: psycopg.Connection, worker: UUID) -> None:
    low, first, second, high = (
        value(db, "SELECT public.enqueue_job('email', priority => %s)", priority) for priority in (-1, 0, 0, 9)
    )
    value(db, "SELECT public.enqueue_job('email', delay_seconds => 3600)")
    value(db, "SELECT public.enqueue_job('email', queue => 'mails')")
    taken = [claim(db, worker)[0] for _ in range(3)]
    assert [found for found, _ in taken] == [high, first, second]
    assert [found for found, _ in claim(db, worker, 10)] == [low]
    claimed = row(db, high)
    assert (claimed["status"], claimed["attempt"]) == ("RUNNING", 1)
    assert (claimed["claimed_by"], claimed["claim_token"]) == (str(worker), str(taken[0][1]))
    assert (claimed["timeout_seconds"], claimed["max_retry"]) == (300, 3)
    assert (claimed["retry_backoff"], claimed["retry_delay_seconds"]) == ("exponential", 2)


def test_the_rows_own_policy_stands(db: psycopg.Connection, worker: UUID) -> None:
    found = value(
        db, "SELECT public.enqueue_job('email', timeout_seconds => 5, max_retry => 0, retry_backoff => 'fixed')"
    )
    claim(db, worker)
    claimed = row(db, found)
    assert (claimed["timeout_seconds"], claimed["max_retry"], claimed["retry_backoff"]) == (5, 0, "fixed")


def test_two_workers_never_take_the_same(db: psycopg.Connection, connect: Connect, worker: UUID) -> None:
    for _ in range(4):
        value(db, "SELECT public.enqueue_job('email')")
    with db.transaction():
        mine = claim(db, worker, 3)
        theirs = claim(connect(), worker, 3)
    assert (len(mine), len(theirs)) == (3, 1)
    assert not set(mine) & set(theirs)


@pytest.mark.parametrize("limit", [1, 2])
def test_a_keyed_limit_holds_with_two_claiming_at_once(
    db: psycopg.Connection, connect: Connect, worker: UUID, limit: int
) -> None:
    for _ in range(4):
        value(db, KEYED, limit)
    other = connect()
    with db.transaction():
        mine = claim(db, worker, 10)
        assert len(mine) == limit
        assert claim(other, worker, 10) == []
    assert claim(other, worker, 10) == []
    found, token = mine[0]
    value(db, "SELECT public.complete_job(%s, %s)", found, token)
    assert len(claim(other, worker, 10)) == 1


def test_without_its_lock_a_keyed_claim_would_overshoot(db: psycopg.Connection, connect: Connect, worker: UUID) -> None:
    """The broken variant: what the test above would see if the key were not locked first."""
    definition = value(db, "SELECT pg_get_functiondef('public.job_claim'::regproc)")
    broken, removed = LOCK.subn("", definition)
    assert removed == 2
    db.execute(broken.encode())
    try:
        for _ in range(2):
            value(db, KEYED, 1)
        with db.transaction():
            claim(db, worker)
            assert len(claim(connect(), worker)) == 1
    finally:
        db.execute(definition.encode())


def test_keyed_and_other_rows_share_a_claim(db: psycopg.Connection, worker: UUID) -> None:
    for _ in range(3):
        value(db, KEYED, 1)
        value(db, "SELECT public.enqueue_job('email')")
    assert len(claim(db, worker, 10)) == 4


def test_priority_holds_between_rows_with_a_key_and_rows_without(db: psycopg.Connection, worker: UUID) -> None:
    levels = [(0, None), (9, "a"), (5, None), (-9, "b"), (7, "c")]
    enqueue = "SELECT public.enqueue_job('email', priority => %s, concurrency_key => %s)"
    ids = {priority: value(db, enqueue, priority, key) for priority, key in levels}
    assert [claim(db, worker)[0][0] for _ in levels] == [ids[priority] for priority in (9, 7, 5, 0, -9)]


def test_behind_a_full_key_another_one_is_found(db: psycopg.Connection, worker: UUID) -> None:
    running = value(db, KEYED, 1)
    assert [found for found, _ in claim(db, worker)] == [running]
    db.execute("SELECT public.enqueue_job('email', concurrency_key => 'k', priority => 1) FROM generate_series(1, 600)")
    behind = value(db, "SELECT public.enqueue_job('email', concurrency_key => 'z')")
    assert [found for found, _ in claim(db, worker, 10)] == [behind]
    assert claim(db, worker, 10) == []


@pytest.mark.parametrize("n", [-1, None])
def test_a_number_that_is_none(db: psycopg.Connection, worker: UUID, n: int | None) -> None:
    with pytest.raises(psycopg.errors.InvalidParameterValue, match="is out of range"):
        db.execute("SELECT public.claim_jobs(%s, 'default', %s)", [worker, n])
    assert claim(db, worker, 0) == []


def test_complete(db: psycopg.Connection, worker: UUID) -> None:
    value(db, "SELECT public.enqueue_job('email')")
    ((found, token),) = claim(db, worker)
    assert value(db, "SELECT public.complete_job(%s, %s, %s)", found, token, '{"sent": true}') is True
    done = row(db, found)
    assert (done["status"], done["result"], done["claim_token"]) == ("SUCCESS", {"sent": True}, str(token))
    assert done["finished_at"]


def test_fail_tries_again_until_the_last_try(db: psycopg.Connection, worker: UUID) -> None:
    found = value(db, "SELECT public.enqueue_job('email', max_retry => 2, retry_delay_seconds => 100)")
    ((_, token),) = claim(db, worker)
    assert value(db, "SELECT public.fail_job(%s, %s, 'boom')", found, token) == "PENDING"
    back = row(db, found)
    assert (back["retry_count"], back["claim_token"], back["claimed_by"]) == (1, None, None)
    wait = value(db, "SELECT available_at - clock_timestamp() FROM public.job_executions")
    assert 60 < wait.total_seconds() <= 110
    assert claim(db, worker) == []

    db.execute("UPDATE public.job_executions SET available_at = public.job_now()")
    ((_, token),) = claim(db, worker)
    assert value(db, "SELECT public.fail_job(%s, %s, 'boom again')", found, token) == "FAILED"
    dead = row(db, found)
    assert (dead["retry_count"], dead["attempt"], dead["claim_token"]) == (2, 2, str(token))
    assert [(entry["attempt"], entry["outcome"], entry["error"]) for entry in dead["errors"]] == [
        (1, "failure", "boom"),
        (2, "failure", "boom again"),
    ]
    assert [outcome for (outcome,) in db.execute("SELECT error FROM public.job_attempts")] == ["boom", "boom again"]
    assert value(db, "SELECT public.retry_job(%s)", found) == "PENDING"
    assert len(claim(db, worker)) == 1, "a dead letter that is sent back does not wait for a backoff"


@pytest.mark.parametrize("max_retry", [0, 1])
def test_no_second_try(db: psycopg.Connection, worker: UUID, max_retry: int) -> None:
    found = value(db, "SELECT public.enqueue_job('email', max_retry => %s)", max_retry)
    ((_, token),) = claim(db, worker)
    assert value(db, "SELECT public.fail_job(%s, %s, 'boom')", found, token) == "FAILED"


def test_a_stale_token_writes_nothing(db: psycopg.Connection, worker: UUID) -> None:
    value(db, "SELECT public.enqueue_job('email', retry_delay_seconds => 0)")
    ((found, stale),) = claim(db, worker)
    value(db, "SELECT public.fail_job(%s, %s, 'lost')", found, stale)
    ((_, token),) = claim(db, worker)
    before = row(db, found)
    for wrong in (stale, uuid4()):
        assert db.execute("SELECT public.complete_job(%s, %s)", [found, wrong]).fetchall() == [(None,)]
        assert db.execute("SELECT public.fail_job(%s, %s, 'x')", [found, wrong]).fetchall() == [(None,)]
    assert row(db, found) == before
    assert value(db, "SELECT public.complete_job(%s, %s)", found, token) is True
    assert value(db, "SELECT public.complete_job(%s, %s)", found, token) is None


def test_of_two_writers_with_one_token_one_wins(db: psycopg.Connection, connect: Connect, worker: UUID) -> None:
    value(db, "SELECT public.enqueue_job('email')")
    ((found, token),) = claim(db, worker)
    other = connect()
    with ThreadPoolExecutor(1) as thread:
        with db.transaction():
            assert value(db, "SELECT public.complete_job(%s, %s)", found, token) is True
            late = thread.submit(value, other, "SELECT public.fail_job(%s, %s, 'late')", found, token)
            wait_until_blocked(db, other)
        assert late.result(timeout=30) is None
    assert row(db, found)["status"] == "SUCCESS"


def test_the_views_tell_what_runs(db: psycopg.Connection, worker: UUID) -> None:
    value(db, "SELECT public.enqueue_job('email', timeout_seconds => 60)")
    value(db, "SELECT public.enqueue_job('email', delay_seconds => 60)")
    claim(db, worker)
    assert value(db, "SELECT worker FROM public.job_running WHERE age < time_left") == "w"
    counts = "SELECT waiting, delayed, running, workers FROM public.job_queue_status WHERE queue = 'default'"
    assert db.execute(counts).fetchall() == [(0, 1, 1, 1)]


def test_progress_is_written_and_answered(db: psycopg.Connection, worker: UUID) -> None:
    value(db, "SELECT public.enqueue_job('email')")
    ((found, token),) = claim(db, worker)
    assert value(db, "SELECT public.progress_job(%s, %s)", found, token) is True
    assert value(db, "SELECT public.progress_job(%s, %s, 0.25, 'a quarter')", found, token) is True
    assert value(db, "SELECT public.progress_job(%s, %s, 0.5)", found, token) is True
    said = row(db, found)
    assert (said["progress"], said["progress_message"]) == (0.5, "a quarter")


@pytest.mark.parametrize("progress", ["NULL", "0.5"])
def test_a_cancel_is_told_to_the_worker_and_its_end_is_cancelled(
    db: psycopg.Connection, worker: UUID, progress: str
) -> None:
    value(db, "SELECT public.enqueue_job('email')")
    ((found, token),) = claim(db, worker)
    assert value(db, "SELECT public.cancel_job(%s, 'enough')", found) == "RUNNING"
    asked = f"SELECT public.progress_job(%s, %s, {progress})".encode()
    assert db.execute(asked, [found, token]).fetchall() == [(False,)]
    assert value(db, "SELECT public.fail_job(%s, %s, 'stopped')", found, token) == "CANCELLED"
    assert (row(db, found)["error"], row(db, found)["retry_count"]) == ("enough", 1)


def test_a_release_uses_up_no_try(db: psycopg.Connection, worker: UUID) -> None:
    value(db, "SELECT public.enqueue_job('email', max_retry => 1)")
    for attempt in (1, 2):
        ((found, token),) = claim(db, worker)
        assert value(db, "SELECT public.release_job(%s, %s)", found, token) == "PENDING"
        back = row(db, found)
        assert (back["attempt"], back["retry_count"], back["errors"]) == (attempt, 0, [])
        assert (back["claim_token"], back["claimed_by"], back["finished_at"]) == (None, None, None)


def test_a_snooze_uses_up_no_try_and_waits(db: psycopg.Connection, worker: UUID) -> None:
    value(db, "SELECT public.enqueue_job('email', max_retry => 1)")
    ((found, token),) = claim(db, worker)
    assert value(db, "SELECT public.snooze_job(%s, %s, 600)", found, token) == "PENDING"
    assert row(db, found)["retry_count"] == 0
    assert claim(db, worker) == []
    assert value(db, "SELECT available_at > public.job_now() + interval '9 min' FROM public.job_executions") is True


@pytest.mark.parametrize("ending", ["release_job(%s, %s)", "snooze_job(%s, %s, 60)"])
def test_what_was_cancelled_does_not_come_back(db: psycopg.Connection, worker: UUID, ending: str) -> None:
    value(db, "SELECT public.enqueue_job('email')")
    ((found, token),) = claim(db, worker)
    value(db, "SELECT public.cancel_job(%s, 'enough')", found)
    assert db.execute(f"SELECT public.{ending}".encode(), [found, token]).fetchall() == [("CANCELLED",)]
    assert (row(db, found)["error"], row(db, found)["claim_token"]) == ("enough", str(token))


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ("delay_seconds => 600", "PENDING"),
        ("permanent => true", "FAILED"),
        ("timed_out => true", "PENDING"),
        ("timed_out => true, permanent => true", "TIMEOUT"),
        ("permanent => NULL, timed_out => NULL", "PENDING"),
    ],
)
def test_how_it_failed(db: psycopg.Connection, worker: UUID, options: str, status: str) -> None:
    value(db, "SELECT public.enqueue_job('email')")
    ((found, token),) = claim(db, worker)
    failed = f"SELECT public.fail_job(%s, %s, 'boom', {options})".encode()
    assert db.execute(failed, [found, token]).fetchall() == [(status,)]
    late = value(db, "SELECT available_at > public.job_now() + interval '9 min' FROM public.job_executions")
    outcome = row(db, found)["errors"][0]["outcome"]
    assert outcome == ("timeout" if "timed_out => true" in options else "failure")
    assert late is ("delay" in options)


def test_an_error_of_any_size_or_none_is_recorded(db: psycopg.Connection, worker: UUID) -> None:
    for _ in range(2):
        value(db, "SELECT public.enqueue_job('email', max_retry => 1)")
    (long, first), (silent, second) = claim(db, worker, 2)
    value(db, "SELECT public.fail_job(%s, %s, repeat('x', 1000000))", long, first)
    value(db, "SELECT public.fail_job(%s, %s, NULL)", silent, second)
    assert len(row(db, long)["error"]) == 8192
    assert row(db, silent)["error"] == "no reason was given"


def test_a_cancel_at_the_same_moment_is_seen(db: psycopg.Connection, connect: Connect, worker: UUID) -> None:
    value(db, "SELECT public.enqueue_job('email')")
    ((found, token),) = claim(db, worker)
    other = connect()
    with ThreadPoolExecutor(1) as thread:
        with db.transaction():
            value(db, "SELECT public.cancel_job(%s, 'enough')", found)
            late = thread.submit(value, other, "SELECT public.fail_job(%s, %s, 'boom')", found, token)
            wait_until_blocked(db, other)
        assert late.result(timeout=30) == "CANCELLED"
    assert row(db, found)["error"] == "enough"


@pytest.mark.parametrize("call", ["progress_job(%s, %s, 0.5)", "release_job(%s, %s)", "snooze_job(%s, %s, 1)"])
def test_the_fence_stands_before_every_write(db: psycopg.Connection, worker: UUID, call: str) -> None:
    value(db, "SELECT public.enqueue_job('email')")
    ((found, token),) = claim(db, worker)
    statement = f"SELECT public.{call}".encode()
    before = row(db, found)
    assert db.execute(statement, [found, uuid4()]).fetchall() == [(None,)]
    assert row(db, found) == before
    value(db, "SELECT public.complete_job(%s, %s)", found, token)
    done = row(db, found)
    assert db.execute(statement, [found, token]).fetchall() == [(None,)]
    assert row(db, found) == done


def test_a_worker_that_leaves_holds_nothing_any_more(db: psycopg.Connection, worker: UUID) -> None:
    assert value(db, "SELECT public.leave_worker(%s)", worker) is True
    assert db.execute("SELECT * FROM public.job_worker_status").fetchall() == []
    assert value(db, "SELECT public.leave_worker(%s)", worker) is None
    assert value(db, "SELECT public.heartbeat_worker(%s)", worker) is None


def test_a_heartbeat_tells_how_much_was_done(db: psycopg.Connection, worker: UUID) -> None:
    counts = "SELECT running_count, succeeded_count, failed_count FROM public.job_worker_status"
    value(db, "SELECT public.heartbeat_worker(%s, 30, 2, 40, 1)", worker)
    assert db.execute(counts).fetchall() == [(2, 40, 1)]
    value(db, "SELECT public.heartbeat_worker(%s)", worker)
    assert db.execute(counts).fetchall() == [(2, 40, 1)]


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ("register_worker('')", 'no worker can be named ""'),
        ("register_worker(NULL)", 'no worker can be named ""'),
        ("register_worker(repeat('x', 1000000))", "no worker can be named"),
        ("register_worker('w', NULL)", "queues can't be NULL"),
        ("register_worker('w', '{a,NULL}')", "queues can't be '{a,NULL}'"),
        ("register_worker('w', '{\"\"}')", "queues can't be"),
        ("register_worker('w', pool_size => -1)", "pool_size -1 is out of range"),
        ("register_worker('w', lease_seconds => 0)", "lease_seconds 0 is out of range"),
        ("register_worker('w', lease_seconds => 'NaN')", "lease_seconds NaN is out of range"),
        ("heartbeat_worker(gen_random_uuid(), -1)", "lease_seconds -1 is out of range"),
        ("heartbeat_worker(gen_random_uuid(), NULL)", "lease_seconds NULL is out of range"),
        ("fail_job(1, gen_random_uuid(), 'x', -1)", "delay_seconds -1 is out of range"),
        ("fail_job(1, gen_random_uuid(), 'x', 'infinity')", "delay_seconds Infinity is out of range"),
        ("snooze_job(1, gen_random_uuid(), NULL)", "delay_seconds NULL is out of range"),
        ("snooze_job(1, gen_random_uuid(), -1)", "delay_seconds -1 is out of range"),
        ("progress_job(1, gen_random_uuid(), 1.5)", "progress 1.5 is out of range"),
        ("progress_job(1, gen_random_uuid(), 'NaN')", "progress NaN is out of range"),
    ],
)
def test_nonsense_is_refused_in_words(db: psycopg.Connection, call: str, said: str) -> None:
    with pytest.raises(psycopg.errors.InvalidParameterValue) as refused:
        db.execute(f"SELECT public.{call}".encode())
    assert said in (refused.value.diag.message_primary or "")
    assert refused.value.diag.message_hint


def test_who_goes_quiet_is_inactive_after_a_minute_and_leaves_the_view_after_five(
    db: psycopg.Connection, worker: UUID
) -> None:
    """By the one clock, which a test can set."""
    state = "SELECT state FROM public.job_worker_status"
    db.execute("UPDATE public.job_workers SET heartbeat_at = '2026-03-07 12:00:00+00'")
    original = value(db, "SELECT pg_get_functiondef('public.job_now'::regproc)")
    seen = {}
    try:
        for seconds in (0, 59, 61, 299, 301):
            clock = f"RETURN '2026-03-07 12:00:00+00'::timestamptz + interval '{seconds} s'"
            db.execute(f"CREATE OR REPLACE FUNCTION public.job_now() RETURNS timestamptz LANGUAGE sql {clock}".encode())
            seen[seconds] = [found for (found,) in db.execute(state)]
    finally:
        db.execute(original.encode())
    assert seen == {0: ["active"], 59: ["active"], 61: ["inactive"], 299: ["inactive"], 301: []}
