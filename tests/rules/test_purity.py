"""Rules are tried in milliseconds and reused anywhere, because importing them brings no database with it."""

import subprocess
import sys

import pytest

IMPORT_ALL = """
import importlib, pkgutil, sys
import scheduler.rules
names = [module.name for module in pkgutil.iter_modules(scheduler.rules.__path__)]
for name in names:
    importlib.import_module(f"scheduler.rules.{name}")
print(*names)
print(*sys.modules)
"""


@pytest.fixture(scope="module")
def imported() -> tuple[set[str], set[str]]:
    """The rules there are, and every module that a fresh process has after importing all of them."""
    printed = subprocess.run([sys.executable, "-c", IMPORT_ALL], check=True, capture_output=True, text=True, timeout=60)
    rules, modules = printed.stdout.splitlines()
    return set(rules.split()), set(modules.split())


def test_all_rules_were_imported(imported: tuple[set[str], set[str]]) -> None:
    rules, modules = imported
    assert rules >= {"schedule", "catch_up", "overlap"}
    assert {f"scheduler.rules.{rule}" for rule in rules} <= modules


@pytest.mark.parametrize("package", ["sqlalchemy", "psycopg", "alembic", "pydantic", "typer", "rich"])
def test_rules_load_no(package: str, imported: tuple[set[str], set[str]]) -> None:
    assert package not in imported[1]
