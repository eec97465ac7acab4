"""What is shown fits, tells everything that matters, and steers no terminal."""

import json
import os
import pty
import select
import subprocess
import sys
import time
from dataclasses import replace
from io import StringIO
from pathlib import Path

import psycopg
import pytest
from rich.console import Console

from scheduler.cli.top.deeds import carry_out
from scheduler.cli.top.picture import picture
from scheduler.cli.top.view import Deed, Order, Pane, View
from scheduler.operations.live import Snapshot, snapshot
from scheduler.store.session import SyncSession
from tests.cli.top.scenes import BUSY, EMPTY, HOSTILE, failure, queue, running, worker

PATIENCE_SECONDS = 40.0


def lines(seen: Snapshot, view: View | None = None, *, width: int = 120, height: int | None = None) -> list[str]:
    out = Console(file=StringIO(), width=width, height=height, force_terminal=False)
    out.print(picture(seen, view, width=width, height=height))
    text = out.file.getvalue()  # type: ignore[attr-defined]
    return list(text.splitlines())


@pytest.mark.parametrize("width", [40, 80, 100, 200])
@pytest.mark.parametrize("view", [None, *map(View, Pane)])
def test_it_fits_at_any_width(width: int, view: View | None) -> None:
    for seen in (BUSY, EMPTY):
        assert max(map(len, lines(seen, view, width=width))) <= width


@pytest.mark.parametrize(
    ("width", "height"), [(60, 10), (80, 24), (80, 40), (120, 15), (120, 24), (120, 50), (200, 60)]
)
def test_it_fits_into_the_height_and_the_keys_are_there(width: int, height: int) -> None:
    many = replace(
        BUSY,
        queues=[queue(f"q{n}") for n in range(50)],
        running=[running(n, "work", age=1, left=9, progress=n / 50, said=None) for n in range(50)],
        workers=[worker(f"w{n}") for n in range(50)],
        failures=[failure(n, "work", "no") for n in range(1, 50)],
        alerts=BUSY.alerts * 5,
    )
    shown = lines(many, View(), width=width, height=height)
    assert len(shown) <= height
    assert "q quit" in shown[-1]


def test_what_is_chosen_is_in_sight() -> None:
    many = replace(
        BUSY, running=[running(n, "work", age=1, left=9, progress=0.5, said=None) for n in range(1000, 1050)]
    )
    assert any("1049" in line for line in lines(many, View(Pane.RUNNING, 1049), height=24))


def test_what_matters_is_told() -> None:
    said = "\n".join(lines(BUSY))
    for words in (
        "2 workers", "6 of 20 slots busy", "1,204 waiting", "▲ 2 executions have used up", "paused", "claim stuck 44 s",
        "62% row 62,000 of 100,000", "20 s over", "SMTPServerDisconnected", "Sun 04:00:00 CET", "in 4 min",
    ):  # fmt: skip
        assert words in said, words


def test_with_nothing_there_it_says_what_to_do() -> None:
    said = "\n".join(lines(EMPTY, width=200))
    assert "start one with `scheduler run`" in said
    assert "Nothing has failed for good." in said


def test_a_name_steers_no_terminal() -> None:
    hostile = replace(BUSY, queues=[queue(HOSTILE)], failures=[failure(1, HOSTILE, HOSTILE)], workers=[worker(HOSTILE)])
    said = "\n".join(lines(hostile, width=200))
    assert "\x1b" not in said
    assert "[red]" in said


@pytest.fixture
def job_database(migrated_url: str) -> SyncSession:
    return SyncSession(migrated_url, "public", "test")


def test_a_snapshot_holds_what_the_tables_do(job_database: SyncSession, migrated_url: str) -> None:
    with psycopg.connect(migrated_url, autocommit=True) as psql:
        psql.execute("""
            INSERT INTO job_executions
                (handler_name, status, started_at, claim_token, claimed_by, progress, timeout_seconds)
            VALUES
                ('import', 'RUNNING', job_now() - interval '1 min', gen_random_uuid(), gen_random_uuid(), 0.5, 600)""")
        psql.execute("""INSERT INTO job_executions (handler_name, status, finished_at, error)
                        VALUES ('email', 'FAILED', job_now(), E'no\\nbut why')""")
        psql.execute("INSERT INTO cron_jobs (name, cron_expression, handler_name) VALUES ('nightly', '0 3 * * *', 'r')")
        psql.execute(
            "INSERT INTO job_alerts (rule, subject, message, number) VALUES ('backlog', 'mail', 'Many wait', 9)"
        )
    seen = snapshot(job_database)
    job_database.close()
    assert [(line.handler_name, line.progress) for line in seen.running] == [("import", 0.5)]
    left = seen.running[0].left_seconds
    assert left is not None
    assert 0 < left <= 540
    assert [(line.handler_name, line.error) for line in seen.failures] == [("email", "no")]
    assert [tick.name for tick in seen.ticks] == ["nightly"]
    assert [alert.message for alert in seen.alerts] == ["Many wait"]


def test_what_was_agreed_to_is_done(job_database: SyncSession, migrated_url: str) -> None:
    with psycopg.connect(migrated_url, autocommit=True) as psql:
        psql.execute("INSERT INTO job_executions (handler_name) VALUES ('email')")
        psql.execute("INSERT INTO job_executions (handler_name, status, finished_at) VALUES ('m', 'FAILED', job_now())")
    assert carry_out(job_database, Order(Deed.PAUSE, "default")) == "The queue default is paused."
    assert [each.paused for each in snapshot(job_database).queues] == [True]
    assert carry_out(job_database, Order(Deed.RESUME, "default")) == "The queue default goes on."
    assert carry_out(job_database, Order(Deed.CANCEL, 1)) == "Execution 1 is CANCELLED."
    assert carry_out(job_database, Order(Deed.RETRY, 2)) == "Execution 2 is PENDING."
    assert "waits already" in carry_out(job_database, Order(Deed.RETRY, 2))
    job_database.close()


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "scheduler", "top", *arguments]


def environment(url: str) -> dict[str, str]:
    return os.environ | {"SCHEDULER_DATABASE_URL": url, "TERM": "xterm-256color", "PYTHONPATH": str(Path.cwd())}


def test_without_a_terminal_it_prints_once(migrated_url: str, tmp_path: Path) -> None:
    env = environment(migrated_url)
    shown = subprocess.run(command(), cwd=tmp_path, env=env, capture_output=True, text=True, check=True).stdout
    assert "Nothing runs." in shown
    assert "\x1b" not in shown
    told = subprocess.run(command("--json"), cwd=tmp_path, env=env, capture_output=True, text=True, check=True).stdout
    assert set(json.loads(told)) == {"now", "queues", "running", "workers", "failures", "ticks", "alerts"}


def test_on_a_terminal_keys_act_until_it_ends(migrated_url: str, tmp_path: Path) -> None:
    with psycopg.connect(migrated_url, autocommit=True) as psql:
        psql.execute("INSERT INTO job_executions (handler_name, status, finished_at) VALUES ('m', 'FAILED', job_now())")
        ours, theirs = pty.openpty()
        process = subprocess.Popen(command(), cwd=tmp_path, env=environment(migrated_url), stdin=theirs, stdout=theirs)
        os.close(theirs)
        try:
            said = _until(ours, b"Nothing runs.")
            os.write(ours, b"\t")
            _until(ours, b"r retry")
            os.write(ours, b"r")
            _until(ours, b"Retry execution 1?")
            os.write(ours, b"y")
            _until(ours, b"is PENDING.")
            os.write(ours, b"q")
            _read_on(ours)
            assert process.wait(PATIENCE_SECONDS) == 0
        finally:
            process.kill()
            process.wait()
            os.close(ours)
        assert b"\x1b[?1049h" in said, "it did not take the whole screen"
        assert psql.execute("SELECT status FROM job_executions").fetchall() == [("PENDING",)]


def _until(descriptor: int, words: bytes) -> bytes:
    """What it shows until these words."""
    seen, deadline = b"", time.monotonic() + PATIENCE_SECONDS
    while words not in seen:
        assert select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))[0], seen
        seen += os.read(descriptor, 65536)
    return seen


def _read_on(descriptor: int) -> None:
    """Until the other side is closed: nobody ends who can't write."""
    try:
        while os.read(descriptor, 65536):
            pass
    except OSError:
        pass  # what Linux says of a terminal that nobody holds any more
