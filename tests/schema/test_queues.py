"""Queues exist by being named; they are paused, and go on."""

import psycopg
import pytest

from tests.schema.asking import value

NAMING = [
    b"SELECT public.enqueue_job('a', queue => 'q')",
    b"SELECT public.enqueue_job('a', queue => 'q', concurrency_key => 'k')",
    b"SELECT public.register_worker('w', '{q}')",
    b"INSERT INTO public.cron_jobs (name, cron_expression, handler_name, queue) VALUES ('a', '@daily', 'b', 'q')",
    b"INSERT INTO public.job_queues (name) VALUES ('q')",
    b"INSERT INTO public.job_executions (handler_name, queue, status, finished_at) VALUES ('a', 'q', 'SUCCESS', now())",
]
TAKE = "SELECT coalesce(array_agg(id), '{}') FROM public.claim_jobs(public.register_worker('w'))"


def test_a_paused_queue_gives_nothing(db: psycopg.Connection) -> None:
    found = value(db, "SELECT public.enqueue_job('email')")
    db.execute("SELECT public.pause_queue('default', 'a fire')")
    assert value(db, TAKE) == []
    assert value(db, "SELECT paused_reason FROM public.job_queue_status WHERE paused") == "a fire"
    db.execute("SELECT public.pause_queue('default', resume_at => public.job_now() + interval '1 hour')")
    assert value(db, TAKE) == []
    db.execute("SELECT public.resume_queue('default')")
    assert value(db, TAKE) == [found]


def test_a_pause_ends_by_itself(db: psycopg.Connection) -> None:
    found = value(db, "SELECT public.enqueue_job('email')")
    db.execute("INSERT INTO public.job_queues (name, paused, resume_at) VALUES ('default', true, public.job_now())")
    assert value(db, TAKE) == [found]


def test_a_queue_that_nothing_names(db: psycopg.Connection) -> None:
    warnings: list[tuple[str | None, str | None]] = []
    db.add_notice_handler(lambda said: warnings.append((said.message_primary, said.message_hint)))
    db.execute("SELECT public.enqueue_job('email', queue => 'mail', concurrency_key => 'k')")
    db.execute("SELECT public.pause_queue('mail')")
    assert warnings == []
    with pytest.raises(psycopg.errors.NoDataFound, match='nothing names a queue "mial"') as refusal:
        db.execute("SELECT public.resume_queue('mial')")
    assert refusal.value.diag.message_hint == (
        'Did you mean "mail"? SELECT queue FROM job_queue_status lists those in use.'
    )
    db.execute("SELECT public.pause_queue('mial')")
    ((said, hint),) = warnings
    assert said == 'nothing names a queue "mial" so far; it is paused for whoever comes'
    assert hint is not None
    assert hint.startswith('Did you mean "mail"? ')
    db.execute("SELECT public.resume_queue('mial')")
    assert value(db, "SELECT bool_and(paused = (name = 'mail')) FROM public.job_queues")


@pytest.mark.parametrize("naming", NAMING)
def test_a_queue_exists_by_being_named(db: psycopg.Connection, naming: bytes) -> None:
    assert value(db, "SELECT count(*) FROM public.job_queue_status WHERE queue = 'q'") == 0
    db.execute(naming)
    assert value(db, "SELECT count(*) FROM public.job_queue_status WHERE queue = 'q'") == 1


def test_what_waits_is_counted_with_a_key_and_without(db: psycopg.Connection) -> None:
    for key in (None, "k"):
        for delay in (0, 60):
            db.execute("SELECT public.enqueue_job('a', concurrency_key => %s, delay_seconds => %s)", [key, delay])
    counts = "SELECT waiting, delayed, oldest_waiting > '0' FROM public.job_queue_status"
    assert db.execute(counts).fetchall() == [(2, 2, True)]
    db.execute("UPDATE public.job_executions SET available_at = public.job_now() + interval '1 hour'")
    assert db.execute(counts).fetchall() == [(0, 4, None)]


def test_a_full_queue_refuses_what_is_enqueued(db: psycopg.Connection) -> None:
    db.execute("SELECT public.enqueue_job('a', queue => 'q', concurrency_key => 'k')")
    db.execute("SELECT public.limit_queue('q', '{\"max_pending\": 3}')")
    held = value(db, "SELECT public.enqueue_job('a', queue => 'q', unique_key => 'u')")
    db.execute("SELECT public.enqueue_job('a', queue => 'q', delay_seconds => 3600)")
    with pytest.raises(psycopg.Error, match='queue "q" is full: 3 wait') as refusal:
        db.execute("SELECT public.enqueue_job('a', queue => 'q')")
    assert refusal.value.sqlstate == "QFULL"
    assert value(db, "SELECT public.enqueue_job('a', queue => 'q', unique_key => 'u')") == held
    assert value(db, "SELECT reached FROM public.job_queue_status WHERE queue = 'q'") == "max_pending"
    value(db, "SELECT public.enqueue_job('a')")
    db.execute("SELECT id FROM public.claim_jobs(public.register_worker('w', '{q}'), 'q')")
    value(db, "SELECT public.enqueue_job('a', queue => 'q')")


def test_limits_are_set_by_name_and_the_others_stay(db: psycopg.Connection) -> None:
    db.execute("SELECT public.enqueue_job('a', queue => 'q')")
    db.execute("SELECT public.limit_queue('q', '{\"max_running\": 7, \"key_limit\": 2}')")
    db.execute('SELECT public.limit_queue(\'q\', \'{"max_running": null, "rate_limit": 5, "rate_period_seconds": 1}\')')
    found = value(db, "SELECT to_jsonb(q) FROM public.job_queues q")
    assert (found["max_running"], found["key_limit"]) == (None, 2)
    assert (found["rate_limit"], found["rate_period_seconds"]) == (5, 1)


@pytest.mark.parametrize(
    ("limits", "why"),
    [
        ('{"max_runing": 1}', 'queues have no limit named "max_runing"'),
        ('{"paused": true}', 'queues have no limit named "paused"'),
        ('{"max_running": 0}', "job_queues_max_running_check"),
        ('{"max_running": -1}', "job_queues_max_running_check"),
        ('{"max_running": 99999999999}', "out of range"),
        ('{"max_running": "many"}', "invalid input syntax"),
        ('{"key_limit": 0}', "job_queues_key_limit_check"),
        ('{"max_pending": 0}', "job_queues_max_pending_check"),
        ('{"rate_limit": 5}', "job_queues_rate_check"),
        ('{"rate_limit": 5, "rate_period_seconds": 0}', "job_queues_rate_period_seconds_check"),
        ('{"rate_limit": 5, "rate_period_seconds": "NaN"}', "job_queues_rate_period_seconds_check"),
        ('{"rate_limit": 5, "rate_period_seconds": 1e300}', "job_queues_rate_period_seconds_check"),
        ('{"pause_after_failures": 0}', "job_queues_pause_after_failures_check"),
        ('{"pause_seconds": -1}', "job_queues_pause_seconds_check"),
    ],
)
def test_nonsense_is_no_limit(db: psycopg.Connection, limits: str, why: str) -> None:
    db.execute("SELECT public.enqueue_job('a', queue => 'q')")
    with pytest.raises(psycopg.Error, match=why):
        db.execute("SELECT public.limit_queue('q', %s)", [limits])
    assert value(db, "SELECT count(*) FROM public.job_queues") == 0


def test_limits_for_a_queue_that_nothing_names_warn(db: psycopg.Connection) -> None:
    warnings: list[str | None] = []
    db.add_notice_handler(lambda said: warnings.append(said.message_primary))
    db.execute("SELECT public.limit_queue('later', '{\"max_running\": 1}')")
    assert warnings == ['nothing names a queue "later" so far; the limits are for whoever comes']
