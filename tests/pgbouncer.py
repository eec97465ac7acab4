"""Debian's PgBouncer in front of a server of the tests."""

import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import quote

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import dict_row

from scheduler.embedded.identity import choose_identity
from scheduler.embedded.locks import FileLock

PROGRAM = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin:/usr/local/sbin")
needs_pgbouncer = pytest.mark.skipif(PROGRAM is None, reason="no PgBouncer here: apt-get install pgbouncer")

PORT = 6432
READY_SECONDS = 10.0
_CONSOLE = "pgbouncer"
Mode = Literal["transaction", "session", "statement"]


class PgBouncer:
    """Leads to the server of an url, to all its databases. It refuses root, and runs as the embedded server does."""

    def __init__(self, url: str, mode: Mode = "transaction", **settings: object) -> None:
        """`settings` go into its section [pgbouncer] as they are."""
        self._server = conninfo_to_dict(url)
        self._settings = {"pool_mode": mode, "default_pool_size": 10, "max_client_conn": 500} | settings
        self._resources = ExitStack()
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        with ExitStack() as undo:
            # A folder of its own: the path of a socket is short, and no port can be taken.
            self.folder = Path(undo.enter_context(tempfile.TemporaryDirectory(prefix="pgbouncer-", dir="/tmp")))
            self._identity = choose_identity()
            self._identity.own(self.folder)
            (self.folder / "users").write_text(f'"{self._server["user"]}" ""\n')
            (self.folder / "pgbouncer.ini").write_text(self._configuration())
            self._lock = undo.enter_context(FileLock(self.folder / "lock"))
            self._lock.acquire()
            self._log = undo.enter_context((self.folder / "log").open("ab"))
            undo.callback(self.kill)
            self.start()
            self._resources = undo.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        print(f"\n--- log of PgBouncer ---\n{(self.folder / 'log').read_text()[-5000:]}")
        self._resources.close()

    @property
    def url(self) -> str:
        return self._url(str(self._server["dbname"]))

    def to(self, url: str) -> str:
        """The way through it to another database of the server."""
        return self._url(str(conninfo_to_dict(url)["dbname"]))

    def start(self) -> None:
        """Return once it takes clients."""
        assert PROGRAM is not None
        self._process = self._identity.spawn(
            [PROGRAM, self.folder / "pgbouncer.ini"],
            output=self._log,
            holding=self._lock,
            on_parent_death=signal.SIGKILL,
        )
        deadline = time.monotonic() + READY_SECONDS
        while not self._is_ready():
            assert self._process.poll() is None, (self.folder / "log").read_text()
            assert time.monotonic() < deadline, (self.folder / "log").read_text()
            time.sleep(0.01)

    def kill(self) -> None:
        """As by the kernel: every client loses its connection, and so does the server."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def ask(self, command: str) -> list[dict[str, Any]]:
        """A command of its console, such as SHOW POOLS."""
        # The console knows simple queries only, and no transactions.
        with (
            closing(psycopg.connect(self._url(_CONSOLE), autocommit=True)) as console,
            psycopg.ClientCursor(console, row_factory=dict_row) as cursor,
        ):
            cursor.execute(command.encode())
            return cursor.fetchall() if cursor.description else []

    def _is_ready(self) -> bool:
        try:
            psycopg.connect(self._url(_CONSOLE), autocommit=True).close()
        except psycopg.OperationalError:
            return False
        return True

    def _url(self, dbname: str) -> str:
        return f"postgresql://{self._server['user']}@/{quote(dbname)}?host={self.folder}&port={PORT}"

    def _configuration(self) -> str:
        fixed: dict[str, object] = {
            "listen_port": PORT,
            "unix_socket_dir": self.folder,
            "auth_type": "trust",
            "auth_file": self.folder / "users",
            "admin_users": self._server["user"],
        }
        lines = [f"{name} = {value}" for name, value in (fixed | self._settings).items()]
        place = f"* = host={self._server['host']} port={self._server['port']}"
        return "\n".join(["[databases]", place, "[pgbouncer]", *lines, ""])


@contextmanager
def pgbouncer(url: str, mode: Mode = "transaction", **settings: object) -> Iterator[PgBouncer]:
    with PgBouncer(url, mode, **settings) as bouncer:
        yield bouncer
