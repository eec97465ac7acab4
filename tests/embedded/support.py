"""Processes that use a server, and ways to wait for its end."""

import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Self

from scheduler.embedded.locks import FileLock
from scheduler.embedded.protocol import POSTGRES_LOCK, SUPERVISOR_LOCK, Endpoint

PROJECT = Path(__file__).resolve().parents[2]
PATIENCE_SECONDS = 40.0

_USER = """
import json, sys
from pathlib import Path
from scheduler.embedded import EmbeddedPostgres
from scheduler.embedded.protocol import Endpoint
folder = Path(sys.argv[1])
with EmbeddedPostgres(folder, ephemeral=sys.argv[2] == "True") as server:
    server.ensure_database("shared")
    print(json.dumps([server.url(), Endpoint.read(folder).postmaster]), flush=True)
    sys.stdin.read()
"""


def kill(pid: int) -> None:
    """SIGKILL, and wait until the process is dead, even if nobody reaps it."""
    process = os.pidfd_open(pid)
    signal.pidfd_send_signal(process, signal.SIGKILL)
    select.select([process], [], [], PATIENCE_SECONDS)
    os.close(process)


class UserProcess:
    """Another process that uses the folder's server until it is killed."""

    def __init__(self, folder: Path, *, ephemeral: bool) -> None:
        command = [sys.executable, "-c", _USER, str(folder), str(ephemeral)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=PROJECT)

    def joined(self) -> tuple[str, int]:
        """Wait until it uses the server: the url it got, and the process id of the server it found."""
        assert self._process.stdout
        url, postmaster = json.loads(self._process.stdout.readline())
        return url, postmaster

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._process:
            self.kill()


def ends(folder: Path, seconds: float = PATIENCE_SECONDS) -> bool:
    """Whether supervisor and server are gone within so many seconds; returns as soon as they are."""
    deadline = time.monotonic() + seconds
    with FileLock(folder / SUPERVISOR_LOCK) as supervisor, FileLock(folder / POSTGRES_LOCK) as postgres:
        return supervisor.wait(deadline) and postgres.wait(deadline)


def endpoint_of(folder: Path) -> Endpoint:
    endpoint = Endpoint.read(folder)
    assert endpoint, f"no server runs in {folder}"
    return endpoint


def postgres_ends(folder: Path) -> bool:
    """Whether every PostgreSQL process of the folder ends, whatever becomes of the supervisor."""
    with FileLock(folder / POSTGRES_LOCK) as postgres:
        return postgres.wait(time.monotonic() + PATIENCE_SECONDS)


def remove_data_of_nobody(folder: Path) -> None:
    """Data that lies outside of the folder, because root ran the server as `nobody`."""
    for entry in folder.glob("pg*"):
        if entry.is_symlink() and entry.exists():
            assert ends(folder)
            shutil.rmtree(entry.readlink().parent)
