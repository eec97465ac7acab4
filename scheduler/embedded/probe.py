"""Whether a PostgreSQL behind a unix socket takes connections, asked in its own protocol and without a driver.

`postmaster.pid` can't tell: one left behind by a killed server says "ready" as well.
"""

import socket
import struct
from pathlib import Path

from scheduler.embedded.protocol import PORT

_TIMEOUT_SECONDS = 2.0
_PROTOCOL_3_0 = 196608
_TERMINATE = b"X" + struct.pack("!i", 4)


def _startup_packet() -> bytes:
    body = struct.pack("!i", _PROTOCOL_3_0) + b"user\0postgres\0database\0postgres\0\0"
    return struct.pack("!i", len(body) + 4) + body


def is_ready(sockets: Path) -> bool:
    """True if the server answers a log-in; false if there is none, or it is starting, recovering or stopping."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(_TIMEOUT_SECONDS)
            connection.connect(str(sockets / f".s.PGSQL.{PORT}"))
            connection.sendall(_startup_packet())
            if connection.recv(1) != b"R":
                return False
            connection.sendall(_TERMINATE)
            while connection.recv(4096):  # until the server has hung up: it logs a client that leaves earlier
                pass
            return True
    except OSError:
        return False
