"""`scheduler …` in this process, in a folder of the test's own."""

import logging
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import Any

import psycopg
import pytest

from scheduler.cli import main


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command answered."""

    code: int
    out: str
    err: str

    def __iter__(self) -> Iterator[Any]:
        return iter((self.code, self.out, self.err))

    def table(self) -> list[dict[str, str]]:
        """The lines of a table by the names of its columns, which two blanks or more stand between in every line."""
        width = max(map(len, self.out.splitlines()))
        header, *lines = (line.ljust(width) for line in self.out.splitlines())
        blank = "".join(" " if not "".join(signs).strip() else "x" for signs in zip(header, *lines, strict=True))
        columns = [slice(*match.span()) for match in re.finditer(r"x(?:x| (?=x))*", blank)]
        return [{header[column].strip(): line[column].strip() for column in columns} for line in lines]


Command = Callable[..., Ran]
Sql = Callable[[str], list[tuple[Any, ...]]]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: a project with the handlers `email` and `shout`, and no settings."""
    for name in list(_scheduler_variables()):
        monkeypatch.delenv(name)
    monkeypatch.setenv("SCHEDULER_WORKER__PROCESSES", "0")  # this process is not to be started again
    monkeypatch.chdir(tmp_path)
    (tmp_path / "handlers").mkdir()
    (tmp_path / "handlers" / "mail.py").write_text(
        dedent(
            """\
            from scheduler import handler

            print("a handler's module that prints")

            @handler("email")
            async def email(params: dict) -> dict:
                return {"sent": params.get("to")}

            @handler("shout", max_retry=1)
            def shout(params: dict) -> None:
                raise ValueError("no \\x1b[31mpaper")
            """
        )
    )
    return tmp_path


@pytest.fixture
def scheduler(folder: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    """Run one command, without a database."""
    logger = logging.getLogger("scheduler")
    monkeypatch.setattr(logger, "handlers", list(logger.handlers))
    monkeypatch.setattr(logger, "propagate", logger.propagate)
    monkeypatch.setattr(logger, "level", logger.level)

    def run(*arguments: str) -> Ran:
        capfd.readouterr()
        with pytest.raises(SystemExit) as left:
            main(arguments)
        said = capfd.readouterr()
        assert isinstance(left.value.code, int)
        return Ran(left.value.code, said.out, said.err)

    return run


@pytest.fixture
def online(scheduler: Command, migrated_url: str, monkeypatch: pytest.MonkeyPatch) -> Command:
    """The same with a migrated job database."""
    monkeypatch.setenv("SCHEDULER_DATABASE_URL", migrated_url)
    return scheduler


@pytest.fixture
def sql(migrated_url: str) -> Sql:
    """What somebody does in psql."""

    def run(statement: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(migrated_url, autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    return run


def _scheduler_variables() -> list[str]:
    return [name for name in os.environ if name.startswith("SCHEDULER_") and name != "SCHEDULER_PG_BIN"]
