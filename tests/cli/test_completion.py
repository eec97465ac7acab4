"""What the shell gets to complete a word with."""

import os
from pathlib import Path

import pytest

from tests.cli.conftest import Command, Sql

Words = list[str]


def completed(command: Command, monkeypatch: pytest.MonkeyPatch, *words: str) -> Words:
    """What bash is told at the end of `words`, of which the last may be half a word."""
    monkeypatch.setenv("_SCHEDULER_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", " ".join(["scheduler", *words]))
    monkeypatch.setenv("COMP_CWORD", str(len(words)))
    return command().out.split()


@pytest.fixture
def named(online: Command, sql: Sql) -> Command:
    for name, queue in (("nightly", "mail"), ("nudge", "mail"), ("hourly", "q")):
        sql(
            "INSERT INTO cron_jobs (name, cron_expression, handler_name, queue) "
            f"VALUES ('{name}', '@daily', 'email', '{queue}')"
        )
    return online


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["cr"], ["cron"]),
        (["cron", "pau"], ["pause"]),
        (["jobs", "list", "--ha"], ["--handler"]),
        (["cron", "pause", "n"], ["nightly", "nudge"]),
        (["cron", "show", "h"], ["hourly"]),
        (["jobs", "list", "--cron", "ho"], ["hourly"]),
        (["jobs", "enqueue", "e"], ["email"]),
        (["jobs", "list", "--handler", "s"], ["shout"]),
        (["jobs", "list", "--status", "fa"], ["failed"]),
        (["queues", "pause", "m"], ["mail"]),
        (["cron", "pause", "x"], []),
    ],
    ids=" ".join,
)
def test_names_are_completed(named: Command, monkeypatch: pytest.MonkeyPatch, words: Words, found: Words) -> None:
    assert completed(named, monkeypatch, *words) == found


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_no_name_can_do_more_than_be_typed(
    online: Command, sql: Sql, monkeypatch: pytest.MonkeyPatch, shell: str
) -> None:
    hostile = [
        "n$(touch x)",
        "n`touch x`",
        "n;touch x",
        "n two words",
        "n'quoted",
        'n"quoted',
        "n\x1b[31m",
        "n\\",
        "n*",
    ]
    for name in (*hostile, "-n", "=n", "nächtlich", "n.a-1"):
        quoted = name.replace("'", "''")
        sql(f"INSERT INTO cron_jobs (name, cron_expression, handler_name) VALUES ('{quoted}', '@daily', 'email')")
    monkeypatch.setenv("_SCHEDULER_COMPLETE", f"complete_{shell}")
    monkeypatch.setenv("_TYPER_COMPLETE_ARGS", "scheduler cron pause ")
    monkeypatch.setenv("_TYPER_COMPLETE_FISH_ACTION", "get-args")
    monkeypatch.setenv("COMP_WORDS", "scheduler cron pause ")
    monkeypatch.setenv("COMP_CWORD", "3")
    said = online().out
    assert "n.a-1" in said
    assert "nächtlich" in said
    assert not [name for name in (*hostile, "-n", "=n") if name in said]


def test_a_project_in_trouble_completes_nothing_and_says_nothing(
    scheduler: Command, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "handlers" / "broken.py").write_text("print('noise'); raise RuntimeError")
    monkeypatch.setenv("SCHEDULER_DATABASE_URL", "postgresql://127.0.0.1:1/nobody")
    monkeypatch.setenv("_SCHEDULER_COMPLETE", "complete_bash")
    for words in (["cron", "pause", "n"], ["jobs", "enqueue", "e"]):
        monkeypatch.setenv("COMP_WORDS", " ".join(["scheduler", *words]))
        monkeypatch.setenv("COMP_CWORD", str(len(words)))
        ran = scheduler()
        assert (ran.out.strip(), ran.err) == ("", ""), os.environ["COMP_WORDS"]
