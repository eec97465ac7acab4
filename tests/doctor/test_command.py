"""`scheduler doctor` as it is typed: what it exits with, what a program gets, what a terminal shows."""

import json
import re
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import psycopg
import pytest

from scheduler.cli.doctor_report import print_report
from scheduler.operations.doctor import Code, Finding
from scheduler.store.migration import migrate
from scheduler.testing.postgres import ThrowawayPostgres
from tests.cli.conftest import Command, folder, scheduler
from tests.cli.test_process import command

__all__ = ["folder", "scheduler"]

WORKER = "SELECT register_worker('host:1', '{default}', 4, lease_seconds => 600)"


@pytest.fixture
def connection(
    strict_server: ThrowawayPostgres, monkeypatch: pytest.MonkeyPatch, folder: Path
) -> Iterator[psycopg.Connection]:
    """A database with which nothing is wrong, but that nobody works."""
    with strict_server.fresh_database() as url:
        migrate(url)
        monkeypatch.setenv("SCHEDULER_DATABASE_URL", url)
        with psycopg.connect(url, autocommit=True) as connection:
            yield connection


def test_what_it_exits_with(scheduler: Command, connection: psycopg.Connection) -> None:
    warned = scheduler("doctor", "--quiet")
    assert (warned.code, warned.err) == (0, "a handler's module that prints\n")
    assert "  ! No worker is alive" in warned.out
    assert "✓" not in warned.out
    assert scheduler("doctor", "--strict").code == 1

    connection.execute(WORKER)
    fine = scheduler("doctor", "--strict", "--quiet")
    assert fine.code == 0
    assert re.fullmatch(r"\d+ fine\.\n", fine.out)

    connection.execute("UPDATE job_workers SET lease_until = job_now() - interval '1 min'")
    assert scheduler("doctor").code == 1


def test_what_is_fine_is_told_by_subject(scheduler: Command, connection: psycopg.Connection) -> None:
    connection.execute(WORKER)
    out = scheduler("doctor").out
    subjects = [line for line in out.splitlines()[:-1] if line and not line.startswith(" ")]
    assert subjects == [
        "Settings", "Database", "Tables", "Clocks", "Vacuum", "Two-phase commit", "Workers", "Work", "Cron jobs",
    ]  # fmt: skip
    assert "  ✓ Settings come from SCHEDULER_DATABASE_URL, SCHEDULER_WORKER__PROCESSES." in out
    assert "  ✓ 2 handlers in handlers: email, shout." in out
    assert "password" not in out


def test_what_a_program_gets(scheduler: Command, connection: psycopg.Connection) -> None:
    answer = json.loads(scheduler("doctor", "--json").out)
    (warning,) = (each for each in answer["findings"] if each["level"] == "warning")
    assert warning == {
        "subject": "Workers", "code": "workers", "level": "warning",
        "says": "No worker is alive: nothing is planned and nothing runs.",
        "fix": "Start one: `scheduler run`.", "sql": [], "page": "docs/doctor.md#workers",
    }  # fmt: skip
    assert answer["counts"] == {"fine": len(answer["findings"]) - 1, "warning": 1, "error": 0, "unchecked": 0}


def test_files_that_are_left_alone(scheduler: Command, connection: psycopg.Connection, folder: Path) -> None:
    (folder / "config").mkdir()
    (folder / "config" / "database.yaml").write_text("database: {default: {url: 'postgresql://db/jobs'}}")
    (folder / "config" / "theirs.yaml").write_text("theirs: 1")
    (folder / "config" / "broker.yaml").write_text("drivers: {local: {kind: memory}}")
    answer = scheduler("doctor")
    assert (
        "  ✓ Settings come from config/broker.yaml, SCHEDULER_DATABASE_URL, SCHEDULER_WORKER__PROCESSES." in answer.out
    )
    assert "  ✓ config/theirs.yaml has none of the scheduler's sections and is left alone." in answer.out
    assert "  ! config/database.yaml is ignored: 'database' is not a section. Did you mean 'databases'?" in answer.out
    assert "WARNING" not in answer.err


def test_the_page_of_a_finding_also_by_its_link(scheduler: Command) -> None:
    assert scheduler("doctor", "--page", "docs/doctor.md#pooler").out == scheduler("doctor", "--page", "POOLER").out


def test_every_database_with_an_address_is_tried(
    scheduler: Command, connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCHEDULER_DATABASES__BUSINESS__URL", "postgresql://app:secret@127.0.0.1:1/shop")
    answer = scheduler("doctor", "--quiet")
    assert answer.code == 1
    assert '✗ databases.business: The database "shop" on 127.0.0.1 can\'t be reached' in answer.out
    assert "CHECK" not in answer.out
    assert "secret" not in answer.out


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def narrow(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """A terminal of sixty columns, from now on."""
    screen = Terminal()
    for stream in ("sys.stdout", "sys.stderr"):
        monkeypatch.setattr(stream, screen)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.delenv("NO_COLOR", raising=False)
    return screen


def test_a_terminal_folds_sentences_and_never_sql(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = narrow(monkeypatch)
    sql = "UPDATE cron_jobs SET enabled = false WHERE name = 'a name that is rather long for a narrow terminal';"
    says = "A sentence that is longer than sixty columns is folded between \x1b[2J words."
    print_report([("Work", Finding.warning(Code.QUEUES, says, "Do this.", [sql]))], quiet=False)
    lines = re.sub(r"\x1b\[[\d;]*m", "", terminal.getvalue()).splitlines()
    assert lines[:5] == [
        "Work",
        "  ! A sentence that is longer than sixty columns is folded",
        "    between \ufffd[2J words.",
        "    Do this.",
        f"      {sql}",
    ]
    assert "\x1b[33m!" in terminal.getvalue()


def test_a_terminal_that_has_no_such_signs(folder: Path) -> None:
    ran = command(folder, "doctor", PYTHONIOENCODING="ascii")
    assert ran.returncode == 1
    assert "x No database is configured" in ran.stdout
    assert "Traceback" not in ran.stderr
