"""The pages of `health`, and metrics, by HTTP, from threads of their own: they answer while a loop hangs, too."""

import json
import socketserver
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import AF_INET, AF_INET6
from threading import Thread
from typing import Any, Final

from scheduler.errors import ConfigurationError
from scheduler.messages import log
from scheduler.metrics import CONTENT_TYPE
from scheduler.services.health import Examine, page

_SHUTDOWN_POLL_SECONDS: Final = 0.1


@contextmanager
def serving(
    address: str, port: int | None, *, health: Examine, live: Examine, metrics: Callable[[], str]
) -> Iterator[None]:
    """Answer at `/health`, `/live` and `/metrics` meanwhile; nowhere if `port` is None, at any free port if it is 0.

    Raises ConfigurationError when the address can't be had.
    """
    if port is None:
        yield
        return
    pages = {
        "/health": partial(_examined, health),
        "/live": partial(_examined, live),
        "/metrics": partial(_told, metrics),
    }
    try:
        server = _Server(address, port, pages)
    except OSError as error:
        raise ConfigurationError(
            f"worker.health_port: {address} can't be listened at on port {port}: {error.strerror or error}. "
            "Write another worker.health_port or worker.health_address, or end what has it."
        ) from None
    thread = Thread(target=partial(server.serve_forever, _SHUTDOWN_POLL_SECONDS), name="scheduler-health", daemon=True)
    thread.start()
    log("health.served", address=f"[{address}]" if ":" in address else address, port=server.server_address[1])
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass(frozen=True, slots=True)
class _Answer:
    status: HTTPStatus
    kind: str
    body: bytes


def _examined(examine: Examine) -> _Answer:
    healthy, said = page(examine())
    return _json(HTTPStatus.OK if healthy else HTTPStatus.SERVICE_UNAVAILABLE, said)


def _told(metrics: Callable[[], str]) -> _Answer:
    return _Answer(HTTPStatus.OK, CONTENT_TYPE, metrics().encode())


def _json(status: HTTPStatus, said: Mapping[str, Any]) -> _Answer:
    return _Answer(status, "application/json", json.dumps(said).encode() + b"\n")


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    """A prober that lingers delays nobody's end."""

    def __init__(self, address: str, port: int, pages: Mapping[str, Callable[[], _Answer]]) -> None:
        self.address_family = AF_INET6 if ":" in address else AF_INET
        self.pages = pages
        super().__init__((address, port), _Handler)

    def server_bind(self) -> None:
        """Without asking for the name of this host, as HTTPServer does: that may take long and is of no use."""
        socketserver.TCPServer.server_bind(self)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A prober that has gone is no error."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = 5.0

    def do_GET(self) -> None:
        body = self._answered()
        self.wfile.write(body)

    def do_HEAD(self) -> None:
        self._answered()

    def _answered(self) -> bytes:
        """Send the head; the body."""
        asked = self.server.pages.get(self.path.partition("?")[0])
        answer = asked() if asked is not None else _json(HTTPStatus.NOT_FOUND, {"pages": sorted(self.server.pages)})
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.kind)
        self.send_header("Content-Length", str(len(answer.body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        return answer.body

    def version_string(self) -> str:
        return "scheduler"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        """A prober asks every few seconds."""
