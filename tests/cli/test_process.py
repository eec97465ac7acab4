"""`scheduler` as a process of its own: how it starts, runs, and refuses to."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("alembic", "asyncio", "psycopg", "rich", "scheduler.app", "sqlalchemy")


def command(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("SCHEDULER_")}
    return subprocess.run(
        [sys.executable, "-m", "scheduler", *arguments],
        cwd=folder,
        env={**inherited, "PYTHONPATH": str(ROOT), **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("arguments", "heavy"),
    [
        (["--help"], (*HEAVY, "pydantic")),
        (["cron", "add", "--help"], HEAVY),  # typer itself reads the options before the command with pydantic
    ],
)
def test_help_loads_nothing_heavy(tmp_path: Path, arguments: list[str], heavy: tuple[str, ...]) -> None:
    loaded = f"print(*(name for name in {heavy} if name in sys.modules), file=sys.stderr)"
    script = f"import sys\nfrom scheduler.cli import main\ntry:\n    main({arguments})\nfinally:\n    {loaded}"
    run = subprocess.run(
        [sys.executable, "-c", script], env={**os.environ, "PYTHONPATH": str(ROOT)}, cwd=tmp_path,
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert "Example" in run.stdout
    assert run.stderr.split() == []


def test_help_answers_at_once(tmp_path: Path) -> None:
    def seconds() -> float:
        began = time.monotonic()
        assert command(tmp_path, "--help").returncode == 0
        return time.monotonic() - began

    assert min(seconds() for _ in range(3)) < 1.0  # 0.1 s on an idle machine


def test_from_enqueue_to_success(folder: Path, migrated_url: str) -> None:
    database = {"SCHEDULER_DATABASE_URL": migrated_url}
    sent = command(folder, "jobs", "enqueue", "email", '{"to": "a@example.com"}', **database).stdout.strip()
    shouted = command(folder, "jobs", "enqueue", "shout", **database).stdout.strip()

    ran = command(folder, "run", "--until-idle", **database, SCHEDULER_WORKER__PROCESSES="2")

    assert ran.returncode == 0, ran.stderr
    assert "handlers     email, shout (handlers)" in ran.stderr
    assert "next ticks   none" in ran.stderr
    assert ran.stderr.count("next ticks") == 1
    assert f"Execution {sent} (email) SUCCESS" in ran.stderr
    shown = command(folder, "jobs", "show", sent, **database).stdout
    assert "SUCCESS" in shown
    assert '"sent": "a@example.com"' in shown
    failed = command(folder, "jobs", "show", shouted, **database).stdout
    assert "FAILED" in failed
    assert "mail.py" in failed
    assert "\x1b" not in failed


def test_an_unreachable_database_is_one_sentence(folder: Path) -> None:
    for arguments in (["run"], ["cron", "list"], ["migrate"]):
        ran = command(folder, *arguments, SCHEDULER_DATABASE_URL="postgresql://app:secret@127.0.0.1:1/jobs")
        assert (ran.returncode, ran.stdout) == (2, "")
        assert ran.stderr.startswith('error: The database "jobs" on 127.0.0.1 can\'t be reached')
        assert ran.stderr.count("\n") == 1
        assert "secret" not in ran.stderr


def test_no_database_and_no_terminal(folder: Path) -> None:
    ran = command(folder, "run")
    assert (ran.returncode, ran.stdout) == (2, "")
    assert "SCHEDULER_DATABASE_URL=" in ran.stderr
    assert "scheduler run --embedded" in ran.stderr
    assert not (folder / ".scheduler").exists()
