"""Operations for requests: each in a thread, with a session of the job database to itself; so many at once, no more."""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from typing import Concatenate, Final, ParamSpec, TypeVar

from scheduler.store.session import SyncSession
from scheduler.web.problems import Problem

P = ParamSpec("P")
T = TypeVar("T")

_PATIENCE_SECONDS: Final = 10.0
"""How long a request waits for its turn."""


class Desk:
    """Of one event loop. `open_session` may be called in any thread."""

    def __init__(self, open_session: Callable[[], SyncSession], size: int) -> None:
        self._open_session = open_session
        self._turns = asyncio.Semaphore(size)
        self._threads = ThreadPoolExecutor(size, thread_name_prefix="scheduler web")
        self._idle = SimpleQueue[SyncSession]()

    async def do(
        self,
        actor: str | None,
        operation: Callable[Concatenate[SyncSession, P], T],
        *args: P.args,
        **named: P.kwargs,
    ) -> T:
        """What the operation gives or raises; `actor` is whom the audit names. Raises Problem when it is too busy."""

        def work() -> T:
            with self._session() as session:
                session.actor = actor
                return operation(session, *args, **named)

        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                await self._turns.acquire()
        except TimeoutError:
            raise Problem("busy", "All connections of the server are taken: send the request again later.") from None
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._turns.release()

    def close(self) -> None:
        """Waits for what is at work."""
        self._threads.shutdown()
        while True:
            try:
                self._idle.get_nowait().close()
            except Empty:
                return

    @contextmanager
    def _session(self) -> Iterator[SyncSession]:
        """One that nobody uses."""
        try:
            session = self._idle.get_nowait()
        except Empty:
            session = self._open_session()
        try:
            yield session
        finally:
            self._idle.put(session)
