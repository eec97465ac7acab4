"""What the tables refuse, and what they keep apart: sizes, keys, and texts that only look alike. See docs/limits.md."""

import hashlib
import json
import unicodedata
from collections.abc import Iterator
from uuid import uuid4

import pytest
from psycopg import errors
from psycopg.types.json import Jsonb

from scheduler.store.schema import metadata
from scheduler.store.statements import statements
from tests.store.tables import Tables

MEBIBYTE = 1024 * 1024
KEYS = ["unique_key", "concurrency_key"]
NAMES = ["handler_name", "queue"]


@pytest.fixture
def tables(migrated_url: str) -> Iterator[Tables]:
    with Tables(migrated_url) as tables:
        yield tables


def of_bytes(count: int) -> str:
    """JSON text of exactly so many bytes, as Postgres writes it."""
    return json.dumps({"a": "x" * (count - len('{"a": ""}'))})


@pytest.mark.parametrize("table", ["job_executions", "cron_jobs"])
def test_params_are_at_most_a_mebibyte(tables: Tables, table: str) -> None:
    insert = tables.enqueue if table == "job_executions" else lambda **columns: tables.cron_job(**columns)
    insert(handler_params=of_bytes(MEBIBYTE))
    with pytest.raises(errors.CheckViolation, match=f"{table}_handler_params_check"):
        insert(handler_params=of_bytes(MEBIBYTE + 1))
    with pytest.raises(errors.CheckViolation, match=f"{table}_handler_params_check"):
        insert(handler_params=f"[{', '.join(['1e1000'] * 2000)}]")  # small as it is stored, and two megabytes as text


def test_a_hundred_megabytes_of_params_are_refused(tables: Tables) -> None:
    with pytest.raises(errors.CheckViolation, match="job_executions_handler_params_check"):
        tables.execute("SELECT enqueue_job('email', jsonb_build_object('a', repeat('x', 100 * 1000 * 1000)))")
    assert tables.value("SELECT count(*) FROM job_executions") == 0


@pytest.mark.parametrize(("column", "most"), [*((name, 200) for name in NAMES), *((key, 1024) for key in KEYS)])
def test_names_and_keys_have_a_length_and_a_rule_that_says_so(tables: Tables, column: str, most: int) -> None:
    columns = {"handler_name": "email", column: random_text(most)}
    tables.enqueue(**columns)
    for refused in ("", random_text(most + 1), random_text(8192), "é" * (most // 2 + 1)):
        with pytest.raises(errors.CheckViolation, match=f"job_executions_{column}_check"):
            tables.enqueue(**columns | {column: refused})


def random_text(length: int) -> str:
    """Such as no compression makes shorter."""
    return "".join(uuid4().hex for _ in range(length // 32 + 1))[:length]


def test_whatever_is_indexed_is_short_enough_to_be(tables: Tables) -> None:
    """Not so much as one row of the widest values that the rules allow is refused by an index, as by 54000."""
    widest = {"queue": random_text(200), "unique_key": random_text(1024), "concurrency_key": random_text(1024)}
    tables.enqueue(handler_name=random_text(200), **widest)
    tables.cron_job(name=random_text(200))
    tables.execute("INSERT INTO job_queues (name) VALUES (%s)", random_text(200))
    message = "INSERT INTO job_messages (source, message_id) VALUES (%s, %s)"
    tables.execute(message, random_text(200), random_text(1024))
    with pytest.raises(errors.CheckViolation, match="job_messages_message_id_check"):
        tables.execute(message, "source", random_text(8192))


def test_without_its_rule_a_key_is_refused_by_the_index(tables: Tables) -> None:
    tables.execute("ALTER TABLE job_executions DROP CONSTRAINT job_executions_unique_key_check")
    with pytest.raises(errors.ProgramLimitExceeded):
        tables.enqueue(unique_key=random_text(8192))


def test_every_text_in_an_index_has_a_rule_about_its_length(tables: Tables) -> None:
    """A column that comes later is forgotten by nobody."""
    indexed = tables.rows(
        """
        SELECT DISTINCT c.relname, a.attname FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
        JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY(i.indkey) AND a.atttypid = 'text'::regtype
        WHERE c.relname = ANY(%s)""",
        list(metadata.tables),
    )
    bounded = tables.rows("""
        SELECT c.relname, a.attname FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
        JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY(k.conkey)
        WHERE k.contype = 'c'
          AND pg_get_constraintdef(k.oid) ~ ('octet_length\\(' || a.attname || '\\)|' || a.attname || ' = ANY')""")
    unbounded = {*indexed} - {*bounded}
    assert unbounded <= {("job_transactions", "gid")}  # of a prepared transaction: Postgres takes 200 bytes


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (unicodedata.normalize("NFC", "café"), unicodedata.normalize("NFD", "café")),
        ("mail", "mail "),
        ("mail", "Mail"),
        ("mail", "ma\u200bil"),
    ],
    ids=["NFC and NFD", "a blank at the end", "a capital", "a blank of no width"],
)
@pytest.mark.parametrize("column", ["queue", *KEYS])
def test_two_texts_are_one_only_if_their_bytes_are(tables: Tables, column: str, one: str, other: str) -> None:
    ids = [tables.enqueue(**{column: text}) for text in (one, other)]
    assert tables.value("SELECT count(*) FROM job_executions") == 2
    for id_, text in zip(ids, (one, other), strict=True):
        assert tables.rows(f"SELECT id FROM job_executions WHERE {column} = %s", text) == [(id_,)]
        assert tables.execution(id_)[column] == text


def test_a_result_over_the_limit_is_cut_and_its_outcome_kept(tables: Tables) -> None:
    for text in ("x" * (2 * MEBIBYTE), "x"):
        id_, token = tables.running()
        assert tables.value("SELECT complete_job(%s, %s, %s)", id_, token, Jsonb(text)) is True
        row = tables.execution(id_)
        assert row["status"] == "SUCCESS"
        if text == "x":
            assert row["result"] == "x"
        else:
            whole = json.dumps(text).encode()
            assert row["result"] == {
                "truncated": True, "bytes": len(whole), "sha256": hashlib.sha256(whole).hexdigest(),
                "head": whole[:8192].decode(),
            }  # fmt: skip
    id_, token = tables.running()
    assert tables.value("SELECT complete_job(%s, %s)", id_, token) is True
    assert tables.execution(id_)["result"] is None


def test_an_error_over_the_limit_is_cut_and_its_outcome_kept(tables: Tables) -> None:
    id_, token = tables.running(max_retry=1)
    assert tables.value("SELECT fail_job(%s, %s, %s)", id_, token, "x" * 10_000_000) == "FAILED"
    row = tables.execution(id_)
    assert row["error"] == row["errors"][0]["error"] == "x" * 8192


@pytest.mark.parametrize("id_", [-(2**63), -1, 0, 2**63 - 1])
def test_ids_at_the_edge_are_ids(tables: Tables, id_: int) -> None:
    worker = tables.worker()
    tables.execute("INSERT INTO job_executions (id, handler_name) VALUES (%s, 'email')", id_)
    ((found, token),) = tables.rows("SELECT id, claim_token FROM claim_jobs(%s)", worker)
    assert found == id_
    assert tables.value("SELECT complete_job(%s, %s)", id_, token) is True


@pytest.mark.parametrize("time", ["infinity", "-infinity", "1969-12-31", "294276-12-31", "4713-01-01 BC"])
@pytest.mark.parametrize("column", ["scheduled_at", "available_at"])
def test_times_that_python_can_not_hold_are_refused(tables: Tables, column: str, time: str) -> None:
    with pytest.raises(errors.CheckViolation, match="job_executions_times_check"):
        tables.enqueue(**{column: time})


def test_a_reason_of_ten_megabytes_does_not_travel_with_every_look(tables: Tables) -> None:
    id_, _ = tables.running()
    tables.execute("SELECT cancel_job(%s, repeat('x', 10 * 1000 * 1000))", id_)
    asked = statements("public")["cancels_asked"]
    row = tables.connection.execute(asked, {"worker": tables.execution(id_)["claimed_by"]}).fetchone()
    assert row is not None
    assert len(row[2]) == 1000
