"""The import contracts of `pyproject.toml`: they hold, and each of them catches what it is there for."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LINT = "from importlinter.cli import lint_imports_command as lint; lint(['--no-logo', '--no-cache'])"

WRONG = {
    "a utils folder": ("utils/__init__.py", "", "scheduler.utils"),
    "a step up": ("store/wrong.py", "import scheduler.lifecycle", "scheduler.store is not allowed"),
    "a step aside": ("errors.py", "import scheduler.clock", "scheduler.errors is not allowed"),
    "a rule that asks for the time": ("rules/wrong.py", "import time", "scheduler.rules is not allowed to import time"),
    "a rule that waits": ("rules/wrong.py", "import asyncio", "scheduler.rules is not allowed to import asyncio"),
    "SQL in a service": ("services/wrong.py", "import psycopg", "scheduler.services is not allowed to import psycopg"),
    "SQL in a command": ("cli/wrong.py", "import sqlalchemy", "scheduler.cli is not allowed to import sqlalchemy"),
    "a step that calls a step": (
        "lifecycle/claim.py",
        "import scheduler.lifecycle.settle",
        "scheduler.lifecycle.claim is not allowed",
    ),
}


def lint(folder: Path) -> tuple[int, str]:
    answer = subprocess.run([sys.executable, "-c", LINT], cwd=folder, capture_output=True, text=True, check=False)
    return answer.returncode, " ".join((answer.stdout + answer.stderr).split())


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    shutil.copytree(ROOT / "scheduler", tmp_path / "scheduler", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def test_they_hold(copy: Path) -> None:
    code, words = lint(copy)
    assert code == 0, words
    assert "4 kept, 0 broken" in words


@pytest.mark.parametrize(("file", "line", "caught"), WRONG.values(), ids=WRONG.keys())
def test_they_catch(copy: Path, file: str, line: str, caught: str) -> None:
    wrong = copy / "scheduler" / file
    wrong.parent.mkdir(exist_ok=True)
    with wrong.open("a") as module:
        module.write(f"\n{line}\n")
    code, words = lint(copy)
    assert code == 1
    assert caught in words
