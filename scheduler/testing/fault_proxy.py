"""A TCP proxy in front of a Postgres server that breaks a connection at a chosen moment.

It reads what passes, so what goes through it is not encrypted. For tests.
"""

import socket
import socketserver
import struct
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from threading import Event, Lock, Thread
from types import TracebackType
from typing import Literal, Self
from urllib.parse import quote

from psycopg.conninfo import conninfo_to_dict

_CHUNK_BYTES = 65_536
_ACCEPT_POLL_SECONDS = 0.05
_ABORT = struct.pack("ii", 1, 0)  # SO_LINGER with 0 s: close() sends a reset and throws away what is in flight
_READY_FOR_QUERY = b"Z\x00\x00\x00\x05"  # the end of every answer, before the one byte of the transaction's state


@dataclass(slots=True, eq=False)
class Fault:
    """Something that will go wrong. `struck` is set when it has happened."""

    kind: Literal["cut", "drop", "freeze"]
    texts: tuple[bytes, ...]
    holding: bytes = b""
    """What the swallowed answer must hold."""
    struck: Event = field(default_factory=Event)


class FaultProxy:
    """Leads to the database of an url, faithfully until told otherwise.

    with FaultProxy(url) as proxy:
        fault = proxy.drop_reply("UPDATE account")
        ...                                          # somebody who connects to proxy.url
        assert fault.struck.wait(5)
    """

    def __init__(self, url: str) -> None:
        """`url` is libpq's: a host and a port, or the folder of a Unix socket."""
        self._params = conninfo_to_dict(url)
        self._faults: list[Fault] = []
        self._links: set[_Link] = set()
        self._lock = Lock()
        self._ending = False
        self.flowing = Event()
        self.flowing.set()
        self.delay_seconds = 0.0
        self._server = _Server(self)
        self._thread = Thread(target=self._server.serve_forever, args=(_ACCEPT_POLL_SECONDS,), daemon=True)

    @property
    def url(self) -> str:
        """The same database, through the proxy."""
        parts = {name: quote(str(self._params.get(name) or ""), safe="") for name in ("user", "password", "dbname")}
        address = "{}:{}".format(*self._server.server_address)
        return f"postgresql://{parts['user']}:{parts['password']}@{address}/{parts['dbname']}?sslmode=disable"

    def cut_before(self, *texts: str) -> Fault:
        """Reset the next connection on which a client sends all `texts` in this order; the last is not passed on."""
        return self._arm(Fault("cut", _encoded(texts)))

    def drop_reply(self, *texts: str, holding: str = "") -> Fault:
        """Reset the next connection on which a client sent all `texts` and the server has answered the last of them.

        The server has done the work and the client never learns it. Answers without `holding` in them are passed on.
        """
        return self._arm(Fault("drop", _encoded(texts), holding.encode()))

    def freeze_before(self, *texts: str) -> Fault:
        """Freeze as soon as a client has sent all `texts`; the last one reaches the server when it thaws."""
        return self._arm(Fault("freeze", _encoded(texts)))

    def cut(self) -> int:
        """Reset all connections now. Returns how many there were."""
        with self._lock:
            links = list(self._links)
        for link in links:
            link.reset()
        return len(links)

    def freeze(self) -> None:
        """From now on nothing passes, in either direction, and no connection ends: a black hole."""
        self.flowing.clear()

    def thaw(self) -> None:
        """Let everything pass that was held back, and all that comes."""
        self.flowing.set()

    def slow(self, seconds: float) -> None:
        """From now on each piece arrives so much later, in either direction; 0 ends it."""
        self.delay_seconds = seconds

    def withdraw(self, fault: Fault) -> None:
        """It need not happen any more; harmless if it has."""
        with self._lock, suppress(ValueError):
            self._faults.remove(fault)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._server.shutdown()
        self._thread.join()
        with self._lock:
            self._ending = True
        self.thaw()
        self.cut()
        self._server.server_close()

    def connect(self) -> socket.socket:
        """A connection to the real server. Raises OSError."""
        host, port = str(self._params.get("host") or "localhost"), int(self._params.get("port") or 5432)
        if not host.startswith("/"):
            return socket.create_connection((host, port))
        upstream = socket.socket(socket.AF_UNIX)
        try:
            upstream.connect(str(PurePosixPath(host, f".s.PGSQL.{port}")))
        except OSError:
            upstream.close()
            raise
        return upstream

    def let_pass(self) -> None:
        """Wait until what just came may go on."""
        if self.delay_seconds:
            time.sleep(self.delay_seconds)
        self.flowing.wait()

    def opened(self, link: "_Link") -> None:
        with self._lock:
            self._links.add(link)
            if self._ending:
                link.reset()

    def closed(self, link: "_Link") -> None:
        with self._lock:
            self._links.discard(link)

    def due(self, link: "_Link", sent: bytes) -> Fault | None:
        """The fault whose moment has come with what a client just said, taken off the list."""
        with self._lock:
            for fault in self._faults:
                if link.watch(fault, sent):
                    self._faults.remove(fault)
                    return fault
        return None

    def again(self, fault: Fault) -> None:
        """It was not the right answer: wait for the next one."""
        with self._lock:
            self._faults.append(fault)

    def _arm(self, fault: Fault) -> Fault:
        with self._lock:
            self._faults.append(fault)
        return fault


class _Server(socketserver.ThreadingTCPServer):
    def __init__(self, proxy: FaultProxy) -> None:
        self.proxy = proxy
        super().__init__(("127.0.0.1", 0), _Accepted)


class _Accepted(socketserver.BaseRequestHandler):
    """One client, in a thread of its own."""

    server: _Server

    def handle(self) -> None:
        proxy = self.server.proxy
        with suppress(OSError), proxy.connect() as upstream:  # no server: the client sees a closed connection
            link = _Link(proxy, self.request, upstream)
            proxy.opened(link)
            try:
                link.run()
            finally:
                proxy.closed(link)


class _Speech:
    """What a client says, message by message, as if it never prepared anything by name."""

    def __init__(self) -> None:
        self._begun = b""
        self._starting = True
        self._prepared: dict[bytes, bytes] = {}

    def said(self, sent: bytes) -> bytes:
        """The messages that are whole by now. One that only prepares says nothing, and its use what was prepared."""
        self._begun += sent
        whole = []
        while (message := self._next()) is not None:
            whole.append(self._meant(message))
        return b"".join(whole)

    def _next(self) -> bytes | None:
        type_bytes = 0 if self._starting else 1  # only the first message has none
        if len(self._begun) < type_bytes + 4:
            return None
        end = type_bytes + int.from_bytes(self._begun[type_bytes : type_bytes + 4])
        if len(self._begun) < end:
            return None
        message, self._begun = self._begun[:end], self._begun[end:]
        self._starting = False
        return message

    def _meant(self, message: bytes) -> bytes:
        match message[:1]:
            case b"P":
                name, _, rest = message[5:].partition(b"\0")
                if name:
                    self._prepared[name] = rest
                    return b""
            case b"B":
                name = message[5:].split(b"\0", 2)[1]
                return self._prepared.get(name, b"") + message
        return message


class _Link:
    """A client's connection and its continuation to the server."""

    def __init__(self, proxy: FaultProxy, client: socket.socket, upstream: socket.socket) -> None:
        self._proxy, self._client, self._upstream = proxy, client, upstream
        self._progress: dict[Fault, tuple[int, bytes]] = {}
        self._speech = _Speech()
        self._pending: Fault | None = None
        self._answer = b""

    def run(self) -> None:
        """Pass both directions on until one of them ends."""
        down = Thread(target=self._pump_down, daemon=True)
        down.start()
        self._pump_up()
        down.join()

    def watch(self, fault: Fault, sent: bytes) -> bool:
        """Whether all of the fault's texts have now been said here, in their order."""
        seen, window = self._progress.pop(fault, (0, b""))
        window += sent
        while seen < len(fault.texts) and (at := window.find(fault.texts[seen])) >= 0:
            window = window[at + len(fault.texts[seen]) :]
            seen += 1
        if seen == len(fault.texts):
            return True
        self._progress[fault] = (seen, window[-len(fault.texts[seen]) :])
        return False

    def reset(self) -> None:
        """End both sides at once; what is in flight is lost."""
        for end in (self._client, self._upstream):
            with suppress(OSError):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABORT)
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)  # wakes the thread that reads it

    def _pump_up(self) -> None:
        with suppress(OSError):
            while sent := self._client.recv(_CHUNK_BYTES):
                said = self._speech.said(sent)
                if (fault := self._proxy.due(self, said)) is not None and not self._goes_on(fault):
                    break
                self._proxy.let_pass()
                self._upstream.sendall(sent)
        self.reset()

    def _goes_on(self, fault: Fault) -> bool:
        """Let the fault begin. Whether what the client sent is passed on."""
        match fault.kind:
            case "cut":
                fault.struck.set()
            case "freeze":
                self._proxy.freeze()
                fault.struck.set()
            case "drop":
                self._pending = fault  # it strikes when the answer is there
        return fault.kind != "cut"

    def _pump_down(self) -> None:
        with suppress(OSError):
            while received := self._upstream.recv(_CHUNK_BYTES):
                self._proxy.let_pass()
                if (fault := self._pending) is not None:
                    received = self._withheld(fault, received)
                    if fault.struck.is_set():
                        break
                self._client.sendall(received)
        self.reset()

    def _withheld(self, fault: Fault, received: bytes) -> bytes:
        """What may be passed on: the answer once it is whole, nothing before, and nothing of the one that strikes."""
        self._answer += received
        if self._answer[-6:-1] != _READY_FOR_QUERY:
            return b""
        answer, self._answer, self._pending = self._answer, b"", None
        if fault.holding in answer:
            fault.struck.set()
        else:
            self._proxy.again(fault)
        return answer


def _encoded(texts: tuple[str, ...]) -> tuple[bytes, ...]:
    return tuple(text.encode() for text in texts)
