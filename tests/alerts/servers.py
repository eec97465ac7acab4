"""Targets of the tests' own: a web server and a mail server that keep what they get, and one that never answers."""

import json
import socketserver
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeVar

PATIENCE_SECONDS = 40.0
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Posted:
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(slots=True)
class Received:
    """What a server got, in order."""

    port: int
    items: list[Any] = field(default_factory=list)
    news: threading.Condition = field(default_factory=threading.Condition)

    def add(self, item: object) -> None:
        with self.news:
            self.items.append(item)
            self.news.notify_all()

    def until(self, condition: Callable[[Sequence[Any]], bool]) -> list[Any]:
        """Wait until it holds of what it got."""
        with self.news:
            assert self.news.wait_for(lambda: condition(self.items), PATIENCE_SECONDS), self.items
            return list(self.items)


@contextmanager
def _serving(server: socketserver.TCPServer) -> Iterator[None]:
    thread = threading.Thread(target=partial(server.serve_forever, 0.02), daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def web_server(status: int = 204, headers: Mapping[str, str] | None = None) -> Iterator[Received]:
    """Answers each POST so."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.add(Posted(self.path, {name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    received = Received(server.server_address[1])
    with _serving(server):
        yield received


@contextmanager
def mail_server(refuses: str | None = None) -> Iterator[Received]:
    """Takes each mail, as text; nobody of this address."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self._say("220 here")
            while line := self.rfile.readline():
                match line.split(b":")[0].strip().upper().split(b" ")[0]:
                    case b"DATA":
                        self._say("354 go on")
                        received.add(b"".join(iter(self.rfile.readline, b".\r\n")).decode())
                        self._say("250 taken")
                    case b"RCPT" if refuses is not None and refuses.encode() in line:
                        self._say("550 nobody")
                    case b"QUIT":
                        self._say("221 bye")
                        return
                    case _:
                        self._say("250 fine")

        def _say(self, text: str) -> None:
            self.wfile.write(f"{text}\r\n".encode())

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    server = Server(("127.0.0.1", 0), Handler)
    received = Received(server.server_address[1])
    with _serving(server):
        yield received


@contextmanager
def silent_server(drip: bytes = b"") -> Iterator[Received]:
    """Takes connections, and says nothing for as long as they last; or a little, over and over."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            received.add(self.client_address)
            while not over.wait(0.02):
                try:
                    self.request.sendall(drip)
                except OSError:
                    return

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    over = threading.Event()
    server = Server(("127.0.0.1", 0), Handler)
    received = Received(server.server_address[1])
    with _serving(server):
        try:
            yield received
        finally:
            over.set()
