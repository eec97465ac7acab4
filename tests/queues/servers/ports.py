"""Ports that no other test takes."""

import fcntl
import os
import random
import socket
import tempfile
from contextlib import suppress
from pathlib import Path

_PORTS = (10_000, 30_000)
_leases: list[int] = []


def free_port() -> int:
    """A port that stays this process's until it ends, whichever of its servers is down for a while.

    It is below those that the system gives to connections, and locked among the processes of the tests.
    """
    folder = Path(tempfile.gettempdir()) / f"scheduler-test-ports-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    while True:
        port = random.randint(*_PORTS)
        lease = os.open(folder / str(port), os.O_CREAT | os.O_RDWR)
        with suppress(OSError), socket.socket() as probe:
            fcntl.flock(lease, fcntl.LOCK_EX | fcntl.LOCK_NB)
            probe.bind(("127.0.0.1", port))
            _leases.append(lease)
            return port
        os.close(lease)
