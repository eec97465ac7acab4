"""What functions answer to a value that can't be: a sentence, and what to write instead."""

import psycopg
import pytest

from tests.schema.asking import value

ENQUEUE = {
    "''": 'no handler can be named ""',
    "NULL": 'no handler can be named ""',
    "repeat('x', 201)": "no handler can be named",
    "'a', NULL": "handler_params is NULL",
    "'a', queue => ''": 'no queue can be named ""',
    "'a', queue => repeat('x', 201)": "no queue can be named",
    "'a', priority => 12": "priority 12 is out of range",
    "'a', priority => 70000": "priority 70000 is out of range",
    "'a', priority => NULL": "priority NULL is out of range",
    "'a', delay_seconds => -5": "delay_seconds -5 is out of range",
    "'a', delay_seconds => 'NaN'": "delay_seconds NaN is out of range",
    "'a', delay_seconds => 'Infinity'": "delay_seconds Infinity is out of range",
    "'a', available_at => 'infinity'": "available_at infinity is out of range",
    "'a', available_at => '1969-12-31'": "available_at 1969-12-31 00:00:00+00 is out of range",
    "'a', timeout_seconds => 0": "timeout_seconds 0 is out of range",
    "'a', timeout_seconds => 'NaN'": "timeout_seconds NaN is out of range",
    "'a', max_retry => -1": "max_retry -1 is less than 0",
    "'a', retry_backoff => 'never'": 'retry_backoff "never" is not known',
    "'a', retry_delay_seconds => 86401": "retry_delay_seconds 86401 is out of range",
    "'a', unique_key => repeat('x', 1025)": "unique_key is too long",
    "'a', unique_until => 'never'": 'unique_until "never" is not known',
    "'a', concurrency_key => ''": "concurrency_key is empty or too long",
    "'a', concurrency_key => 'cron:3'": 'concurrency_key "cron:3" is one of a cron job',
    "'a', concurrency_key => 'k', concurrency_limit => 0": "concurrency_limit 0 is less than 1",
    "'a', concurrency_limit => 2": "concurrency_limit is for a concurrency_key, and there is none",
}
ALLOWED = [
    "repeat('x', 200), queue => repeat('x', 200), priority => -9, delay_seconds => 3155760000",
    "'a', available_at => '1970-01-01 00:00+00', timeout_seconds => 31622400, max_retry => 0, retry_delay_seconds => 0",
    "'a', unique_key => repeat('x', 1024), concurrency_key => repeat('x', 1024), concurrency_limit => 1",
]
NAMED = ["run_cron_job", "pause_cron_job", "resume_cron_job", "cron_job_tick_at"]


@pytest.mark.parametrize("arguments", ENQUEUE)
def test_enqueue_refuses_before_a_rule_of_the_table_does(db: psycopg.Connection, arguments: str) -> None:
    db.execute("SET timezone = 'UTC'")
    with pytest.raises(psycopg.errors.InvalidParameterValue) as refusal:
        db.execute(f"SELECT public.enqueue_job({arguments})".encode())
    assert ENQUEUE[arguments] in str(refusal.value.diag.message_primary)
    assert str(refusal.value.diag.message_hint).endswith(".")
    assert value(db, "SELECT count(*) FROM public.job_executions") == 0


@pytest.mark.parametrize("arguments", ALLOWED)
def test_what_the_table_takes_is_not_refused(db: psycopg.Connection, arguments: str) -> None:
    db.execute(f"SELECT public.enqueue_job({arguments})".encode())
    assert value(db, "SELECT count(*) FROM public.job_executions") == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("''", 'no queue can be named ""'),
        ("NULL", 'no queue can be named "<NULL>"'),
        ("'mail', resume_at => public.job_now() - interval '1 s'", "is past"),
    ],
)
def test_a_pause_that_can_not_be(db: psycopg.Connection, arguments: str, said: str) -> None:
    with pytest.raises(psycopg.errors.InvalidParameterValue, match=said):
        db.execute(f"SELECT public.pause_queue({arguments})".encode())
    assert value(db, "SELECT count(*) FROM public.job_queues") == 0


@pytest.mark.parametrize("function", NAMED)
def test_an_unknown_cron_job_is_named_and_a_near_one_too(db: psycopg.Connection, function: str) -> None:
    db.execute(
        """INSERT INTO public.cron_jobs (name, cron_expression, handler_name)
           SELECT name, '@daily', 'work' FROM unnest('{greet,nightly,weekly}'::text[]) AS name"""
    )
    lists = "SELECT name FROM cron_jobs lists them."
    for typed, hint in {"greeet": f'Did you mean "greet"? {lists}', "nope": lists}.items():
        with pytest.raises(psycopg.errors.NoDataFound, match=f'no cron job is named "{typed}"') as refusal:
            db.execute(f"SELECT public.{function}('{typed}')".encode())
        assert refusal.value.diag.message_hint == hint


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("defalt", "default"), ("mial", "mail"), ("MAIL", "mail"), ("nightyl", "nightly"), ("nightl", "nightly"),
        ("x", None), ("", None), ("quarterly", None), ("m" * 1_000_000, None),
    ],
)  # fmt: skip
def test_the_nearest_name(db: psycopg.Connection, typed: str, meant: str | None) -> None:
    names = ["default", "mail", "nightly", "weekly", "x" * 200]
    found = value(db, "SELECT public.job_did_you_mean(%s, %s)", typed, names)
    assert found == ("" if meant is None else f'Did you mean "{meant}"? ')
