"""The handlers that come with the project, found and called as a worker does it, in a folder of the test's own."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Protocol

import psycopg
import pytest

from scheduler.database import DatabaseRegistry
from scheduler.handlers import ExecutionContext, HandlerRegistry, discover
from scheduler.isolation import Isolation
from scheduler.isolation.task import TaskIsolation
from scheduler.isolation.thread import ThreadIsolation
from scheduler.testing.isolation_contract import Ended, context, ended

ROOT = Path(__file__).resolve().parents[2]


class Call(Protocol):
    async def __call__(self, name: str, params: str = "{}", *, id: int = 1, attempt: int = 1) -> Ended: ...  # noqa: A002 - the column's name


@pytest.fixture
def found() -> HandlerRegistry:
    return discover(["handlers"], ROOT)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current one, as for a worker."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
async def call(found: HandlerRegistry, folder: Path) -> AsyncIterator[Call]:
    """One attempt, to its end, in the isolation that the handler asks for."""
    isolations: dict[str, Isolation] = {"task": TaskIsolation(), "thread": ThreadIsolation(1)}

    async def call(name: str, params: str = "{}", *, id: int = 1, attempt: int = 1) -> Ended:  # noqa: A002 - the column's name
        spec = found.get(name)
        execution: ExecutionContext = context(params, id=id, attempt=attempt)
        return await ended(isolations[spec.run_in].start(spec, execution))

    yield call
    for isolation in isolations.values():
        await isolation.close(0)


@pytest.fixture
async def default_url(migrated_url: str) -> AsyncIterator[str]:
    """A fresh start: the job database alone."""
    DatabaseRegistry.configure({"default": migrated_url})
    yield migrated_url
    await DatabaseRegistry.dispose()
    DatabaseRegistry.configure({})


def run(url: str, *statements: str) -> list[tuple[Any, ...]]:
    """What the last of the statements returns."""
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []
