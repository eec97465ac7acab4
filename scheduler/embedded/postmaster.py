"""The PostgreSQL process itself: its settings, its start, its stop."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from scheduler.clock import monotonic
from scheduler.embedded.binaries import Binaries
from scheduler.embedded.data import initialise
from scheduler.embedded.identity import Identity
from scheduler.embedded.locks import FileLock
from scheduler.embedded.postgres_log import PostgresLog
from scheduler.embedded.probe import is_ready
from scheduler.embedded.protocol import PORT, POSTGRES_LOCK, Endpoint
from scheduler.errors import EmbeddedPostgresError

_POLL_SECONDS = 0.01
_PREDECESSOR_SECONDS = 30  # how long the processes of an earlier server may take to end
_STOP_SECONDS = 20
_SYNC_IO_SINCE = 18

_SETTINGS = {
    "max_connections": "200",
    "max_prepared_transactions": "64",  # the default 0 forbids two-phase commit
    "shared_buffers": "64MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "jit": "off",
}
_EPHEMERAL_SETTINGS = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "autovacuum": "off"}


@dataclass(slots=True)
class Postmaster:
    """One server over one data directory, which may be started again after a crash.

    `folder` is where its lock and log lie, `sockets` the private folder of its socket.
    """

    folder: Path
    data: Path
    sockets: Path
    binaries: Binaries
    identity: Identity
    ephemeral: bool
    settings: Mapping[str, str]
    _process: subprocess.Popen[bytes] | None = None

    def create_data(self) -> None:
        """Make the data directory if there is none. Raises EmbeddedPostgresError."""
        with PostgresLog(self.folder) as log, self._alone() as lock:
            initialise(self.data, self.binaries, self.identity, durable=not self.ephemeral, log=log, lock=lock)

    def start(self) -> None:
        """Return once the server takes connections, however long its recovery lasts.

        Raises EmbeddedPostgresError with the end of its log if it ends instead.
        """
        with PostgresLog(self.folder) as log:
            with self._alone() as lock:
                self._forget_killed()
                self._process = self.identity.spawn(
                    self._command(), output=log.file, holding=lock, on_parent_death=signal.SIGINT
                )
            try:
                self._announce(self._process.pid)
                self._wait_until_ready(self._process, log)
            except BaseException:
                self.stop()
                raise

    def exit_status(self) -> int | None:
        """None while the server runs."""
        return self._process.poll() if self._process else 0

    def stop(self) -> None:
        """Disconnect everybody and end the server: at once if its data is to be thrown away, else with a checkpoint."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.send_signal(signal.SIGQUIT if self.ephemeral else signal.SIGINT)
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait()

    @contextmanager
    def _alone(self) -> Iterator[FileLock]:
        """The lock that says that no process of an earlier server is left on this folder."""
        with FileLock(self.folder / POSTGRES_LOCK) as lock:
            if not lock.acquire():
                self._end_orphan()
                if not lock.wait(monotonic() + _PREDECESSOR_SECONDS):
                    raise EmbeddedPostgresError(
                        f"Processes of an earlier PostgreSQL still run on {self.data}: end them and try again."
                    )
            yield lock

    def _forget_killed(self) -> None:
        """Remove the lock files of our own killed server, which postgres.lock says is gone.

        PostgreSQL would refuse to start if that process id is taken: by a stranger, or by a zombie that a container's
        first process doesn't reap. The pid file of a server that somebody started by hand stays.
        """
        for left in self.sockets.iterdir():
            left.unlink()
        pid_file = self.data / "postmaster.pid"
        last = Endpoint.read(self.folder)
        if last and pid_file.exists() and _pid_in(pid_file) == last.postmaster:
            pid_file.unlink()

    def _announce(self, pid: int) -> None:
        """Before it is ready: those who join wait for that, and a killed one must be known to have been ours."""
        endpoint = Endpoint(
            sockets=str(self.sockets),
            version=self.binaries.version,
            ephemeral=self.ephemeral,
            supervisor=os.getpid(),
            postmaster=pid,
        )
        endpoint.write(self.folder)

    def _wait_until_ready(self, process: subprocess.Popen[bytes], log: PostgresLog) -> None:
        while not is_ready(self.sockets):
            if process.poll() is not None:
                raise EmbeddedPostgresError(f"PostgreSQL did not start; {log.path} says:\n{log.news()}")
            time.sleep(_POLL_SECONDS)

    def _end_orphan(self) -> None:
        """Stop a server that outlived its supervisor; on Linux it ends with it by itself."""
        if sys.platform != "linux" and self._process is None:
            os.kill(_pid_in(self.data / "postmaster.pid"), signal.SIGINT)

    def _command(self) -> list[str | Path]:
        settings = dict(_SETTINGS)
        if self.binaries.major >= _SYNC_IO_SINCE:
            settings["io_method"] = "sync"  # spares three processes
        if self.ephemeral:
            settings |= _EPHEMERAL_SETTINGS
        settings |= self.settings
        settings |= {
            "listen_addresses": "",
            "unix_socket_directories": str(self.sockets),
            "unix_socket_permissions": "0700",
            "port": str(PORT),
        }
        options = [option for name, value in settings.items() for option in ("-c", f"{name}={value}")]
        return [self.binaries.postgres, "-D", self.data, *options]


def _pid_in(pid_file: Path) -> int:
    return int(pid_file.read_text().split()[0])
