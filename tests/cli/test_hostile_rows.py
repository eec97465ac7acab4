"""Rows that mean harm: whatever a column holds, no command lets it steer a terminal."""

import re
from collections.abc import Iterator

import psycopg
import pytest
from typer.main import get_command

from scheduler.cli.root import root
from tests.cli.conftest import Command

EVIL = "\x1b]0;owned\x07\x1b[2J\x9b31m\r\x08'$(touch owned)`"
STEERING = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")
ROWS = """
    INSERT INTO cron_jobs (name, cron_expression, handler_name) VALUES ('fine', '@daily', 'email'), ('late', '@daily', 'email');
    UPDATE cron_jobs SET next_run_at = job_now() - interval '3 h', planned_until = job_now() - interval '1 d' WHERE name = 'late';
    INSERT INTO job_queues (name, paused) VALUES ('mail', true);
    INSERT INTO job_workers (id, name, lease_until)
        VALUES ('00000000-0000-0000-0000-00000000000a', 'w', job_now() + interval '1 day');
    INSERT INTO job_executions (cron_job_id, handler_name, status, scheduled_at, available_at, started_at, finished_at, claimed_by, claim_token)
        SELECT 1, 'email', s.status, job_now() - s.n * interval '2 h', job_now() - interval '2 h',
               CASE WHEN s.n > 1 THEN job_now() - interval '1 h' END, CASE WHEN s.n > 2 THEN job_now() END,
               CASE WHEN s.n = 2 THEN '00000000-0000-0000-0000-00000000000a'::uuid END, CASE WHEN s.n = 2 THEN gen_random_uuid() END
        FROM unnest('{PENDING,RUNNING,SUCCESS,FAILED,TIMEOUT,FAILED,CANCELLED}'::text[]) WITH ORDINALITY AS s (status, n);
    INSERT INTO job_tokens (name, role, digest) VALUES ('t', 'viewer', sha256('t'));
    UPDATE cron_jobs SET last_run_at = job_now() WHERE id = 1;
"""  # noqa: E501 - a row per line
COLUMNS = """
    SELECT c.table_name, c.column_name, c.data_type FROM information_schema.columns AS c
    JOIN information_schema.tables AS t USING (table_schema, table_name)
    WHERE c.table_schema = 'public' AND t.table_type = 'BASE TABLE' AND c.table_name NOT IN ('scheduler_version')
      AND c.udt_name IN ('text', 'jsonb', '_text')
"""
JSON = '{"a\\u001b]0;owned\\u0007": ["\\u001b[2J\\u009b31m\\r"], "error": "\\u001b[2J", "traceback": "\\u001b[2J\\r"}'
SAFE = frozenset({("job_executions", "status"), ("job_workers", "status"), ("cron_jobs", "unplanned")})
"""What decides which way a row is shown, or isn't shown at all."""
COMMANDS = (
    "cron list",
    "cron show {name}",
    "cron explain {name}",
    "cron plan",
    "cron apply --yes",
    "cron edit {name} --description x",
    "cron skip {name} --until 2h",
    "cron skip {name} --until now",
    "cron backfill {name} --from 7d --dry-run",
    "cron backfill {name} --from 7d",
    "cron add {name} @daily email",
    "cron preview {name}",
    "cron run {name}",
    "cron pause {name}",
    "cron pause --all",
    "cron show {name}",
    "cron resume {name}",
    "cron remove {name}",
    "cron show {name}",
    "queues list",
    "queues pause {queue} --reason {name}",
    "queues resume {queue}",
    "queues limit {queue} --max-running 7",
    "queues pause {name}",
    "workers list",
    "top --once",
    "prune --dry-run",
    "prune --queue {queue} --older-than 1d --dry-run",
    "jobs list",
    "jobs list --handler {name} --queue {name} --cron {name}",
    *(f"jobs show {n}" for n in range(1, 8)),
    "jobs wait 1 2 3 4 5 6 7 --for 0",
    "jobs enqueue {name} --queue {queue} --unique-key {name}",
    "jobs cancel --handler {name} --dry-run",
    "jobs retry --status final --dry-run",
    "jobs retry 3 4 5 6 7",
    "jobs cancel 1 2 3",
    "web token list",
    "web token add {name}",
    "web token remove {name}",
    "web token add {name}",
    "doctor",
    "doctor --page {name}",
)
ELSEWHERE = frozenset({"init", "run", "bench", "migrate", "db url", "db psql", "db roles", "queues publish"})
"""Commands that show no row."""


@pytest.fixture
def tables(migrated_url: str) -> str:
    """Everything in every column that the schema lets through; the name of the cron job is `EVIL`."""
    taken = set()
    with psycopg.connect(migrated_url, autocommit=True) as connection:
        connection.execute(ROWS.encode())
        for table, column, kind in connection.execute(COLUMNS.encode()).fetchall():
            if (table, column) in SAFE:
                continue
            which = "WHERE name = 'fine'" if column == "name" and table == "cron_jobs" else ""
            value = {"jsonb": f"'{JSON}'", "ARRAY": "ARRAY[%(evil)s]"}.get(kind, "%(evil)s")
            try:
                connection.execute(f"UPDATE {table} SET {column} = {value} {which}".encode(), {"evil": EVIL})
            except (psycopg.errors.CheckViolation, psycopg.errors.UniqueViolation):
                continue
            taken.add(f"{table}.{column}")
    assert len(taken) > 25, taken
    return migrated_url


def typed(tables: str) -> Iterator[list[str]]:
    for command in COMMANDS:
        yield [word.format(name=EVIL, queue=EVIL) for word in command.split()]


def test_no_stored_text_steers_a_terminal(online: Command, tables: str) -> None:
    for arguments in typed(tables):
        ran = online(*arguments)
        assert not STEERING.findall(ran.out + ran.err), (arguments, ran.out + ran.err)
        assert "Traceback" not in ran.err, arguments


def test_every_command_that_shows_rows_is_among_them() -> None:
    known = {name for name in names(get_command(root)) if name not in ELSEWHERE}
    tried = {name for command in COMMANDS for name in known if command.startswith(name)}
    assert tried == known


def names(command: object, before: str = "") -> Iterator[str]:
    for name, below in getattr(command, "commands", {}).items():
        if hasattr(below, "commands"):
            yield from names(below, f"{before}{name} ")
        else:
            yield f"{before}{name}"
