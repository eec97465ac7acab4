"""`scheduler cron plan`, `cron apply` and `run --apply`, as far as a golden session can't show them."""

import io
import json
import re
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from tests.cli.conftest import Command, Sql
from tests.cli.test_process import ROOT, command

SETTINGS = """\
    managed_by: billing
    cron_jobs:
      nightly: {cron: "@daily", handler: email}
    """


def declare(folder: Path, text: str = SETTINGS) -> None:
    (folder / "scheduler.yaml").write_text(dedent(text))


def names(sql: Sql) -> list[str]:
    return [name for (name,) in sql("SELECT name FROM cron_jobs ORDER BY name")]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("answer", "code", "left"),
    [("y\n", 0, []), ("n\n", 1, ["nightly"]), ("\n", 1, ["nightly"])],
    ids=["yes", "no", "enter"],
)
def test_on_a_terminal_a_removal_is_asked_for(
    online: Command, sql: Sql, folder: Path, monkeypatch: pytest.MonkeyPatch, answer: str, code: int, left: list[str]
) -> None:
    declare(folder)
    assert online("cron", "apply").code == 0
    declare(folder, "managed_by: billing\n")
    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)

    ran = online("cron", "apply")

    assert ran.code == code
    assert "Remove 1 cron job, and apply the rest? [y/N]" in ran.err
    assert ("Nothing was changed." in ran.err) is bool(left)
    assert names(sql) == left


def test_creating_and_changing_is_not_asked_for(
    online: Command, sql: Sql, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    declare(folder)
    monkeypatch.setattr(sys, "stdin", Terminal())
    assert online("cron", "apply").code == 0
    declare(folder, SETTINGS.replace("@daily", "@hourly"))
    assert online("cron", "apply").code == 0
    assert sql("SELECT cron_expression FROM cron_jobs") == [("@hourly",)]


def test_what_a_row_holds_can_not_steer_the_terminal(online: Command, sql: Sql, folder: Path) -> None:
    declare(folder)
    online("cron", "apply")
    sql("UPDATE cron_jobs SET description = E'\\x1b[31mred\\nline', handler_params = '{\"a\\u001b\": \"\\u001b\"}'")
    out = online("cron", "plan").out
    assert "\x1b" not in out
    assert out.count("\n") == 5


def test_the_samples_of_the_page_can_be_applied(online: Command, folder: Path) -> None:
    page = (ROOT / "docs" / "declaring.md").read_text(encoding="utf-8")
    (settings,) = re.findall(r"^```yaml\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    (code,) = re.findall(r"^```python\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    declare(folder, settings)
    (folder / "handlers" / "declaring.py").write_text(code)

    applied = json.loads(online("cron", "apply", "--json").out)

    assert [(step["action"], step["name"]) for step in applied["steps"]] == [
        ("create", "monthly"), ("create", "nightly"), ("create", "reminders"), ("create", "report"),
    ]  # fmt: skip
    assert online("cron", "plan", "--check").code == 0


def test_run_applies_first_and_then_plans(folder: Path, migrated_url: str, sql: Sql) -> None:
    database = {"SCHEDULER_DATABASE_URL": migrated_url}
    declare(folder)
    warned = command(folder, "run", "--until-idle", **database)
    assert "WARNING: 1 declared cron jobs and their rows differ: `scheduler cron plan` shows how" in warned.stderr
    assert names(sql) == []

    ran = command(folder, "run", "--until-idle", "--apply", **database)
    assert ran.returncode == 0, ran.stderr
    assert "INFO: Cron job nightly created as declared (@daily, UTC)" in ran.stderr
    assert "next ticks   nightly in " in ran.stderr

    planner = command(folder, "run", "--until-idle", "--apply", "--only", "planner", **database)
    assert planner.returncode == 0, planner.stderr
    assert "nightly" in planner.stderr
    assert "created" not in planner.stderr


def test_run_refuses_to_start_on_what_can_not_be_applied(folder: Path, migrated_url: str, sql: Sql) -> None:
    declare(folder, SETTINGS.replace("handler: email", "handler: emial"))
    ran = command(folder, "run", "--until-idle", "--apply", SCHEDULER_DATABASE_URL=migrated_url)
    assert ran.returncode == 2
    assert "Did you mean 'email'?" in ran.stderr
    assert names(sql) == []
