"""A pooler as small as one can be: like PgBouncer, with one session of the server in transaction mode."""

import os
import socket
import struct
from contextlib import suppress
from threading import Lock, Thread
from types import TracebackType
from typing import Literal, NamedTuple, Self

from psycopg.conninfo import conninfo_to_dict

_NOT_ENCRYPTED = {80877103, 80877104}
_READY = b"Z"
_KEY = b"K"


class _Backend(NamedTuple):
    """A session of the server, and what it said when it began."""

    wire: socket.socket
    greeting: list[tuple[bytes, bytes]]
    turn: Lock


class Pooler:
    """Leads to the database of an url. `mode` is PgBouncer's pool_mode."""

    def __init__(self, url: str, mode: Literal["transaction", "session"]) -> None:
        self._params, self._mode = conninfo_to_dict(url), mode
        self._door = socket.create_server(("127.0.0.1", 0))
        self._shared: _Backend | None = None
        self._wires: list[socket.socket] = [self._door]
        self._lock = Lock()

    @property
    def url(self) -> str:
        port = self._door.getsockname()[1]
        return f"postgresql://{self._params['user']}@127.0.0.1:{port}/{self._params['dbname']}?sslmode=disable"

    def __enter__(self) -> Self:
        Thread(target=self._welcome, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        for wire in self._wires:
            with suppress(OSError):
                wire.shutdown(socket.SHUT_RDWR)
            wire.close()

    def _welcome(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._door.accept()
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._wires.append(client)
                Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with suppress(OSError, EOFError):
            backend = self._backend(_startup(client))
            for kind, body in backend.greeting:
                _send(client, kind, os.urandom(len(body)) if kind == _KEY else body)
            while True:
                self._transaction(client, backend)

    def _transaction(self, client: socket.socket, backend: _Backend) -> None:
        """From the first message of a transaction to its end, on a session of its own."""
        kind, body = _receive(client)
        with backend.turn:
            while True:
                if kind == b"X":
                    raise EOFError
                _send(backend.wire, kind, body)
                if kind in b"QS" and _answer(backend.wire, client) == b"I":
                    return
                kind, body = _receive(client)

    def _backend(self, startup: bytes) -> _Backend:
        with self._lock:
            if self._shared is None or self._mode == "session":
                self._shared = self._connected(startup)
            return self._shared

    def _connected(self, startup: bytes) -> _Backend:
        wire = socket.socket(socket.AF_UNIX)
        self._wires.append(wire)
        wire.connect(f"{self._params['host']}/.s.PGSQL.{self._params['port']}")
        wire.sendall(startup)
        greeting = [_receive(wire)]
        while greeting[-1][0] != _READY:
            greeting.append(_receive(wire))
        return _Backend(wire, greeting, Lock())


def _startup(client: socket.socket) -> bytes:
    """The first packet, after every offer of encryption was declined."""
    while True:
        length = _exactly(client, 4)
        body = _exactly(client, struct.unpack("!i", length)[0] - 4)
        if struct.unpack("!i", body[:4])[0] not in _NOT_ENCRYPTED:
            return length + body
        client.sendall(b"N")


def _answer(server: socket.socket, client: socket.socket) -> bytes:
    """Pass on all that the server says, and return the state that the transaction is in then."""
    kind, body = b"", b""
    while kind != _READY:
        kind, body = _receive(server)
        _send(client, kind, body)
    return body


def _receive(wire: socket.socket) -> tuple[bytes, bytes]:
    kind, length = _exactly(wire, 1), _exactly(wire, 4)
    return kind, _exactly(wire, struct.unpack("!i", length)[0] - 4)


def _send(wire: socket.socket, kind: bytes, body: bytes) -> None:
    wire.sendall(kind + struct.pack("!i", len(body) + 4) + body)


def _exactly(wire: socket.socket, count: int) -> bytes:
    received = b""
    while len(received) < count:
        chunk = wire.recv(count - len(received))
        if not chunk:
            raise EOFError
        received += chunk
    return received
