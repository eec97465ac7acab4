"""Attempts in processes, and what can be seen of those from outside."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from scheduler.clock import monotonic
from scheduler.handlers import HandlerRegistry
from scheduler.handlers.registry import declared_in
from scheduler.isolation.fork_server import Setup
from scheduler.isolation.process import EndSessions, ProcessIsolation, ProcessRunning
from scheduler.testing.isolation_contract import PATIENCE_SECONDS, Signals, context
from tests.isolation import process_handlers

PROJECT: Final = Path(__file__).parents[2]
HANDLERS = HandlerRegistry(declared_in([process_handlers.__name__]))


async def ends_none(tag: str) -> int:
    """Where no database is."""
    return 0


def setup(*handlers: str, databases: Mapping[str, Mapping[str, Any]] | None = None, project: Path = PROJECT) -> Setup:
    modules = handlers or [process_handlers.__name__]
    return Setup(str(project), modules, databases or {}, "default", ("info", "text", "en"))


class Pool(ProcessIsolation):
    """Begins attempts by the names of their handlers."""

    def begin(self, name: str, params_text: str = "{}", *, timeout: float = 300.0) -> ProcessRunning:
        return self.start(HANDLERS.get(name), context(params_text, name=name, timeout=timeout))

    def let_go(self) -> None:
        """Of all idle children."""
        while (child := self.idle()) is not None:
            child.close()

    async def server_pid(self) -> int:
        return (await self._ready_server()).pid


@asynccontextmanager
async def pool(
    given: Setup | None = None, end_sessions: EndSessions = ends_none, *, keep: int = 4
) -> AsyncIterator[Pool]:
    found = Pool(given or setup(), end_sessions, keep=keep)
    try:
        yield found
    finally:
        await found.close(0.0)


async def begun(isolation: Pool, name: str, signals: Signals, **options: Any) -> tuple[ProcessRunning, int]:
    """An attempt whose handler has begun, and the number of its process."""
    running = isolation.begin(name, signals.params_text, **options)
    await signals.begun()
    return running, number_in(signals.folder / "pid")


def number_in(file: Path) -> int:
    return int(file.read_text())


def is_there(pid: int) -> bool:
    """Whether a process runs: one that is dead and was not waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def children_of(pid: int) -> list[int]:
    """Those that have not been waited for."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


async def until(condition: Callable[[], bool], *, seconds: float = PATIENCE_SECONDS) -> None:
    """Wait for what announces nothing, such as the end of somebody else's process."""
    deadline = monotonic() + seconds
    while not condition():
        assert monotonic() < deadline, "it did not happen"
        await asyncio.sleep(0.002)


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))
