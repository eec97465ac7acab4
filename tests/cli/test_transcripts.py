"""Golden sessions: what a person types and sees, word for word. A file of transcripts/ is one test on its own database.

    # A comment, which says what the next lines show.
    sql> INSERT INTO cron_jobs (name, cron_expression, handler_name) VALUES ('nightly', '0 3 * * *', 'email');
    $ scheduler cron list
    what it says on stdout
    ! what it says on stderr, after all of stdout
    [1]

`[1]` is its exit code, where that isn't 0. Lines with `sql>` run before what follows, and `now> 2026-03-07 13:00` moves
the clock of the database and of this process, which stands at noon of 2026-03-07 in UTC. A trailing backslash goes on
with the next line. `write> scheduler.yaml` makes a file of the lines below it that begin with `|`. Empty lines and
comments separate steps; an empty line of the output is written `~`.

SCHEDULER_UPDATE_TRANSCRIPTS=1 writes the outputs as they are now; read the difference before it is committed.
"""

import os
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest
import time_machine

from tests.cli.conftest import Command, Ran, Sql
from tests.cli.test_usage import COMMANDS

FILES = sorted((Path(__file__).parent / "transcripts").glob("*.txt"))
NOON = datetime(2026, 3, 7, 12, tzinfo=UTC)
UNANSWERED = ("$ scheduler run", "$ scheduler bench", "$ scheduler queues publish")
"""What the first two say is not the same twice, see test_bench.py; the last takes a broker: see test_messages.py."""
UPDATE = os.environ.get("SCHEDULER_UPDATE_TRANSCRIPTS") == "1"


@dataclass(slots=True)
class Step:
    """Something typed, and what has to follow; `said` is empty for what isn't a command."""

    typed: str
    said: list[str] = field(default_factory=list)

    @property
    def is_command(self) -> bool:
        return self.typed.startswith("$ ")


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_transcript(file: Path, online: Command, sql: Sql, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.setenv("COLUMNS", "120")
    steps = list(parsed(file.read_text(encoding="utf-8")))
    assert any(step.is_command for step in steps), f"{file.name} types nothing"
    with time_machine.travel(NOON, tick=False) as clock:
        set_clock(sql, NOON)
        for step in steps:
            if step.typed.startswith("now> "):
                now = datetime.fromisoformat(step.typed.removeprefix("now> ")).replace(tzinfo=UTC)
                set_clock(sql, now)
                clock.move_to(now, tick=False)
            elif step.typed.startswith("sql> "):
                sql(joined(step.typed).removeprefix("sql> "))
            elif step.typed.startswith("write> "):
                write(step.typed, folder)
            elif step.is_command:
                said = lines(online(*shlex.split(joined(step.typed))[2:]), folder)
                if UPDATE:
                    step.said = said
                assert said == step.said, step.typed
    if UPDATE:
        file.write_text("".join(f"{line}\n" for step in steps for line in (*step.typed.split("\n"), *step.said)))


def test_every_command_has_a_session_with_an_answer_and_with_an_error() -> None:
    steps = [step for file in FILES for step in parsed(file.read_text(encoding="utf-8")) if step.is_command]
    for command in COMMANDS:
        typed = f"$ scheduler {' '.join(command)}"
        said = [step.said for step in steps if f"{joined(step.typed)} ".startswith(f"{typed} ")]
        assert any(lines and lines[-1] in ("[1]", "[2]") for lines in said), f"{typed}: no error is shown"
        if typed not in UNANSWERED:
            assert any(not lines or lines[-1] not in ("[1]", "[2]") for lines in said), f"{typed}: no answer is shown"


def parsed(text: str) -> Iterator[Step]:
    """The steps in order; comments and empty lines are steps that do nothing."""
    step, open_line = None, False
    for line in text.splitlines():
        if open_line and step is not None:
            step.typed += f"\n{line}"
        elif step is not None and step.typed.startswith("write> ") and line.startswith("|"):
            step.typed += f"\n{line}"
            continue
        elif step is not None and step.is_command and not re.match(r"$|# |\$ |sql> |now> |write> ", line):
            step.said.append(line)
            continue
        else:
            if step is not None:
                yield step
            step = Step(line)
        open_line = line.endswith("\\")
    if step is not None:
        yield step


def write(typed: str, folder: Path) -> None:
    name, *content = typed.removeprefix("write> ").split("\n")
    folder.joinpath(name).parent.mkdir(exist_ok=True)
    folder.joinpath(name).write_text("".join(f"{line.removeprefix('|').removeprefix(' ')}\n" for line in content))


def joined(typed: str) -> str:
    return typed.replace("\\\n", " ")


def lines(ran: Ran, folder: Path) -> list[str]:
    """What a command said, without what differs from run to run."""
    out, err = (_the_same(text, folder).splitlines() for text in (ran.out, ran.err))
    err = [f"! {line}".rstrip() for line in err]
    said = [line.rstrip() or "~" for line in [*out, *err] if "a handler's module that prints" not in line]
    return [*said, f"[{ran.code}]"] if ran.code else said


def _the_same(text: str, folder: Path) -> str:
    text = re.sub(r"\bsched_[\w-]{43}", "TOKEN", text)
    text = re.sub(r"\btest_[0-9a-f]{32}\b", "DATABASE", text.replace(str(folder), "FOLDER"))
    text = re.sub(r"\bpostgresql://[^\s\"]*DATABASE[^\s\"]*", "URL", text)
    return re.sub(r"/\S*scheduler-pg-\w+", "HOST", text)


def set_clock(sql: Sql, now: datetime) -> None:
    sql(
        "CREATE OR REPLACE FUNCTION job_now() RETURNS timestamptz LANGUAGE sql VOLATILE PARALLEL SAFE "
        f"RETURN '{now.isoformat()}'::timestamptz"
    )
