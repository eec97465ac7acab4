"""What every command has in common: help, mistakes, exit codes."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from scheduler.cli.root import root
from tests.cli.conftest import Command

COMMANDS = [
    ("init",),
    ("run",),
    ("migrate",),
    ("doctor",),
    ("top",),
    ("prune",),
    ("bench",),
    *(("cron", name) for name in ("add", "list", "show", "edit", "pause", "resume", "remove", "run")),
    *(("cron", name) for name in ("backfill", "skip", "explain", "preview", "plan", "apply")),
    *(("jobs", name) for name in ("enqueue", "list", "show", "wait", "cancel", "retry")),
    *(("queues", name) for name in ("list", "publish", "pause", "resume", "limit")),
    ("workers", "list"),
    ("web",),
    *(("web", "token", name) for name in ("add", "list", "remove")),
    *(("db", name) for name in ("url", "psql", "roles")),
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_each_command_explains_itself_with_an_example(scheduler: Command, command: tuple[str, ...]) -> None:
    code, out, err = scheduler(*command, "--help")
    assert (code, err) == (0, "")
    examples = out.partition("Examples:\n")[2].splitlines()
    assert examples
    assert all(f"scheduler {' '.join(command)}" in example for example in examples)


def test_no_command_is_left_out_above() -> None:
    assert set(registered(root)) == set(COMMANDS)


def registered(app: typer.Typer, *before: str) -> Iterator[tuple[str, ...]]:
    for command in app.registered_commands:
        if command.callback:
            yield (*before, command.name or command.callback.__name__)
    for group in app.registered_groups:
        below = group.typer_instance
        assert below is not None
        if below.registered_callback is not None and below.registered_callback.invoke_without_command is True:
            yield (*before, str(group.name))
        yield from registered(below, *before, str(group.name))


def test_nothing_asked_shows_the_help(scheduler: Command) -> None:
    code, out, err = scheduler()
    assert code == 2
    assert "Commands:" in out + err


def test_the_version(scheduler: Command) -> None:
    from scheduler import __version__

    assert scheduler("--version").out == f"scheduler {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["rnu"], "Did you mean 'run'?"),
        (["cron", "lst"], "Did you mean 'list'?"),
        (["jobs", "list", "--staus", "FAILED"], "--status"),
        (["jobs", "list", "--status", "faild"], "Did you mean 'FAILED'?"),
        (["run", "--only", "plannr"], "'planner'"),
    ],
    ids=" ".join,
)
def test_a_mistyped_name_is_told_the_right_one(scheduler: Command, arguments: list[str], hint: str) -> None:
    code, out, err = scheduler(*arguments)
    assert (code, out) == (2, "")
    assert hint in err


@pytest.mark.parametrize("command", [("run",), ("cron", "list"), ("migrate",), ("db", "url")], ids=" ".join)
def test_without_a_database_both_choices_are_named(scheduler: Command, command: tuple[str, ...]) -> None:
    code, out, err = scheduler(*command)
    assert (code, out) == (2, "")
    assert err.startswith("error: No database is configured")
    assert "SCHEDULER_DATABASE_URL=" in err
    assert "scheduler run --embedded" in err


def test_a_slip_in_a_section_is_told_before_anything_is_started(scheduler: Command, folder: Path) -> None:
    (folder / "config").mkdir()
    (folder / "config" / "database.yaml").write_text("database: {default: {url: 'postgresql://db/jobs'}}")
    code, out, err = scheduler("run")
    assert (code, out) == (2, "")
    warning, error, *_ = err.splitlines()
    assert warning.endswith("config/database.yaml are ignored: 'database' is not a section. Did you mean 'databases'?")
    assert error.startswith("error: No database is configured")


def test_an_interruption_is_quiet(online: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("scheduler.operations.cron_jobs.statuses", interrupted)
    assert tuple(online("cron", "list")) == (130, "", "")
