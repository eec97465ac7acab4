"""The user's side: join the folder's server, or launch one."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

from scheduler.clock import monotonic
from scheduler.embedded.binaries import find_binaries, major_of
from scheduler.embedded.locks import FileLock
from scheduler.embedded.probe import is_ready
from scheduler.embedded.protocol import (
    PORT,
    POSTGRES_LOG,
    START_LOCK,
    SUPERVISOR_LOCK,
    SUPERVISOR_LOG,
    USERS_LOCK,
    Endpoint,
    Order,
    Reply,
)
from scheduler.errors import EmbeddedPostgresError
from scheduler.messages import log

_POLL_SECONDS = 0.02
_LONGEST_NAME = 63  # bytes; PostgreSQL cuts longer names, and two of them could become one
_QUOTED_LOG_BYTES = 2000


class EmbeddedPostgres:
    """A PostgreSQL server of one folder, shared by all processes that name the folder.

    Usable as a context manager, or by `start()` and `stop()`; a process that never stops it uses it until it ends,
    however it ends. About a second after its last user the server ends too. Not for several threads at once.

    `ephemeral` is for tests: no fsync, data of its own that is removed with the server. `settings` are PostgreSQL's
    own, such as {"work_mem": "16MB"}; those of whoever launches the server hold for all who join.
    """

    def __init__(self, folder: Path, *, ephemeral: bool = False, settings: Mapping[str, str] | None = None) -> None:
        self.folder = folder.expanduser().absolute()
        self.ephemeral = ephemeral
        self.settings = dict(settings or {})
        self._users: FileLock | None = None
        self._endpoint: Endpoint | None = None

    def start(self, timeout: float = 60, *, may_make: bool = True) -> Self:
        """Join the server or launch it, within `timeout` seconds. Again after a start: check, and launch if need be.

        Without `may_make`, only on data that is there already. Raises EmbeddedPostgresError if it can't run here,
        didn't come up, or other data is in its place.
        """
        _require_platform()
        try:
            self._endpoint = self._join_or_launch(monotonic() + timeout, may_make)
        except OSError as error:
            self.stop()
            raise EmbeddedPostgresError(
                f"The embedded PostgreSQL can't use {self.folder}: {error}. "
                "Name a local folder that you may write to, or set SCHEDULER_DATABASE_URL."
            ) from error
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Use the server no longer. Harmless when it isn't in use."""
        self._endpoint = None
        if self._users is not None:
            self._users.close()
            self._users = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.stop()

    def url(self, dbname: str = "postgres") -> str:
        """`postgresql://postgres@/<dbname>?host=<socket folder>&port=5432`, quoted."""
        host = quote(self._started().sockets, safe="")
        return f"postgresql://postgres@/{quote(dbname, safe='')}?host={host}&port={PORT}"

    def ensure_database(self, name: str) -> str:
        """Create the database unless it exists; any number of processes may do so at once. Returns its url."""
        import psycopg  # not for those who only join
        from psycopg import sql

        if not 0 < len(name.encode()) <= _LONGEST_NAME:
            raise EmbeddedPostgresError(f"A database name has 1 to {_LONGEST_NAME} bytes: rename {name!r}.")
        try:
            with psycopg.connect(self.url(), autocommit=True) as connection:
                connection.execute("SELECT pg_advisory_lock(hashtext('scheduler.ensure_database'))")
                if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone():
                    connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        except psycopg.Error as error:
            raise EmbeddedPostgresError(f"The embedded PostgreSQL could not create {name!r}: {error}") from error
        return self.url(name)

    @property
    def version(self) -> str:
        """Of the running server, such as "18.6"."""
        return self._started().version

    @property
    def major(self) -> int:
        return major_of(self.version)

    def _started(self) -> Endpoint:
        if self._endpoint is None:
            raise EmbeddedPostgresError("The embedded PostgreSQL isn't in use here: call start() first.")
        return self._endpoint

    def _join_or_launch(self, deadline: float, may_make: bool) -> Endpoint:
        _refuse_data_of_others(self.folder)
        self._make_folder()
        if self._users is None or not self._users.is_in_place():
            self.stop()
            self._users = FileLock(self.folder / USERS_LOCK)
        with FileLock(self.folder / START_LOCK) as starting:
            if not starting.wait(deadline):
                raise EmbeddedPostgresError(
                    f"Another process has been starting or stopping the PostgreSQL in {self.folder} all the time: "
                    f"try again, and see {self.folder / SUPERVISOR_LOG}."
                )
            self._users.acquire(shared=True)
            joined = self._join(deadline)
            if joined is None and not may_make:
                _require_data(self.folder)
            return joined or self._launch(starting, deadline)

    def _make_folder(self) -> None:
        if not self.folder.exists():
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            (self.folder / ".gitignore").write_text("*\n")

    def _join(self, deadline: float) -> Endpoint | None:
        """The running server, once it answers; None if there is none."""
        with FileLock(self.folder / SUPERVISOR_LOCK) as supervisor:
            while not supervisor.acquire(shared=True):
                endpoint = Endpoint.read(self.folder)
                if endpoint and is_ready(Path(endpoint.sockets)):
                    return self._fitting(endpoint)
                if monotonic() >= deadline:
                    raise EmbeddedPostgresError(
                        f"The PostgreSQL in {self.folder} runs but takes no connections: "
                        f"see {self.folder / POSTGRES_LOG}. A folder that two containers share works only "
                        "in the one that started the server."
                    )
                time.sleep(_POLL_SECONDS)
        return None

    def _fitting(self, endpoint: Endpoint) -> Endpoint:
        if endpoint.ephemeral != self.ephemeral:
            running, wanted = ("ephemeral", "durable") if endpoint.ephemeral else ("durable", "ephemeral")
            raise EmbeddedPostgresError(
                f"The PostgreSQL that runs in {self.folder} is {running}, but a {wanted} one is asked for: "
                "use another folder, or wait until the other users are gone."
            )
        return endpoint

    def _launch(self, starting: FileLock, deadline: float) -> Endpoint:
        began = monotonic()
        binaries = find_binaries()
        log("embedded.starting", version=binaries.version, folder=self.folder)
        order = Order(
            folder=str(self.folder),
            bin=str(binaries.folder),
            version=binaries.version,
            ephemeral=self.ephemeral,
            settings=self.settings,
            start_lock=starting.fd,
        )
        endpoint = self._read_reply(self._run_supervisor(order, deadline))
        log("embedded.ready", seconds=round(monotonic() - began, 2))
        return endpoint

    def _run_supervisor(self, order: Order, deadline: float) -> bytes:
        """Its one line, said when the server is ready or has failed. It detaches itself and inherits start.lock."""
        command = [sys.executable, "-I", "-S", str(Path(__file__).with_name("__main__.py")), order.to_json()]
        with (self.folder / SUPERVISOR_LOG).open("ab") as errors:
            try:
                return subprocess.run(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    cwd="/",
                    start_new_session=True,
                    pass_fds=(order.start_lock,),
                    timeout=max(0.0, deadline - monotonic()),
                    check=False,
                ).stdout
            except subprocess.TimeoutExpired as expired:
                raise EmbeddedPostgresError(
                    f"The PostgreSQL in {self.folder} isn't ready yet; it goes on starting, so try again: "
                    f"see {self.folder / POSTGRES_LOG}."
                ) from expired

    def _read_reply(self, reply: bytes) -> Endpoint:
        error = Reply.from_json(reply).error if reply else self._last_words()
        endpoint = Endpoint.read(self.folder)
        if error or endpoint is None:
            raise EmbeddedPostgresError(error or f"{self.folder} was removed while its PostgreSQL started: try again.")
        return endpoint

    def _last_words(self) -> str:
        words = (self.folder / SUPERVISOR_LOG).read_bytes()[-_QUOTED_LOG_BYTES:].decode(errors="replace").strip()
        return f"The supervisor of the PostgreSQL in {self.folder} ended early: try again. Its log says:\n{words}"


def _require_platform() -> None:
    if sys.platform not in ("linux", "darwin"):
        raise EmbeddedPostgresError(
            f"The embedded PostgreSQL runs on Linux and macOS, not on {sys.platform}: "
            "start a PostgreSQL server of your own and set SCHEDULER_DATABASE_URL."
        )


def _require_data(folder: Path) -> None:
    from scheduler.embedded.data import has_data  # not on Windows

    if not has_data(folder):
        raise EmbeddedPostgresError(f"No PostgreSQL was made in {folder} yet: `scheduler run` makes it.")


def _refuse_data_of_others(folder: Path) -> None:
    """Before any file is made: one of ours among another user's would lock that user out."""
    for entry in folder.glob("pg*"):
        owner = entry.lstat().st_uid
        if re.fullmatch(r"pg\d+", entry.name) and owner != os.geteuid():
            from scheduler.embedded.identity import name_of  # not on Windows

            raise EmbeddedPostgresError(
                f"{entry} belongs to {name_of(owner)}, and this process runs as {name_of(os.geteuid())}: "
                f"run as {name_of(owner)}, or use another folder. Nothing was changed."
            )
